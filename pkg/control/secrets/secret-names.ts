import type { SecretRef } from '../../core/index.ts';
import type { PolicyEntry } from '../policies/policy-entry.ts';
import type { PolicySet } from '../policies/policy-index.ts';

/** A value of a Secret in its namespace. */
export interface PlacedSecret {
  readonly namespace: string;
  readonly name: string;
  readonly key: string;
}

/** A Secret that holds a serving certificate. */
export interface PlacedCertificate {
  readonly namespace: string;
  readonly name: string;
}

/** A namespace's policy names Secrets beside itself; a cluster's policy names those of Sidegate's own namespace. */
export const secretNamespace = (entry: PolicyEntry, ownNamespace: string): string => entry.namespace ?? ownNamespace;

function refsOf(upstream: NonNullable<PolicyEntry['policy']>['spec']['upstream']): readonly SecretRef[] {
  return [upstream?.credential?.source, ...(upstream?.ports ?? []).map((port) => port.caSecretRef)].filter(
    (ref) => ref !== undefined,
  );
}

/** Every Secret that one policy names, for its own status. */
export function secretsNamedBy(entry: PolicyEntry, ownNamespace: string): readonly PlacedSecret[] {
  const namespace = secretNamespace(entry, ownNamespace);
  return refsOf(entry.policy?.spec.upstream).flatMap((ref) =>
    ref.kind === 'Secret' ? [{ namespace, name: ref.name, key: ref.key }] : [],
  );
}

/** In policy order, as {@link PolicySet} `sources` has it. */
function inOrder(set: Extract<PolicySet, { kind: 'compiled' }>): readonly PolicyEntry[] {
  const byUid = new Map(set.entries.map((entry) => [entry.uid, entry]));
  return set.sources.flatMap(({ uid }) => byUid.get(uid) ?? []);
}

/** Values of policies that only observe are not used beside those that enforce. */
function effective(entries: readonly PolicyEntry[]): readonly PolicyEntry[] {
  const enforcing = entries.filter((entry) => entry.policy?.spec.mode === 'Enforce');
  return enforcing.length > 0 ? enforcing : entries;
}

/**
 * What a pod with these policies needs: only what stands in the combined upstream, read where the policy that it came from may name it.
 * Where two policies name equal references, the first in policy order is meant, which is the one that combining takes.
 */
export function secretsOfSet(set: PolicySet, ownNamespace: string): readonly PlacedSecret[] {
  if (set.kind === 'invalid') return [];
  const ordered = effective(inOrder(set));
  return refsOf(set.upstream).flatMap((ref) => {
    if (ref.kind !== 'Secret') return [];
    const owner = ordered.find((entry) =>
      refsOf(entry.policy?.spec.upstream).some(
        (one) => one.kind === 'Secret' && one.name === ref.name && one.key === ref.key,
      ),
    );
    return owner === undefined
      ? []
      : [{ namespace: secretNamespace(owner, ownNamespace), name: ref.name, key: ref.key }];
  });
}

/** The certificate has no order: the cluster's wins, then the oldest policy's. Undefined: it is Sidegate's to issue. */
export function certificateOfSet(set: PolicySet, ownNamespace: string): PlacedCertificate | undefined {
  if (set.kind === 'invalid') return undefined;
  for (const entry of effective(inOrder(set))) {
    const certificate = entry.policy?.spec.tls?.certificate;
    if (certificate === undefined) continue;
    return 'secretName' in certificate
      ? { namespace: secretNamespace(entry, ownNamespace), name: certificate.secretName }
      : undefined;
  }
  return undefined;
}
