import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isIP, isIPv4 } from 'node:net';
import { join } from 'node:path';
import { describeError } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import { certificateFacts } from './certificate-facts.ts';
import { bits, boolean, context, integer, octets, oid, readAll, readDer, sequence, set, time, utf8 } from './der.ts';

/**
 * A certificate authority and a serving certificate in a folder: for a first start without a PKI.
 *
 * Keys are P-256 (an RSA handshake costs about twenty times as much). Files are readable by their owner only. The leaf
 * is issued again at two thirds of its life by the wall clock, or when its names change, under the same authority, so
 * that callers keep what they trust. Limit: the authority's key stands beside the leaf's; who reads the folder can issue.
 */
const day = 86_400_000;
const authorityLife = 3653 * day;
/** Peers' clocks may be a little behind. */
const backdate = 5 * 60_000;

export interface SelfSigned {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** Epoch milliseconds: two thirds of the leaf's life. */
  readonly renewAt: number;
  /** Whether this call wrote anything. */
  readonly renewed: boolean;
}

/**
 * Makes what is missing or due, and leaves the rest as it stands.
 *
 * @param names DNS names and IP addresses for the leaf; the first is its common name.
 * @param leafMs life of a leaf, 24 h to 1 y; default 90 d.
 */
export function ensureSelfSigned(
  folder: string,
  names: readonly string[],
  clock: Clock,
  leafMs = 90 * day,
): SelfSigned {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const files = {
    caFile: join(folder, 'ca.pem'),
    certFile: join(folder, 'cert.pem'),
    keyFile: join(folder, 'key.pem'),
  };
  const now = clock.now();
  const life = Math.min(Math.max(leafMs, day), 366 * day);
  let authority = readAuthority(files.caFile, join(folder, 'ca-key.pem'), now + life);
  const standing = authority === undefined ? undefined : readLeaf(files, authority.cert, names, now);
  if (standing !== undefined) return { ...files, renewAt: standing, renewed: false };

  if (authority === undefined) {
    authority = createAuthority(now);
    write(join(folder, 'ca-key.pem'), authority.key);
    write(files.caFile, authority.cert);
  }
  const leaf = createLeaf(authority, names, now, life);
  // Key before certificate: a reader that comes in between sees a pair that does not fit, and keeps the old one.
  write(files.keyFile, leaf.key);
  write(files.certFile, leaf.cert);
  return { ...files, renewAt: renewAt(leaf.cert), renewed: true };
}

/** Runs {@link ensureSelfSigned} again when the leaf is due, looked at each minute by the wall clock. */
export function keepSelfSigned(options: {
  readonly folder: string;
  readonly names: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly leafMs?: number;
}): { close(): void } {
  const timer = options.clock.every(60_000, () => {
    try {
      const made = ensureSelfSigned(options.folder, options.names, options.clock, options.leafMs);
      if (made.renewed) options.logger.info('Issued a new self-signed certificate');
    } catch (error) {
      options.logger.error('Cannot renew the self-signed certificate', { reason: describeError(error) });
    }
  });
  return { close: () => timer.cancel() };
}

interface Pair {
  readonly cert: string;
  readonly key: string;
}

function readAuthority(certFile: string, keyFile: string, until: number): Pair | undefined {
  try {
    const cert = readFileSync(certFile, 'utf8');
    const key = readFileSync(keyFile, 'utf8');
    const parsed = new X509Certificate(cert);
    const fits = parsed.checkPrivateKey(createPrivateKey(key));
    return fits && parsed.ca && parsed.validToDate.getTime() > until ? { cert, key } : undefined;
  } catch {
    return undefined;
  }
}

/** When the leaf on disk is due; undefined when it must be issued now. */
function readLeaf(
  files: { readonly certFile: string; readonly keyFile: string },
  authority: string,
  names: readonly string[],
  now: number,
): number | undefined {
  try {
    const pem = readFileSync(files.certFile, 'utf8');
    const leaf = new X509Certificate(pem);
    if (!leaf.checkPrivateKey(createPrivateKey(readFileSync(files.keyFile, 'utf8')))) return undefined;
    if (!leaf.verify(new X509Certificate(authority).publicKey)) return undefined;
    const facts = certificateFacts(pem);
    const have = [...facts.dnsNames, ...facts.ipAddresses].sort().join();
    const due = renewAt(pem);
    return have === [...new Set(names)].sort().join() && now < due && now >= facts.notBefore ? due : undefined;
  } catch {
    return undefined;
  }
}

function renewAt(pem: string): number {
  const { notBefore, notAfter } = certificateFacts(pem);
  return notBefore + Math.floor(((notAfter - notBefore) * 2) / 3);
}

