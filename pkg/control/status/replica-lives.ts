import type { Clock } from '../../base/index.ts';

/**
 * Which replicas live, by when their objects changed last as this process saw it: wall clocks of others are not asked.
 *
 * A replica is late, and counts for nothing, when another has been heard `lateMs` after it; this process's own beats are among
 * those others. So a watch that stands still, or an API server that is away, makes nobody late. Without any such word it is
 * gone after `goneMs`.
 */
export interface ReplicaLives {
  /** True where it did not count until now. */
  heard(key: string): boolean;
  forget(key: string): void;
  counts(key: string): boolean;
  /** What has changed since the last look: who counts no longer, and whose object can be removed. */
  look(): { readonly late: readonly string[]; readonly gone: readonly string[] };
}

export interface ReplicaLivesOptions {
  readonly clock: Clock;
  readonly lateMs: number;
  readonly goneMs: number;
}

export function createReplicaLives({ clock, lateMs, goneMs }: ReplicaLivesOptions): ReplicaLives {
  const heardAt = new Map<string, number>();
  const late = new Set<string>();
  let newest = Number.NEGATIVE_INFINITY;

  return {
    heard(key) {
      const fresh = late.delete(key) || !heardAt.has(key);
      newest = clock.monotonic();
      heardAt.set(key, newest);
      return fresh;
    },
    forget(key) {
      heardAt.delete(key);
      late.delete(key);
    },
    counts: (key) => heardAt.has(key) && !late.has(key),
    look() {
      const now = clock.monotonic();
      const found: string[] = [];
      const gone: string[] = [];
      for (const [key, at] of heardAt) {
        const dead = now - at >= goneMs;
        if (!late.has(key) && (dead || newest - at >= lateMs)) {
          late.add(key);
          found.push(key);
        }
        if (dead) gone.push(key);
      }
      for (const key of gone) {
        heardAt.delete(key);
        late.delete(key);
      }
      return { late: found, gone };
    },
  };
}
