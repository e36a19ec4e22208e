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
/** Good answers that are kept of tokens, and of rights; and as many of the others, and of those that are still to come. */
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
  const tokens = createAnswers<ReviewedUser | undefined>(clock, (user) => user !== undefined);
  const rights = createAnswers<boolean>(clock, (allowed) => allowed);
  // The token itself is not kept.
  const keyOf = (token: Secret): string => hash('sha256', token.reveal(), 'hex');
  return {
    knows: (token) => tokens.hasGood(keyOf(token)),
    authenticate: (token) =>
      tokens.of(keyOf(token), async () => {
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
      rights.of(JSON.stringify([username, groups, right, namespace]), async () => {
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

/** Answers that were given a moment ago. Good ones are kept apart: whoever makes up what is refused takes none of them away. */
interface Answers<Answer> {
  of(key: string, ask: () => Promise<Answer>): Promise<Answer>;
  hasGood(key: string): boolean;
}

function createAnswers<Answer>(clock: Clock, isGood: (answer: Answer) => boolean): Answers<Answer> {
  interface Kept {
    readonly until: number;
    readonly answer: Promise<Answer>;
  }
  const [good, others] = [new Map<string, Kept>(), new Map<string, Kept>()];
  const keep = (where: Map<string, Kept>, key: string, kept: Kept): void => {
    where.delete(key);
    where.set(key, kept);
    const [oldest] = where.keys();
    if (where.size > mostKept && oldest !== undefined) where.delete(oldest);
  };
  const known = (where: Map<string, Kept>, key: string): Kept | undefined => {
    const kept = where.get(key);
    if (kept === undefined || kept.until > clock.monotonic()) return kept;
    where.delete(key);
    return undefined;
  };
  return {
    of(key, ask) {
      const before = known(good, key) ?? known(others, key);
      if (before !== undefined) return before.answer;
      const kept: Kept = { until: clock.monotonic() + keptMs, answer: ask() };
      keep(others, key, kept);
      const leave = (): void => {
        if (others.get(key) === kept) others.delete(key);
      };
      kept.answer.then((answer) => {
        if (!isGood(answer)) return;
        leave();
        keep(good, key, kept);
        // A failure is asked again.
      }, leave);
      return kept.answer;
    },
    hasGood: (key) => known(good, key) !== undefined,
  };
}
