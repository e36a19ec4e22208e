/**
 * The part of the webhook's paths that only who calls it knows: whoever else reaches the port finds no page, so that nobody but the API
 * server has decisions taken, looked up and recorded. The API server shows no certificate of its own unless its operator gives it one; the
 * path it takes from the configurations, which the webhook writes.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { Clock, Secret } from '../base/index.ts';

export interface PathKeys {
  /**
   * Replaces what counts; what counted before goes on to count for some time.
   *
   * @param secrets that all replicas share; paths are written with the first, the others count already
   */
  learn(secrets: readonly Secret[]): void;
  /** The rest of a path that begins with a key that counts; undefined: it does not. How long that takes says nothing of the key. */
  open(path: string): string | undefined;
  /** The key that a configuration whose webhooks have these paths is written with; undefined: they stay as they are. */
  due(paths: readonly string[]): string | undefined;
}

/** A new key is written when the other replicas had time to learn it. */
const settleMs = 30_000;
/** Those that were learnt last: a renewed key, and requests on their way with the one before. */
const mostKeys = 4;

/** Of one purpose: the secret itself signs, or serves, and does not follow from it. In letters that the API server takes in a path. */
const keyOf = (secret: Secret): string =>
  createHmac('sha256', secret.reveal()).update('sidegate webhook path').digest('hex');
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

interface Known {
  readonly key: string;
  readonly digest: Buffer;
  /** Monotonic. */
  readonly since: number;
}

export function createPathKeys(clock: Pick<Clock, 'monotonic'>): PathKeys {
  let known: readonly Known[] = [];

  const open: PathKeys['open'] = (path) => {
    const [, key = '', rest] = /^\/([0-9a-f]{64})(\/.*)$/s.exec(path) ?? [];
    const given = digest(key);
    const hits = known.map((one) => timingSafeEqual(one.digest, given));
    return hits.includes(true) ? rest : undefined;
  };
  return {
    learn(secrets) {
      const now = secrets
        .map(keyOf)
        .map(
          (key): Known =>
            known.find((one) => one.key === key) ?? { key, digest: digest(key), since: clock.monotonic() },
        );
      known = [...now, ...known.filter((one) => !now.some(({ key }) => key === one.key))].slice(0, mostKeys);
    },
    open,
    due(paths) {
      const [first] = known;
      if (first === undefined) return undefined;
      const settled = clock.monotonic() - first.since >= settleMs;
      return settled || paths.some((path) => open(path) === undefined) ? first.key : undefined;
    },
  };
}
