/** Searches that are at work at once. An embedded store has one thread that searches; a database answers some side by side. */
const mostAtOnce = 4;

/**
 * Turns at what takes the store long, one of each account: who asks much waits for their own questions, and others wait for one question of each
 * account at most.
 */
export interface Turns {
  /** Does it when it is this account's turn. */
  take<Value>(account: string, act: () => Promise<Value>): Promise<Value>;
}

/** @param most At once, of all accounts together. */
export function createTurns(most = mostAtOnce): Turns {
  /** Accounts that wait, in the order of their turns, each with its questions in theirs. */
  const waiting = new Map<string, (() => void)[]>();
  const atWork = new Set<string>();
  const next = (): void => {
    for (const [account, questions] of waiting) {
      if (atWork.size >= most) return;
      if (atWork.has(account)) continue;
      const begin = questions.shift();
      waiting.delete(account);
      // Behind all others that wait.
      if (questions.length > 0) waiting.set(account, questions);
      if (begin === undefined) continue;
      atWork.add(account);
      begin();
    }
  };
  return {
    async take(account, act) {
      await new Promise<void>((begin) => {
        const own = waiting.get(account);
        if (own === undefined) waiting.set(account, [begin]);
        else own.push(begin);
        next();
      });
      try {
        return await act();
      } finally {
        atWork.delete(account);
        next();
      }
    },
  };
}
