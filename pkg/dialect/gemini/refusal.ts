import type { RefusalText } from '../dialect.ts';

/** Names of google.rpc.Code by the status of HTTP. */
const names = new Map([
  [401, 'UNAUTHENTICATED'],
  [403, 'PERMISSION_DENIED'],
  [404, 'NOT_FOUND'],
  [408, 'DEADLINE_EXCEEDED'],
  [429, 'RESOURCE_EXHAUSTED'],
  [500, 'INTERNAL'],
  [502, 'INTERNAL'],
  [503, 'UNAVAILABLE'],
  [504, 'DEADLINE_EXCEEDED'],
]);

/** Our fixed words in Google's error shape (google.rpc.Status), with `code` and `rule` in its ErrorInfo. Nothing of the request's content. */
export function refusalBody({ status, code, message, rule, requestId, detail }: RefusalText): string {
  const metadata = { rule, request_id: requestId, detail };
  const info = { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: code, domain: 'sidegate.dev', metadata };
  const name = names.get(status) ?? (status >= 500 ? 'UNAVAILABLE' : 'INVALID_ARGUMENT');
  return JSON.stringify({ error: { code: status, message, status: name, details: [info] } });
}
