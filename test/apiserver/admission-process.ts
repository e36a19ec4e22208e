import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { ApiServer } from '../cluster/api-server.ts';
import { bundledProcesses } from '../support/bundles.ts';
import { fixedPorts } from '../support/ports.ts';
import { apply, eventually, ofKind, oneOf, release } from './admission-chart.ts';
import type { Manifest } from './admission-chart.ts';

/** The webhook as a process of its own, with the chart's roles, called by a real API server. */

export const webhookUser = `system:serviceaccount:${release}:sidegate-webhook`;

export interface WebhookProcess {
  start(): Promise<void>;
  /** SIGKILL: as a crash. */
  kill(): Promise<void>;
  /** SIGTERM; gives the exit code. */
  stop(): Promise<number | null>;
  ready(): Promise<{ readonly ready: boolean; readonly reasons: readonly string[] }>;
  metrics(): Promise<string>;
  log(): string;
  readonly pid: number | undefined;
}

/** The configurations with the process's address in place of the Service's. */
export const pointedAt = (chart: readonly Manifest[], port: number): readonly Manifest[] =>
  ofKind(chart, 'MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration').map((one) => ({
    ...one,
    webhooks: (one['webhooks'] as readonly object[]).map((hook) => ({
      ...hook,
      clientConfig: { url: `https://localhost:${port}/` },
    })),
  }));

/** Objects that the webhook needs to run: its roles, its configurations, the policies beside them. */
export async function prepareWebhook(
  server: ApiServer,
  chart: readonly Manifest[],
  more: readonly string[] = [],
): Promise<WebhookProcess> {
  const [port = 0, adminPort = 0] = await fixedPorts(2);
  const rbac = ofKind(chart, 'ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding').filter(
    ({ metadata }) => metadata.name === 'sidegate-webhook',
  );
  await apply(server, [
    oneOf(chart, 'ServiceAccount', 'sidegate-webhook'),
    ...rbac,
    oneOf(chart, 'ConfigMap', 'sidegate-parameters'),
    oneOf(chart, 'ConfigMap', 'sidegate-options'),
    ...pointedAt(chart, port),
    ...ofKind(chart, 'ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding'),
  ]);
  const kubeconfig = await server.kubeconfigFor(webhookUser);
  const bundled = bundledProcesses();
  let child: ChildProcess | undefined;
  let log = '';
  const exited = (): Promise<number | null> =>
    new Promise((done) => {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) done(child?.exitCode ?? null);
      else child.once('exit', (code) => done(code));
    });
  const admin = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${adminPort}${path}`);
  const ready: WebhookProcess['ready'] = async () => {
    try {
      return (await (await admin('/readyz')).json()) as { ready: boolean; reasons: string[] };
    } catch {
      return { ready: false, reasons: ['no answer'] };
    }
  };
  return {
    async start() {
      const args = [
        join(bundled, 'webhook.js'),
        ...['--namespace', release, '--kubeconfig', kubeconfig, '--names', 'localhost'],
        ...['--listen', `127.0.0.1:${port}`, '--admin', `127.0.0.1:${adminPort}`, '--drain', '0.5', ...more],
      ];
      child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
      child.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()));
      await eventually(
        'the webhook answers its probe',
        async () => {
          if (child?.exitCode !== null) throw new Error(log);
          return !(await ready()).reasons.includes('no answer');
        },
        120_000,
      );
    },
    async kill() {
      child?.kill('SIGKILL');
      await exited();
    },
    stop() {
      child?.kill('SIGTERM');
      return exited();
    },
    ready,
    metrics: async () => (await admin('/metrics')).text(),
    log: () => log,
    get pid() {
      return child?.pid;
    },
  };
}
