import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describeError, errorCode } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import type { AuditSink } from '../../core/index.ts';
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
}

const lookMs = 1_000;
/** An event has at most 16 KiB of text. */
const lookEvents = 256;

/**
 * Refuses events while the folder holds more than its limit, or cannot be looked at: `audit.onFailure` then decides about requests, and
 * what was refused stands in the record as a gap. Looked at each second and each 256 events, so that the limit is passed by a few MiB at most.
 */
export function boundSpool(
  sink: AuditSink & Pick<AuditFile, 'lose'>,
  { folder, limit, clock, logger }: BoundedSinkOptions,
): BoundedSink {
  let bytes = 0;
  /** Why nothing is taken now. */
  let closed: string | undefined;
  let since = 0;
  const look = (): void => {
    since = 0;
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
  const timer = clock.every(lookMs, look);
  return {
    append(events) {
      if (closed !== undefined) {
        sink.lose(events.length);
        throw new AuditUnavailableError({ cause: new Error(closed) });
      }
      sink.append(events);
      since += events.length;
      if (since >= lookEvents) look();
    },
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
