import { createBucket, createKeyedBuckets } from '../../base/index.ts';
import type { Clock } from '../../base/index.ts';
import { sha256 } from '../../core/index.ts';
import type { ApprovalLister } from './approval-lister.ts';
import { bearerOf } from './decision-server.ts';
import type { DecisionResult, RouteGroup } from './decision-server.ts';

const path = '/v1/approvals';

/**
 * `GET /v1/approvals`: what the bearer of a token may decide. Its limits are its own, so that it takes the place of no decision: of a token
 * once a second after the first 20, of all tokens of one address 20 times a second after the first 100, since a console asks for all who look at
 * it, and of all addresses 50 times a second after the first 250. What is malformed takes nothing.
 */
export function approvalList(
  lister: ApprovalLister,
  clock: Clock,
  onResult?: (result: DecisionResult) => void,
): RouteGroup {
  const all = createBucket(clock, 50, 250);
  const addresses = createKeyedBuckets(clock, 20, 100);
  const tokens = createKeyedBuckets(clock, 1, 20);
  return {
    ownLimit: true,
    ...(onResult !== undefined && { onResult }),
    async routes(request, { from }) {
      if (request.url !== path) return undefined;
      if (request.method !== 'GET') return { status: 405, body: { error: 'method' }, result: 'malformed' };
      const token = bearerOf(request);
      if (token === undefined) return { status: 401, body: { error: 'unauthenticated' }, result: 'refused' };
      const admitted = tokens.take(sha256(token)) && addresses.take(from) && all.take();
      if (!admitted) return { status: 429, body: { error: 'too_many' }, result: 'limited' };
      const found = await lister.list(token);
      if (typeof found === 'string') return { status: 503, body: { error: found }, result: 'failed' };
      return { status: 200, body: found, result: 'viewed' };
    },
  };
}
