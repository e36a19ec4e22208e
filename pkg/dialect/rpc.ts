import type { JsonEdit } from '../base/index.ts';

/** A message as JSON that says the same, and the way back. */
export interface Projected {
  readonly text: string;
  /** Lists of whole numbers in it that are too short to be a text by themselves. */
  readonly numbers: readonly WholeNumbers[];
  /**
   * The message with these edits of its JSON; all that they do not touch stays byte for byte.
   *
   * @throws RefusedError where an edit cannot be carried out, as the {@link Rpc} says.
   */
  edited(edits: readonly JsonEdit[]): Uint8Array;
}

/** Whole numbers that are not shown. */
export interface WholeNumbers {
  /** Of the tensor. */
  readonly name: string;
  readonly count: number;
  /** To tell whether they are the same as before. */
  readonly bytes: string;
}

/** A method of gRPC that can be read: what stands between a message's bytes and the JSON that is looked at. */
export interface Rpc {
  /** Its caller may send many messages. */
  readonly clientStreams: boolean;
  /** The model may. */
  readonly serverStreams: boolean;
  /** Of a call that takes many requests: each answer names, by an id, what it answers. */
  readonly turns: boolean;
  /** @throws RefusedError invalid_request; an edit that cannot be carried out: guard_blocked */
  request(message: Uint8Array): Projected;
  /**
   * @param tellsByNumbers messages before it have shown that its whole numbers may be a text: however few, they count as unread.
   * @throws RefusedError response_uninspectable
   */
  answer(message: Uint8Array, tellsByNumbers?: boolean): Projected;
}
