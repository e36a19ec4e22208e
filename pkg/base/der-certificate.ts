import { X509Certificate } from 'node:crypto';

/** Longest certificate that is read, in bytes: some ten times what people and machines have. */
export const longestCertificate = 16 * 1024;

/**
 * A certificate from its DER bytes, all of them. `new X509Certificate(bytes)` looks for PEM anywhere in the bytes first, and takes what stands
 * behind DER for nothing: whoever proves the key of one certificate could so be read as another, which is hidden in an extension of it.
 *
 * @throws TypeError the bytes are longer than {@link longestCertificate}, or not one certificate and nothing else; or as X509Certificate
 */
export function derCertificate(der: Uint8Array): X509Certificate {
  if (der.length > longestCertificate) throw new TypeError('a certificate is too long');
  const certificate = new X509Certificate(der);
  if (!certificate.raw.equals(der)) throw new TypeError('not a certificate in DER, and nothing else');
  return certificate;
}
