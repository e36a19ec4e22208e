import type { Readable } from 'node:stream';
import type { Clock } from '../base/index.ts';

/**
 * After an early refusal the rest of the body is read and thrown away before anything is closed: closing with bytes unread
 * resets the connection, and the client sees a broken pipe in place of the answer (four of four uploads of 20 MB with
 * Python's client). Bounded, so that refusing is never more work than serving.
 */
export interface DrainLimits {
  /** Default 64 MiB. */
  readonly bytes: number;
  /** Default 5 s. */
  readonly ms: number;
}

/** Calls `done` once: `true` when the body came to its end, `false` when a limit was met or the peer went away. */
export function drain(source: Readable, limits: DrainLimits, clock: Clock, done: (whole: boolean) => void): void {
  let left = limits.bytes;
  let settled = false;
  const settle = (whole: boolean): void => {
    if (settled) return;
    settled = true;
    timer.cancel();
    source.off('data', onData);
    source.off('end', onEnd);
    source.off('close', onClose);
    done(whole);
  };
  const onData = (chunk: Buffer): void => {
    left -= chunk.length;
    if (left < 0) settle(false);
  };
  const onEnd = (): void => settle(true);
  const onClose = (): void => settle(false);
  const timer = clock.after(limits.ms, () => settle(false));
  source.on('data', onData);
  source.on('end', onEnd);
  source.on('close', onClose);
  source.resume();
}
