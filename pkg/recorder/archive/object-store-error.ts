import { CodedError } from '../../base/index.ts';

export type ObjectStoreErrorCode =
  /** It does not answer, or fails itself: worth another try. */
  | 'unavailable'
  /** It refuses: credentials, rights, a bucket that is not there. */
  | 'refused'
  /** What was written is not there as it was written, or is not locked. */
  | 'not_kept'
  /** What stands under a name is of another log, or of this one as it is not any more. */
  | 'other_log'
  /** The clock here and that of the store are a day apart or more: a lock would end at another time than it should, and nobody makes it shorter. */
  | 'clock'
  /** An object that is larger than anything that was ever written. */
  | 'too_large';

/** The store's own words may quote what was sent to it: only its code goes on. */
export class ObjectStoreError extends CodedError<ObjectStoreErrorCode> {
  constructor(code: ObjectStoreErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(code, message, options);
    this.name = 'ObjectStoreError';
  }
}
