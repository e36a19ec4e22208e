// A race finder: makes a process behave as on a loaded machine, at random, and never in an order that no machine would have. A test that looks
// once at what arrives a moment later fails with it. `make test-jitter` loads it into jest, its workers and the processes that they start. Tests
// of the shape of traffic (test/integration/side-channels.test.ts) see the delays themselves and fail, rightly.
//
// - `JITTER=15`: what is written to a TCP socket leaves late, up to so many milliseconds, in order; 0: never.
// - `JITTER_READS=0`: what a TCP socket received is seen late, in order; each connection by itself, so that a watch says later what a request on
//   another connection says already.
// - `JITTER_TIMERS=0`: before a timer's turn the whole process stands still for up to so many milliseconds: it runs late, and what was to come
//   after it comes at once.
import { Socket } from 'node:net';
import timers from 'node:timers';
import { syncBuiltinESMExports } from 'node:module';

const most = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);
const writes = most('JITTER', 15);
const reads = most('JITTER_READS', 0);
const stalls = most('JITTER_TIMERS', 0);

const { setTimeout: realTimeout, setInterval: realInterval } = globalThis;

/** Half are not late; one in twenty is up to six times as late as the others. */
function delayMs(mostMs: number): number {
  const dice = Math.random();
  return dice < 0.5 ? 0 : Math.random() * mostMs * (dice < 0.95 ? 1 : 6);
}

type Step = (this: Socket, ...args: unknown[]) => void;
const prototype = Socket.prototype as unknown as Record<'_write' | '_writev' | '_final' | '_destroy', Step> & {
  push(this: Socket, ...args: unknown[]): boolean;
};

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
    const ms = this.remoteAddress === undefined ? 0 : delayMs(writes);
    if (ms === 0) run();
    else late.set(this, { timer: realTimeout(run, ms), run });
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

if (reads > 0) {
  /** Of each socket what came and is not seen yet. */
  const unseen = new WeakMap<Socket, unknown[][]>();
  const push = prototype.push;
  prototype.push = function (...args) {
    const waiting = unseen.get(this);
    if (waiting !== undefined) {
      waiting.push(args);
      return false;
    }
    const ms = this.remoteAddress === undefined ? 0 : delayMs(reads);
    if (ms === 0) return push.apply(this, args);
    unseen.set(this, [args]);
    realTimeout(() => {
      const seen = unseen.get(this) ?? [];
      unseen.delete(this);
      for (const one of seen) if (!this.destroyed) push.apply(this, one);
      // As Node does itself behind the end, since nobody else asks a socket that reads into a buffer of its user's.
      if (seen.at(-1)?.[0] === null && !this.destroyed) this.read(0);
    }, ms);
    return false;
  };
}

if (stalls > 0) {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  let rested = 0;
  const standStill = (): void => {
    // A third of the time at most: many timers in a row would make minutes of a test.
    const now = performance.now();
    const ms = delayMs(stalls);
    if (ms === 0 || now < rested) return;
    rested = now + 3 * ms;
    Atomics.wait(cell, 0, 0, ms);
  };
  type Timer = (run: (...args: unknown[]) => void, ...rest: unknown[]) => NodeJS.Timeout;
  const patched = (real: Timer): Timer => {
    const timer: Timer = (run, ...rest) =>
      real(
        (...args) => {
          standStill();
          run(...args);
        },
        ...rest,
      );
    // util.promisify(setTimeout) and its like.
    return Object.defineProperties(timer, Object.getOwnPropertyDescriptors(real));
  };
  const all = { setTimeout: patched(realTimeout as Timer), setInterval: patched(realInterval as Timer) };
  Object.assign(globalThis, all);
  Object.assign(timers, all);
  syncBuiltinESMExports();
}
