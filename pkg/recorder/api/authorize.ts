import type { Clock, Secret } from '../../base/index.ts';
import { auditAudience, auditResource } from '../../contract/index.ts';
import { namedCaller } from '../../identity/index.ts';
import { createAccessReviewer } from '../../kube/index.ts';
import type { KubeClient, ReviewedUser } from '../../kube/index.ts';
import type { People, Person } from './people.ts';
import type { Revoked } from './revoked.ts';

/** Who asks. */
export interface Auditor extends ReviewedUser {
  /** Proven by the OpenID provider: what their claims give counts, and Kubernetes is not asked. */
  readonly person?: Person;
}

export interface AuditAuthorizer {
  /** Undefined: not a token for the recorder. @throws when who must say so cannot be asked: then the answer is no, for now. */
  authenticate(token: Secret): Promise<Auditor | undefined>;
  /** The API server said a moment ago that it is good: nobody has to be asked. */
  knows(token: Secret): boolean;
  /** Whether they may read records: of one namespace, or of all (undefined). @throws as above. */
  mayRead(auditor: Auditor, namespace: string | undefined): Promise<boolean>;
  /** Whether they may place and release holds, and have receivers sent events again. @throws as above. */
  mayChange(auditor: Auditor): Promise<boolean>;
}

/** Named as Kubernetes names users of OpenID providers where nobody tells it otherwise. An issuer has no `#`. */
export const auditorOf = (person: Person): Auditor => ({
  username: `${person.issuer}#${person.subject}`,
  groups: [],
  person,
});

/**
 * What was revoked proves nobody, whoever its issuer is. A token that names the OpenID provider of `people` is theirs to judge. Of all others the API server is asked: TokenReview with the
 * recorder's audience and no other, then RBAC on `records.sidegate.dev`.
 */
export function createAuditAuthorizer(
  client: Pick<KubeClient, 'create'>,
  clock: Clock,
  revoked: Revoked,
  people?: Pick<People, 'issued' | 'prove'>,
): AuditAuthorizer {
  const reviewer = createAccessReviewer(client, clock, auditAudience);
  return {
    async authenticate(token) {
      if (people?.issued(token) !== true) {
        const user = await reviewer.authenticate(token);
        // Proven by the API server: what it says of itself is so.
        const named = user === undefined ? undefined : namedCaller(token.reveal());
        return named !== undefined && revoked.revokes(named) ? undefined : user;
      }
      const person = await people.prove(token);
      return person && auditorOf(person);
    },
    knows: reviewer.knows,
    mayRead: async (auditor, namespace) =>
      auditor.person?.mayRead(namespace) ?? reviewer.may(auditor, { ...auditResource, verb: 'get', namespace }),
    mayChange: async (auditor) =>
      auditor.person?.mayChange() ?? reviewer.may(auditor, { ...auditResource, verb: 'update' }),
  };
}
