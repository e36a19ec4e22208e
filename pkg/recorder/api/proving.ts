import { Refusal } from './question.ts';

/**
 * Who has proven nothing yet waits for the API server's word in places of their own, so that made-up tokens take none of those in which auditors
 * are answered, and none of whose token was good a moment ago.
 */
export interface Proving {
  /** @param known The token was good a moment ago: it takes no place. @throws Refusal `busy` */
  as<Who>(address: string, known: boolean, prove: () => Promise<Who>): Promise<Who>;
}

/** Tokens that are looked at at once: of one address, and of all. */
const most = { ofOne: 4, all: 64 };

export function createProving(): Proving {
  const ofEach = new Map<string, number>();
  let all = 0;
  return {
    async as(address, known, prove) {
      if (known) return prove();
      const own = ofEach.get(address) ?? 0;
      if (own >= most.ofOne || all >= most.all)
        throw new Refusal(503, 'busy', 'too many tokens are looked at at once: ask again', 1);
      ofEach.set(address, own + 1);
      all++;
      try {
        return await prove();
      } finally {
        all--;
        const left = (ofEach.get(address) ?? 1) - 1;
        if (left > 0) ofEach.set(address, left);
        else ofEach.delete(address);
      }
    },
  };
}
