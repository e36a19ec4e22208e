import type { ModelMessage } from './socket-call.ts';

/** They wait beside those that their caller's connection keeps. */
const mostMessages = 16;
const mostBytes = 16_384;

/** Messages of a WebSocket's caller that were let through and go to the model together: no more than few and short ones. */
export class MessageBatch {
  #messages: ModelMessage[] = [];
  #bytes = 0;

  get empty(): boolean {
    return this.#messages.length === 0;
  }

  /** The next one is not to wait for more. */
  get full(): boolean {
    return this.#messages.length >= mostMessages || this.#bytes >= mostBytes;
  }

  add(message: ModelMessage): void {
    this.#messages.push(message);
    this.#bytes += message.bytes.length;
  }

  take(): readonly ModelMessage[] {
    const messages = this.#messages;
    this.#messages = [];
    this.#bytes = 0;
    return messages;
  }
}
