import type { ApprovalLister } from './approval-lister.ts';
import { bearerOf } from './decision-server.ts';
import type { DecisionResult, RouteGroup } from './decision-server.ts';

const path = '/v1/approvals';

/** `GET /v1/approvals`: what the bearer of a token may decide. Its limits are the lister's, so that it takes the place of no decision. */
export function approvalList(lister: ApprovalLister, onResult?: (result: DecisionResult) => void): RouteGroup {
  return {
    ownLimit: true,
    ...(onResult !== undefined && { onResult }),
    async routes(request, { from }) {
      if (request.url !== path) return undefined;
      if (request.method !== 'GET') return { status: 405, body: { error: 'method' }, result: 'malformed' };
      const token = bearerOf(request);
      if (token === undefined) return { status: 401, body: { error: 'unauthenticated' }, result: 'refused' };
      const found = await lister.list({ token, from });
      if (found === 'too_many') return { status: 429, body: { error: 'too_many' }, result: 'limited' };
      if (found === 'unproven') return { status: 429, body: { error: 'too_many' }, result: 'unproven' };
      if (typeof found === 'string') return { status: 503, body: { error: found }, result: 'failed' };
      return { status: 200, body: found, result: 'viewed' };
    },
  };
}
