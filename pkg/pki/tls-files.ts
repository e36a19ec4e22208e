import { readFileSync, statSync } from 'node:fs';
import { describeError } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import { checkPair } from './check-pair.ts';
import { PkiError } from './pki-error.ts';
import { readPkcs12 } from './pkcs12.ts';

/**
 * Certificate and key from files, read again when they change.
 *
 * Guarantee: what `current()` gives is always a pair that TLS accepted, and that had not expired when it was read; a bad
 * or half-written change is reported and the last good pair kept. Limit: a change is seen within one poll. Polling is
 * chosen over watching because it sees atomic renames and the `..data` symlink swap of Kubernetes volumes alike.
 */
export interface TlsMaterial {
  /** PEM, leaf first, then its chain. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
  /** PEM of the authority, where a file names it: what callers trust. */
  readonly ca?: string;
}

export interface TlsMaterialSource {
  current(): TlsMaterial;
  /** Called after each good change. Returns how to stop. */
  subscribe(listener: (material: TlsMaterial) => void): () => void;
  close(): void;
}

export interface TlsFiles {
  /** PEM. Needed unless `pkcs12File` is given. */
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly caFile?: string;
  readonly pkcs12File?: string;
  /** Its content, without a trailing line feed, opens the PKCS#12 file; without it the passphrase is empty. */
  readonly passphraseFile?: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default 1,000. */
  readonly pollMs?: number;
  /** Told of each change that was not taken, once. */
  readonly onFault?: (fault: PkiError) => void;
}

/**
 * Reads the files at once and then watches them.
 *
 * @throws PkiError when they cannot serve at the start: there is no last good pair to fall back on.
 */
export async function watchTlsFiles(files: TlsFiles): Promise<TlsMaterialSource> {
  const paths = [files.certFile, files.keyFile, files.caFile, files.pkcs12File, files.passphraseFile].filter(
    (path) => path !== undefined,
  );
  const listeners = new Set<(material: TlsMaterial) => void>();
  let seen = signature(paths);
  let material = await load(files);
  let told: string | undefined;
  let reading = false;
  let closed = false;

  /** The signature is taken before the files are read: what changes meanwhile is seen by the next poll. */
  const poll = async (): Promise<void> => {
    const now = signature(paths);
    if (now === seen) return;
    let next: TlsMaterial;
    try {
      next = await load(files);
    } catch (error) {
      // A pair is written file by file, so a bad one is tried at each poll, but told only once.
      if (now === told) return;
      told = now;
      const fault = error instanceof PkiError ? error : new PkiError('file_unreadable', 'cannot read TLS files');
      files.logger.error('TLS files changed and are not usable; keeping the last good ones', {
        code: fault.code,
        reason: fault.message,
      });
      files.onFault?.(fault);
      return;
    }
    seen = now;
    if (closed || (next.cert === material.cert && next.key === material.key && next.ca === material.ca)) return;
    material = next;
    for (const listener of listeners) {
      try {
        listener(next);
      } catch (error) {
        files.logger.error('A listener failed on new TLS files', { reason: describeError(error) });
      }
    }
  };
  const timer = files.clock.every(files.pollMs ?? 1000, () => {
    if (reading) return;
    reading = true;
    void poll().finally(() => {
      reading = false;
    });
  });

  return {
    current: () => material,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      closed = true;
      timer.cancel();
      listeners.clear();
    },
  };

  async function load(from: TlsFiles): Promise<TlsMaterial> {
    const pair = from.pkcs12File === undefined ? readPem(from) : await readStore(from.pkcs12File, from.passphraseFile);
    checkPair(pair.cert, pair.key, from.clock.now());
    return from.caFile === undefined ? pair : { ...pair, ca: read(from.caFile) };
  }
}

function readPem(files: TlsFiles): TlsMaterial {
  if (files.certFile === undefined || files.keyFile === undefined)
    throw new PkiError('file_unreadable', 'a certificate file and a key file are needed, or a PKCS#12 file');
  return { cert: read(files.certFile), key: read(files.keyFile) };
}

async function readStore(file: string, passphraseFile: string | undefined): Promise<TlsMaterial> {
  const passphrase = passphraseFile === undefined ? '' : read(passphraseFile).replace(/\r?\n$/, '');
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    throw new PkiError('file_unreadable', `cannot read ${file}`, { cause });
  }
  return readPkcs12(bytes, passphrase);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new PkiError('file_unreadable', `cannot read ${path}`, { cause });
  }
}

/** Follows symlinks; a missing file has a signature too. */
function signature(paths: readonly string[]): string {
  return paths
    .map((path) => {
      try {
        const stat = statSync(path);
        return `${stat.dev}:${stat.ino}:${stat.mtimeMs}:${stat.size}`;
      } catch {
        return 'missing';
      }
    })
    .join('|');
}
