/**
 * The part of the webhook's paths that only who calls it knows: whoever else reaches the port finds no page, so that nobody but the API
 * server has decisions taken, looked up and recorded. The API server shows no certificate of its own unless its operator gives it one; the
 * path it takes from the configurations, which the webhook writes.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { Clock, Secret } from '../base/index.ts';

export interface PathKeys {
  /**
   * Replaces what keys follow from; what counted before goes on to count for some time.
   *
   * @param secrets that all replicas share; paths are written with a key of the first, those of the others count already
   */
  learn(secrets: readonly Secret[]): void;
  /** The rest of a path that begins with a key that counts; undefined: it does not. How long that takes says nothing of the key. */
  open(path: string): string | undefined;
  /** The key that a configuration whose webhooks have these paths is written with; undefined: they stay as they are. */
  due(paths: readonly string[]): string | undefined;
}

/**
 * Each secret has a key a day, by the wall clock, so that one that was seen is of use for two days at most: written on its day, it counts
 * on the next too. That of the day to come counts already, for a replica whose clock is ahead.
 */
const periodMs = 86_400_000;
/** A key of a new secret is written when the other replicas had time to learn it. */
const settleMs = 30_000;
/** Those that were learnt last: a renewed secret, and requests on their way with a key of the one before. */
const mostSecrets = 4;

/**
 * A configuration that an older release wrote stays as it is for so long: the replicas of that release, which know no other key, answer
 * until the rollout has replaced them.
 */
const olderStaysMs = 300_000;
/** Its key goes on to count for so long after that: looks are a minute apart, and requests are on their way. */
const olderEndsMs = olderStaysMs + 120_000;

/** Of one purpose: the secret itself signs, or serves, and does not follow from it. */
const derived = (secret: Secret, purpose: string): string =>
  createHmac('sha256', secret.reveal()).update(purpose).digest('hex');
const rootOf = (secret: Secret): string => derived(secret, 'sidegate webhook path of a day');
/** What older releases wrote as it is, and later as the root of a key a day: who read it knows all that follows from it. */
const olderRootOf = (secret: Secret): string => derived(secret, 'sidegate webhook path');
/** In letters that the API server takes in a path. */
const keyOf = (root: string, period: number): string => createHmac('sha256', root).update(`${period}`).digest('hex');
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

const keyed = /^\/([0-9a-f]{64})(\/.*)$/s;

/** Whether a path begins with something that could be a key. */
export const hasKey = (path: string): boolean => keyed.test(path);

interface Known {
  readonly root: string;
  readonly olderRoot: string;
  /** Monotonic. */
  readonly since: number;
}

export function createPathKeys(clock: Pick<Clock, 'monotonic' | 'now'>): PathKeys {
  let known: readonly Known[] = [];
  /** Since when configurations have paths of an older release; monotonic. */
  let olderSince: number | undefined;
  interface Counting {
    readonly period: number;
    /** Of `known`, in its order: yesterday's, today's and tomorrow's. */
    readonly keys: readonly string[];
    readonly digests: readonly Buffer[];
    /** Of an older release. */
    readonly olderKeys: readonly string[];
    readonly olderDigests: readonly Buffer[];
  }
  const none = { period: Number.NaN, keys: [], digests: [], olderKeys: [], olderDigests: [] };
  let counting: Counting = none;
  const countingNow = (): typeof counting => {
    const period = Math.floor(clock.now() / periodMs);
    if (counting.period !== period) {
      const days = (root: string): readonly string[] => [-1, 0, 1].map((step) => keyOf(root, period + step));
      const keys = known.flatMap(({ root }) => days(root));
      const olderKeys = known.flatMap(({ olderRoot }) => [olderRoot, ...days(olderRoot)]);
      counting = { period, keys, digests: keys.map(digest), olderKeys, olderDigests: olderKeys.map(digest) };
    }
    return counting;
  };

  const olderFor = (): number => (olderSince === undefined ? Infinity : clock.monotonic() - olderSince);

  const open: PathKeys['open'] = (path) => {
    const [, key = '', rest] = keyed.exec(path) ?? [];
    const given = digest(key);
    const { digests, olderDigests } = countingNow();
    const older = olderFor() < olderEndsMs ? olderDigests : [];
    const hits = [...digests, ...older].map((one) => timingSafeEqual(one, given));
    return hits.includes(true) ? rest : undefined;
  };
  return {
    learn(secrets) {
      const now = secrets
        .map((secret) => ({ root: rootOf(secret), olderRoot: olderRootOf(secret) }))
        .map((one): Known => known.find(({ root }) => root === one.root) ?? { ...one, since: clock.monotonic() });
      known = [...now, ...known.filter((one) => !now.some(({ root }) => root === one.root))].slice(0, mostSecrets);
      counting = none;
    },
    open,
    due(paths) {
      const [first] = known;
      if (first === undefined) return undefined;
      const older = countingNow().olderKeys.find((key) => paths.some((path) => path.startsWith(`/${key}/`)));
      if (older !== undefined) {
        if (olderFor() >= olderEndsMs) olderSince = clock.monotonic();
        if (olderFor() < olderStaysMs) return older;
      }
      const settled = clock.monotonic() - first.since >= settleMs;
      if (!settled && older === undefined && paths.every((path) => open(path) !== undefined)) return undefined;
      const [, today, tomorrow] = countingNow().keys;
      const ahead = paths.length > 0 && paths.every((path) => path.startsWith(`/${tomorrow ?? ''}/`));
      return ahead ? tomorrow : today;
    },
  };
}
