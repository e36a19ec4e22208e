import { governedLabel } from '../../contract/index.ts';
import type { ClusterState } from '../cluster-state.ts';
import { exemptNamespaces } from '../directory.ts';
import type { Directory } from '../directory.ts';
import { governedLabelValue } from '../facts/namespace-fact.ts';
import type { PodFact } from '../facts/pod-fact.ts';
import type { PolicySet } from '../policies/policy-index.ts';
import type { OpenedCertificates } from '../secrets/opened-certificates.ts';

/** Why a governed pod is closed to callers, where it is for something that the controller knows. */
export const closedReasons = [
  /** Its namespace has not the label yet: it gets no answer. */
  'namespace',
  /** One of the platform's policies cannot be used, and the sidecar has no earlier one. */
  'platform_policy',
  /** A policy of its namespace cannot be used: it denies everything. */
  'denied',
  /** There is no Secret with its serving certificate, or none in it. */
  'certificate_missing',
  /** TLS cannot serve with what is in that Secret. */
  'certificate_unusable',
  /** That Secret could not be read yet, or it cannot be read which one a policy names. */
  'certificate_pending',
] as const;
export type ClosedReason = (typeof closedReasons)[number];

export interface Closed {
  readonly reason: ClosedReason;
  /** Reason of the Event, one word. */
  readonly event: string;
  /** For people. */
  readonly note: string;
}

export interface ClosedSources {
  readonly state: Pick<ClusterState, 'namespaces'>;
  readonly directory: Pick<Directory, 'setOf' | 'imported'>;
  readonly certificates: Pick<OpenedCertificates, 'known'>;
}

/** Of pods at one moment: what they share by their policies is found once. */
export function closedPods({ state, directory, certificates }: ClosedSources) {
  const bySet = new Map<PolicySet, Closed | undefined>();

  const ofNamespace = (namespace: string): Closed => ({
    reason: 'namespace',
    event: 'NamespaceNotGoverned',
    note: exemptNamespaces.includes(namespace)
      ? 'Pods of this namespace are never governed: move the model to another one.'
      : `Sidecars of this namespace wait for its label: kubectl label namespace ${namespace} ${governedLabel}=${governedLabelValue}`,
  });
  const ofCertificate = (pod: PodFact): Closed | undefined => {
    const imported = directory.imported(pod);
    if (imported === undefined) return undefined;
    if (imported === 'pending')
      return {
        reason: 'certificate_pending',
        event: 'CertificatePending',
        note: 'The Secret that its policies name in tls.certificate could not be read yet: the controller tries again every 30 s.',
      };
    const { secretName, content } = imported;
    if (content === undefined)
      return {
        reason: 'certificate_missing',
        event: 'CertificateMissing',
        note: `There is no certificate in Secret ${secretName}, which its policies name in tls.certificate: nothing is served.`,
      };
    const opened = certificates.known(content);
    if (opened?.kind !== 'unusable') return undefined;
    return {
      reason: 'certificate_unusable',
      event: 'CertificateUnusable',
      note: `The certificate of Secret ${secretName} cannot be served: ${opened.why}.`,
    };
  };
  const ofPolicies = (set: PolicySet, pod: PodFact): Closed | undefined => {
    if (set.kind === 'invalid')
      return {
        reason: 'platform_policy',
        event: 'PolicyUnusable',
        note: 'A ClusterInferencePolicy that selects it cannot be used, and its sidecar has no earlier one: see kubectl get clusterinferencepolicies.',
      };
    const certificate = ofCertificate(pod);
    if (certificate !== undefined || set.denied === undefined) return certificate;
    return { reason: 'denied', event: 'PolicyUnusable', note: `It denies everything: ${set.denied}.` };
  };

  return (pod: PodFact): Closed | undefined => {
    // Also of a pod without a sidecar: its successor's would wait.
    if (state.namespaces.get(pod.namespace)?.governed !== true) return ofNamespace(pod.namespace);
    if (!pod.sidecar) return undefined;
    const set = directory.setOf(pod);
    if (set === undefined) return undefined;
    if (!bySet.has(set)) bySet.set(set, ofPolicies(set, pod));
    const closed = bySet.get(set);
    // What it had before may still stand, in its memory alone.
    const holds = closed?.reason === 'platform_policy' || closed?.reason === 'certificate_pending';
    return holds && pod.sidecarReady ? undefined : closed;
  };
}
