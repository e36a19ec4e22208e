import { canBeOf, isBlockEntry, isDecision, entryType } from '../../record/index.ts';
import type { BeforeLine, DeletedBlock } from '../../record/index.ts';
import { jsonValue, parseJson } from '../../base/index.ts';

/** An entry, as it stands. */
interface Entry {
  readonly index: number;
  readonly text: string;
}

/** Finds, while the log is read, the blocks of a chain before a line of which the log says that they were deleted. */
export interface DeletionSearch {
  entry(index: number, text: string): void;
  /** The nearest before that line, as many as have so many lines, in the order of the log; fewer: there are no more. */
  found(lines: number): readonly { readonly block: Entry; readonly by: Entry }[];
}

/** Blocks that one proof holds. */
const most = 256;

export function createDeletionSearch(asked: BeforeLine): DeletionSearch {
  const { source, chain, before } = asked;
  const blocks = new Map<number, Entry & { readonly lines: number }>();
  const deletions = new Map<number, Entry>();
  return {
    entry(index, text) {
      if (isBlockEntry(text)) {
        if (!text.includes(chain)) return;
        const block = jsonValue(parseJson(text)) as Readonly<Record<string, unknown>>;
        const [first, last] = [Number(block['first']), Number(block['last'])];
        const isOf = block['source'] === source && block['chain'] === chain && last < before;
        if (isOf && canBeOf(Number(block['at']), asked)) blocks.set(index, { index, text, lines: last - first + 1 });
      } else if (isDecision(entryType(text)) && text.includes('"type":"deleted"')) {
        const of = parseJson(text).get('entry')?.number;
        if (of !== undefined && blocks.has(of)) deletions.set(of, { index, text });
      }
    },
    found(lines) {
      const found: { readonly block: Entry; readonly by: Entry }[] = [];
      let left = lines;
      for (const [index, block] of [...blocks].reverse()) {
        const by = deletions.get(index);
        if (by === undefined) continue;
        if (left <= 0 || found.length >= most) break;
        left -= block.lines;
        found.unshift({ block: { index, text: block.text }, by });
      }
      return found;
    },
  };
}

/** With the ways to the head. */
export async function provenDeletions(
  found: ReturnType<DeletionSearch['found']>,
  pathOf: (index: number) => Promise<readonly string[]>,
): Promise<readonly DeletedBlock[]> {
  const proven: DeletedBlock[] = [];
  for (const { block, by } of found)
    proven.push({
      block: { index: block.index, entry: block.text, path: await pathOf(block.index) },
      by: { index: by.index, entry: by.text, path: await pathOf(by.index) },
    });
  return proven;
}
