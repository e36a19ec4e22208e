import type { OutgoingHttpHeaders } from 'node:http';
import type { RefusedError } from '../core/index.ts';
import { reasons } from '../core/index.ts';
import type { Dialect, RefusalText } from '../dialect/index.ts';
import { refusalHead } from '../http/index.ts';
import { receipt, receiptHeader } from './receipt.ts';
import type { Session } from './session.ts';

/** The one place that turns a refusal into words: the dialect's own error shape, with code, rule and request id. */
export function refusalText(session: Session, error: RefusedError): RefusalText {
  return {
    status: reasons[error.code].status,
    code: error.code,
    message: reasons[error.code].message,
    rule: error.rule,
    requestId: session.id,
    detail: error.detail,
  };
}

export function refusalResponse(
  session: Session,
  error: RefusedError,
  dialect: Dialect,
): { readonly status: number; readonly headers: OutgoingHttpHeaders; readonly body: string } {
  const text = refusalText(session, error);
  return {
    status: text.status,
    headers: {
      ...refusalHead(error.code, error.retryAfter).headers,
      'content-type': 'application/json',
      'x-request-id': session.id,
      [receiptHeader]: receipt(session, true),
    },
    body: dialect.refusal(text),
  };
}
