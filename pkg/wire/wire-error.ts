import { CodedError } from '../base/index.ts';

export type WireErrorCode =
  /** A frame longer than its reader takes, or empty. */
  | 'frame_size'
  /** Not UTF-8, not JSON, or JSON that is too deep or too large. */
  | 'frame_content'
  /** A message that the protocol does not have, in this place or at all. */
  | 'message_unknown'
  /** A message without the fields that its type has. */
  | 'message_shape';

/** The peer broke the protocol: the stream ends. The message names a field and never its content. */
export class WireError extends CodedError<WireErrorCode> {
  constructor(code: WireErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(code, message, options);
    this.name = 'WireError';
  }
}
