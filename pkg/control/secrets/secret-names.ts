import type { PolicySpec, ProviderSpec, SecretRef } from '../../core/index.ts';
import type { SecretName } from '../../wire/index.ts';
import type { PolicyEntry } from '../policies/policy-entry.ts';
import type { PolicySet } from '../policies/policy-index.ts';

/** A value of a Secret in its namespace. */
export interface PlacedSecret {
  readonly namespace: string;
  readonly name: string;
  readonly key: string;
  /** How sidecars know it: by the names that stand in the policy. */
  readonly as: SecretName;
}

/** A Secret that holds a serving certificate. */
export interface PlacedCertificate {
  readonly namespace: string;
  readonly name: string;
}

/** A namespace's policy names Secrets beside itself; a cluster's policy names those of Sidegate's own namespace. */
export const secretNamespace = (entry: PolicyEntry, ownNamespace: string): string => entry.namespace ?? ownNamespace;

interface Naming {
  readonly upstream: PolicySpec['upstream'];
  readonly providers: readonly Pick<ProviderSpec, 'oidc' | 'serviceAccount' | 'clientCertificate'>[];
}

function refsOf({ upstream, providers }: Naming): readonly SecretRef[] {
  return [
    upstream?.credential?.source,
    ...(upstream?.ports ?? []).map((port) => port.caSecretRef),
    ...providers.map(
      ({ oidc, serviceAccount, clientCertificate }) => (oidc ?? serviceAccount ?? clientCertificate)?.ca,
    ),
  ].filter((ref) => ref !== undefined);
}

/** A policy's namespace is in the reference since it was read; no author can write another. */
function placed(refs: readonly SecretRef[], ownNamespace: string): readonly PlacedSecret[] {
  const found = new Map<string, PlacedSecret>();
  for (const ref of refs) {
    if (ref.kind !== 'Secret') continue;
    const { namespace, name, key } = ref;
    found.set(`${namespace ?? ''}/${name}/${key}`, {
      namespace: namespace ?? ownNamespace,
      name,
      key,
      as: { ...(namespace !== undefined && { namespace }), name, key },
    });
  }
  return [...found.values()];
}

/** Every Secret that one policy names, for its own status. */
export function secretsNamedBy(entry: PolicyEntry, ownNamespace: string): readonly PlacedSecret[] {
  return entry.policy === undefined ? [] : placed(refsOf(entry.policy.spec), ownNamespace);
}

/** In policy order: the platform's first, then the oldest, then by name. */
function inOrder(entries: readonly PolicyEntry[]): readonly PolicyEntry[] {
  const platform = ({ kind }: PolicyEntry): number => (kind === 'ClusterInferencePolicy' ? 0 : 1);
  return entries.toSorted(
    (a, b) =>
      platform(a) - platform(b) ||
      a.createdAt - b.createdAt ||
      (a.name < b.name ? -1 : a.name > b.name ? 1 : a.uid < b.uid ? -1 : 1),
  );
}

/** Values of policies that only observe are not used beside those that enforce. */
function effective(entries: readonly PolicyEntry[]): readonly PolicyEntry[] {
  const enforcing = entries.filter(({ enforces }) => enforces);
  return enforcing.length > 0 ? enforcing : entries;
}

/** What a pod with these policies needs: what stands in the combined upstream and in the providers that stay. */
export function secretsOfSet(set: PolicySet, ownNamespace: string): readonly PlacedSecret[] {
  return set.kind === 'invalid' ? [] : placed(refsOf(set), ownNamespace);
}

/**
 * The certificate has no order: the cluster's wins, then the oldest policy's. Those of policies that cannot be used count too: a pod that
 * denies everything goes on to say so under the name that its callers trust. Undefined: it is Sidegate's to issue.
 */
export function certificateOfSet(set: PolicySet, ownNamespace: string): PlacedCertificate | 'unknown' | undefined {
  const deciding = effective(inOrder(set.entries)).find(({ certificate }) => certificate !== 'unset');
  return deciding === undefined ? undefined : placedCertificate(deciding, ownNamespace);
}

/** Of one policy; undefined: it leaves it to Sidegate, or says nothing of it. */
export function placedCertificate(entry: PolicyEntry, ownNamespace: string): PlacedCertificate | 'unknown' | undefined {
  const { certificate } = entry;
  if (certificate === 'unknown') return 'unknown';
  if (typeof certificate === 'string') return undefined;
  return { namespace: secretNamespace(entry, ownNamespace), name: certificate.secretName };
}
