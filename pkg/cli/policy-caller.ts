import { compileSnapshot } from '../core/index.ts';
import type { Identity, Policy } from '../core/index.ts';

/** A caller as people describe one, for commands that ask what policies would do. */
export interface DescribedCaller {
  readonly subject: string | undefined;
  /** Its name, or NAMESPACE/POLICY/NAME; needed where policies have several. */
  readonly provider: string | undefined;
  readonly groups: readonly string[];
  readonly scopes: readonly string[];
}

interface KnownProvider {
  readonly id: string;
  readonly name: string;
  readonly issuer: string;
  /** By client certificates. */
  readonly certificates: boolean;
}

/** Those that stay when the policies are combined: only they prove callers. */
function knownProviders(policies: readonly Policy[]): readonly KnownProvider[] {
  return compileSnapshot(policies, { revision: 0 }).providers.map(
    ({ id, oidc, serviceAccount, sidegate, clientCertificate }) => ({
      id,
      name: id.slice(id.lastIndexOf('/') + 1),
      issuer: oidc?.issuer ?? serviceAccount?.issuer ?? sidegate?.issuer ?? '',
      certificates: clientCertificate !== undefined,
    }),
  );
}

export interface FoundCaller {
  /** Undefined: nobody is proven. */
  readonly caller: Identity | undefined;
  /** A client certificate is what proves it. */
  readonly certificate: boolean;
}

/** Nobody, where nothing of a caller is said. A fault says what is missing to know who that is. */
export function callerOf(
  { subject, provider: wanted, groups, scopes }: DescribedCaller,
  policies: readonly Policy[],
): FoundCaller | { readonly fault: string } {
  if (subject === undefined && wanted === undefined && groups.length === 0 && scopes.length === 0)
    return { caller: undefined, certificate: false };
  const known = knownProviders(policies);
  const fitting = known.filter((one) => wanted === undefined || one.name === wanted || one.id === wanted);
  const [provider] = fitting;
  const list = known.length === 0 ? 'the policies declare none' : known.map((one) => one.id).join(', ');
  if (provider === undefined) return { fault: `names nobody who proves callers (${list})` };
  if (fitting.length > 1) return { fault: `must say which one: ${fitting.map((one) => one.id).join(', ')}` };
  return {
    certificate: provider.certificates,
    caller: {
      provider: provider.id,
      issuer: provider.issuer,
      subject: subject ?? 'somebody',
      groups,
      scopes,
      expiresAt: undefined,
      kubernetesUser: undefined,
    },
  };
}
