import type { Writable } from 'node:stream';
import type { Clock } from '../base/index.ts';

/**
 * Runs once what was written to a stream has been taken by the kernel (a socket) or by the session (HTTP/2); at once where nothing waits, after
 * `ms` where its peer does not take it, and when the stream is destroyed.
 *
 * Nothing may be written after it.
 */
export function afterWrites(stream: Writable, ms: number, clock: Clock, run: () => void): void {
  if (!stream.writable || stream.writableLength === 0) return run();
  const timer = clock.after(ms, run);
  // `drain` is not told of what is below the high-water mark; an empty write is done when all before it are.
  stream.write('', () => {
    timer.cancel();
    run();
  });
}
