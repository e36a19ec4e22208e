import { closeSync, openSync, readdirSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describeError, randomId } from '../../base/index.ts';
import type { Clock, Logger, Timer } from '../../base/index.ts';
import { auditFile } from '../audit-file.ts';
import type { AuditFile } from '../audit-file.ts';
import { auditDigest, isWhole, namedStart } from '../audit-line.ts';
import type { AuditIo } from '../audit-output.ts';
import { readAuditTail } from '../audit-tail.ts';
import { auditFiles } from '../audit-verify.ts';
import { lastOf } from './chain-files.ts';
import { openLossMark } from './loss-mark.ts';
import { readBootMark, systemBootId } from './boot-mark.ts';

/**
 * The record on its way: chains of lines in a folder that one process writes and one sender empties. A chain's files are
 * `record-CHAIN.jsonl.LASTSEQ`, full, and `record-CHAIN.jsonl`, which is written.
 *
 * A process that starts goes on with the newest chain. Where that cannot be continued, another begins, whose name sorts behind all
 * that are there, whatever the clock says; the sender still sends what can be read of the old ones. So it is where a whole line at its end is not
 * as it was hashed: it may have been sent before the disk lost it, and its number is not given to another. So it is, too, where the machine has
 * crashed: a disk may have lost lines that it said to have, and that were sent. And where the recorder has others than are here (`anew`).
 *
 * What was refused and stands in no `gap` line yet, the next process tells (loss-mark.ts).
 * A crash of the machine takes the lines of its last 100 ms along: the next process says so, in a `gap` of a number that nobody knows.
 */
export interface Spool {
  /** Name of the chain that is written; another after {@link anew}. */
  readonly chain: string;
  /** Of the chain that is written. */
  readonly record: AuditFile;
  /** Begins another chain: what was written is one that ended. What no `gap` line tells of yet, the new one tells. */
  anew(): void;
  /** The record is closed, and on the disk. */
  closed(): void;
}

export interface SpoolOptions {
  readonly folder: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Size of a file, the unit in which room is made again; default 8 MiB. */
  readonly fileBytes?: number;
  readonly io?: AuditIo;
  /** Name of this boot of the machine; undefined: not known, and no crash is seen. Default the system's. */
  readonly bootId?: () => string | undefined;
}

const lineFeed = 10;
/** How often the mark of the boot is tried again. */
const markMs = 1_000;
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
  const { folder, clock, logger, fileBytes = 8 * 1024 * 1024, io, bootId = systemBootId } = options;
  const boot = readBootMark(folder, bootId(), logger);
  const newest = boot.crashed ? undefined : continuable(folder, logger);
  removeAside(folder, fileBytes, logger);
  let chain = newest ?? newName(folder, clock, logger);
  /** @param lost What the chain before has not told, should the mark not have it. */
  const open = (lost: number): AuditFile => {
    const mark = openLossMark(folder, logger);
    return auditFile({
      output: { path: chainPath(folder, chain) },
      start: namedStart(chain),
      clock,
      logger,
      maxBytes: fileBytes,
      losses: { ...mark, before: Math.max(mark.before, lost) },
      ...(io === undefined ? {} : { io }),
    });
  };
  let file = open(0);
  /** Bytes of chains that this process wrote before. */
  let before = 0;
  let leaving: Promise<void> = Promise.resolve();
  // Who writes knows of no chains.
  const record: AuditFile = {
    append: (events) => file.append(events),
    offer: (events) => file.offer(events),
    lose: (events) => file.lose(events),
    head: () => file.head(),
    durable: () => file.durable(),
    ended: () => file.ended(),
    opened: () => file.opened(),
    written: () => before + file.written(),
    problem: () => file.problem(),
    async close() {
      await leaving;
      await file.close();
    },
    leave: () => file.leave(),
  };
  let marking: Timer | undefined;
  if ((!boot.crashed || tellCrash(record, logger)) && !boot.take())
    marking = clock.every(markMs, () => {
      if (boot.take()) marking?.cancel();
    });
  return {
    get chain() {
      return chain;
    },
    record,
    anew() {
      const { lost, closed } = file.leave();
      leaving = Promise.all([leaving, closed]).then(() => undefined);
      before += file.written();
      chain = newName(folder, clock, logger);
      file = open(lost);
    },
    closed() {
      marking?.cancel();
      boot.remove();
    },
  };
}

/** @returns false: the next process has to */
function tellCrash(record: AuditFile, logger: Logger): boolean {
  logger.error('the machine crashed: lines of the record of its last 100 ms may be lost');
  try {
    record.append([{ type: 'process', what: 'gap', unknown: true }]);
    return true;
  } catch {
    return false;
  }
}

const asidePattern =
  /^record-[0-9a-f]{32}\.jsonl\.(?:torn|unreadable)-(?:[0-9]+-)?([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]+Z)$/;

/**
 * What crashes left torn is counted as a gap, kept for whoever wants to look, and never sent: the newest of it, of one file's size in
 * all, so that it does not take the record's room.
 */
function removeAside(folder: string, mostBytes: number, logger: Logger): void {
  try {
    const aside = readdirSync(folder)
      .flatMap((name) => {
        const [, when] = asidePattern.exec(name) ?? [];
        return when === undefined ? [] : [{ path: join(folder, name), when }];
      })
      .sort((a, b) => (a.when < b.when ? 1 : -1));
    let bytes = 0;
    for (const { path } of aside) {
      bytes += statSync(path).size;
      if (bytes <= mostBytes) continue;
      unlinkSync(path);
      logger.info('what a crash had left torn was removed from the spool, older than what is kept', { file: path });
    }
  } catch (error) {
    logger.warn('what crashes left torn in the spool cannot be removed', { error: describeError(error) });
  }
}

/** Twelve digits of time, so that names sort by age: of a later time than the newest name has. The rest is what makes it the only one. */
function newName(folder: string, clock: Clock, logger: Logger): string {
  let newest = -1;
  try {
    newest = Number.parseInt(spooledChains(folder).at(-1)?.slice(0, 12) ?? '-1', 16);
  } catch (error) {
    logger.error('the spool cannot be read', { error: describeError(error) });
  }
  const time = Math.min(Math.max(clock.now(), newest + 1, 0), 2 ** 48 - 1);
  return `${time.toString(16).padStart(12, '0')}${randomId().slice(0, 20)}`;
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
    const { usable, rest, head } = readAuditTail(fd, auditDigest(undefined));
    // A full one ends with the line of its name: where the disk lost that, it may have been sent.
    return usable && !holdsLine(rest) && [head.seq, Infinity].includes(lastOf(file));
  } finally {
    closeSync(fd);
  }
}

/** Whether a line was whole here: by its line feed, or as it stands but for a last byte that was one. */
const holdsLine = (rest: Uint8Array): boolean =>
  rest.includes(lineFeed) || isWhole(rest.subarray(0, -1), auditDigest(undefined));

function lastWithContent(files: readonly string[]): string | undefined {
  return files.findLast((file) => statSync(file).size > 0);
}
