import { createBucket } from '../../base/index.ts';
import type { Clock } from '../../base/index.ts';
import type { ApprovalLister } from './decide-by-token.ts';
import type { DecisionResult, RouteGroup } from './decision-server.ts';

const path = '/v1/approvals';
const bearer = /^Bearer ([A-Za-z0-9._~+/=-]{1,16384})$/i;

/**
 * `GET /v1/approvals`: what the bearer of a token may decide. Its limit is its own, for all addresses together: a console asks for all who
 * look at it from one address, and takes the place of no decision.
 */
export function approvalList(
  lister: ApprovalLister,
  clock: Clock,
  onResult?: (result: DecisionResult) => void,
): RouteGroup {
  const bucket = createBucket(clock, 20, 100);
  return {
    ownLimit: true,
    ...(onResult !== undefined && { onResult }),
    async routes({ url, method, headers }) {
      if (url !== path) return undefined;
      if (!bucket.take()) return { status: 429, body: { error: 'too_many' }, result: 'limited' };
      if (method !== 'GET') return { status: 405, body: { error: 'method' }, result: 'malformed' };
      const token = bearer.exec(headers.authorization ?? '')?.[1];
      if (token === undefined) return { status: 401, body: { error: 'unauthenticated' }, result: 'refused' };
      return { status: 200, body: await lister.list(token), result: 'viewed' };
    },
  };
}
