import { join } from 'node:path';
import type { CommandResult } from '../cluster/command.ts';
import type { ClusterNode } from '../cluster/node.ts';
import { bundledProcesses } from '../support/bundles.ts';

/** What a person and a caller do on that day, each with the tools that they have. */

const root = join(import.meta.dirname, '../..');
export const system = 'sidegate-system';

export interface Day {
  /** `helm install` of the chart with this machine's image, or an upgrade of what is there. */
  install(values?: readonly string[]): Promise<void>;
  uninstall(): Promise<CommandResult>;
  /** The CLI, as `kubectl sidegate` runs it. */
  sidegate(...args: readonly string[]): Promise<CommandResult>;
  /** curl in the caller's pod; `body` is the error's text where there was no answer (status 0). */
  curl(...args: readonly string[]): Promise<{ readonly status: number; readonly body: string }>;
  /** A question to the model by its Service's name, with the published root. */
  chat(script: string, options?: ChatOptions): Promise<{ readonly status: number; readonly body: string }>;
  /** A token of the caller's own service account. */
  token(audience?: string, account?: string): Promise<string>;
  /** Puts the published root into the caller's pod. */
  trust(): Promise<string>;
  /** Pods of the model that are not about to end. */
  models(): Promise<readonly { readonly name: string; readonly ip: string }[]>;
  /** Requests that reached a model, by its log. */
  modelSaw(): Promise<readonly { readonly path: string; readonly headers: Record<string, string> }[]>;
}

export interface ChatOptions {
  readonly token?: string;
  readonly stream?: boolean;
}

export function planDay(node: ClusterNode, namespace: string): Day {
  const split = node.images.sidegate.lastIndexOf(':');
  const image = [
    `image.repository=${node.images.sidegate.slice(0, split)}`,
    `image.tag=${node.images.sidegate.slice(split + 1)}`,
  ];
  const url = `https://llama.${namespace}.svc`;

  const curl: Day['curl'] = async (...args) => {
    const { stdout, stderr } = await node.exec(namespace, 'pod/caller', [
      ...['curl', '-sS', '--max-time', '20', '--cacert', '/tmp/ca.pem', '-w', '\n%{http_code}', ...args],
    ]);
    const lines = stdout.split('\n');
    const status = Number(lines.pop());
    return { status, body: status === 0 ? stderr : lines.join('\n') };
  };
  const sidegate: Day['sidegate'] = (...args) =>
    node.run(process.execPath, [join(bundledProcesses(), 'kubectl-sidegate.js'), ...args]);
  const models: Day['models'] = async () => {
    const list = JSON.parse(await node.must(['-n', namespace, 'get', 'pods', '-l', 'app=llama', '-o', 'json'])) as {
      items: { metadata: { name: string; deletionTimestamp?: string }; status: { podIP?: string } }[];
    };
    return list.items
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map(({ metadata, status }) => ({ name: metadata.name, ip: status.podIP ?? '' }));
  };

  return {
    curl,
    sidegate,
    models,
    async install(values = []) {
      const { status, stderr } = await node.helm(
        [
          ...['upgrade', '--install', 'sidegate', join(root, 'charts/sidegate'), '-n', system, '--create-namespace'],
          ...[
            '--wait',
            '--timeout',
            '150s',
            ...[...image, 'recorder.storage.persistent=false', ...values].flatMap((value) => ['--set', value]),
          ],
        ],
        { timeoutMs: 180_000 },
      );
      if (status !== 0) throw new Error(`helm: ${stderr}`);
    },
    uninstall: () => node.helm(['uninstall', 'sidegate', '-n', system, '--wait', '--timeout', '120s']),
    chat: (script, { token, stream = false } = {}) =>
      curl(
        ...(token === undefined ? [] : ['-H', `authorization: Bearer ${token}`]),
        ...['-N', '-H', 'content-type: application/json', '-d'],
        JSON.stringify({ model: 'llama-3', stream, messages: [{ role: 'user', content: `script:${script}` }] }),
        `${url}/v1/chat/completions`,
      ),
    token: async (audience = 'inference', account = 'caller') =>
      (await node.must(['-n', namespace, 'create', 'token', account, `--audience=${audience}`])).trim(),
    async trust() {
      let pem = '';
      await node.eventually(async () => {
        const { status, stdout, stderr } = await sidegate('ca');
        if (status !== 0) throw new Error(`sidegate ca: ${stderr}`);
        pem = stdout;
        return true;
      });
      await node.put(namespace, 'pod/caller', '/tmp/ca.pem', pem);
      return pem;
    },
    async modelSaw() {
      const logs = await Promise.all(
        (await models()).map(({ name }) => node.must(['-n', namespace, 'logs', name, '-c', 'model'])),
      );
      return logs.flatMap((log) =>
        log
          .trim()
          .split('\n')
          .slice(1)
          .map((line) => JSON.parse(line) as { path: string; headers: Record<string, string> }),
      );
    },
  };
}

/** The text that a client puts together from a stream. */
export const streamedText = (body: string): string =>
  [...body.matchAll(/"content":"((?:[^"\\]|\\.)*)"/g)].map(([, piece]) => piece).join('');

export const secrets = ['ana.lopez@example.com', '536-90-4399'];
