import { createHash } from 'node:crypto';
import { inferenceLabel, inferenceLabelValue, listeners } from '../../contract/index.ts';
import { serves } from '../facts/pod-fact.ts';
import type { PodFact } from '../facts/pod-fact.ts';

/**
 * NetworkPolicies of a namespace: a second layer under the capture in the pod, for clusters whose network enforces them. Ingress only. With
 * Redirect they allow the model's ports, since the network sees a packet before the pod's own redirect, with NamedPort the sidecar's; and
 * with both those of a mesh or a wrapper that injection leaves open.
 */

export const managedLabel = 'app.kubernetes.io/managed-by';
export const managedValue = 'sidegate-controller';

export interface NetworkPolicyObject {
  readonly apiVersion: 'networking.k8s.io/v1';
  readonly kind: 'NetworkPolicy';
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly podSelector: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly policyTypes: readonly ['Ingress'];
    readonly ingress: readonly [{ readonly ports: readonly { readonly protocol: 'TCP'; readonly port: number }[] }];
  };
}

/** Labels that differ between the pods of one workload, or between its revisions. */
const changing: ReadonlySet<string> = new Set([
  'pod-template-hash',
  'controller-revision-hash',
  'pod-template-generation',
  'statefulset.kubernetes.io/pod-name',
  'apps.kubernetes.io/pod-index',
  'batch.kubernetes.io/controller-uid',
  'batch.kubernetes.io/job-completion-index',
  'batch.kubernetes.io/job-name',
  'controller-uid',
  'job-name',
]);
/** Workloads with a policy of their own; in a namespace with more, one policy stands for all. */
const mostGroups = 50;

function portsOf(pod: PodFact): readonly number[] {
  const map = Object.entries(pod.portMap);
  const governed = pod.capture === 'NamedPort' ? map.map(([, port]) => port) : map.map(([port]) => Number(port));
  return [...governed, ...pod.openTcp];
}

function render(
  namespace: string,
  labels: Readonly<Record<string, string>>,
  ports: ReadonlySet<number>,
): NetworkPolicyObject {
  const matchLabels = Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
  const id = createHash('sha256').update(JSON.stringify(matchLabels)).digest('hex').slice(0, 12);
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: `sidegate-${id}`, namespace, labels: { [managedLabel]: managedValue } },
    spec: {
      podSelector: { matchLabels },
      policyTypes: ['Ingress'],
      ingress: [
        {
          ports: [...new Set([...ports, listeners.probe, listeners.admin])]
            .sort((a, b) => a - b)
            .map((port) => ({ protocol: 'TCP', port })),
        },
      ],
    },
  };
}

/** One for each set of labels that workloads of the namespace have, until the last pod with them is gone; pure. */
export function networkPoliciesOf(namespace: string, pods: readonly PodFact[]): readonly NetworkPolicyObject[] {
  const groups = new Map<string, { labels: Record<string, string>; ports: Set<number> }>();
  const all = new Set<number>();
  for (const pod of pods) {
    if (!serves(pod) || !pod.sidecar) continue;
    const labels = Object.fromEntries(
      Object.entries(pod.labels)
        .filter(([key]) => !changing.has(key))
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    );
    const id = JSON.stringify(labels);
    const group = groups.get(id) ?? { labels, ports: new Set<number>() };
    groups.set(id, group);
    for (const port of portsOf(pod)) {
      group.ports.add(port);
      all.add(port);
    }
  }
  if (groups.size > mostGroups) return [render(namespace, { [inferenceLabel]: inferenceLabelValue }, all)];
  return [...groups.values()].map(({ labels, ports }) => render(namespace, labels, ports));
}
