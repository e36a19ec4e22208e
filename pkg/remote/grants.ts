import { describeError } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import type { Grant, GrantSource } from '../core/index.ts';
import { isBehind, newest } from '../wire/index.ts';
import type { GrantsMessage, SeenVersions } from '../wire/index.ts';
import { readSeen } from './seen.ts';
import type { StateFolder } from './state-file.ts';

/**
 * Grants, from what the controller sends. They are in memory alone: after a restart there are none until a controller says them. How
 * far the newest was is stored, so that one that lags cannot bring back what was revoked, also not to a process that is new.
 */
export interface RemoteGrants {
  readonly source: GrantSource;
  /** False: it lags behind what was seen before and is not taken, nor does this stream confirm what is had. */
  take(message: GrantsMessage): boolean;
  /** A new stream: what is had is not confirmed by it until it says its grants. */
  begin(): void;
  /** The controller said something, and what it knows is so old, milliseconds. */
  heard(oldMs: number): void;
}

const file = 'grants.json';

export function createRemoteGrants(options: {
  readonly state: StateFolder;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onUnwritable: () => void;
  readonly onStale: () => void;
}): RemoteGrants {
  const { state, clock, logger } = options;
  const listeners = new Set<() => void>();
  let grants: readonly Grant[] = [];
  let seen: SeenVersions = {};
  let said = false;
  let heardOldMs = 0;
  let confirmed: { readonly wall: number; readonly monotonic: number } | undefined;

  const stored = state.read(file);
  if (stored.kind === 'content') seen = readSeen(stored.content);

  const heard = (oldMs: number): void => {
    heardOldMs = oldMs;
    if (!said) return;
    const monotonic = clock.monotonic() - oldMs;
    // A stale replica takes nothing from what a fresh one has said.
    if (oldMs === 0 || confirmed === undefined || monotonic > confirmed.monotonic)
      confirmed = { wall: clock.now() - oldMs, monotonic };
  };

  return {
    source: {
      current: () => grants,
      subscribe(listener) {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
      ageMs: () =>
        confirmed === undefined
          ? Number.POSITIVE_INFINITY
          : Math.max(clock.monotonic() - confirmed.monotonic, clock.now() - confirmed.wall),
    },
    take(message) {
      if (isBehind(message.seen, seen)) {
        options.onStale();
        logger.warn('a controller lags behind what was seen before: its grants are not taken');
        return false;
      }
      const next = newest(seen, message.seen);
      const moved = isBehind(seen, next);
      seen = next;
      ({ grants } = message);
      said = true;
      heard(heardOldMs);
      if (moved && !state.write(file, { seen })) options.onUnwritable();
      for (const listener of [...listeners]) {
        try {
          listener();
        } catch (error) {
          logger.error('a part did not take the grants', { error: describeError(error) });
        }
      }
      return true;
    },
    begin() {
      said = false;
    },
    heard,
  };
}
