import { X509Certificate } from 'node:crypto';
import type { CertificateFacts } from './certificate-facts.ts';
import { knownLeaf } from './known-leaf.ts';
import type { KnownLeaf } from './known-leaf.ts';
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
 * @throws PkiError certificate_untrusted; certificate_invalid: it cannot be read
 */
export function checkLeaf(
  leaf: X509Certificate | KnownLeaf,
  authorities: readonly X509Certificate[],
  purpose: keyof typeof usages,
  now: number,
): CertificateFacts {
  const known = leaf instanceof X509Certificate ? knownLeaf(leaf.raw) : leaf;
  const { facts, purposes } = known;
  if (facts.isAuthority) throw untrusted('it is an authority');
  if (now < facts.notBefore || now >= facts.notAfter) throw untrusted('its time is not now');
  if (purposes.length !== 1 || purposes[0] !== usages[purpose]) throw untrusted(`it is not for a ${purpose}`);
  const issuer = authorities.find(
    (one) => now >= one.validFromDate.getTime() && now < one.validToDate.getTime() && known.isIssuedBy(one),
  );
  if (issuer === undefined) throw untrusted('no authority that counts has issued it');
  return facts;
}

function untrusted(why: string): PkiError {
  return new PkiError('certificate_untrusted', `the certificate does not count: ${why}`);
}
