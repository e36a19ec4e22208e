import type { KeptText } from './session.ts';
import type { ModelMessage } from './socket-call.ts';

/** They wait beside those that their caller's connection keeps. */
const mostMessages = 16;
const mostBytes = 16_384;

/** A message that was let through. */
export interface BatchedMessage {
  readonly message: ModelMessage;
  /** To be recorded once it goes on; empty: it is on record, or nothing of it is to be. */
  readonly texts: readonly KeptText[];
}

/** Messages of a WebSocket's caller that were let through and go to the model together: no more than few and short ones. */
export class MessageBatch {
  #messages: BatchedMessage[] = [];
  #bytes = 0;

  get empty(): boolean {
    return this.#messages.length === 0;
  }

  /** The next one is not to wait for more. */
  get full(): boolean {
    return this.#messages.length >= mostMessages || this.#bytes >= mostBytes;
  }

  add(batched: BatchedMessage): void {
    this.#messages.push(batched);
    this.#bytes += batched.message.bytes.length;
  }

  take(): readonly BatchedMessage[] {
    const messages = this.#messages;
    this.#messages = [];
    this.#bytes = 0;
    return messages;
  }
}
