import type { X509Certificate } from 'node:crypto';
import { CodedError, derCertificate } from '../base/index.ts';
import { kubernetesName } from '../core/index.ts';
import type { ClientCertificateSpec, CompiledProvider, Identity } from '../core/index.ts';
import { certificateNames, isSpiffeId } from './certificate-names.ts';
import type { CertificateNames } from './certificate-names.ts';
import { isName } from './claims.ts';

/**
 * Client certificates as proof of a caller, judged again against the provider's own authorities: the listener's
 * handshake may trust more authorities than one provider does.
 *
 * Promise: the certificate was signed by an authority in the provider's file, both are valid now, it is made for client
 * authentication, and its name has one reading.
 *
 * Limits: the leaf alone is looked at, so an intermediate authority must stand in the provider's file itself. Name
 * constraints and path lengths are the handshake's to check. There is no revocation (CRL, OCSP): use short lives.
 */

export type CertificateFaultCode =
  'not_a_certificate' | 'unknown_authority' | 'expired' | 'not_yet_valid' | 'weak' | 'not_for_clients' | 'name';

/** Holds nothing of the certificate. */
export class CertificateFault extends CodedError<CertificateFaultCode> {
  constructor(code: CertificateFaultCode) {
    super(code, `the client certificate proves nobody: ${code}`);
    this.name = 'CertificateFault';
  }
}

/** id-kp-clientAuth, RFC 5280 section 4.2.1.12. */
const clientAuth = '1.3.6.1.5.5.7.3.2';
const minRsaBits = 2_048;

/**
 * @param der as the connection presented it
 * @param now epoch milliseconds
 * @throws CertificateFault
 */
export function certificateIdentity(
  provider: CompiledProvider,
  spec: ClientCertificateSpec,
  anchors: readonly X509Certificate[],
  der: Uint8Array,
  now: number,
): Identity {
  const certificate = parse(der);
  const authorities = anchors.filter((one) => signed(one, certificate));
  const expiresAt = Math.min(checkValidity(certificate, now), lastsUntil(authorities, now));
  if (isWeak(certificate)) throw new CertificateFault('weak');
  if (certificate.ca || !(certificate.keyUsage ?? []).includes(clientAuth))
    throw new CertificateFault('not_for_clients');
  const names = certificateNames(certificate);
  if (names === undefined) throw new CertificateFault('name');
  const subject = subjectOf(names, spec.subjectFrom);
  if (subject === undefined || !isName(subject)) throw new CertificateFault('name');
  return {
    provider: provider.id,
    issuer: certificate.issuer.replaceAll('\n', ', '),
    subject,
    groups: groupsOf(names, spec.groupsFrom),
    scopes: [],
    expiresAt,
    kubernetesUser: kubernetesUserOf(provider, subject, names),
  };
}

function parse(der: Uint8Array): X509Certificate {
  try {
    return derCertificate(der);
  } catch {
    throw new CertificateFault('not_a_certificate');
  }
}

function signed(authority: X509Certificate, certificate: X509Certificate): boolean {
  try {
    return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
  } catch {
    return false;
  }
}

/** Of an authority that was renewed with its key, both certificates signed what either did: the one that is valid longest from now counts. */
function lastsUntil([first, ...others]: readonly X509Certificate[], now: number): number {
  if (first === undefined) throw new CertificateFault('unknown_authority');
  const ends = [first, ...others].filter((one) => isValid(one, now)).map((one) => one.validToDate.getTime());
  return ends.length === 0 ? checkValidity(first, now) : Math.max(...ends);
}

// Written so that an unreadable date (NaN) refuses.
const isValid = ({ validFromDate, validToDate }: X509Certificate, now: number): boolean =>
  now >= validFromDate.getTime() && now <= validToDate.getTime();

/** Returns the end of validity, epoch milliseconds. */
function checkValidity(certificate: X509Certificate, now: number): number {
  const end = certificate.validToDate.getTime();
  // Written so that an unreadable date (NaN) refuses.
  if (!(now >= certificate.validFromDate.getTime())) throw new CertificateFault('not_yet_valid');
  if (!(now <= end)) throw new CertificateFault('expired');
  return end;
}

function isWeak(certificate: X509Certificate): boolean {
  if (/md[245]|sha-?1(?![0-9])/i.test(certificate.signatureAlgorithm ?? 'md5')) return true;
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = certificate.publicKey;
  return type?.startsWith('rsa') === true && (details?.modulusLength ?? 0) < minRsaBits;
}

function subjectOf(names: CertificateNames, from: ClientCertificateSpec['subjectFrom']): string | undefined {
  switch (from) {
    case 'SpiffeUri':
      return spiffeOf(names);
    case 'DnsName':
      return names.dnsNames[0];
    case 'CommonName':
      return names.commonName;
    case 'Auto':
      // A certificate that claims to be SPIFFE and is not well formed must not fall back to a weaker name.
      if (names.uris.some((uri) => uri.toLowerCase().startsWith('spiffe:'))) return spiffeOf(names);
      return names.dnsNames[0] ?? names.commonName;
    default:
      return undefined;
  }
}

/** X.509-SVID section 2: exactly one URI, or the certificate is refused. */
function spiffeOf({ uris: [uri, ...more] }: CertificateNames): string | undefined {
  return uri !== undefined && more.length === 0 && isSpiffeId(uri) ? uri : undefined;
}

function groupsOf(names: CertificateNames, from: ClientCertificateSpec['groupsFrom']): readonly string[] {
  const groups = from === 'None' ? [] : from === 'Organization' ? names.organizations : names.units;
  if (!groups.every(isName)) throw new CertificateFault('name');
  return groups;
}

/** Certificates have no claims: `sub` is the subject that was chosen, `cn` the common name. */
function kubernetesUserOf(provider: CompiledProvider, subject: string, names: CertificateNames): string | undefined {
  const { kubernetesUser: spec } = provider;
  const value = spec?.claim === 'sub' ? subject : spec?.claim === 'cn' ? names.commonName : undefined;
  return spec === undefined || value === undefined || !isName(value) ? undefined : kubernetesName(spec, value);
}
