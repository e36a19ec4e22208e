import type { X509Certificate } from 'node:crypto';
import type { Clock } from '../../base/index.ts';
import { controlPlane } from '../../contract/index.ts';
import { PkiError, checkLeaf, readBundle } from '../../pki/index.ts';

/**
 * Whether a connection is the recorder's, by the certificate with which it serves: the leading controller makes it, for the name of Sidegate's
 * own Service, and no governed pod is in that namespace. What the recorder says of those for whom it asks is believed then.
 */
export interface RecorderProof {
  /** PEM of the authorities that may have issued it. */
  bundle(): string;
  /** @param certificate of a handshake, so that its key is proven */
  proves(certificate: X509Certificate): boolean;
}

export function createRecorderProof(options: {
  /** PEM; may change. */
  readonly bundle: () => string;
  /** Of Sidegate. */
  readonly namespace: string;
  readonly clock: Pick<Clock, 'now'>;
}): RecorderProof {
  const { bundle, namespace, clock } = options;
  const name = `${controlPlane.recorder}.${namespace}.svc`;
  let known: { readonly pem: string; readonly authorities: readonly X509Certificate[] } | undefined;
  const authorities = (): readonly X509Certificate[] => {
    const pem = bundle();
    if (known?.pem !== pem) known = { pem, authorities: readBundle(pem) };
    return known.authorities;
  };
  return {
    bundle,
    proves(certificate) {
      try {
        const { dnsNames, uris } = checkLeaf(certificate, authorities(), 'server', clock.now());
        return uris.length === 0 && dnsNames.includes(name);
      } catch (error) {
        if (error instanceof PkiError) return false;
        throw error;
      }
    },
  };
}
