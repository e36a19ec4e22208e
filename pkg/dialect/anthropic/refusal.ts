import type { RefusalText } from '../dialect.ts';

/** Anthropic's error types by status (docs.claude.com, Errors). */
const types = new Map([
  [401, 'authentication_error'],
  [403, 'permission_error'],
  [404, 'not_found_error'],
  [408, 'timeout_error'],
  [413, 'request_too_large'],
  [429, 'rate_limit_error'],
  [503, 'overloaded_error'],
  [504, 'timeout_error'],
]);

/** Our fixed words in Anthropic's error shape; `code`, `rule` and `param` stand beside them. Nothing of the request's content. */
export function refusalBody({ status, code, message, rule, requestId, detail }: RefusalText): string {
  const type = types.get(status) ?? (status >= 500 ? 'api_error' : 'invalid_request_error');
  const error = { type, message, code, rule: rule ?? null, param: detail ?? null };
  return JSON.stringify({ type: 'error', error, request_id: requestId });
}

/** Anthropic's clients raise an error at this event, whatever was streamed before, and pass over events without a name. */
export const errorEvent = 'error';
