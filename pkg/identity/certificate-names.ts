import type { X509Certificate } from 'node:crypto';

/** Names in a certificate that can stand for a caller. */
export interface CertificateNames {
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  /** Undefined when there is none, or more than one. */
  readonly commonName: string | undefined;
  readonly organizations: readonly string[];
  readonly units: readonly string[];
}

/** Undefined when the names could be read in two ways. */
export function certificateNames(certificate: X509Certificate): CertificateNames | undefined {
  const alternatives = alternativeNames(certificate.subjectAltName);
  if (alternatives === undefined) return undefined;
  // The subject as ASN.1 attributes; the printed form would have to be parsed back.
  const subject = certificate.toLegacyObject().subject as unknown as Readonly<Record<string, string | string[]>>;
  const commonNames = listOf(subject['CN']);
  return {
    ...alternatives,
    commonName: commonNames.length === 1 ? commonNames[0] : undefined,
    organizations: listOf(subject['O']),
    units: listOf(subject['OU']),
  };
}

function listOf(value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return [];
  return typeof value === 'string' ? [value] : value;
}

/**
 * Node prints alternative names as `URI:a, DNS:b` and puts every value with a comma, quote, backslash or unusual
 * character in quotes (its answer to CVE-2021-44532). No name that we accept needs quotes, so any quote refuses all.
 */
function alternativeNames(printed: string | undefined): Pick<CertificateNames, 'uris' | 'dnsNames'> | undefined {
  const uris: string[] = [];
  const dnsNames: string[] = [];
  for (const entry of printed === undefined ? [] : printed.split(', ')) {
    if (entry.includes('"')) return undefined;
    if (entry.startsWith('URI:')) uris.push(entry.slice(4));
    else if (entry.startsWith('DNS:')) dnsNames.push(entry.slice(4));
  }
  return { uris, dnsNames };
}

/** `spiffe://TRUST-DOMAIN/PATH` (SPIFFE-ID sections 2 to 2.4): lower-case trust domain, non-empty segments, no dots alone. */
const spiffe = /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/[A-Za-z0-9._-]+)+$/;

export function isSpiffeId(uri: string): boolean {
  return uri.length <= 2_048 && spiffe.test(uri) && !/\/\.{1,2}(?:\/|$)/.test(uri);
}
