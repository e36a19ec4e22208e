import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClusterAuthority, signingKey } from './certificates.ts';
import type { Pair } from './certificates.ts';
import { runCommand } from './command.ts';
import type { CommandResult } from './command.ts';
import { fixedPorts } from '../support/ports.ts';
import { apiServerFlags, controllerFlags, etcdFlags } from './control-plane.ts';
import { startDaemon } from './daemon.ts';
import type { Daemon } from './daemon.ts';
import { createKubeClient } from './kube-client.ts';
import type { Credentials, KubeClient } from './kube-client.ts';
import { findPrograms } from './programs.ts';

/**
 * A real kube-apiserver with an etcd of its own, on loopback, in a temporary folder: no root, no network namespace, and as
 * many at once as one likes.
 *
 * etcd listens on a unix socket in that folder alone, so that no API server ends up on a foreign etcd (the two would share
 * one cluster without noticing). The API server takes a free port and serves it with a certificate of an authority made for
 * it, so that no client of one reaches another. README.md lists what is switched on.
 */
export interface ApiServer {
  /** `https://127.0.0.1:PORT` */
  readonly url: string;
  /** PEM of the authority of its serving certificate and of its clients' certificates. */
  readonly ca: string;
  /** Certificate of group system:masters. */
  readonly admin: Pair;
  /** The administrator's. */
  readonly client: KubeClient;
  /** Path of the administrator's kubeconfig. */
  readonly kubeconfig: string;
  /** Its temporary folder; tests may put files there, which go with it. */
  readonly folder: string;
  /** A client for anybody: a user and groups (by certificate), a token, or nobody. */
  as(who: { readonly user: string; readonly groups?: readonly string[] } | Credentials): Promise<KubeClient>;
  /** Writes a kubeconfig for that user and those groups; gives its path. */
  kubeconfigFor(user: string, groups?: readonly string[]): Promise<string>;
  /** kubectl as the administrator, or by another kubeconfig. Never rejects for what kubectl says: look at `status`. */
  kubectl(
    args: readonly string[],
    options?: { readonly input?: string; readonly kubeconfig?: string },
  ): Promise<CommandResult>;
  /** Makes a namespace and, since no controller does, its service account `default`, without which it takes no pods. */
  namespace(name: string, labels?: Readonly<Record<string, string>>): Promise<void>;
  /** Kills the API server as a crash would; etcd stays. */
  halt(): Promise<void>;
  /** Starts it again at the same address with the same data, and waits until it is ready. */
  resume(): Promise<void>;
  /** The end of the API server's log. */
  log(lines?: number): string;
  /** Kills everything and removes the folder. */
  stop(): Promise<void>;
}

export interface ApiServerOptions {
  /** More flags of kube-apiserver; a later one wins over an earlier one of the same name. */
  readonly flags?: readonly string[];
  /**
   * Controllers of kube-controller-manager to run beside it, as its `--controllers` names them, for instance
   * `['deployment-controller', 'replicaset-controller', 'job-controller']`. Default none.
   */
  readonly controllers?: readonly string[];
}

/** Two seconds on a quiet machine; others may use its cores. */
const startLimitMs = 90_000;

