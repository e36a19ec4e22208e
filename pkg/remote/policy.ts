import { describeError } from '../base/index.ts';
import type { Clock, JsonValue, Logger } from '../base/index.ts';
import { expireSnapshot } from '../core/index.ts';
import type { Policy, PolicySource, Snapshot } from '../core/index.ts';
import { isBehind, newest, readSnapshot } from '../wire/index.ts';
import type { Ack, ConfirmMessage, InvalidMessage, Nack, SeenVersions, SnapshotMessage } from '../wire/index.ts';
import type { StateFolder } from './state-file.ts';
import type { RemoteEvent } from './types.ts';

/**
 * The policy in force, from what the controller sends.
 *
 * Taken is only what compiles to the hash that the controller named, and never what is older than what was seen before, also
 * before a restart. What was taken last stays in force while no controller confirms it, whether none can be asked or what it has
 * cannot be taken, until the policy's own `maxPolicyAge`; then everything is denied until one confirms it or sends another. The age counts by the wall clock or the monotonic one,
 * whichever says more: neither a clock that went back nor a machine that slept prolongs it.
 */
export interface RemotePolicy {
  readonly source: PolicySource;
  /** What to answer; `stale` also means that this controller is to be left. */
  take(message: SnapshotMessage): Ack | Nack;
  confirm(message: ConfirmMessage): Ack | Nack;
  invalid(message: InvalidMessage): void;
  /**
   * The controller, which has answered on this connection, has said something, and what it knows is so old, milliseconds. While what it
   * has is not taken, that confirms nothing.
   */
  heard(oldMs: number): void;
  /** What the controller says next on this connection is so old. */
  dated(oldMs: number): void;
  /** Each minute, and when something was heard: expiry. */
  look(): void;
  holds(): string | null;
  seen(): SeenVersions;
  expired(): boolean;
  /** Why what was taken could not be put into force, so that everything is denied; undefined: it is in force. */
  fault(): string | undefined;
}

export interface RemotePolicyOptions {
  readonly state: StateFolder;
  readonly compile: (policies: readonly Policy[], revision: number) => Snapshot;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onEvent: (event: RemoteEvent) => void;
  /** What was taken has become usable, or no longer is, without a message of a controller's. */
  readonly onSettled: (said: Ack | Nack) => void;
}

const files = { policy: 'policy.json', confirmed: 'confirmed.json' } as const;
/** How often the time of the last confirmation is written. */
const writeEveryMs = 60_000;

