// A race finder: what a process writes to a TCP socket leaves it late, by a random time, in order. A test that looks once at what arrives a
// moment later fails with it. `make test-jitter` loads it into jest, its workers and the processes that they start.
import { Socket } from 'node:net';

/** Most milliseconds of an ordinary delay; one write in twenty waits up to six times as long. */
const most = Number(process.env['JITTER'] ?? '15');

function delayMs(): number {
  const dice = Math.random();
  return dice < 0.5 ? 0 : Math.random() * most * (dice < 0.95 ? 1 : 6);
}

type Write = (this: Socket, ...args: unknown[]) => void;
const prototype = Socket.prototype as unknown as Record<'_write' | '_writev' | '_final', Write>;

// A socket takes its next write when this one has called back, so the order stays.
for (const name of ['_write', '_writev', '_final'] as const) {
  const write = prototype[name];
  prototype[name] = function (...args) {
    // Pipes, such as standard output, are written at once by the system; a process that ends would lose what is late.
    const ms = this.remoteAddress === undefined ? 0 : delayMs();
    if (ms === 0) {
      write.apply(this, args);
      return;
    }
    setTimeout(() => {
      const done = args.at(-1) as (error: Error) => void;
      if (this.destroyed) done(new Error('destroyed while its bytes were late'));
      else write.apply(this, args);
    }, ms);
  };
}
