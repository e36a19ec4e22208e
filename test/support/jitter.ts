// A race finder: what a process writes to a TCP socket leaves it late, by a random time, in order. A test that looks once at what arrives a
// moment later fails with it. `make test-jitter` loads it into jest, its workers and the processes that they start. Tests of the shape of
// traffic (test/integration/side-channels.test.ts) see the delays themselves and fail, rightly.
import { Socket } from 'node:net';

/** Most milliseconds of an ordinary delay; one write in twenty waits up to six times as long. */
const most = Number(process.env['JITTER'] ?? '15');

function delayMs(): number {
  const dice = Math.random();
  return dice < 0.5 ? 0 : Math.random() * most * (dice < 0.95 ? 1 : 6);
}

type Step = (this: Socket, ...args: unknown[]) => void;
const prototype = Socket.prototype as unknown as Record<'_write' | '_writev' | '_final' | '_destroy', Step>;

/** Of each socket what is late: at most one thing, since it takes its next write when this one has called back. */
const late = new WeakMap<Socket, { readonly timer: NodeJS.Timeout; readonly run: () => void }>();

for (const name of ['_write', '_writev', '_final'] as const) {
  const step = prototype[name];
  prototype[name] = function (...args) {
    const run = (): void => {
      late.delete(this);
      step.apply(this, args);
    };
    // Pipes, such as standard output, are written at once by the system; a process that ends would lose what is late.
    const ms = this.remoteAddress === undefined ? 0 : delayMs();
    if (ms === 0) run();
    else late.set(this, { timer: setTimeout(run, ms), run });
  };
}

// What was written before a socket was destroyed is with the system already.
const destroy = prototype._destroy;
prototype._destroy = function (...args) {
  const waiting = late.get(this);
  if (waiting !== undefined) {
    clearTimeout(waiting.timer);
    waiting.run();
  }
  destroy.apply(this, args);
};
