import { closeSync, existsSync, openSync, readSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { auditDigest, chainStart, readAuditLine } from './audit-line.ts';
import type { AuditRecord, ChainHead, Digest } from './audit-line.ts';
import { gapOf } from './gap.ts';

/** Proves a log that {@link auditFile} wrote, line by line. What the chain promises, and what not, is in audit-line.ts. */

export type AuditFault =
  /** Not a line of this format, and not the torn rest of a failed write. */
  | 'not_a_record'
  /** The line's hash is not its own. */
  | 'changed'
  /** Lines before this one were removed. */
  | 'missing_before'
  /** The line stands a second time, or too late. */
  | 'repeated_or_moved'
  /** The numbers fit and the hash of the line before does not: another chain was spliced in. */
  | 'not_linked'
  /** The log does not begin where its chain begins (or where the reader said). */
  | 'head_missing'
  /** The log ends before the record that the reader knows of. */
  | 'tail_missing';

export type AuditVerdict =
  | {
      readonly ok: true;
      readonly records: number;
      /** Records that the writer itself says were lost, from its `gap` events. */
      readonly lost: number;
      readonly last: ChainHead;
    }
  | { readonly ok: false; readonly brokenAt: number; readonly why: AuditFault };

export interface AuditVerifyOptions {
  /** HMAC key, where the log was written with one. */
  readonly key?: Uint8Array;
  /** What stood before the first line: for one file of several. Default: nothing, the chain begins here. */
  readonly after?: ChainHead;
  /** A later point of the chain that the reader knows of: finds a log cut at its end. */
  readonly until?: ChainHead;
}

/** For logs that do not fit into memory: `line` for each line without its line feed, then `end`. */
export class AuditVerifier {
  readonly #digest: Digest;
  readonly #until: ChainHead | undefined;
  #at: ChainHead;
  #first = true;
  #lines = 0;
  #records = 0;
  #lost = 0;
  /** Number of a line that may be the rest of a failed write: fine only when a `gap` follows. */
  #torn: number | undefined;
  #untilSeen: boolean;
  #broken: { readonly ok: false; readonly brokenAt: number; readonly why: AuditFault } | undefined;

  constructor(options: AuditVerifyOptions = {}) {
    this.#digest = auditDigest(options.key);
    this.#at = options.after ?? chainStart;
    this.#until = options.until;
    this.#untilSeen = options.until === undefined || options.until.seq <= this.#at.seq;
  }

  /** False when the log is broken: further lines change nothing. */
  line(text: string): boolean {
    this.#lines++;
    if (this.#broken !== undefined) return false;
    const record = readAuditLine(text, this.#digest);
    // A torn line is never of the right shape: quotes inside of its text are escaped.
    if (record === 'changed') return this.#break(this.#torn ?? this.#lines, this.#torn ? 'not_a_record' : 'changed');
    if (record === 'not_a_record') return this.#mayBeTorn();
    const fault = this.#fault(record);
    const lost = gapOf(record.root);
    const gap = lost > 0;
    if (this.#torn !== undefined && (fault !== undefined || !gap)) return this.#break(this.#torn, 'not_a_record');
    if (fault !== undefined) return this.#break(this.#lines, fault);
    this.#lost += lost;
    this.#torn = undefined;
    this.#first = false;
    this.#records++;
    this.#at = { seq: record.seq, hash: record.hash };
    return true;
  }

  end(): AuditVerdict {
    if (this.#broken === undefined && this.#torn !== undefined) this.#break(this.#torn, 'not_a_record');
    if (this.#broken === undefined && !this.#untilSeen) this.#break(this.#lines + 1, 'tail_missing');
    return this.#broken ?? { ok: true, records: this.#records, lost: this.#lost, last: this.#at };
  }

  #fault(record: AuditRecord): AuditFault | undefined {
    const next = this.#at.seq + 1;
    if (record.seq > next) return this.#first ? 'head_missing' : 'missing_before';
    if (record.seq < next) return 'repeated_or_moved';
    if (record.prev !== this.#at.hash) return this.#first ? 'head_missing' : 'not_linked';
    if (this.#until?.seq === record.seq) {
      if (this.#until.hash !== record.hash) return 'not_linked';
      this.#untilSeen = true;
    }
    return undefined;
  }

  #mayBeTorn(): boolean {
    if (this.#torn !== undefined) return this.#break(this.#torn, 'not_a_record');
    this.#torn = this.#lines;
    return true;
  }

  #break(line: number, why: AuditFault): boolean {
    this.#broken = { ok: false, brokenAt: line, why };
    return false;
  }
}

/**
 * @param lines Without line feeds; an empty last one is what stands after the last line feed.
 * @returns `brokenAt` counts lines from 1.
 */
export function verifyAuditLog(lines: Iterable<string>, options: AuditVerifyOptions = {}): AuditVerdict {
  const verifier = new AuditVerifier(options);
  let held: string | undefined;
  for (const line of lines) {
    // Each line waits for the next: only the very last may be empty.
    if (held !== undefined && !verifier.line(held)) return verifier.end();
    held = line;
  }
  if (held !== undefined && held !== '') verifier.line(held);
  return verifier.end();
}

/** Files of a log that are full, in the order of their chain: each has its last sequence number behind its name. */
export function rotatedFiles(path: string): string[] {
  const folder = dirname(path);
  const name = basename(path);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((one) => one.startsWith(`${name}.`) && /^\d{15}$/.test(one.slice(name.length + 1)))
    .sort()
    .map((one) => join(folder, one));
}

/** Files of a log in the order of their chain: the rotated ones, then the one that is written now. */
export function auditFiles(path: string): string[] {
  return [...rotatedFiles(path), ...(existsSync(path) ? [path] : [])];
}

/** Lines of a whole log, over all of its files, in constant memory for lines of ordinary length. */
export function* readAuditLog(path: string): Generator<string, void, void> {
  const chunk = Buffer.alloc(256 * 1024);
  for (const file of auditFiles(path)) {
    const fd = openSync(file, 'r');
    try {
      let rest = Buffer.alloc(0);
      for (;;) {
        const read = readSync(fd, chunk, 0, chunk.length, null);
        if (read === 0) break;
        let from = 0;
        for (let at = chunk.indexOf(10); at !== -1 && at < read; at = chunk.indexOf(10, from)) {
          const piece = chunk.subarray(from, at);
          yield rest.length === 0 ? piece.toString() : Buffer.concat([rest, piece]).toString();
          rest = Buffer.alloc(0);
          from = at + 1;
        }
        rest = Buffer.concat([rest, chunk.subarray(from, read)]);
      }
      if (rest.length > 0) yield rest.toString();
    } finally {
      closeSync(fd);
    }
  }
}