export async function startApiServer({ flags = [], controllers = [] }: ApiServerOptions = {}): Promise<ApiServer> {
  const programs = findPrograms([
    'etcd',
    'kube-apiserver',
    'kubectl',
    ...(controllers.length === 0 ? [] : ['kube-controller-manager']),
  ]);
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-api-'));
  mkdirSync(join(folder, 'pki'), { mode: 0o700 });
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };

  const authority = await createClusterAuthority('sidegate-test');
  const serving = await authority.issue('kube-apiserver', [], ['localhost', '127.0.0.1']);
  const admin = await authority.issue('admin', ['system:masters']);
  const files = {
    folder,
    ca: write('pki/ca.crt', authority.cert),
    cert: write('pki/serving.crt', serving.cert),
    key: write('pki/serving.key', serving.key),
    serviceAccounts: write('pki/service-accounts.key', await signingKey()),
  };

  const daemons = new Map<string, Daemon>();
  const start = (name: string, args: readonly string[]): Daemon => {
    const program = programs[name] ?? '';
    const daemon = startDaemon({ name, program, args, folder, logFile: join(folder, `${name}.log`) });
    daemons.set(name, daemon);
    return daemon;
  };
  const clients: KubeClient[] = [];
  const clientAt = (url: string, credentials: Credentials): KubeClient => {
    const client = createKubeClient(url, authority.cert, credentials);
    clients.push(client);
    return client;
  };
  const stop = async (): Promise<void> => {
    for (const client of clients) client.close();
    await Promise.all([...daemons.values()].map((daemon) => daemon.stop()));
    rmSync(folder, { recursive: true, force: true });
  };

  try {
    const etcd = start('etcd', etcdFlags);
    const startAt = async (port: number): Promise<KubeClient | 'port taken'> => {
      const client = clientAt(`https://127.0.0.1:${port}`, admin);
      const server = start('kube-apiserver', [...apiServerFlags(files, port), ...flags]);
      return (await ready(client, [etcd, server])) === 'port taken' ? 'port taken' : client;
    };
    let [port = 0] = await fixedPorts(1);
    let started = await startAt(port);
    // Another process may have been quicker.
    for (let tries = 1; started === 'port taken' && tries < 10; tries++) {
      [port = 0] = await fixedPorts(1);
      started = await startAt(port);
    }
    if (started === 'port taken') throw new Error('kube-apiserver found no free port in ten tries');
    const client = started;
    const url = `https://127.0.0.1:${port}`;

    const writeKubeconfig = (name: string, pair: Pair): string =>
      write(name, kubeconfigText(url, authority.cert, pair));
    const kubeconfig = writeKubeconfig('admin.kubeconfig', admin);
    if (controllers.length > 0) start('kube-controller-manager', controllerFlags(files, kubeconfig, controllers));
    let written = 0;

    return {
      url,
      ca: authority.cert,
      admin,
      client,
      kubeconfig,
      folder,
      async as(who) {
        const credentials =
          who !== undefined && 'user' in who ? await authority.issue(who.user, who.groups ?? []) : who;
        return clientAt(url, credentials);
      },
      kubeconfigFor: async (user, groups = []) =>
        writeKubeconfig(`user-${++written}.kubeconfig`, await authority.issue(user, groups)),
      kubectl: (args, more = {}) =>
        runCommand(programs['kubectl'] ?? '', args, {
          env: { KUBECONFIG: more.kubeconfig ?? kubeconfig, KUBECACHEDIR: join(folder, 'kubectl') },
          ...(more.input === undefined ? {} : { input: more.input }),
        }),
      async namespace(name, labels = {}) {
        await client.must('POST', '/api/v1/namespaces', { metadata: { name, labels } });
        const account = await client.request('POST', `/api/v1/namespaces/${name}/serviceaccounts`, {
          metadata: { name: 'default' },
        });
        // A controller was quicker, where the caller asked for it.
        if (account.status !== 201 && account.status !== 409) throw new Error(account.message);
      },
      halt: async () => daemons.get('kube-apiserver')?.stop(),
      async resume() {
        if ((await startAt(port)) === 'port taken')
          throw new Error(`port ${port} was taken while nothing listened on it`);
      },
      log: (lines) => daemons.get('kube-apiserver')?.tail(lines) ?? '',
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Resolves when it is ready and the namespace `default` is there. Rejects with the log of what ended, or of what was late. */
async function ready(client: KubeClient, daemons: readonly Daemon[]): Promise<'ready' | 'port taken'> {
  const end = performance.now() + startLimitMs;
  const answers = async (path: string): Promise<boolean> => {
    try {
      return (await client.request('GET', path)).status === 200;
    } catch {
      return false; // not listening yet
    }
  };
  while (!((await answers('/readyz')) && (await answers('/api/v1/namespaces/default')))) {
    for (const daemon of daemons) {
      const why = daemon.ended();
      if (why === undefined) continue;
      if (daemon.tail(100).includes('address already in use')) return 'port taken';
      throw new Error(`${why} before the API server was ready:\n${daemon.tail()}`);
    }
    if (performance.now() > end) {
      throw new Error(
        `the API server was not ready within ${startLimitMs / 1000} s:\n${daemons.map((one) => one.tail()).join('\n')}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return 'ready';
}

function kubeconfigText(url: string, ca: string, { cert, key }: Pair): string {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server: url, 'certificate-authority-data': base64(ca) } }],
    users: [{ name: 'user', user: { 'client-certificate-data': base64(cert), 'client-key-data': base64(key) } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'user' } }],
    'current-context': 'test',
  });
}
