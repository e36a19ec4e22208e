import type { JsonEdit } from '../base/index.ts';

/** Says how many bytes of a body are JSON, where others follow it (KServe's extension for binary tensors). */
export const jsonLengthHeader = 'inference-header-content-length';

/** A body of JSON and bytes, as JSON that says the same, and the way back. */
export interface SplitText {
  readonly text: string;
  /**
   * The body with these edits of its JSON; all that they do not touch stays byte for byte.
   *
   * @throws RefusedError where an edit cannot be carried out
   */
  edited(edits: readonly JsonEdit[]): { readonly body: Buffer; readonly jsonBytes: number };
}

/** How bodies of a route are read that are JSON first, and bytes after it. */
export interface SplitBody {
  /** @param length as the header says it. @throws RefusedError invalid_request; an edit that cannot be carried out: guard_blocked */
  request(body: Buffer, length: string): SplitText;
  /** @throws RefusedError response_uninspectable */
  answer(body: Buffer, length: string): SplitText;
}
