import { describeError } from '../base/index.ts';
import { isKubeError } from '../kube/index.ts';
import type { Cluster, CommandIo, ExitCode } from './command.ts';
import { askedFlags } from './asked-flags.ts';
import type { Asked } from './asked-flags.ts';
import type { FlagSpec, Flags } from './flags.ts';

/** Where the chart's documents install Sidegate. */
export const systemNamespace = 'sidegate-system';

const connectionFlags = { kubeconfig: { kind: 'text' }, context: { kind: 'text' } } as const;

/** Flags of every command that asks a cluster: kubectl's own names. */
export const clusterFlags = {
  namespace: { kind: 'text', short: 'n' },
  ...connectionFlags,
} as const satisfies Readonly<Record<string, FlagSpec>>;

/** The same without the namespace, which means something of its own to some commands. */
export const connectionUsage = `  --kubeconfig FILE      default: KUBECONFIG, else ~/.kube/config; in a pod its service account
  --context NAME         context of the kubeconfig
  --help                 this text
`;
export const clusterUsage = `  -n, --namespace NAME   default: the namespace of the kubeconfig's context
${connectionUsage}`;

interface ClusterCommand {
  readonly usage: string;
  readonly flags: Readonly<Record<string, FlagSpec>>;
  /** False: a namespace means nothing to it, and is refused. Default: true. */
  readonly namespaced?: boolean;
  readonly positionals: { readonly name: string; readonly least: number; readonly most: number };
  /** What is wrong with the flags: known before a cluster is asked. */
  readonly faults?: Asked['faults'];
  /** What it throws of the API server's answers is printed, and is exit code 1. */
  act(flags: Flags, cluster: Cluster, io: CommandIo): Promise<ExitCode>;
}

/** The common part of commands that ask a cluster: flags, connection, and the server's refusals in words. */
export function clusterCommand({ usage, flags: own, namespaced = true, positionals, faults, act }: ClusterCommand) {
  return async (args: readonly string[], io: CommandIo): Promise<ExitCode> => {
    const flags = askedFlags(args, io, {
      usage,
      flags: { ...own, ...(namespaced ? clusterFlags : connectionFlags) },
      positionals,
      ...(faults !== undefined && { faults }),
    });
    if (typeof flags === 'number') return flags;
    return withCluster(flags, io, (cluster) => act(flags, cluster, io));
  };
}

/** Opens the cluster that the flags choose, and closes it; says in words what went wrong. */
export async function withCluster(
  flags: Flags,
  io: CommandIo,
  act: (cluster: Cluster) => Promise<ExitCode>,
): Promise<ExitCode> {
  let cluster: Cluster;
  try {
    cluster = await io.openCluster({ kubeconfig: flags.text('kubeconfig'), context: flags.text('context') });
  } catch (error) {
    const said = isKubeError(error)
      ? error.message
      : `no cluster: ${describeError(error)}; name one with --kubeconfig or --context`;
    io.stderr(`${said}\n`);
    return 1;
  }
  try {
    return await act({ ...cluster, namespace: flags.text('namespace') ?? cluster.namespace });
  } catch (error) {
    // What is no answer of the API server's is no fault of the connection: a file that is not there, a time that is none.
    io.stderr(`${isKubeError(error) ? error.message : describeError(error)}\n`);
    return 1;
  } finally {
    cluster.client.close();
  }
}
