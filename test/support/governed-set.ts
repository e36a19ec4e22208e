import { compileSnapshot } from '../../pkg/core/index.ts';
import type { ClientCertificateSpec, Policy } from '../../pkg/core/index.ts';
import { clusterPolicy, oidc, policy, provider, subject } from '../../pkg/core/testing/policies.ts';
import type { PolicySet } from '../../pkg/control/policies/policy-index.ts';

/** What a policy says of grants. */
export interface GovernedBy {
  /** A group of Kubernetes; empty: nobody; default `ml-leads`. */
  readonly approvers?: string;
  /** Default 1. */
  readonly required?: number;
  /** Default an hour. */
  readonly maxGrantMs?: number;
  /** Claim that is the caller's name in Kubernetes; undefined: none; default `sub`. */
  readonly claim?: string | undefined;
  /** Claim that is the caller's subject; default `sub`. */
  readonly subjectClaim?: string;
  /** The same of callers with certificates, with prefix `cert:`; undefined: none; where it is not given, no certificate proves a caller. */
  readonly certificateClaim?: string | undefined;
  /** A policy of the platform names the approvers; default the namespace's own. */
  readonly byPlatform?: boolean;
  /** A policy of the platform cannot be used. */
  readonly invalid?: boolean;
  /** One of the namespace cannot be used. */
  readonly denied?: string;
}

const certificates: ClientCertificateSpec = {
  ca: { kind: 'Secret', namespace: 'ml', name: 'callers-ca', key: 'ca.crt' },
  subjectFrom: 'Auto',
  groupsFrom: 'None',
};
const userBy = (claim: string | undefined, prefix: string): { claim: string; prefix: string } | undefined =>
  claim === undefined ? undefined : { claim, prefix };

/** Of pods that one policy governs, with a provider of https://corp.example.com. */
export function governedSet(namespace: string, more: GovernedBy): PolicySet {
  if (more.invalid === true) return { kind: 'invalid', id: 'x', entries: [], message: 'no' };
  const claim = 'claim' in more ? more.claim : 'sub';
  const approvals = {
    approvers:
      more.approvers === ''
        ? []
        : [{ ...subject({}), kubernetesGroup: more.approvers ?? 'ml-leads', kubernetesUser: undefined }],
    required: more.required ?? 1,
    timeoutMs: 60_000,
    maxGrantMs: more.maxGrantMs ?? 3_600_000,
  };
  const one: Policy = policy(
    'p',
    {
      providers: [
        {
          ...provider('corp'),
          oidc: oidc('https://corp.example.com', 'inference', { subjectClaim: more.subjectClaim ?? 'sub' }),
          kubernetesUser: userBy(claim, 'corp:'),
        },
        ...('certificateClaim' in more
          ? [
              {
                ...provider('mesh'),
                oidc: undefined,
                clientCertificate: certificates,
                kubernetesUser: userBy(more.certificateClaim, 'cert:'),
              },
            ]
          : []),
      ],
      approvals: more.byPlatform === true ? undefined : approvals,
    },
    { namespace },
  );
  const policies = more.byPlatform === true ? [clusterPolicy('base', { providers: [], approvals }), one] : [one];
  const { hash, sources, notices, upstream, providers } = compileSnapshot(policies, { revision: 0 });
  return {
    kind: 'compiled',
    id: hash,
    entries: [],
    policies,
    hash,
    sources,
    notices,
    upstream,
    providers,
    denied: more.denied,
  };
}
