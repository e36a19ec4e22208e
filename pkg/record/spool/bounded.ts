import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describeError, errorCode } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import type { AuditEvent, AuditSink } from '../../core/index.ts';
import { AuditUnavailableError } from '../../core/index.ts';
import type { AuditFile } from '../audit-file.ts';

export interface BoundedSinkOptions {
  readonly folder: string;
  /** Bytes of all files in it. */
  readonly limit: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The record in a pod: a file on the node's disk that may not grow for ever. */
export interface BoundedSink extends AuditSink {
  /** Bytes that the record took when last looked. */
  bytes(): number;
  /** As in {@link AuditFile}. */
  offer(events: readonly AuditEvent[]): void;
}

const lookMs = 1_000;
/** Bytes that are written between two looks: an event may be 16 KiB of text, sealed, escaped and with thousands of acts. */
const lookBytes = 1024 * 1024;

/**
 * Refuses events while the folder holds more than its limit, or cannot be looked at: `audit.onFailure` then decides about requests, and
 * what was refused stands in the record as a gap, within a second of there being room. Looked at each second and each MiB that is written, so that the limit is
 * passed by that and by what one call writes.
 */
export function boundSpool(
  sink: AuditSink & Pick<AuditFile, 'lose' | 'offer' | 'written'>,
  { folder, limit, clock, logger }: BoundedSinkOptions,
): BoundedSink {
  let bytes = 0;
  /** Why nothing is taken now. */
  let closed: string | undefined;
  /** What was written when last looked. */
  let lookedAt = 0;
  /** Something was refused, and perhaps no line tells of it. */
  let refused = false;
  const tell = (): void => {
    if (!refused || closed !== undefined) return;
    try {
      sink.offer([]);
      refused = false;
    } catch {
      // The next look tries again.
    }
  };
  const look = (): void => {
    lookedAt = sink.written();
    const before = closed;
    try {
      bytes = sizeOf(folder);
      closed = bytes > limit ? 'the spool is full' : undefined;
    } catch (error) {
      closed = `the spool cannot be looked at: ${describeError(error)}`;
    }
    if (closed === before) return;
    if (closed !== undefined) logger.error('nothing is recorded any more', { why: closed, bytes, limit });
    else logger.info('the spool has room again', { bytes, limit });
  };
  look();
  const timer = clock.every(lookMs, () => {
    look();
    tell();
  });
  const add = (events: readonly AuditEvent[], counts: boolean): void => {
    try {
      if (closed !== undefined) {
        if (counts) sink.lose(events.length);
        throw new AuditUnavailableError({ cause: new Error(closed) });
      }
      if (counts) sink.append(events);
      else sink.offer(events);
    } catch (error) {
      refused ||= counts;
      throw error;
    }
    if (sink.written() - lookedAt >= lookBytes) look();
  };
  return {
    append: (events) => add(events, true),
    offer: (events) => add(events, false),
    bytes: () => bytes,
    close() {
      timer.cancel();
      return sink.close();
    },
  };
}

function sizeOf(folder: string): number {
  let bytes = 0;
  for (const name of readdirSync(folder)) {
    try {
      bytes += statSync(join(folder, name)).size;
    } catch (error) {
      // Renamed or sent meanwhile.
      if (errorCode(error) !== 'ENOENT') throw error;
    }
  }
  return bytes;
}
