import { now } from './clock.js';

/** Nobody is here any more: what is asked all the time would keep their session for ever. */
const idleMs = 10 * 60_000;

/** @param {number} ms @param {AbortSignal} signal @returns {Promise<void>} After so long, or once the signal aborts. */
export const pause = (ms, signal) =>
  new Promise((done) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      done();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });

/** @param {AbortSignal} signal @returns {() => Promise<void>} Waits while nobody can see the page, or nobody was here for long. */
export function watched(signal) {
  let last = now();
  /** @type {(() => void)[]} */
  let waiting = [];
  const isWatched = () => document.visibilityState === 'visible' && now() - last < idleMs;
  const touch = () => {
    last = now();
    if (document.visibilityState === 'visible') for (const go of waiting.splice(0)) go();
  };
  for (const name of ['pointermove', 'pointerdown', 'keydown', 'scroll', 'visibilitychange'])
    document.addEventListener(name, touch, { signal, passive: true });
  signal.addEventListener('abort', () => (waiting.forEach((go) => go()), (waiting = [])));
  return () => (isWatched() ? Promise.resolve() : new Promise((done) => void waiting.push(done)));
}
