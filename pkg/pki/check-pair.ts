import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { PkiError } from './pki-error.ts';

/**
 * Whether TLS can serve with this certificate (PEM, leaf first) and key at this time.
 *
 * @param now Epoch milliseconds.
 * @returns until when, epoch milliseconds
 * @throws PkiError certificate_invalid, certificate_expired, key_invalid, key_mismatch
 */
export function checkPair(cert: string, key: string, now: number): number {
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(cert);
  } catch (cause) {
    throw new PkiError('certificate_invalid', 'there is no certificate that can be read', { cause });
  }
  const until = leaf.validToDate.getTime();
  if (until <= now) throw new PkiError('certificate_expired', 'the certificate has expired');
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(key);
  } catch (cause) {
    throw new PkiError('key_invalid', 'there is no private key that can be read', { cause });
  }
  if (!leaf.checkPrivateKey(privateKey))
    throw new PkiError('key_mismatch', 'the key is not the key of the certificate');
  try {
    createSecureContext({ cert, key });
  } catch (cause) {
    throw new PkiError('certificate_invalid', 'TLS does not take this certificate and key', { cause });
  }
  return until;
}
