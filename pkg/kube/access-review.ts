import { hash } from 'node:crypto';
import type { Clock, Secret } from '../base/index.ts';
import type { KubeClient } from './client.ts';
import { resources } from './objects.ts';

/** Who asks, as the API server names them. */
export interface ReviewedUser {
  readonly username: string;
  readonly groups: readonly string[];
}

/** A right of RBAC: on a resource that some API serves, or on a name that stands for nothing but the right. */
export interface AskedRight {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  /** Undefined: in all namespaces. */
  readonly namespace?: string | undefined;
}

/** Who may use an endpoint of Sidegate's own, by the API server's word. */
export interface AccessReviewer {
  /** Undefined: not a token for this endpoint. @throws when the API server cannot be asked: then the answer is no, for now. */
  authenticate(token: Secret): Promise<ReviewedUser | undefined>;
  /** It was asked about this token a moment ago, and it is good: no call is needed to say so again. */
  knows(token: Secret): boolean;
  /** @throws as above. */
  may(user: ReviewedUser, right: AskedRight): Promise<boolean>;
}

/** How long an answer is good for: a right that was taken away ends within it. */
const keptMs = 30_000;
const mostKept = 1_000;

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
const textsOf = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];
const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};

/** @param audience that a token must have; a token for any other endpoint is refused. */
export function createAccessReviewer(
  client: Pick<KubeClient, 'create'>,
  clock: Clock,
  audience: string,
): AccessReviewer {
  const kept = new Map<string, { readonly until: number; readonly answer: Promise<unknown>; good: boolean }>();
  const remember = <Answer>(key: string, ask: () => Promise<Answer>): Promise<Answer> => {
    const now = clock.monotonic();
    const known = kept.get(key);
    if (known !== undefined && known.until > now) return known.answer as Promise<Answer>;
    if (kept.size >= mostKept) kept.clear();
    const answer = ask();
    const entry = { until: now + keptMs, answer, good: false };
    kept.set(key, entry);
    answer.then(
      (given) => (entry.good = given !== undefined),
      // A failure is asked again.
      () => kept.delete(key),
    );
    return answer;
  };
  // The token itself is not kept.
  const keyOf = (token: Secret): string => `token ${hash('sha256', token.reveal(), 'hex')}`;
  return {
    knows(token) {
      const known = kept.get(keyOf(token));
      return known !== undefined && known.good && known.until > clock.monotonic();
    },
    authenticate: (token) =>
      remember(keyOf(token), async () => {
        const review = await client.create<object>(resources.tokenReviews, {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenReview',
          spec: { token: token.reveal(), audiences: [audience] },
        });
        const status = fieldsOf(fieldsOf(review)['status']);
        const user = fieldsOf(status['user']);
        const username = textOf(user['username']);
        // An API server that does not know of audiences names none: then the token may be anybody's.
        if (status['authenticated'] !== true || username === '') return undefined;
        if (!textsOf(status['audiences']).includes(audience)) return undefined;
        return { username, groups: textsOf(user['groups']) };
      }),
    may: ({ username, groups }, { namespace, ...right }) =>
      remember(`right ${JSON.stringify([username, groups, right, namespace])}`, async () => {
        const review = await client.create<object>(resources.subjectAccessReviews, {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SubjectAccessReview',
          spec: {
            user: username,
            groups,
            resourceAttributes: { ...right, ...(namespace === undefined ? {} : { namespace }) },
          },
        });
        const status = fieldsOf(fieldsOf(review)['status']);
        return status['allowed'] === true && status['denied'] !== true;
      }),
  };
}
