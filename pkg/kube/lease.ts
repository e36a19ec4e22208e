import { describeError } from '../base/index.ts';
import type { Clock, Logger, Timer } from '../base/index.ts';
import type { KubeClient } from './client.ts';
import { isConflict } from './kube-error.ts';
import { resources } from './objects.ts';
import type { KubeObject, ObjectMeta } from './objects.ts';
import { backoffMs, systemRandom } from './backoff.ts';
import type { RandomSource } from './backoff.ts';

interface LeaseSpec {
  readonly holderIdentity?: string | null;
  readonly leaseDurationSeconds?: number | null;
  readonly acquireTime?: string | null;
  readonly renewTime?: string | null;
  readonly leaseTransitions?: number | null;
}

interface LeaseObject extends KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly spec?: LeaseSpec;
}

export interface LeaseOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly name: string;
  /** This process, unlike every other and every earlier one. */
  readonly identity: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called once, when this process has become the leader. */
  readonly onLeading: () => void;
  /** Called once, when it was the leader and may not be any longer. That is final: the process is to end. */
  readonly onLost: () => void;
  /** Others wait so long without a renewal; default 15 s. */
  readonly leaseMs?: number;
  /** Without a renewal for so long the leader stops by itself, before others may begin; default 10 s. */
  readonly renewMs?: number;
  /** Between two tries; default 2 s. */
  readonly retryMs?: number;
  readonly random?: RandomSource;
}

/**
 * Elects one leader by a Lease, as client-go does.
 *
 * Promise: at most one process is the leader at a time, whatever the wall clocks say. Writing needs the resourceVersion that was read; a
 * candidate takes over only when it has seen no renewal for `leaseMs` on its own monotonic clock; a leader that has not renewed within
 * `renewMs`, counted from before it asked, is none at once, also when its timers come late.
 *
 * Limit: a process that stands still between `leading()` and its next write may write as a leader of the past; writes carry preconditions.
 */
export interface Lease {
  /** Asked before every write of a leader's. */
  leading(): boolean;
  /** Who holds it, as last seen; for people. */
  holder(): string | undefined;
  /** Gives it up so that another can begin at once. `onLost` is not called. */
  close(): Promise<void>;
}

const microTime = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z');

export function createLease(options: LeaseOptions): Lease {
  const { client, namespace, name, identity, clock, logger } = options;
  const { leaseMs = 15_000, renewMs = 10_000, retryMs = 2_000, random = systemRandom } = options;
  let state: 'candidate' | 'leader' | 'lost' | 'closed' = 'candidate';
  let seen: LeaseObject | undefined;
  /** When the record as it is was first seen, monotonic. */
  let seenAt = 0;
  let renewedAt = 0;
  let timer: Timer | undefined;
  let guard: Timer | undefined;
  let trying: Promise<void> = Promise.resolve();

  const leading = (): boolean => {
    if (state === 'leader' && clock.monotonic() - renewedAt >= renewMs) lose('it could not be renewed in time');
    return state === 'leader';
  };
  const lose = (why: string): void => {
    if (state !== 'leader') return;
    state = 'lost';
    timer?.cancel();
    guard?.cancel();
    logger.error('leadership is lost', { lease: name, why });
    options.onLost();
  };
  const watchOver = (): void => {
    guard?.cancel();
    guard = clock.after(Math.max(0, renewedAt + renewMs - clock.monotonic()), () => void leading());
  };
  const observe = (found: LeaseObject): void => {
    const before = seen;
    seen = found;
    if (
      before === undefined ||
      before.metadata.resourceVersion !== found.metadata.resourceVersion ||
      before.metadata.uid !== found.metadata.uid
    )
      seenAt = clock.monotonic();
  };
  const record = (before: LeaseSpec | undefined): LeaseSpec => {
    const own = before?.holderIdentity === identity;
    const now = microTime(clock.now());
    return {
      holderIdentity: identity,
      leaseDurationSeconds: Math.max(1, Math.ceil(leaseMs / 1_000)),
      acquireTime: own ? (before?.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: (before?.leaseTransitions ?? 0) + (own || before === undefined ? 0 : 1),
    };
  };
  const write = async (found: LeaseObject | undefined): Promise<void> => {
    const asked = clock.monotonic();
    const object: LeaseObject = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: found === undefined ? { name, namespace } : found.metadata,
      spec: record(found?.spec),
    };
    const written =
      found === undefined
        ? await client.create<LeaseObject>(resources.leases, object, { namespace })
        : await client.replace<LeaseObject>(resources.leases, object);
    observe(written);
    // Closed or lost while it was asked: what was written is not used, and `close` gives it back.
    if (state === 'closed' || state === 'lost') return;
    // So late that another may have taken it as free since.
    if (clock.monotonic() - asked >= renewMs) return state === 'leader' ? lose('a renewal took too long') : undefined;
    renewedAt = asked;
    watchOver();
    if (state === 'candidate') {
      state = 'leader';
      logger.info('leading', { lease: name, identity });
      options.onLeading();
    }
  };
  const attempt = async (): Promise<void> => {
    if (leading() && seen !== undefined) {
      try {
        return await write(seen);
      } catch (error) {
        if (!isConflict(error)) throw error;
        // Somebody wrote it: only the server knows who holds it now.
      }
    }
    const found = await client.find<LeaseObject>(resources.leases, { namespace, name });
    if (state !== 'leader' && state !== 'candidate') return;
    if (found === undefined) return write(undefined);
    observe(found);
    const holder = found.spec?.holderIdentity ?? '';
    if (holder === identity) return write(found);
    if (state === 'leader') return lose('another holds it');
    // The holder's own promise counts where it is longer than ours.
    const validMs = Math.max(leaseMs, (found.spec?.leaseDurationSeconds ?? 0) * 1_000);
    if (holder === '' || clock.monotonic() - seenAt >= validMs) await write(found);
  };
  const loop = (): void => {
    if (state !== 'candidate' && state !== 'leader') return;
    trying = attempt()
      .catch((error: unknown) => {
        if (!isConflict(error)) logger.warn('a try for the lease failed', { lease: name, error: describeError(error) });
      })
      .then(() => {
        if (state !== 'candidate' && state !== 'leader') return;
        // Candidates that began together do not ask together.
        const ms = state === 'leader' ? retryMs : backoffMs(1, { firstMs: retryMs, mostMs: retryMs, random });
        timer = clock.after(ms, loop);
      });
  };
  loop();

  return {
    leading,
    holder: () => seen?.spec?.holderIdentity ?? undefined,
    async close() {
      if (state === 'closed') return;
      const gaveUp = state !== 'lost';
      state = 'closed';
      timer?.cancel();
      guard?.cancel();
      await trying;
      if (!gaveUp || seen?.spec?.holderIdentity !== identity) return;
      try {
        const spec = { ...seen.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime(clock.now()) };
        await client.replace<LeaseObject>(resources.leases, { ...seen, spec });
      } catch (error) {
        logger.info('the lease runs out by itself', { lease: name, error: describeError(error) });
      }
    },
  };
}
