import type { RefusalText } from '../dialect.ts';

/** OpenAI's error types by status; its clients make their exception classes from the status, people read the type. */
function typeOf(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 404) return 'not_found_error';
  if (status === 408 || status === 504) return 'timeout_error';
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}

/**
 * Our fixed words in OpenAI's error shape: `param` is the field or limit that was at fault. Nothing of the request's content. OpenAI's clients raise
 * an error for a frame with `error` in it, whatever was streamed before.
 */
export const refusalBody = (refusal: RefusalText): string => JSON.stringify({ error: errorOf(refusal) });

/** The object within. */
export const errorOf = (refusal: RefusalText): object => ({
  message: refusal.message,
  type: typeOf(refusal.status),
  param: refusal.detail ?? null,
  code: refusal.code,
  rule: refusal.rule ?? null,
  request_id: refusal.requestId,
});
