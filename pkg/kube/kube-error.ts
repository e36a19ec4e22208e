import { CodedError, describeError } from '../base/index.ts';
import type { JsonValue } from '../base/index.ts';

/**
 * `refused`: the server said no, see `status`. `too_large`: the answer is longer, or has more values, than is read. The others: there is
 * no answer to go by.
 */
export type KubeErrorCode = 'refused' | 'unreachable' | 'timeout' | 'bad_answer' | 'too_large' | 'aborted';

/**
 * An answer of the API server that is no success, or none at all. The message is the server's own, cut; it never holds what we sent.
 */
export class KubeError extends CodedError<KubeErrorCode> {
  /** HTTP status; 0 where there was no answer. */
  readonly status: number;
  /** The server's word, such as `NotFound`, `AlreadyExists`, `Conflict`, `Expired`; empty where it gave none. */
  readonly reason: string;
  /** `code` of what an aggregated or proxied server answered in its own form; empty where it is a Status, whose code is a number. */
  readonly problem: string;
  /** The server asked to wait so long; undefined: it did not. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: KubeErrorCode,
    message: string,
    about: {
      readonly status?: number;
      readonly reason?: string;
      readonly problem?: string;
      readonly retryAfterMs?: number | undefined;
      readonly cause?: unknown;
    } = {},
  ) {
    super(code, message.slice(0, 500), { cause: about.cause });
    this.name = 'KubeError';
    this.status = about.status ?? 0;
    this.reason = about.reason ?? '';
    this.problem = about.problem ?? '';
    this.retryAfterMs = about.retryAfterMs;
  }
}

export const isKubeError = (error: unknown): error is KubeError => error instanceof KubeError;

export const isNotFound = (error: unknown): boolean => isKubeError(error) && error.status === 404;

/** Somebody was quicker: the object exists, or has another resourceVersion or uid than was asked for. */
export const isConflict = (error: unknown): boolean => isKubeError(error) && error.status === 409;

export const isTooLarge = (error: unknown): boolean => isKubeError(error) && error.code === 'too_large';

/** The resourceVersion or the continue token is too old: list anew. */
export const isExpired = (error: unknown): boolean =>
  isKubeError(error) && (error.status === 410 || error.reason === 'Expired' || error.reason === 'Gone');

function textAt(body: JsonValue | undefined, key: string): string {
  if (body === null || typeof body !== 'object' || Array.isArray(body)) return '';
  const value = body[key];
  return typeof value === 'string' ? value : '';
}

/** Of a `Status` body, or of whatever stood in its place. */
export function refusedError(status: number, body: JsonValue | undefined, retryAfterMs?: number): KubeError {
  const message = textAt(body, 'message');
  return new KubeError('refused', message === '' ? `the API server answered ${status}` : message, {
    status,
    reason: textAt(body, 'reason'),
    problem: textAt(body, 'code'),
    retryAfterMs,
  });
}

/** Whatever a call threw, as a {@link KubeError}. */
export function asKubeError(error: unknown): KubeError {
  if (isKubeError(error)) return error;
  return new KubeError('unreachable', `the API server cannot be reached: ${describeError(error)}`, { cause: error });
}
