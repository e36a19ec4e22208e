import { generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

/**
 * A certificate authority of a test. Certificates are written byte by byte (RFC 5280), so that they may be as wrong as
 * a test wants them, and P-256 keys are made at once.
 */
export interface Authority {
  /** Its own certificate. */
  readonly pem: string;
  issue(options?: CertificateOptions): ClientCertificate;
  /** Another authority, signed by this one. */
  intermediate(name: string): Authority;
  /** Another certificate of its own, for the same name and key: PEM. */
  renewed(validity: Required<Pick<CertificateOptions, 'notBefore' | 'notAfter'>>): string;
}

export interface CertificateOptions {
  /** Attributes in their order; default one CN `client`. */
  readonly subject?: Name;
  readonly uris?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** Extended key usages by OID; default clientAuth. Empty: no such extension. */
  readonly usages?: readonly string[];
  readonly ca?: boolean;
  /** A text that stands in an extension that nobody knows. */
  readonly hidden?: string;
  /** Certify an RSA key of so many bits in place of a P-256 key. */
  readonly rsaBits?: number;
  readonly digest?: 'sha256' | 'sha1';
}

export type Name = readonly (readonly ['CN' | 'OU' | 'O', string])[];

export interface ClientCertificate {
  readonly der: Uint8Array;
  readonly pem: string;
  readonly keyPem: string;
}

export const clientAuth = '1.3.6.1.5.5.7.3.2';
export const serverAuth = '1.3.6.1.5.5.7.3.1';

const day = 86_400_000;
let serial = 1;

/** One DER element. */
function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const size = body.length.toString(16);
  const long = Buffer.from(size.padStart(size.length + (size.length % 2), '0'), 'hex');
  const head = body.length < 128 ? [tag, body.length] : [tag, 0x80 | long.length, ...long];
  return Buffer.concat([Buffer.from(head), body]);
}
const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts);
const bitString = (bytes: Uint8Array): Buffer => der(0x03, Buffer.from([0]), bytes);

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const base128 = (value: number): number[] => {
    const digits = [value & 0x7f];
    for (let left = value >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80);
    return digits;
  };
  return der(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

const attribute = { CN: oid('2.5.4.3'), O: oid('2.5.4.10'), OU: oid('2.5.4.11') };
const ecdsaWith = { sha256: sequence(oid('1.2.840.10045.4.3.2')), sha1: sequence(oid('1.2.840.10045.4.1')) };

const nameOf = (name: Name): Buffer =>
  sequence(...name.map(([type, text]) => der(0x31, sequence(attribute[type], der(0x0c, Buffer.from(text))))));
const timeOf = (date: Date): Buffer =>
  der(0x18, Buffer.from(`${date.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`));
const extension = (id: string, critical: boolean, value: Buffer): Buffer =>
  sequence(oid(id), ...(critical ? [der(0x01, Buffer.from([0xff]))] : []), der(0x04, value));

interface Signer {
  readonly privateKey: KeyObject;
  readonly name: Name;
}

function certify(options: CertificateOptions, publicKey: KeyObject, signer: Signer, now: number): Buffer {
  const usages = options.usages ?? [clientAuth];
  const alternatives = [
    ...(options.uris ?? []).map((uri) => der(0x86, Buffer.from(uri))),
    ...(options.dnsNames ?? []).map((name) => der(0x82, Buffer.from(name))),
  ];
  const algorithm = ecdsaWith[options.digest ?? 'sha256'];
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1, serial >> 8, serial++ & 0xff])),
    algorithm,
    nameOf(signer.name),
    sequence(timeOf(options.notBefore ?? new Date(now - day)), timeOf(options.notAfter ?? new Date(now + day))),
    nameOf(options.subject ?? [['CN', 'client']]),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(
      0xa3,
      sequence(
        extension('2.5.29.19', true, options.ca === true ? sequence(der(0x01, Buffer.from([0xff]))) : sequence()),
        ...(alternatives.length === 0 ? [] : [extension('2.5.29.17', false, sequence(...alternatives))]),
        ...(usages.length === 0 ? [] : [extension('2.5.29.37', false, sequence(...usages.map(oid)))]),
        ...(options.hidden === undefined ? [] : [extension('1.2.3.4', false, Buffer.from(options.hidden))]),
      ),
    ),
  );
  return sequence(body, algorithm, bitString(sign(options.digest ?? 'sha256', body, signer.privateKey)));
}

const pemOf = (bytes: Uint8Array): string =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(bytes)
    .toString('base64')
    .replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`;

const newKeys = (rsaBits?: number): { publicKey: KeyObject; privateKey: KeyObject } =>
  rsaBits === undefined
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: rsaBits });

/** @param now Middle of what is valid by default: authorities for ten years either way, leaves for a day. */
export function createAuthority(name: string, now: number): Authority {
  const { publicKey, privateKey } = newKeys();
  const signer: Signer = { privateKey, name: [['CN', name]] };
  const validity = { notBefore: new Date(now - 3_650 * day), notAfter: new Date(now + 3_650 * day) };
  const own = certify({ ...validity, subject: signer.name, ca: true, usages: [] }, publicKey, signer, now);
  return authorityOf(own, { publicKey, ...signer }, now);
}

function authorityOf(own: Uint8Array, signer: Signer & { readonly publicKey: KeyObject }, now: number): Authority {
  return {
    pem: pemOf(own),
    issue(options = {}) {
      const { publicKey, privateKey } = newKeys(options.rsaBits);
      const leaf = certify(options, publicKey, signer, now);
      return { der: leaf, pem: pemOf(leaf), keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
    },
    intermediate(name) {
      const { publicKey, privateKey } = newKeys();
      const subject: Name = [['CN', name]];
      const next = certify({ subject, ca: true, usages: [] }, publicKey, signer, now);
      return authorityOf(next, { publicKey, privateKey, name: subject }, now);
    },
    renewed(validity) {
      return pemOf(certify({ ...validity, subject: signer.name, ca: true, usages: [] }, signer.publicKey, signer, now));
    },
  };
}
