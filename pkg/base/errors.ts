import { types } from 'node:util';

/**
 * An error with a stable code. `message` is fixed wording and never holds request content, tokens or matched text;
 * `cause` is for the log and is never sent to a peer.
 */
export class CodedError<Code extends string = string> extends Error {
  readonly code: Code;

  constructor(code: Code, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'CodedError';
    this.code = code;
  }
}

/** The end of a `switch` over a closed union: the compiler proves that it is not reached, the runtime denies. */
export function assertNever(value: never): never {
  throw new CodedError('unreachable', `unexpected variant: ${typeof value}`);
}

/** The `code` of an unknown thrown value (`ENOENT`, `ECONNRESET`); undefined where it has none that is text. */
export function errorCode(error: unknown): string | undefined {
  // Not `instanceof`: an error may come from another realm.
  return types.isNativeError(error) && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** The wording of an unknown thrown value, for a log field: code and message of an error, else its type; never its properties. */
export function describeError(error: unknown): string {
  if (!types.isNativeError(error)) return typeof error;
  const code = errorCode(error);
  return `${code === undefined ? '' : `${code}: `}${error.message}`.slice(0, 300);
}
