import { compileSnapshot } from '../../pkg/core/index.ts';
import type { Policy } from '../../pkg/core/index.ts';
import { policy, provider, subject } from '../../pkg/core/testing/policies.ts';
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
  /** A policy of the platform cannot be used. */
  readonly invalid?: boolean;
  /** One of the namespace cannot be used. */
  readonly denied?: string;
}

/** Of pods that one policy governs, with a provider of https://corp.example.com. */
export function governedSet(namespace: string, more: GovernedBy): PolicySet {
  if (more.invalid === true) return { kind: 'invalid', id: 'x', entries: [], message: 'no' };
  const claim = 'claim' in more ? more.claim : 'sub';
  const one: Policy = policy(
    'p',
    {
      providers: [
        { ...provider('corp'), kubernetesUser: claim === undefined ? undefined : { claim, prefix: 'corp:' } },
      ],
      approvals: {
        approvers:
          more.approvers === ''
            ? []
            : [{ ...subject({}), kubernetesGroup: more.approvers ?? 'ml-leads', kubernetesUser: undefined }],
        required: more.required ?? 1,
        timeoutMs: 60_000,
        maxGrantMs: more.maxGrantMs ?? 3_600_000,
      },
    },
    { namespace },
  );
  const { hash, sources, notices, upstream, providers } = compileSnapshot([one], { revision: 0 });
  return {
    kind: 'compiled',
    id: hash,
    entries: [],
    policies: [one],
    hash,
    sources,
    notices,
    upstream,
    providers,
    denied: more.denied,
  };
}
