import type { IncomingMessage } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import type { ReasonCode } from '../core/index.ts';

/** What passthrough.ts needs of an exchange and nobody else may touch: the body before it is read. Not exported by the package. */
export const rawBody = Symbol('rawBody');
export const rawUpgrade = Symbol('rawUpgrade');

export interface RawExchange {
  /** False: the head says that no body follows, or an empty one. */
  readonly hasBody: boolean;
  /**
   * The request's body as it comes off the wire; to be called once, in place of `readBody`. It flows from the next turn on, and is counted.
   *
   * @param onFault What is left of it cannot be read.
   */
  [rawBody](onFault: (code: ReasonCode) => void): Readable;
}

export interface RawUpgrade {
  [rawUpgrade](): { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Buffer };
}
