import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clusterNode } from './cluster-node.ts';
import type { ClusterNode } from './cluster-node.ts';
import { runCommand } from './command.ts';
import { builtPrograms } from './programs.ts';

/** The context of KUBECONFIG that `CLUSTER` names: the node tier runs there, and no node is started. */
export const chosenContext = (): string | undefined => process.env['CLUSTER'] || undefined;

/** What a run keeps of it, the kubeconfig among it; node-teardown.ts removes it. `run`: the run's own process. */
export const contextFolder = (run: number): string => join(tmpdir(), `sidegate-context-${run}`);

/** A shell command that brings an image archive, its last argument, to the nodes. */
function loadCommand(context: string): string {
  const given = process.env['CLUSTER_LOAD'];
  if (given !== undefined && given !== '') return given;
  const kind = /^kind-(.+)$/.exec(context)?.[1];
  if (kind !== undefined) return `kind load image-archive --name ${kind}`;
  throw new Error(`set CLUSTER_LOAD to a command that brings an image archive to the nodes of ${context}`);
}

/**
 * An existing cluster. kubectl and helm are those of PATH, or what `make cluster-build` made. The tests install Sidegate into it and remove
 * it again: it must be one to play with.
 *
 * @throws Error that says what is missing.
 */
export async function startContext(context: string): Promise<ClusterNode> {
  const load = loadCommand(context);
  const folder = contextFolder(process.connected ? process.ppid : process.pid);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = { PATH: `${process.env['PATH'] ?? ''}:${builtPrograms()}` };
  const view = ['config', 'view', '--raw', '--minify', '--flatten', '--context', context];
  const seen = await runCommand('kubectl', view, { env: path });
  if (seen.status !== 0) throw new Error(`CLUSTER=${context}: ${seen.stderr.trim()}`);
  // Of this context alone: programs that take the current one are led nowhere else.
  const kubeconfig = join(folder, 'kubeconfig');
  writeFileSync(kubeconfig, seen.stdout, { mode: 0o600 });
  const env = { ...path, KUBECONFIG: kubeconfig };
  await runCommand('kubectl', ['config', 'use-context', context], { env });
  return clusterNode({
    folder,
    run: (program, args, options = {}) => runCommand(program, args, { ...options, env: { ...env, ...options.env } }),
    async importImage({ archive }) {
      const { status, stderr } = await runCommand('sh', ['-c', `${load} "$1"`, 'sh', archive], {
        env,
        timeoutMs: 300_000,
      });
      if (status !== 0) throw new Error(`${load} ${archive}: ${stderr}`);
    },
  });
}
