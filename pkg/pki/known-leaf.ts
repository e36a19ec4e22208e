import { hash } from 'node:crypto';
import type { KeyObject, X509Certificate } from 'node:crypto';
import { Recent, derCertificate } from '../base/index.ts';
import { certificateFacts } from './certificate-facts.ts';
import type { CertificateFacts } from './certificate-facts.ts';

/** A certificate as far as nothing that comes later changes it: whether it counts now is asked each time ({@link checkLeaf}). */
export interface KnownLeaf {
  readonly facts: CertificateFacts;
  readonly publicKey: KeyObject;
  /** Object identifiers of its extended key usage. */
  readonly purposes: readonly string[];
  /** Whether this authority's key has signed it, which is found out once. */
  isIssuedBy(authority: X509Certificate): boolean;
}

/** Authorities whose answer is kept for a leaf: as many as count at once, and those before them. */
const mostIssuers = 256;

/** @throws PkiError certificate_invalid */
export function knownLeaf(der: Uint8Array): KnownLeaf {
  const facts = certificateFacts(der);
  const { publicKey, keyUsage } = derCertificate(der);
  const issuers = new Recent<string, boolean>(mostIssuers);
  return {
    facts,
    publicKey,
    purposes: (keyUsage as readonly string[] | undefined) ?? [],
    isIssuedBy(authority) {
      const known = issuers.get(authority.fingerprint256);
      if (known !== undefined) return known;
      // Parsed again: what is kept of thousands of certificates is their bytes.
      const leaf = derCertificate(der);
      const issued = leaf.checkIssued(authority) && leaf.verify(authority.publicKey);
      issuers.set(authority.fingerprint256, issued);
      return issued;
    },
  };
}

/** Reads leaves, and keeps those that came last, by all of their bytes. */
export type LeafReader = (der: Uint8Array) => KnownLeaf;

/** @param most Leaves that are kept, of some 3 KB each and at most 16; default 2,048. The reader throws as {@link knownLeaf}, which is not kept. */
export function createLeafReader(most = 2_048): LeafReader {
  const leaves = new Recent<string, KnownLeaf>(most);
  return (der) => {
    const key = hash('sha256', der, 'base64');
    const known = leaves.get(key) ?? knownLeaf(der);
    leaves.set(key, known);
    return known;
  };
}
