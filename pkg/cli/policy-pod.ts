import { leastPod, selects } from '../core/index.ts';
import type { Policy } from '../core/index.ts';
import type { CommandIo } from './command.ts';
import type { Flags } from './flags.ts';

/** The pod that policies are asked about: which of them govern it, and where its model is. */

export const podFlags = {
  labels: { kind: 'list' },
  'namespace-labels': { kind: 'list' },
  hosted: { kind: 'switch' },
} as const;

export const podUsage = `\
  --labels KEY=VALUE            a label of the pod; may be repeated. Only policies that select it count; without --labels all do, as for a sidecar
                                that runs on its own
  --namespace-labels KEY=VALUE  a label of its namespace, for namespaceSelector; may be repeated
  --hosted                      the model is another company's, also where no policy says so (\`--hosted\` of a sidecar)
`;

const label = /^([^=,\s]+)=([^=,\s]*)$/;

/** The policies that govern the pod of the flags, or what is wrong with them. Where it matters which pod and none is named, that is said. */
export function policiesOfPod(
  policies: readonly Policy[],
  flags: Flags,
  io: Pick<CommandIo, 'stderr'>,
): { readonly policies: readonly Policy[] } | { readonly fault: string } {
  const [given, ofNamespace] = [flags.list('labels'), flags.list('namespace-labels')];
  const wrong = [...given, ...ofNamespace].find((text) => !label.test(text));
  if (wrong !== undefined) return { fault: `${wrong}: a label is KEY=VALUE` };
  const namespace = policies.find((policy) => policy.namespace !== undefined)?.namespace;
  if (given.length === 0 && ofNamespace.length === 0) {
    const all = leastPod(policies, namespace);
    if (!policies.every((policy) => selects(policy, { ...all, namespace: policy.namespace })))
      io.stderr(
        'notice: no pod is selected by all of these policies, and all are asked here: name a pod by --labels\n',
      );
    return { policies };
  }
  const read = (texts: readonly string[]): Record<string, string> =>
    Object.fromEntries(texts.map((text) => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)]));
  const none = leastPod([], namespace);
  const pod = { ...none, labels: read(given), namespaceLabels: { ...none.namespaceLabels, ...read(ofNamespace) } };
  return { policies: policies.filter((policy) => selects(policy, { ...pod, namespace: policy.namespace })) };
}
