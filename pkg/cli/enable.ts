import { inferenceLabel, inferenceLabelValue } from '../contract/index.ts';
import { resources } from '../kube/index.ts';
import type { KubeObject, KubeResource } from '../kube/index.ts';
import { clusterCommand, clusterUsage } from './cluster-command.ts';
import type { Command } from './command.ts';
import { answerFlags, answerUsage, printValue } from './output.ts';

const usage = `sidegate enable KIND/NAME [flags]

Puts the label ${inferenceLabel}: "${inferenceLabelValue}" into the pod template of a deployment, statefulset or daemonset,
prints the patch, and so starts a rollout: its new pods get the sidecar, and refuse everything that no policy allows.

  --disable              take the label away: new pods have no sidecar and are not governed
  --dry-run              print the patch and let the server check it; change nothing
${answerUsage}${clusterUsage}`;

const define = (kind: string, plural: string): KubeResource => ({
  group: 'apps',
  version: 'v1',
  kind,
  plural,
  namespaced: true,
});

/** Kinds with a pod template that may be changed, by the words that kubectl takes. */
const kinds: Readonly<Record<string, KubeResource>> = {
  deployment: resources.deployments,
  statefulset: define('StatefulSet', 'statefulsets'),
  daemonset: define('DaemonSet', 'daemonsets'),
};
const aliases: Readonly<Record<string, string>> = {
  deploy: 'deployment',
  deployments: 'deployment',
  'deployment.apps': 'deployment',
  sts: 'statefulset',
  statefulsets: 'statefulset',
  'statefulset.apps': 'statefulset',
  ds: 'daemonset',
  daemonsets: 'daemonset',
  'daemonset.apps': 'daemonset',
};

interface Workload extends KubeObject {
  readonly spec: { readonly template: { readonly metadata?: { readonly labels?: Readonly<Record<string, string>> } } };
}

/** `deploy/llama`; undefined: it is nothing of that form. */
function targetOf(text: string): { readonly resource: KubeResource; readonly name: string } | undefined {
  const [kind = '', name = '', ...more] = text.split('/');
  const word = kind.toLowerCase();
  const full = Object.hasOwn(aliases, word) ? (aliases[word] ?? '') : word;
  const resource = Object.hasOwn(kinds, full) ? kinds[full] : undefined;
  return resource === undefined || name === '' || more.length > 0 ? undefined : { resource, name };
}

export const enableCommand: Command = {
  name: 'enable',
  summary: 'label the pod template of a workload, so that its pods are governed',
  usage,
  names: 'Workload',
  run: clusterCommand({
    usage,
    flags: { disable: { kind: 'switch' }, 'dry-run': { kind: 'switch' }, ...answerFlags },
    positionals: { name: 'KIND/NAME', least: 1, most: 1 },
    faults: ({ positionals: [word = ''] }) =>
      targetOf(word) === undefined ? [`${word}: name it as deployment/NAME, statefulset/NAME or daemonset/NAME`] : [],
    async act(flags, { client, namespace }, io) {
      const target = targetOf(flags.positionals[0] ?? '');
      if (target === undefined) return 2;
      const { resource, name } = target;
      const what = `${resource.kind} ${namespace}/${name}`;
      const wanted = flags.on('disable') ? null : inferenceLabelValue;
      const workload = await client.get<Workload>(resource, { namespace, name });
      const present = workload.spec.template.metadata?.labels?.[inferenceLabel] ?? null;
      const dryRun = flags.on('dry-run');
      const said = { kind: resource.kind, namespace, name, governed: wanted !== null, dryRun };
      if (present === wanted) {
        if (printValue({ ...said, patch: null }, flags, io)) return 0;
        io.stdout(`${what} is ${wanted === null ? 'not governed' : 'governed'} already\n`);
        return 0;
      }
      const patch = { spec: { template: { metadata: { labels: { [inferenceLabel]: wanted } } } } };
      if (!flags.on('output')) io.stdout(`${JSON.stringify(patch)}\n`);
      const query = dryRun ? '?dryRun=All' : '';
      await client.request({
        method: 'PATCH',
        path: `/apis/apps/v1/namespaces/${encodeURIComponent(namespace)}/${resource.plural}/${encodeURIComponent(name)}${query}`,
        contentType: 'application/merge-patch+json',
        body: patch,
      });
      if (printValue({ ...said, patch }, flags, io)) return 0;
      if (dryRun) io.stdout(`${what}: the server would take it\n`);
      else if (wanted === null) io.stdout(`${what}: new pods have no sidecar\n`);
      else
        io.stdout(
          `${what}: new pods are governed, and refuse what no policy allows. Watch: kubectl -n ${namespace} rollout status ${resource.kind.toLowerCase()}/${name}\n`,
        );
      return 0;
    },
  }),
};
