import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeError } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import { certificateFacts, shortestAddress } from './certificate-facts.ts';
import { issueAuthority, issueLeaf } from './issue.ts';
import type { Pair } from './issue.ts';

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
export async function ensureSelfSigned(
  folder: string,
  names: readonly string[],
  clock: Clock,
  leafMs = 90 * day,
): Promise<SelfSigned> {
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
    authority = await issueAuthority(`Sidegate local CA ${randomBytes(4).toString('hex')}`, {
      notBefore: now - backdate,
      notAfter: now + authorityLife,
    });
    write(join(folder, 'ca-key.pem'), authority.key);
    write(files.caFile, authority.cert);
  }
  const leaf = await issueLeaf(authority, [...new Set(names)], { notBefore: now - backdate, notAfter: now + life });
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
  let renewing = false;
  const renew = async (): Promise<void> => {
    try {
      const made = await ensureSelfSigned(options.folder, options.names, options.clock, options.leafMs);
      if (made.renewed) options.logger.info('Issued a new self-signed certificate');
    } catch (error) {
      options.logger.error('Cannot renew the self-signed certificate', { reason: describeError(error) });
    } finally {
      renewing = false;
    }
  };
  const timer = options.clock.every(60_000, () => {
    if (renewing) return;
    renewing = true;
    void renew();
  });
  return { close: () => timer.cancel() };
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
    return have === [...new Set(names.map(shortestAddress))].sort().join() && now < due && now >= facts.notBefore
      ? due
      : undefined;
  } catch {
    return undefined;
  }
}

function renewAt(pem: string): number {
  const { notBefore, notAfter } = certificateFacts(pem);
  return notBefore + Math.floor(((notAfter - notBefore) * 2) / 3);
}

/** By rename, so that a reader sees the old file or the new one, never half of one. */
function write(path: string, text: string): void {
  const temporary = `${path}.new`;
  writeFileSync(temporary, text, { mode: 0o600 });
  chmodSync(temporary, 0o600); // an old temporary file keeps its mode when it is written again
  renameSync(temporary, path);
}
