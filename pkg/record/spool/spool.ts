import { closeSync, openSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describeError, randomId } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { auditFile } from '../audit-file.ts';
import type { AuditFile } from '../audit-file.ts';
import { auditDigest, namedStart } from '../audit-line.ts';
import type { AuditIo } from '../audit-output.ts';
import { readAuditTail } from '../audit-tail.ts';
import { auditFiles } from '../audit-verify.ts';

/**
 * The record on its way: chains of lines in a folder that one process writes and one sender empties. A chain's files are
 * `record-CHAIN.jsonl.LASTSEQ`, full, and `record-CHAIN.jsonl`, which is written.
 *
 * A process that starts goes on with the newest chain. Where that cannot be continued, another begins; the sender still
 * sends what can be read of the old one.
 */
export interface Spool {
  /** Name of the chain that is written. */
  readonly chain: string;
  readonly record: AuditFile;
}

export interface SpoolOptions {
  readonly folder: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Size of a file, the unit in which room is made again; default 8 MiB. */
  readonly fileBytes?: number;
  readonly io?: AuditIo;
}

const filePattern = /^record-([0-9a-f]{32})\.jsonl(?:\.[0-9]{15})?$/;

export const chainPath = (folder: string, chain: string): string => join(folder, `record-${chain}.jsonl`);

/** Chains that have files in the folder, oldest first. */
export function spooledChains(folder: string): readonly string[] {
  const chains = new Set<string>();
  for (const name of readdirSync(folder)) {
    const [, chain] = filePattern.exec(name) ?? [];
    if (chain !== undefined) chains.add(chain);
  }
  return [...chains].sort();
}

export function openSpool(options: SpoolOptions): Spool {
  const { folder, clock, logger, fileBytes = 8 * 1024 * 1024, io } = options;
  const newest = continuable(folder, logger);
  // Twelve digits of time, so that names sort by age; the rest is what makes it the only one.
  const chain =
    newest ?? `${Math.max(0, clock.now()).toString(16).padStart(12, '0').slice(-12)}${randomId().slice(0, 20)}`;
  const record = auditFile({
    output: { path: chainPath(folder, chain) },
    start: namedStart(chain),
    clock,
    logger,
    maxBytes: fileBytes,
    ...(io === undefined ? {} : { io }),
  });
  return { chain, record };
}

/** The newest chain, where its last file can be continued. */
function continuable(folder: string, logger: Logger): string | undefined {
  try {
    const chain = spooledChains(folder).at(-1);
    const last = chain === undefined ? undefined : lastWithContent(auditFiles(chainPath(folder, chain)));
    return last !== undefined && isUsable(last) ? chain : undefined;
  } catch (error) {
    logger.error('the newest chain of the spool cannot be read: another begins', { error: describeError(error) });
    return undefined;
  }
}

function isUsable(file: string): boolean {
  const fd = openSync(file, 'r');
  try {
    return readAuditTail(fd, auditDigest(undefined)).usable;
  } finally {
    closeSync(fd);
  }
}

function lastWithContent(files: readonly string[]): string | undefined {
  return files.findLast((file) => statSync(file).size > 0);
}
