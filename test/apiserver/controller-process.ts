import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { controlPlane } from '../../pkg/contract/index.ts';
import type { KubeClient } from '../../pkg/kube/index.ts';
import { resources } from '../../pkg/kube/index.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import { runCommand } from '../cluster/command.ts';
import { findPrograms } from '../cluster/programs.ts';

/** The controller as a process of its own, as a pod runs it: the chart's roles, a token in a folder, the bundle. */

const root = resolve(import.meta.dirname, '../..');
export const ownNamespace = 'sidegate-system';

/** Applies the chart's service account and roles of the controller, and those of who looks at `top`, and nothing else of it. */
export async function installControllerRoles(server: ApiServer, set: readonly string[] = []): Promise<void> {
  const { helm = '' } = findPrograms(['helm']);
  const parts = ['serviceaccount', 'rbac', 'top'].flatMap((name) => ['-s', `templates/controller/${name}.yaml`]);
  const values = set.flatMap((one) => ['--set', one]);
  const args = ['template', 'sidegate', join(root, 'charts/sidegate'), '-n', ownNamespace, ...parts, ...values];
  const rendered = await runCommand(helm, args);
  if (rendered.status !== 0) throw new Error(rendered.stderr);
  const applied = await server.kubectl(['apply', '-f', '-'], { input: rendered.stdout });
  if (applied.status !== 0) throw new Error(applied.stderr);
}

/** Folder with what the kubelet puts into a pod for this service account. */
export async function serviceAccountFolder(server: ApiServer, admin: KubeClient): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-account-'));
  const answer = await admin.create<{ status: { token: string } }>(
    resources.serviceAccounts,
    { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3_600 } },
    { namespace: ownNamespace, name: controlPlane.controller, subresource: 'token' },
  );
  writeFileSync(join(folder, 'token'), answer.status.token);
  writeFileSync(join(folder, 'ca.crt'), server.ca);
  return folder;
}

export interface ControllerProcess {
  readonly child: ChildProcess;
  /** Port of the stream; resolves when it is served. */
  readonly port: number;
  /** Of what people ask: decisions and tokens. */
  readonly decisions: number;
  /** Everything that it logged. */
  log(): string;
  residentMb(): number;
  /** Resolves with its exit code. */
  readonly ended: Promise<number | null>;
}

export async function startControllerProcess(
  server: ApiServer,
  options: {
    readonly bundle: string;
    readonly account: string;
    readonly replica: string;
    /** Of the stream; default any free one. */
    readonly port?: number;
    /** Where decisions, tokens and figures are asked for; default loopback. */
    readonly decisionsHost?: string;
    readonly args?: readonly string[];
  },
): Promise<ControllerProcess> {
  const { hostname, port: apiPort } = new URL(server.url);
  const child = spawn(
    process.execPath,
    [
      join(options.bundle, 'controller.js'),
      `--namespace=${ownNamespace}`,
      `--replica=${options.replica}`,
      `--service-account=${options.account}`,
      `--listen=127.0.0.1:${options.port ?? 0}`,
      `--decisions=${options.decisionsHost ?? '127.0.0.1'}:0`,
      '--admin=127.0.0.1:0',
      '--drain=0',
      ...(options.args ?? []),
    ],
    {
      env: { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: apiPort },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const ended = new Promise<number | null>((done) => child.on('exit', (code) => done(code)));
  let gone = false;
  void ended.then(() => (gone = true));
  const until = performance.now() + 60_000;
  for (;;) {
    const [, port, decisions] = /"message":"serving","port":(\d+),"decisions":(\d+)/.exec(text) ?? [];
    if (port !== undefined) {
      return {
        child,
        port: Number(port),
        decisions: Number(decisions),
        log: () => text,
        ended,
        residentMb: () =>
          Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1] ?? 0) / 1024,
      };
    }
    if (gone || performance.now() > until) {
      child.kill('SIGKILL');
      throw new Error(`the controller did not begin to serve:\n${text}`);
    }
    await new Promise((wait) => setTimeout(wait, 20));
  }
}

export const removeFolder = (folder: string | undefined): void => {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
};
