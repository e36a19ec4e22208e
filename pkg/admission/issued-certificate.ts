/**
 * A serving certificate that somebody else issues, as cert-manager does: taken from its Secret whenever that changes. Who issues it also
 * writes its authority into the configurations that call the webhook (cert-manager's injector); that it did so is looked at. The paths
 * there are the webhook's own to write.
 */
import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { Secret, describeError } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import { resources } from '../kube/index.ts';
import type { KubeClient, KubeObject } from '../kube/index.ts';
import { certificateFacts, readBundle } from '../pki/index.ts';
import { writeReach } from './client-config.ts';
import { createLookLoop } from './look-loop.ts';
import type { PathKeys } from './path-keys.ts';
import type { ServingCertificate, ServingMaterial } from './serving-certificate.ts';

export interface IssuedCertificateOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  /** Of type kubernetes.io/tls, with `ca.crt`. */
  readonly secretName: string;
  /** That the API server asks for: the certificate must have it. */
  readonly dnsName: string;
  /** Learns from the certificate's key, which all replicas share. */
  readonly keys: PathKeys;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onIssued?: (result: 'accepted' | 'refused') => void;
}

interface SecretObject extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

const textOf = (secret: SecretObject, key: string): string =>
  Buffer.from(secret.data?.[key] ?? '', 'base64').toString('utf8');

/** @throws where it could not be served with, and says why without a word of the key */
function readMaterial(secret: SecretObject, dnsName: string, now: number): ServingMaterial {
  const [cert, key] = [textOf(secret, 'tls.crt'), textOf(secret, 'tls.key')];
  const { dnsNames, notAfter } = certificateFacts(cert);
  if (!dnsNames.includes(dnsName)) throw new Error(`the certificate is not for ${dnsName}`);
  if (notAfter <= now) throw new Error('the certificate has ended');
  try {
    createSecureContext({ cert, key });
  } catch {
    throw new Error('certificate and key do not belong together');
  }
  return { cert, key, notAfter };
}

const fingerprints = (pem: string): readonly string[] => readBundle(pem).map((one) => one.fingerprint256);

/** Whether each configuration trusts all of `authorities`; an unreadable one trusts nobody. */
function trusts(bundle: string, authorities: readonly string[]): boolean {
  try {
    const known = fingerprints(bundle);
    return authorities.every((one) => known.includes(one));
  } catch {
    return false;
  }
}

/** Starts at once; never rejects: what fails is logged and tried again. */
export function createIssuedCertificate(options: IssuedCertificateOptions): ServingCertificate {
  const { client, namespace, secretName, dnsName, keys, clock, logger, onIssued } = options;
  const listeners: ((material: ServingMaterial) => void)[] = [];
  let material: ServingMaterial | undefined;
  let bundleWritten = false;

  const loop = createLookLoop({
    clock,
    async lookOnce() {
      const secret = await client.find<SecretObject>(resources.secrets, { namespace, name: secretName });
      if (secret === undefined) throw new Error(`Secret ${secretName} is not there: does its issuer work?`);
      const next = readMaterial(secret, dnsName, clock.now());
      const authorities = fingerprints(textOf(secret, 'ca.crt'));
      const before = material === undefined ? undefined : new X509Certificate(material.cert).fingerprint256;
      if (before !== new X509Certificate(next.cert).fingerprint256 || material?.key !== next.key) {
        material = next;
        onIssued?.('accepted');
        logger.info('a serving certificate was taken', { until: new Date(next.notAfter).toISOString() });
        for (const listener of listeners) listener(next);
      }
      keys.learn([new Secret(next.key)]);
      const { changed, trusted } = await writeReach(client, { bundle: undefined, keys });
      if (changed > 0) logger.info('paths were written into webhook configurations', { changed });
      bundleWritten = trusted.every((bundle) => trusts(bundle, authorities));
      if (!bundleWritten) throw new Error('the authority is not yet in every webhook configuration');
    },
    failed(error) {
      onIssued?.('refused');
      logger.error('the serving certificate is not in order', { error: describeError(error) });
    },
  });

  return {
    current: () => material,
    problems: () => [
      ...(material === undefined || clock.now() >= material.notAfter ? (['no_certificate'] as const) : []),
      ...(bundleWritten ? [] : (['ca_bundle_not_written'] as const)),
    ],
    subscribe: (listener) => void listeners.push(listener),
    look: () => loop.look(),
    lookSoon: () => loop.lookSoon(),
    close: () => loop.close(),
  };
}
