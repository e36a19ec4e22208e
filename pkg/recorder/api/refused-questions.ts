import { createBucket } from '../../base/index.ts';
import type { Clock, Timer } from '../../base/index.ts';
import type { Refusal } from './question.ts';

/**
 * Puts questions that were refused on record: who asked, what, and why not. A flood of them does not fill it: of each who asks, the first within
 * a minute is one entry, and how many more there were another.
 */
export interface RefusedQuestions {
  /** @param proven Whether `who` is an account that was proven; of others it is where they ask from. */
  note(who: string, proven: boolean, question: string, why: Pick<Refusal, 'status' | 'code'>): void;
  /** Writes what was only counted until now. */
  flush(): void;
}

const minuteMs = 60_000;
/** Who has entries of their own in one minute: those that were not proven take none of others. */
const mostOf = { proven: 100, stranger: 20 };
/** And in sum, since the log is never emptied: after the first so many, one a minute of strangers, and ten of accounts. */
const perSecond = { proven: 10 / 60, stranger: 1 / 60 };
const others = { proven: 'other accounts', stranger: 'other addresses' };

interface Counted {
  readonly who: string;
  /** By code. */
  readonly more: Map<string, number>;
}

/** @param write An entry of who and what. */
export function createRefusedQuestions(clock: Clock, write: (who: string, question: string) => void): RefusedQuestions {
  const counted = { proven: new Map<string, Counted>(), stranger: new Map<string, Counted>() };
  const turns = {
    proven: createBucket(clock, perSecond.proven, mostOf.proven),
    stranger: createBucket(clock, perSecond.stranger, mostOf.stranger),
  };
  let timer: Timer | undefined;
  const flush = (): void => {
    timer?.cancel();
    timer = undefined;
    for (const kind of [counted.proven, counted.stranger]) {
      for (const { who, more } of kind.values()) {
        const all = [...more.values()].reduce((sum, count) => sum + count, 0);
        if (all === 0) continue;
        const codes = [...more].map(([code, count]) => `${code} ${count}`).join(', ');
        write(who, `and ${all} more within a minute: ${codes}`);
      }
      kind.clear();
    }
  };
  return {
    note(given, proven, question, { status, code }) {
      const kind = proven ? 'proven' : 'stranger';
      const known = counted[kind];
      const own = known.has(given) || (known.size < mostOf[kind] && turns[kind].take());
      const who = own ? given : others[kind];
      const before = known.get(who);
      timer ??= clock.after(minuteMs, flush);
      if (before !== undefined) {
        before.more.set(code, (before.more.get(code) ?? 0) + 1);
        return;
      }
      known.set(who, { who, more: new Map() });
      write(who, `${status} ${code}: ${question}`);
    },
    flush,
  };
}
