import type { Clock } from '../../base/index.ts';

/** Of one session; those it asked before are forgotten together. */
const mostQuestions = 20;

/** What somebody asks over and over is on record once in a while. Of each `asker`, which is kept no longer than others keep it. */
export interface Repeats<Asker extends object> {
  /**
   * Puts a question on record, unless the same one of this asker, letter by letter, went on record less than `everyMs` ago. One that could
   * not be put there is not known: it is tried anew at the next.
   *
   * @throws what `write` throws
   */
  once(asker: Asker, question: string, write: () => Promise<void>): Promise<void>;
}

export function createRepeats<Asker extends object>(clock: Clock, everyMs: number): Repeats<Asker> {
  const known = new WeakMap<Asker, Map<string, number>>();
  return {
    async once(asker, question, write) {
      const until = known.get(asker) ?? new Map<string, number>();
      known.set(asker, until);
      const now = clock.monotonic();
      if (now < (until.get(question) ?? 0)) return;
      await write();
      if (until.size >= mostQuestions) until.clear();
      until.set(question, now + everyMs);
    },
  };
}
