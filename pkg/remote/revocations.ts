import { describeError } from '../base/index.ts';
import type { JsonValue, Logger } from '../base/index.ts';
import type { Revocation, RevocationSource } from '../core/index.ts';
import { WireError, isBehind, newest, readRevocations } from '../wire/index.ts';
import type { RevocationsMessage, SeenVersions } from '../wire/index.ts';
import { readSeen } from './seen.ts';
import type { StateFolder } from './state-file.ts';

/**
 * Revocations, from what the controller sends. They are stored: a process that starts again while no controller can be reached must not
 * take what was revoked, and one whose store cannot be used takes nobody until a controller has said it again. A controller that lags behind what was seen before is not listened to.
 */
export interface RemoteRevocations {
  readonly source: RevocationSource;
  /** False: it lags, and is not taken. */
  take(message: RevocationsMessage): boolean;
}

const file = 'revocations.json';

export function createRemoteRevocations(options: {
  readonly state: StateFolder;
  readonly logger: Logger;
  readonly onUnwritable: () => void;
  readonly onRefused: () => void;
  readonly onStale: () => void;
}): RemoteRevocations {
  const { state, logger } = options;
  const listeners = new Set<() => void>();
  let revocations: readonly Revocation[] | undefined = [];
  let seen: SeenVersions = {};

  const stored = state.read(file);
  const kept = stored.kind === 'content' ? readStored(stored.content) : undefined;
  if (kept !== undefined) ({ revocations, seen } = kept);
  else if (stored.kind !== 'absent') {
    revocations = undefined;
    if (stored.kind === 'content') seen = readSeen(stored.content);
    options.onRefused();
    logger.error('the revocations that were kept cannot be used: nobody is let in until a controller sends them');
  }

  return {
    source: {
      current: () => revocations,
      subscribe(listener) {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    },
    take(message) {
      if (isBehind(message.seen, seen)) {
        options.onStale();
        logger.warn('a controller lags behind what was seen before: its revocations are not taken');
        return false;
      }
      seen = newest(seen, message.seen);
      ({ revocations } = message);
      const content: Pick<RevocationsMessage, 'revocations' | 'seen'> = { revocations: message.revocations, seen };
      // There may be room for one list and not for two: what is short takes the place of the older one first, which must not come back.
      if (!state.write(file, content) && !(state.write(file, { seen }) && state.write(file, content)))
        options.onUnwritable();
      for (const listener of [...listeners]) {
        try {
          listener();
        } catch (error) {
          logger.error('a part did not take the revocations', { error: describeError(error) });
        }
      }
      return true;
    },
  };
}

function readStored(content: JsonValue): Pick<RevocationsMessage, 'revocations' | 'seen'> | undefined {
  if (typeof content !== 'object' || content === null || Array.isArray(content)) return undefined;
  try {
    return readRevocations({ ...content, type: 'revocations', optional: true });
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}
