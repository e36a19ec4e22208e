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

/** The wording of an unknown thrown value, for a log field: its code where it has one, else its name; never its properties. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const code = 'code' in error && typeof error.code === 'string' ? `${error.code}: ` : '';
  return `${code}${error.message}`.slice(0, 300);
}
