import type { Clock, Secret } from '../../base/index.ts';
import { auditAudience, auditResource } from '../../contract/index.ts';
import { createAccessReviewer } from '../../kube/index.ts';
import type { KubeClient, ReviewedUser } from '../../kube/index.ts';

/** Who asks, as the API server names them. */
export type Auditor = ReviewedUser;

export interface AuditAuthorizer {
  /** Undefined: not a token for the recorder. @throws when the API server cannot be asked: then the answer is no, for now. */
  authenticate(token: Secret): Promise<Auditor | undefined>;
  /** Whether they may read records: of one namespace, or of all (undefined). @throws as above. */
  mayRead(auditor: Auditor, namespace: string | undefined): Promise<boolean>;
  /** Whether they may place and release holds. @throws as above. */
  mayHold(auditor: Auditor): Promise<boolean>;
}

/** Asks the API server: TokenReview with the recorder's audience and no other, then RBAC on `records.sidegate.dev`. */
export function createAuditAuthorizer(client: Pick<KubeClient, 'create'>, clock: Clock): AuditAuthorizer {
  const reviewer = createAccessReviewer(client, clock, auditAudience);
  return {
    authenticate: (token) => reviewer.authenticate(token),
    mayRead: (auditor, namespace) => reviewer.may(auditor, { ...auditResource, verb: 'get', namespace }),
    mayHold: (auditor) => reviewer.may(auditor, { ...auditResource, verb: 'update' }),
  };
}
