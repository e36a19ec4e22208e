import { X509Certificate } from 'node:crypto';
import { oid, readAll, readDer } from './der.ts';
import { PkiError } from './pki-error.ts';

/**
 * What people and checks want to know of a certificate. Alternative names are read from the extension's own bytes, never
 * from its printed form, in which a name could pretend to be several (CVE-2021-44532).
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

/** @throws PkiError certificate_invalid */
export function certificateFacts(certificate: string | Uint8Array): CertificateFacts {
  try {
    const parsed = new X509Certificate(certificate);
    return {
      subject: parsed.subject,
      issuer: parsed.issuer,
      ...alternativeNames(parsed.raw),
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

const alternativeName = oid('2.5.29.17');

/** RFC 5280 section 4.2.1.6. */
function alternativeNames(certificate: Buffer): AlternativeNames {
  const names = { dnsNames: [] as string[], ipAddresses: [] as string[], uris: [] as string[] };
  const [toBeSigned] = readAll(readDer(certificate).body);
  const extensions = readAll(toBeSigned?.body ?? Buffer.alloc(0)).find((field) => field.tag === 0xa3);
  if (extensions === undefined) return names;
  for (const extension of readAll(readDer(extensions.body).body)) {
    const parts = readAll(extension.body);
    const value = parts.at(-1);
    const id = parts[0];
    if (id === undefined || value === undefined || !id.body.equals(alternativeName.subarray(2))) continue;
    for (const name of readAll(readDer(value.body).body)) {
      if (name.tag === 0x82) names.dnsNames.push(name.body.toString('latin1'));
      else if (name.tag === 0x86) names.uris.push(name.body.toString('latin1'));
      else if (name.tag === 0x87) names.ipAddresses.push(address(name.body));
    }
  }
  return names;
}

function address(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups: string[] = [];
  for (let at = 0; at + 1 < bytes.length; at += 2) groups.push(bytes.readUInt16BE(at).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}
