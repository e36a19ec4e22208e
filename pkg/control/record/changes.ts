import { describeError, randomId } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import type { AuditSink, ChangeEvent, ChangedThing } from '../../core/index.ts';

/** What a part of the controller knows of a change. */
export type Change = Omit<ChangeEvent, 'type' | 'session'>;

/** Where the controller records what became of approvals, grants, tokens and revocations. Nothing of it throws. */
export interface ChangeLog {
  /** This replica made it so: nobody else tells of it. */
  made(change: Change): void;
  /** Every replica sees it, and the one that leads tells of it. @param more what it asks for first; it does not reject */
  seen(change: Change, more?: () => Promise<Partial<Change>>): void;
  /** This replica leads from now on: what the last leader may not have told any more is told, perhaps again. */
  lead(): void;
}

export interface ChangeLogOptions {
  readonly sink: Pick<AuditSink, 'append'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly leading: () => boolean;
  readonly onResult: (what: ChangedThing, result: 'recorded' | 'lost') => void;
}

/** Longer than it takes until another leads. */
const keptMs = 30_000;
/** Changes are told by the leader within moments: more than these in half a minute are kept by nobody but the leader. */
const mostKept = 10_000;

/** A record that does not take it (its spool is full, its disk fails) keeps nothing from being decided: it is counted, and in the log. */
export function createChangeLog(options: ChangeLogOptions): ChangeLog {
  const { sink, clock, logger, leading, onResult } = options;
  /** In the order in which they were seen. */
  const kept = new Set<{ readonly at: number; readonly what: ChangedThing; readonly tell: () => void }>();
  /** How many were not kept, of each thing, and when the last was. */
  const missed = new Map<ChangedThing, number>();
  let missedAt = -Infinity;

  const made = (change: Change): void => {
    try {
      sink.append([{ type: 'change', session: randomId(), ...change }]);
      onResult(change.what, 'recorded');
    } catch (error) {
      onResult(change.what, 'lost');
      const { what, step, name } = change;
      logger.error('a change could not be recorded', { what, step, name, error: describeError(error) });
    }
  };
  return {
    made,
    seen(change, more) {
      const tell = (): void => {
        if (more === undefined) return made(change);
        void more().then((found) => made({ ...change, ...found }));
      };
      if (leading()) return tell();
      const now = clock.monotonic();
      for (const one of kept) {
        if (now - one.at < keptMs && kept.size < mostKept) break;
        kept.delete(one);
        if (now - one.at >= keptMs) continue;
        if (now - missedAt >= keptMs) missed.clear();
        missed.set(one.what, (missed.get(one.what) ?? 0) + 1);
        missedAt = now;
      }
      kept.add({ at: now, what: change.what, tell });
    },
    lead() {
      const now = clock.monotonic();
      if (now - missedAt < keptMs) {
        for (const [what, count] of missed) {
          logger.error('changes are on no record, unless the last leader told of them', { what, count });
          for (let at = 0; at < count; at++) onResult(what, 'lost');
        }
      }
      missed.clear();
      const left = [...kept].filter(({ at }) => now - at < keptMs);
      kept.clear();
      for (const { tell } of left) tell();
    },
  };
}

/** Where there is no recorder. */
export const noChangeLog: ChangeLog = { made: () => undefined, seen: () => undefined, lead: () => undefined };