function createAuthority(now: number): Pair {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = distinguishedName(`Sidegate local CA ${randomBytes(4).toString('hex')}`);
  const identifier = keyIdentifier(keys.publicKey);
  const cert = issue({
    issuer: name,
    subject: name,
    notBefore: now - backdate,
    notAfter: now + authorityLife,
    publicKey: keys.publicKey,
    signingKey: keys.privateKey,
    extensions: [
      extension('2.5.29.19', true, sequence(boolean(true), integer(Buffer.of(0)))), // CA, no authority below it
      extension('2.5.29.15', true, bits(Buffer.of(0x06), 1)), // keyCertSign, cRLSign
      extension('2.5.29.14', false, octets(identifier)),
    ],
  });
  return { cert, key: pem(keys.privateKey) };
}

function createLeaf(authority: Pair, names: readonly string[], now: number, life: number): Pair {
  const unique = [...new Set(names)];
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = new X509Certificate(authority.cert);
  const cert = issue({
    issuer: subjectOf(issuer.raw),
    subject: distinguishedName(unique[0] ?? 'localhost'),
    notBefore: now - backdate,
    notAfter: now + life,
    publicKey: keys.publicKey,
    signingKey: createPrivateKey(authority.key),
    extensions: [
      extension('2.5.29.19', true, sequence()), // no CA
      extension('2.5.29.15', true, bits(Buffer.of(0x80), 7)), // digitalSignature
      extension('2.5.29.37', false, sequence(oid('1.3.6.1.5.5.7.3.1'))), // serverAuth
      extension('2.5.29.17', false, sequence(...unique.map(alternativeName))),
      extension('2.5.29.35', false, sequence(context(0, keyIdentifier(issuer.publicKey), false))),
      extension('2.5.29.14', false, octets(keyIdentifier(keys.publicKey))),
    ],
  });
  return { cert, key: pem(keys.privateKey) };
}

interface Request {
  readonly issuer: Buffer;
  readonly subject: Buffer;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly publicKey: KeyObject;
  readonly signingKey: KeyObject;
  readonly extensions: readonly Buffer[];
}

/** RFC 5280 section 4.1, version 3, ecdsa-with-SHA256. */
function issue(request: Request): string {
  const algorithm = sequence(oid('1.2.840.10045.4.3.2'));
  const toBeSigned = sequence(
    context(0, integer(Buffer.of(2)), true),
    integer(serial()),
    algorithm,
    request.issuer,
    sequence(time(request.notBefore), time(request.notAfter)),
    request.subject,
    request.publicKey.export({ format: 'der', type: 'spki' }),
    context(3, sequence(...request.extensions), true),
  );
  const signature = sign('sha256', toBeSigned, request.signingKey);
  return new X509Certificate(sequence(toBeSigned, algorithm, bits(signature))).toString();
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return critical ? sequence(oid(id), boolean(true), octets(value)) : sequence(oid(id), octets(value));
}

function distinguishedName(commonName: string): Buffer {
  // X.520 allows 64 characters; the alternative names are what is checked.
  return sequence(set(sequence(oid('2.5.4.3'), utf8(commonName.slice(0, 64)))));
}

/** The subject's own bytes: an issuer's name must equal them exactly. */
function subjectOf(certificate: Buffer): Buffer {
  const [toBeSigned] = readAll(readDer(certificate).body);
  const subject = readAll(toBeSigned?.body ?? Buffer.alloc(0))[5];
  return sequence(subject?.body ?? Buffer.alloc(0));
}

function alternativeName(name: string): Buffer {
  return isIP(name) === 0
    ? context(2, Buffer.from(name, 'latin1'), false)
    : context(7, isIPv4(name) ? Buffer.from(name.split('.').map(Number)) : ipv6(name), false);
}

function ipv6(text: string): Buffer {
  const [head = '', tail] = new URL(`http://[${text}]`).hostname.slice(1, -1).split('::');
  const groups = (part: string | undefined): string[] => (part === undefined || part === '' ? [] : part.split(':'));
  const left = groups(head);
  const right = groups(tail);
  const middle = new Array<string>(8 - left.length - right.length).fill('0');
  return Buffer.from([...left, ...middle, ...right].map((group) => group.padStart(4, '0')).join(''), 'hex');
}

/** RFC 7093 section 2, method 1. */
function keyIdentifier(key: KeyObject): Buffer {
  return createHash('sha256')
    .update(key.export({ format: 'der', type: 'spki' }))
    .digest()
    .subarray(0, 20);
}

/** Positive, 16 bytes (RFC 5280 section 4.1.2.2). */
function serial(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes;
}

function pem(key: KeyObject): string {
  return key.export({ format: 'pem', type: 'pkcs8' }).toString();
}

/** By rename, so that a reader sees the old file or the new one, never half of one. */
function write(path: string, text: string): void {
  const temporary = `${path}.new`;
  writeFileSync(temporary, text, { mode: 0o600 });
  chmodSync(temporary, 0o600); // an old temporary file keeps its mode when it is written again
  renameSync(temporary, path);
}
