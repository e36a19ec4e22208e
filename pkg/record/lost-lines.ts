import type { JsonValue } from '../base/index.ts';
import { countedLoss } from './gap.ts';
import type { LogVerdict, LostLines } from './log-verdict.ts';

/** Lines that sidecars lost, as entries of type `hole` say: how many, and which. */
export interface LostLineList {
  /** @param index Of the entry. */
  add(index: number, entry: Readonly<Record<string, JsonValue>>): void;
  counts(): Pick<LogVerdict, 'holes' | 'lostLines'>;
}

/** Holes that are named: of one sidecar, and of all. */
const most = { ofOne: 10, all: 10_000 };

export function createLostLines(): LostLineList {
  const lostLines: LostLines[] = [];
  const named = new Map<string, number>();
  let holes = 0;
  return {
    add(index, entry) {
      const [source, first, last] = [String(entry['source']), Number(entry['from']), Number(entry['to'])];
      // By its own word: one that lies tells of no more than others may.
      const lines = countedLoss(Math.max(0, last - first + 1));
      holes += Number.isNaN(lines) ? 0 : lines;
      const of = named.get(source) ?? 0;
      if (of >= most.ofOne || lostLines.length >= most.all) return;
      named.set(source, of + 1);
      lostLines.push({ source, chain: String(entry['chain']), first, last, why: String(entry['why']), entry: index });
    },
    counts: () => ({ holes, lostLines }),
  };
}
