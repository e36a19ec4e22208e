import { open } from 'node:fs/promises';
import { constants } from 'node:fs';
import { dirname } from 'node:path';
import { CodedError, describeError } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import { readRevocation } from '../core/index.ts';
import type { Revocation, RevocationSource } from '../core/index.ts';
import { isOurs } from './ownership.ts';
import { settledFolder } from './settled-folder.ts';

/**
 * Revocations from a file, for a sidecar that runs on its own: a line each, `{"issuer", "subject" or "tokenId", "until", "reason"}`, as
 * an entry of a cluster's list is written. Empty lines, and those that begin with `#`, say nothing.
 *
 * Promise: a file that is gone, may be written by others, or has a line that is not understood leaves nobody in: what it revoked cannot be
 * known. It has two looks for that, since an editor may be writing it; for the same reason a line that is taken away holds until the second
 * look that finds the file as it is.
 */
export interface FileRevocationSource extends RevocationSource {
  /** Looks now instead of at the next poll. Never rejects. */
  check(): Promise<void>;
  close(): void;
}

/** The file cannot be used. Messages are for the operator. */
export class RevocationFileError extends CodedError<'unusable'> {}

export interface FileRevocationOptions {
  readonly file: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default 250 ms. */
  readonly pollMs?: number;
}

const mostBytes = 1024 * 1024;

/** @throws RevocationFileError where the file cannot be read at the start */
export async function fileRevocationSource(options: FileRevocationOptions): Promise<FileRevocationSource> {
  const { file, clock, logger } = options;
  const listeners = new Set<() => void>();
  let revocations: readonly Revocation[] | undefined = [];
  let signature = '';
  let problem = '';
  let looking: Promise<void> | undefined;
  let closed = false;

  /** As they were read last, whatever has become of the file. */
  let known: readonly Revocation[] = [];
  /** What the file is like that lacks lines of before, until it was seen so twice. */
  let shorter = '';

  /** Undefined: as it was. */
  const read = async (): Promise<readonly Revocation[] | undefined> => {
    // Who may put another folder in place of its own writes the file.
    await settledFolder(dirname(file));
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const { dev, ino, size, mtimeNs, ctimeNs, mode, uid } = await handle.stat({ bigint: true });
      const now = `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
      if (now === signature && revocations !== undefined) return undefined;
      // Whoever writes it in place empties it first, for as long as that takes.
      if (size === 0n && known.length > 0)
        throw new Error('it is empty: write a remark (#) where nobody is revoked any more');
      if ((mode & 0o170000n) !== 0o100000n) throw new Error('it is no file');
      if (!isOurs(uid, mode)) throw new Error('others may write it (chmod go-w)');
      if (size > mostBytes) throw new Error('it is larger than 1 MiB');
      const lines = (await handle.readFile('utf8')).split('\n').map((line) => line.trim());
      const found = lines.flatMap((line, at): readonly Revocation[] => {
        if (line === '' || line.startsWith('#')) return [];
        const one = readRevocation(line);
        if (one === undefined)
          throw new Error(`line ${at + 1} is no {"issuer": …, "subject" or "tokenId": …, "until": RFC 3339}`);
        return [one];
      });
      const kept = new Set(found.map((one) => JSON.stringify(one)));
      const gone = known.filter((one) => !kept.has(JSON.stringify(one)));
      if (gone.length > 0 && shorter !== now) {
        shorter = now;
        return [...found, ...gone];
      }
      signature = now;
      known = found;
      return found;
    } finally {
      await handle.close();
    }
  };
  const put = (next: readonly Revocation[] | undefined): void => {
    revocations = next;
    for (const listener of [...listeners]) {
      try {
        listener();
      } catch (error) {
        logger.error('a part did not take the revocations', { error: describeError(error) });
      }
    }
  };
  let failed = 0;
  const run = async (): Promise<void> => {
    try {
      const next = await read();
      failed = 0;
      problem = '';
      if (closed || next === undefined) return;
      logger.info('revocations read', { entries: next.length });
      put(next);
    } catch (error) {
      failed++;
      if (closed) return;
      const why = describeError(error);
      if (failed < 2) return logger.warn('the revocations cannot be read: looked at once more', { file, why });
      if (why !== problem) logger.error('the revocations cannot be read: everybody counts as revoked', { file, why });
      problem = why;
      if (revocations !== undefined) put(undefined);
    }
  };
  const check = async (): Promise<void> => {
    while (looking !== undefined) await looking;
    looking = run().finally(() => (looking = undefined));
    await looking;
  };
  try {
    revocations = (await read()) ?? [];
  } catch (error) {
    throw new RevocationFileError('unusable', `${file}: ${describeError(error)}`);
  }
  const timer = clock.every(options.pollMs ?? 250, () => {
    if (looking === undefined) void check();
  });

  return {
    current: () => revocations,
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    check,
    close() {
      closed = true;
      timer.cancel();
    },
  };
}
