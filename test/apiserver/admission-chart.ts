import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { ApiServer } from '../cluster/api-server.ts';
import { runCommand } from '../cluster/command.ts';
import type { KubeClient } from '../cluster/kube-client.ts';
import { findPrograms } from '../cluster/programs.ts';
import { pause, until } from '../support/wait.ts';

/** The chart's own admission objects, rendered by helm, on a real API server. */

const root = resolve(import.meta.dirname, '../..');
export const release = 'sidegate-system';

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

/** @param values as `--set` takes them */
export async function renderChart(values: readonly string[] = []): Promise<readonly Manifest[]> {
  const { helm = 'helm' } = findPrograms(['helm']);
  const args = ['template', 'sidegate', join(root, 'charts/sidegate'), '-n', release];
  const { status, stdout, stderr } = await runCommand(helm, [...args, ...values.flatMap((one) => ['--set', one])]);
  if (status !== 0) throw new Error(stderr);
  return parseAllDocuments(stdout).flatMap((document) => {
    const value = document.toJS() as Manifest | null;
    return value === null ? [] : [value];
  });
}

export const ofKind = (manifests: readonly Manifest[], ...kinds: readonly string[]): readonly Manifest[] =>
  manifests.filter(({ kind }) => kinds.includes(kind));

export function oneOf(manifests: readonly Manifest[], kind: string, name: string): Manifest {
  const found = manifests.find((one) => one.kind === kind && one.metadata.name === name);
  if (found === undefined) throw new Error(`the chart has no ${kind} ${name}`);
  return found;
}

export const apply = (server: ApiServer, manifests: readonly Manifest[]): Promise<void> =>
  kubectlWith(server, ['apply', '--server-side'], manifests);

export const remove = (server: ApiServer, manifests: readonly Manifest[]): Promise<void> =>
  kubectlWith(server, ['delete'], manifests);

async function kubectlWith(server: ApiServer, verb: readonly string[], manifests: readonly Manifest[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-chart-'));
  try {
    const file = join(folder, 'all.json');
    writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: manifests }));
    const { status, stderr } = await server.kubectl([...verb, '-f', file]);
    if (status !== 0) throw new Error(stderr);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Until it holds: policies and webhooks are in force some hundred milliseconds after they were written. */
export const eventually = (what: string, holds: () => Promise<boolean>, withinMs = 60_000): Promise<void> =>
  until(
    async () => {
      const held = await holds();
      // It costs the API server something each time.
      if (!held) await pause(80);
      return held;
    },
    what,
    withinMs,
  );

/** A node, as a client whom the API server takes for its kubelet, and what the picture of one of its static pods says of whose it is. */
export async function kubeletOf(
  server: ApiServer,
  node: string,
): Promise<{ readonly kubelet: KubeClient; readonly ownerReferences: readonly object[] }> {
  const { metadata } = (await server.client.must('POST', '/api/v1/nodes', { metadata: { name: node } })) as {
    metadata: { uid: string };
  };
  return {
    kubelet: await server.as({ user: `system:node:${node}`, groups: ['system:nodes', 'system:masters'] }),
    ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: node, uid: metadata.uid, controller: true }],
  };
}
