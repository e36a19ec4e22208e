import { resources } from '../kube/index.ts';
import type { KubeResource } from '../kube/index.ts';
import { clusterCommand, clusterUsage } from './cluster-command.ts';
import type { Command } from './command.ts';
import { answerFlags, answerUsage, printValue } from './output.ts';

const usage = `sidegate admission remove [flags]

Removes the webhook configurations and admission policies of Sidegate, so that nothing asks a webhook that is about to go. The chart
runs it before the release is removed. From then on labelled pods start without a sidecar. What the chart keeps stays.

  --instance NAME        only those of this Helm release; default all of Sidegate
${answerUsage}${clusterUsage}`;

const bindings: KubeResource = {
  ...resources.admissionPolicies,
  kind: 'ValidatingAdmissionPolicyBinding',
  plural: 'validatingadmissionpolicybindings',
};

/** Webhooks first: they are what blocks when nobody answers. */
const kinds = [resources.mutatingWebhooks, resources.validatingWebhooks, bindings, resources.admissionPolicies];

export const admissionRemoveCommand: Command = {
  name: 'admission remove',
  summary: 'take webhooks and admission policies out of the cluster (before uninstalling)',
  usage,
  run: clusterCommand({
    usage,
    flags: { instance: { kind: 'text' }, ...answerFlags },
    positionals: { name: 'nothing', least: 0, most: 0 },
    async act(flags, { client }, io) {
      const instance = flags.text('instance');
      const labelSelector = [
        'app.kubernetes.io/part-of=sidegate',
        ...(instance === undefined ? [] : [`app.kubernetes.io/instance=${instance}`]),
      ].join(',');
      const removed: { readonly kind: string; readonly name: string }[] = [];
      for (const kind of kinds) {
        for (const { metadata } of await client.list(kind, { labelSelector })) {
          // One that matches nothing stays, on purpose: see charts/sidegate/templates/config/parameters-watch.yaml.
          if (metadata.annotations?.['helm.sh/resource-policy'] === 'keep') continue;
          await client.delete(kind, { name: metadata.name });
          if (!flags.on('output')) io.stdout(`${kind.kind} ${metadata.name} removed\n`);
          removed.push({ kind: kind.kind, name: metadata.name });
        }
      }
      if (!printValue({ removed }, flags, io) && removed.length === 0) io.stdout('nothing to remove\n');
      return 0;
    },
  }),
};