export function createRemotePolicy(options: RemotePolicyOptions): RemotePolicy {
  const { state, compile, clock, logger, onEvent, onSettled } = options;
  const listeners: ((snapshot: Snapshot) => void)[] = [];
  /** What was taken last, and what of it is in force: the same, or its expired form. */
  let taken: Snapshot | undefined;
  let inForce: Snapshot | undefined;
  let seen: SeenVersions = {};
  let problem: string | undefined;
  let fault: string | undefined;
  let revision = 0;
  /** A message of a controller's is being taken: it is answered in one. */
  let taking = false;
  /** When the controller last spoke for what was taken; undefined: never, also not before a restart. */
  let confirmed: { readonly wall: number; readonly monotonic: number } | undefined;
  /** How old what the controller says is. */
  let heardOldMs = 0;
  let newestAt = clock.monotonic();
  let writtenAt = Number.NEGATIVE_INFINITY;

  const age = (): number =>
    confirmed === undefined ? 0 : Math.max(clock.monotonic() - confirmed.monotonic, clock.now() - confirmed.wall);
  const put = (snapshot: Snapshot): void => {
    inForce = snapshot;
    for (const listener of [...listeners]) {
      try {
        listener(snapshot);
      } catch (error) {
        // The others must still hear of it; the one that failed keeps what it had.
        logger.error('a part did not take the policy', { error: describeError(error) });
      }
    }
  };
  const look = (): void => {
    if (taken === undefined || inForce === undefined) return;
    const old = age() >= taken.maxPolicyAgeMs;
    if (old === (inForce !== taken)) return;
    if (old) {
      logger.error('no controller has confirmed the policy for too long: everything is denied', { hash: taken.hash });
      onEvent('policy_expired');
      return put(expireSnapshot(taken, ++revision));
    }
    taken = { ...taken, revision: ++revision };
    put(taken);
  };
  const writeConfirmed = (now: number): void => {
    writtenAt = now;
    const at = confirmed?.wall ?? null;
    if (!state.write(files.confirmed, { at, seen, hash: taken?.hash ?? null })) onEvent('state_unwritable');
  };
  /** After a restart it is this policy or none: never the one before it. */
  const keep = (message: SnapshotMessage): void => {
    if (state.write(files.policy, message)) return;
    // There may be room for one, and not for two.
    if (state.remove(files.policy) && state.write(files.policy, message)) return;
    onEvent('state_unwritable');
  };
  const heard = (oldMs: number): void => {
    heardOldMs = oldMs;
    if (problem !== undefined) return look();
    const now = clock.monotonic();
    confirm(now);
    if (fault === undefined) newestAt = now;
    if (now - writtenAt >= writeEveryMs) writeConfirmed(now);
    look();
  };
  /** A stale replica takes nothing from what a fresh one has said. */
  const confirm = (now: number): void => {
    if (confirmed === undefined || heardOldMs === 0 || heardOldMs < age())
      confirmed = { wall: clock.now() - heardOldMs, monotonic: now - heardOldMs };
  };
  const stale = (hash: string): Nack => {
    onEvent('policy_stale');
    logger.warn('a controller lags behind what was seen before: its policy is not taken', { hash });
    return { type: 'nack', hash, reason: 'stale', message: 'older than what this sidecar has seen' };
  };
  /** Nothing is acknowledged that is not in force. */
  const answer = (hash: string): Ack | Nack => {
    if (fault === undefined) return { type: 'ack', hash };
    onEvent('policy_invalid');
    return {
      type: 'nack',
      hash,
      reason: 'unusable',
      message: `cannot be put into force, everything is denied: ${fault}`,
    };
  };
  const build = (message: SnapshotMessage): Snapshot => {
    const snapshot = compile(message.policies, revision + 1);
    if (snapshot.hash !== message.hash) throw new RangeError('its hash is not that of its content');
    revision++;
    return snapshot;
  };

  restore();

  function restore(): void {
    const stored = state.read(files.policy);
    const at = state.read(files.confirmed);
    for (const one of [stored, at]) if (one.kind === 'refused') onEvent('state_refused');
    const before = readConfirmed(at.kind === 'content' ? at.content : null);
    seen = before.seen;
    if (stored.kind !== 'content') return;
    try {
      const message = readSnapshot(stored.content);
      if (before.hash !== undefined && before.hash !== message.hash)
        throw new RangeError('it is not the one that was taken last, which could not be written');
      taken = build(message);
      inForce = taken;
      seen = newest(message.seen, before.seen);
      // A time that has not come yet, or none, says nothing: then it is as old as can be.
      const wall = before.at !== undefined && before.at <= clock.now() + 60_000 ? before.at : Number.NEGATIVE_INFINITY;
      confirmed = { wall, monotonic: clock.monotonic() };
      look();
    } catch (error) {
      logger.error('the policy that was kept is not used', { error: describeError(error) });
      onEvent('state_refused');
    }
  }

  return {
    take(message) {
      if (isBehind(message.seen, seen)) return stale(message.hash);
      const { hash } = message;
      if (taken?.hash !== hash || fault !== undefined) {
        try {
          taken = build(message);
        } catch (error) {
          problem = describeError(error);
          onEvent('policy_invalid');
          logger.error('policy not taken: the last good one stays in force', { hash, error: problem });
          return { type: 'nack', hash, reason: 'invalid', message: problem };
        }
        keep(message);
        const now = clock.monotonic();
        confirm(now);
        seen = newest(seen, message.seen);
        // At once: to put it into force may take seconds, and an end in that time would leave two files that do not belong together.
        writeConfirmed(now);
        taking = true;
        put(taken);
        taking = false;
        if (fault === undefined) {
          onEvent('policy_taken');
          logger.info('policy taken', { generation: taken.generation, hash, revision: taken.revision });
        }
      }
      seen = newest(seen, message.seen);
      problem = undefined;
      heard(heardOldMs);
      return answer(hash);
    },
    confirm({ hash, seen: next }) {
      if (isBehind(next, seen)) return stale(hash);
      if (taken?.hash !== hash)
        return { type: 'nack', hash, reason: 'invalid', message: 'this sidecar does not hold what was confirmed' };
      seen = newest(seen, next);
      problem = undefined;
      writtenAt = Number.NEGATIVE_INFINITY;
      heard(heardOldMs);
      return answer(hash);
    },
    invalid(message) {
      problem = message.message;
      onEvent('policy_invalid');
      logger.error('the controller cannot translate a policy of this pod: what is in force stays', {
        problem: message.message,
      });
      heard(heardOldMs);
    },
    heard,
    dated: (oldMs) => void (heardOldMs = oldMs),
    look,
    // What is not in force is asked for anew.
    holds: () => (fault === undefined ? (taken?.hash ?? null) : null),
    seen: () => seen,
    expired: () => inForce !== taken,
    fault: () => fault,
    source: {
      current: () => inForce,
      subscribe(listener) {
        listeners.push(listener);
        return () => {
          const at = listeners.indexOf(listener);
          if (at !== -1) listeners.splice(at, 1);
        };
      },
      problem: () => problem ?? fault,
      settled(code) {
        const before = fault;
        fault = code;
        if (before !== code && !taking && taken !== undefined) onSettled(answer(taken.hash));
      },
      ageMs: () => clock.monotonic() - newestAt,
      close() {
        listeners.length = 0;
        return Promise.resolve();
      },
    },
  };
}

/** `hash`: of what was taken last; undefined: a release wrote it that did not say so. */
function readConfirmed(content: JsonValue): {
  readonly at: number | undefined;
  readonly hash: string | undefined;
  readonly seen: SeenVersions;
} {
  if (typeof content !== 'object' || content === null || Array.isArray(content))
    return { at: undefined, hash: undefined, seen: {} };
  const { at, seen, hash } = content;
  return {
    hash: typeof hash === 'string' ? hash : undefined,
    at: typeof at === 'number' ? at : undefined,
    seen: typeof seen === 'object' && seen !== null && !Array.isArray(seen) ? (seen as SeenVersions) : {},
  };
}
