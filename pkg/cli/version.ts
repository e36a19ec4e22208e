import { controlPlane } from '../contract/index.ts';
import { resources } from '../kube/index.ts';
import type { KubeClient, KubeObject } from '../kube/index.ts';
import { clusterFlags, clusterUsage, systemNamespace, withCluster } from './cluster-command.ts';
import type { Command } from './command.ts';
import { askedFlags, noPositionals } from './asked-flags.ts';
import { answerFlags, answerUsage, printValue } from './output.ts';
import { printable } from './terminal-text.ts';

const usage = `sidegate version [flags]

Version of this command, and the images that run in the cluster.

  --client               of this command alone: no cluster is asked
  --system NAMESPACE     where Sidegate is installed; default ${systemNamespace}
${answerUsage}${clusterUsage}`;

interface Workload extends KubeObject {
  readonly spec: {
    readonly template: { readonly spec: { readonly containers: readonly { readonly image?: string }[] } };
  };
}

/** Written into the bundle when it is built; from source there is none. */
const own = process.env['SIDEGATE_VERSION'] ?? 'source';

export const versionCommand: Command = {
  name: 'version',
  summary: 'version of this command, and the images that run in the cluster',
  usage,
  run(args, io) {
    const specs = { client: { kind: 'switch' }, system: { kind: 'text' }, ...answerFlags, ...clusterFlags } as const;
    const flags = askedFlags(args, io, {
      usage,
      flags: specs,
      positionals: noPositionals,
    });
    if (typeof flags === 'number') return flags;
    const words = flags.text('output') === undefined;
    // Before the cluster, which may not answer.
    if (words) io.stdout(`sidegate ${own}\n`);
    if (flags.on('client')) {
      if (!words) printValue({ client: own }, flags, io);
      return 0;
    }
    const namespace = flags.text('system') ?? systemNamespace;
    return withCluster(flags, io, async ({ client }) => {
      const images = await imagesOf(client, namespace);
      if (!words) printValue({ client: own, namespace, images }, flags, io);
      else for (const { name, image } of images) io.stdout(`${name} ${printable(image)}\n`);
      if (images.length > 0) return 0;
      io.stderr(`there is no Sidegate in namespace ${namespace}; name another with --system\n`);
      return 1;
    });
  },
};

interface Image {
  readonly name: string;
  readonly image: string;
}

async function imagesOf(client: Pick<KubeClient, 'find'>, namespace: string): Promise<readonly Image[]> {
  const found: Image[] = [];
  for (const [resource, name] of [
    [resources.deployments, controlPlane.controller],
    [resources.deployments, controlPlane.webhook],
    [resources.statefulSets, controlPlane.recorder],
  ] as const) {
    const workload = await client.find<Workload>(resource, { namespace, name });
    const image = workload?.spec.template.spec.containers[0]?.image;
    if (image !== undefined) found.push({ name, image });
  }
  return found;
}
