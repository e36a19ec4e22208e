import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Secret } from '../base/index.ts';

/** How to reach the API server, and as whom. */
export interface ClusterAccess {
  /** Origin, with a path where a proxy gives it one. */
  readonly server: URL;
  /** Namespace of the kubeconfig's context; undefined where it names none. */
  readonly namespace?: string | undefined;
  /** What the connection is made with; read again when {@link ClusterAccess.read} is called again. */
  read(): Promise<ClusterCredentials>;
}

export interface ClusterCredentials {
  /** PEM; undefined: the system's authorities. */
  readonly ca: string | undefined;
  /** PEM of a client's certificate and key. */
  readonly cert: string | undefined;
  readonly key: Secret | undefined;
  /** Value of the authorization header. */
  readonly authorization: Secret | undefined;
  readonly serverName: string | undefined;
  /** Only where a kubeconfig says `insecure-skip-tls-verify`. */
  readonly insecure: boolean;
}

/** Where the kubelet puts what a pod needs. */
export const serviceAccountFolder = '/var/run/secrets/kubernetes.io/serviceaccount';

export interface InClusterOptions {
  /** `KUBERNETES_SERVICE_HOST` */
  readonly host: string;
  /** `KUBERNETES_SERVICE_PORT`; default 443. */
  readonly port?: string | undefined;
  /** Default {@link serviceAccountFolder}. */
  readonly folder?: string | undefined;
}

/** The pod's own service account. The token's file is read again as the kubelet rotates it. */
export function inClusterAccess({
  host,
  port = '443',
  folder = serviceAccountFolder,
}: InClusterOptions): ClusterAccess {
  const server = new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}`);
  return {
    server,
    async read() {
      const [ca, token] = await Promise.all([
        readFile(join(folder, 'ca.crt'), 'utf8'),
        readFile(join(folder, 'token'), 'utf8'),
      ]);
      return {
        ca,
        cert: undefined,
        key: undefined,
        authorization: new Secret(`Bearer ${token.trim()}`),
        serverName: undefined,
        insecure: false,
      };
    },
  };
}

function text(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return Buffer.isBuffer(value) ? value.toString('utf8') : undefined;
}

/**
 * A kubeconfig's current context, with all its ways to log in (files, tokens, exec plugins, OIDC): client-node reads it. That
 * library costs 88 MB, so that it is loaded only here; a pod never needs it.
 *
 * @throws when the file cannot be read or names no cluster.
 */
export async function kubeconfigAccess(path: string | undefined, context?: string): Promise<ClusterAccess> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  if (path === undefined) config.loadFromDefault();
  else config.loadFromFile(path);
  if (context !== undefined) config.setCurrentContext(context);
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error('the kubeconfig has no current cluster');
  return {
    server: new URL(cluster.server),
    namespace: config.getContextObject(config.getCurrentContext())?.namespace,
    async read() {
      const options: Parameters<typeof config.applyToHTTPSOptions>[0] & Record<string, unknown> = { headers: {} };
      await config.applyToHTTPSOptions(options);
      const headers = (options.headers ?? {}) as Record<string, unknown>;
      const basic = text(options['auth']);
      const bearer = text(headers['Authorization']);
      const authorization =
        bearer ?? (basic === undefined ? undefined : `Basic ${Buffer.from(basic).toString('base64')}`);
      const key = text(options.key);
      return {
        ca: text(options.ca),
        cert: text(options.cert),
        key: key === undefined ? undefined : new Secret(key),
        authorization: authorization === undefined ? undefined : new Secret(authorization),
        serverName: text(options.servername),
        insecure: cluster.skipTLSVerify === true,
      };
    },
  };
}
