// A race finder: what a process writes to a socket leaves it late, by a random time, in order. Everything that a test looks at once, and that
// arrives a moment later, fails with it. `make test-jitter` loads it into jest, its workers and the processes that they start.
import { Socket } from 'node:net';

const most = Number(process.env.JITTER ?? '15');
const delay = () => (Math.random() < 0.5 ? 0 : Math.random() < 0.9 ? Math.random() * most : Math.random() * most * 6);

function late(write) {
  return function (...args) {
    const ms = delay();
    if (ms === 0) return write.apply(this, args);
    const done = args.at(-1);
    setTimeout(() => {
      if (this.destroyed) done(new Error('destroyed while its bytes were late'));
      else write.apply(this, args);
    }, ms);
    return undefined;
  };
}

// A socket takes its next write when this one has called back, so the order stays.
for (const name of ['_write', '_writev', '_final']) Socket.prototype[name] = late(Socket.prototype[name]);
