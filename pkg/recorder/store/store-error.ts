import { CodedError } from '../../base/index.ts';

export type StoreErrorCode =
  /** The disk takes nothing more, or fails. */
  | 'unavailable'
  /** The file is not a store, or of a newer version. */
  | 'not_a_store'
  /** A recorder has it, or a restoration, beside which it is not for the other. */
  | 'in_use'
  | 'not_found'
  /** What was to be added does not follow on what is there. */
  | 'moved'
  /** The database cannot keep what it was given. */
  | 'refused'
  /** A question that cannot be asked: the message says what of it. */
  | 'query'
  /** What is in the store contradicts itself. */
  | 'corrupt';

export class StoreError extends CodedError<StoreErrorCode> {
  constructor(code: StoreErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(code, message, options);
    this.name = 'StoreError';
  }
}

/** An entry that comes back from an archive would stand elsewhere than it stood, and others speak of it by its place. */
export const anotherWrote = (): StoreError =>
  new StoreError('moved', 'somebody else has written into the store: stop the recorders that use it');

export const tooManyHolds = (): StoreError =>
  new StoreError('query', 'there are as many holds as there may be: release some that are over');
