import { X509Certificate } from 'node:crypto';
import { certificateFacts } from './certificate-facts.ts';
import type { CertificateFacts } from './certificate-facts.ts';
import { PkiError } from './pki-error.ts';

const usages = { client: '1.3.6.1.5.5.7.3.2', server: '1.3.6.1.5.5.7.3.1' } as const;

/** Most certificates in a bundle. */
const mostAuthorities = 64;

/**
 * The certificates of a PEM bundle.
 *
 * @throws PkiError certificate_invalid: none, too many, one that cannot be read, or one that is no authority's.
 */
export function readBundle(pem: string): readonly X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0 || blocks.length > mostAuthorities)
    throw new PkiError('certificate_invalid', `a bundle has 1 to ${mostAuthorities} certificates`);
  return blocks.map((block) => {
    let certificate: X509Certificate;
    try {
      certificate = new X509Certificate(block);
    } catch (cause) {
      throw new PkiError('certificate_invalid', 'a certificate of the bundle cannot be read', { cause });
    }
    if (!certificate.ca) throw new PkiError('certificate_invalid', 'a certificate of the bundle is no authority');
    return certificate;
  });
}

/**
 * Whether a leaf was issued directly by one of these authorities, for this purpose and no other, and counts now. Judged
 * here and not taken from the handshake, so that a resumed session and an authority that was dropped are judged too.
 *
 * @throws PkiError certificate_untrusted
 */
export function checkLeaf(
  leaf: X509Certificate,
  authorities: readonly X509Certificate[],
  purpose: keyof typeof usages,
  now: number,
): CertificateFacts {
  const facts = certificateFacts(leaf.raw);
  if (facts.isAuthority) throw untrusted('it is an authority');
  if (now < facts.notBefore || now >= facts.notAfter) throw untrusted('its time is not now');
  const granted = leaf.keyUsage as readonly string[] | undefined;
  if (granted?.length !== 1 || granted[0] !== usages[purpose]) throw untrusted(`it is not for a ${purpose}`);
  const issuer = authorities.find(
    (one) =>
      leaf.checkIssued(one) &&
      leaf.verify(one.publicKey) &&
      now >= one.validFromDate.getTime() &&
      now < one.validToDate.getTime(),
  );
  if (issuer === undefined) throw untrusted('no authority that counts has issued it');
  return facts;
}

function untrusted(why: string): PkiError {
  return new PkiError('certificate_untrusted', `the certificate does not count: ${why}`);
}
