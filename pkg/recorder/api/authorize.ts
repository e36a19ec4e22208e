import { hash } from 'node:crypto';
import type { Clock, Secret } from '../../base/index.ts';
import { auditAudience, auditResource } from '../../contract/index.ts';
import { resources } from '../../kube/index.ts';
import type { KubeClient } from '../../kube/index.ts';

/** Who asks, as the API server names them. */
export interface Auditor {
  readonly username: string;
  readonly groups: readonly string[];
}

export interface AuditAuthorizer {
  /** Undefined: not a token for the recorder. @throws when the API server cannot be asked: then the answer is no, for now. */
  authenticate(token: Secret): Promise<Auditor | undefined>;
  /** Whether they may read records: of one namespace, or of all (undefined). @throws as above. */
  mayRead(auditor: Auditor, namespace: string | undefined): Promise<boolean>;
  /** Whether they may place and release holds. @throws as above. */
  mayHold(auditor: Auditor): Promise<boolean>;
}

/** How long an answer is good for: a right that was taken away ends within it. */
const keptMs = 30_000;
const mostKept = 1_000;

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
const textsOf = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];
const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};

/** Asks the API server: TokenReview with the recorder's audience and no other, then RBAC on `records.sidegate.dev`. */
export function createAuditAuthorizer(client: Pick<KubeClient, 'create'>, clock: Clock): AuditAuthorizer {
  const kept = new Map<string, { readonly until: number; readonly answer: Promise<unknown> }>();
  const remember = <Answer>(key: string, ask: () => Promise<Answer>): Promise<Answer> => {
    const now = clock.monotonic();
    const known = kept.get(key);
    if (known !== undefined && known.until > now) return known.answer as Promise<Answer>;
    if (kept.size >= mostKept) kept.clear();
    const answer = ask();
    kept.set(key, { until: now + keptMs, answer });
    // A failure is asked again.
    answer.catch(() => kept.delete(key));
    return answer;
  };
  const may = ({ username, groups }: Auditor, verb: 'get' | 'update', namespace?: string): Promise<boolean> =>
    remember(`${verb} ${JSON.stringify([username, groups, namespace])}`, async () => {
      const review = await client.create<object>(resources.subjectAccessReviews, {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: {
          user: username,
          groups,
          resourceAttributes: { ...auditResource, verb, ...(namespace === undefined ? {} : { namespace }) },
        },
      });
      const status = fieldsOf(fieldsOf(review)['status']);
      return status['allowed'] === true && status['denied'] !== true;
    });
  return {
    authenticate: (token) =>
      // The token itself is not kept.
      remember(`token ${hash('sha256', token.reveal(), 'hex')}`, async () => {
        const review = await client.create<object>(resources.tokenReviews, {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenReview',
          spec: { token: token.reveal(), audiences: [auditAudience] },
        });
        const status = fieldsOf(fieldsOf(review)['status']);
        const user = fieldsOf(status['user']);
        const username = textOf(user['username']);
        // An API server that does not know of audiences names none: then the token may be anybody's.
        if (status['authenticated'] !== true || username === '') return undefined;
        if (!textsOf(status['audiences']).includes(auditAudience)) return undefined;
        return { username, groups: textsOf(user['groups']) };
      }),
    mayRead: (auditor, namespace) => may(auditor, 'get', namespace),
    mayHold: (auditor) => may(auditor, 'update'),
  };
}
