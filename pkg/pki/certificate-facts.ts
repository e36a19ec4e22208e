import { X509Certificate } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { derCertificate, parseJson } from '../base/index.ts';
import { PkiError } from './pki-error.ts';

/**
 * What people and checks want to know of a certificate. Alternative names that pretend to be several stay one
 * (CVE-2021-44532).
 */
export interface CertificateFacts {
  /** As Node prints it: one attribute a line, `CN=llama.ml.svc`. For people, not for decisions. */
  readonly subject: string;
  readonly issuer: string;
  /** Subject alternative names of type dNSName, in order. */
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly uris: readonly string[];
  /** Epoch milliseconds. */
  readonly notBefore: number;
  /** Epoch milliseconds after which nobody should accept it. */
  readonly notAfter: number;
  /** Hex, lower case. */
  readonly serial: string;
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprint: string;
  readonly isAuthority: boolean;
}

/**
 * @param certificate PEM, or DER and nothing else
 * @throws PkiError certificate_invalid
 */
export function certificateFacts(certificate: string | Uint8Array): CertificateFacts {
  try {
    const parsed = typeof certificate === 'string' ? new X509Certificate(certificate) : derCertificate(certificate);
    return {
      subject: parsed.subject,
      issuer: parsed.issuer,
      ...alternativeNames(parsed.subjectAltName),
      notBefore: parsed.validFromDate.getTime(),
      notAfter: parsed.validToDate.getTime(),
      serial: parsed.serialNumber.toLowerCase(),
      fingerprint: parsed.fingerprint256.replaceAll(':', '').toLowerCase(),
      isAuthority: parsed.ca,
    };
  } catch (cause) {
    throw new PkiError('certificate_invalid', 'not a certificate that can be read', { cause });
  }
}

interface AlternativeNames {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly uris: readonly string[];
}

/**
 * One entry of Node's printed form, `KIND:value`. A value with a comma, quote, backslash or control character stands as a
 * JSON string there (https://nodejs.org/api/crypto.html#x509subjectaltname), so that no name can end early.
 */
const entry = /([^:,"]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/gy;

function alternativeNames(printed: string | undefined): AlternativeNames {
  const names = { dnsNames: [] as string[], ipAddresses: [] as string[], uris: [] as string[] };
  let read = 0;
  for (const [all, kind, value = ''] of (printed ?? '').matchAll(entry)) {
    read += all.length;
    const name = value.startsWith('"') ? (parseJson(value).string ?? '') : value;
    if (kind === 'DNS') names.dnsNames.push(name);
    else if (kind === 'URI') names.uris.push(name);
    else if (kind === 'IP Address') names.ipAddresses.push(shortestAddress(name));
  }
  if (read !== (printed ?? '').length) throw new RangeError('alternative names cannot be read');
  return names;
}

/** Addresses in their shortest form (RFC 5952): Node prints all groups, people write them as they like. Other names stay as they are. */
export function shortestAddress(printed: string): string {
  return isIPv6(printed) ? new URL(`http://[${printed}]`).hostname.slice(1, -1) : printed;
}
