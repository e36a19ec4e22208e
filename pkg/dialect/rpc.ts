import type { ByteChain, JsonEdit, JsonNode } from '../base/index.ts';
import type { WholeNumbers } from './number-tally.ts';

/** A message as the JSON value that says the same, and the way back. */
export interface Projected {
  /** It stands in no text: its nodes' places tell them apart, and are what edits name. */
  readonly root: JsonNode;
  /** Values and keys of it. */
  readonly nodes: number;
  /** Characters of a text that said the same, about: what it costs to look at. */
  readonly units: number;
  /** Lists of whole numbers in it that are too short to be a text by themselves. */
  readonly numbers: readonly WholeNumbers[];
  /**
   * The message with these edits of its JSON; all that they do not touch are the very bytes that came.
   *
   * @throws RefusedError where an edit cannot be carried out, as the {@link Rpc} says.
   */
  edited(edits: readonly JsonEdit[]): ByteChain;
}

/** A method of gRPC that can be read: what stands between a message's bytes and the JSON that is looked at. */
export interface Rpc {
  /** Its caller may send many messages. */
  readonly clientStreams: boolean;
  /** The model may. */
  readonly serverStreams: boolean;
  /** Of a call that takes many requests: each answer names, by an id, what it answers. */
  readonly turns: boolean;
  /**
   * @param grown told while it is read how many values and keys there are; what it throws ends the reading.
   * @throws RefusedError invalid_request, body_too_large (more of them than a request may have); an edit that cannot be carried out: guard_blocked
   */
  request(message: ByteChain, grown?: (nodes: number) => void): Projected;
  /**
   * @param tellsByNumbers messages before it have shown that its whole numbers may be a text: however few, they count as unread.
   * @throws RefusedError response_uninspectable
   */
  answer(message: ByteChain, tellsByNumbers?: boolean): Projected;
}
