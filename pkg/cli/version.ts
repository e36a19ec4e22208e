import { controlPlane } from '../contract/index.ts';
import { resources } from '../kube/index.ts';
import type { KubeObject } from '../kube/index.ts';
import { clusterFlags, clusterUsage, systemNamespace, withCluster } from './cluster-command.ts';
import type { Command } from './command.ts';
import { askedFlags, noPositionals } from './asked-flags.ts';
import { printable } from './output.ts';

const usage = `sidegate version [flags]

Version of this command, and the images that run in the cluster.

  --client               of this command alone: no cluster is asked
  --system NAMESPACE     where Sidegate is installed; default ${systemNamespace}
${clusterUsage}`;

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
    const specs = { client: { kind: 'switch' }, system: { kind: 'text' }, ...clusterFlags } as const;
    const flags = askedFlags(args, io, {
      usage,
      flags: specs,
      positionals: noPositionals,
    });
    if (typeof flags === 'number') return flags;
    io.stdout(`sidegate ${own}\n`);
    if (flags.on('client')) return 0;
    const namespace = flags.text('system') ?? systemNamespace;
    return withCluster(flags, io, async ({ client }) => {
      const found: string[] = [];
      for (const [resource, name] of [
        [resources.deployments, controlPlane.controller],
        [resources.deployments, controlPlane.webhook],
        [resources.statefulSets, controlPlane.recorder],
      ] as const) {
        const workload = await client.find<Workload>(resource, { namespace, name });
        const image = workload?.spec.template.spec.containers[0]?.image;
        if (image !== undefined) found.push(`${name} ${printable(image)}\n`);
      }
      if (found.length === 0) {
        io.stderr(`there is no Sidegate in namespace ${namespace}; name another with --system\n`);
        return 1;
      }
      io.stdout(found.join(''));
      return 0;
    });
  },
};
