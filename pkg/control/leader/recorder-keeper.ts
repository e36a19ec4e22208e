import { X509Certificate, generateKeyPairSync } from 'node:crypto';
import type { Clock, Logger } from '../../base/index.ts';
import { controlPlane } from '../../contract/index.ts';
import { createQueue, resources } from '../../kube/index.ts';
import type { KubeClient, KubeObject } from '../../kube/index.ts';
import { certificateFacts, createKeyRequest, readBundle } from '../../pki/index.ts';
import type { Authority } from '../../pki/index.ts';
import { managedLabel, managedValue } from './network-policy.ts';
import { publishMap } from './published-map.ts';

export interface RecorderKeeperOptions {
  readonly client: Pick<KubeClient, 'find' | 'create' | 'replace' | 'patch' | 'delete'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly namespace: string;
  readonly clusterDomain: string;
  readonly authority: () => Authority | undefined;
  readonly leading: () => boolean;
  readonly onWritten?: () => void;
}

/**
 * Keeps the Secrets that the recorder mounts: its serving certificate, renewed at two thirds of its life and when the authority
 * changes, and the key of its log, made once: a log whose key was replaced could not be told from a forged one.
 */
export interface RecorderKeeper {
  kick(): void;
  close(): Promise<void>;
}

interface SecretObject extends KubeObject {
  readonly type?: string;
  readonly data?: Readonly<Record<string, string>>;
}

const encoded = (data: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));

export function startRecorderKeeper(options: RecorderKeeperOptions): RecorderKeeper {
  const { client, clock, logger, namespace, authority, leading } = options;
  const name = `${controlPlane.recorder}.${namespace}`;
  const dnsNames = [`${name}.svc`, `${name}.svc.${options.clusterDomain}`, name];

  const good = (secret: SecretObject | undefined, known: Authority): boolean => {
    const pem = Buffer.from(secret?.data?.['tls.crt'] ?? '', 'base64').toString();
    try {
      const leaf = new X509Certificate(pem);
      const facts = certificateFacts(leaf.raw);
      const [issuer] = readBundle(known.state().current.cert);
      const now = clock.now();
      return (
        issuer !== undefined &&
        leaf.checkIssued(issuer) &&
        leaf.verify(issuer.publicKey) &&
        dnsNames.every((one) => facts.dnsNames.includes(one)) &&
        now >= facts.notBefore &&
        now < facts.notBefore + ((facts.notAfter - facts.notBefore) * 2) / 3
      );
    } catch {
      return false;
    }
  };
  const write = async (
    found: SecretObject | undefined,
    secret: string,
    type: string,
    data: Readonly<Record<string, string>>,
  ): Promise<void> => {
    const object: SecretObject = {
      apiVersion: 'v1',
      kind: 'Secret',
      type,
      metadata: { ...(found?.metadata ?? { namespace, name: secret }), labels: { [managedLabel]: managedValue } },
      data: encoded(data),
    };
    if (found === undefined) await client.create<SecretObject>(resources.secrets, object, { namespace });
    else await client.replace<SecretObject>(resources.secrets, object);
    options.onWritten?.();
  };

  /** The public half, for whoever verifies. */
  const publish = async (secret: SecretObject): Promise<void> => {
    const pem = Buffer.from(secret.data?.['public.pem'] ?? '', 'base64').toString();
    await publishMap(client, { namespace, name: controlPlane.log }, 'public.pem', pem);
  };

  const queue = createQueue({
    name: 'recorder',
    clock,
    logger,
    concurrency: 1,
    async handle() {
      const known = authority();
      if (known === undefined || !leading()) return 1_000;
      const logKey = await client.find<SecretObject>(resources.secrets, { namespace, name: controlPlane.logKey });
      if (logKey === undefined) {
        const { privateKey, publicKey } = generateKeyPairSync('ed25519');
        await write(undefined, controlPlane.logKey, 'Opaque', {
          'key.pem': privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
          'public.pem': publicKey.export({ format: 'pem', type: 'spki' }).toString(),
        });
        logger.info('the key of the log was made');
        return 1_000;
      }
      await publish(logKey);
      const found = await client.find<SecretObject>(resources.secrets, { namespace, name: controlPlane.recorderTls });
      if (!good(found, known)) {
        const { key, csr } = createKeyRequest();
        const cert = await known.sign({ purpose: 'server', csr, dnsNames });
        if (!leading()) return 1_000;
        await write(found, controlPlane.recorderTls, 'kubernetes.io/tls', { 'tls.crt': cert, 'tls.key': key });
        logger.info("the recorder's certificate was issued");
      }
      return 60_000;
    },
  });
  queue.add('recorder');
  return { kick: () => queue.add('recorder'), close: () => queue.close() };
}
