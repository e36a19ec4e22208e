import type { StoreErrorCode } from '../store-error.ts';
import type { Reader } from './reader.ts';

/** What the thread of the store and that of the reader say to each other. */
export type ReaderMethod = Exclude<keyof Reader, 'close'>;

export interface ReaderCall<Method extends ReaderMethod = ReaderMethod> {
  readonly id: number;
  readonly method: Method;
  readonly args: Parameters<Reader[Method]>;
}

export type ReaderAnswer =
  | { readonly id: number; readonly value: unknown }
  /** `code` undefined: not an error of the store. */
  | { readonly id: number; readonly problem: string; readonly code: StoreErrorCode | undefined };
