import { consistencyProof, inclusionProof } from '../../record/index.ts';
import type { RecordStore, StoredEntry } from '../store/index.ts';
import { numberOf, wholeNumber } from './question.ts';
import type { Question, Route } from './question.ts';

const entriesAPage = 2_000;
/** Characters of entries after which a page ends, and entries that are read at once. */
const mostCharacters = 4 * 1024 * 1024;
const entriesAtOnce = 100;
const hex = (hashes: readonly Uint8Array[]): string[] => hashes.map((one) => Buffer.from(one).toString('hex'));
const upTo = ({ search }: Question): number =>
  Math.min(entriesAPage, Math.max(1, numberOf(search, 'limit', entriesAPage)));

/** The log and its proofs, which are for who may read everything. */
export function logRoutes(
  store: Pick<RecordStore, 'log' | 'entries' | 'heads' | 'blockLines' | 'node'>,
): readonly Route[] {
  const read = (level: number, index: number): Promise<Uint8Array> => store.node(level, index);
  const pageOfEntries = async (from: number, atMost: number): Promise<readonly StoredEntry[]> => {
    const page: StoredEntry[] = [];
    let characters = 0;
    for (let more = true; more && page.length < atMost && characters < mostCharacters;) {
      const wanted = Math.min(entriesAtOnce, atMost - page.length);
      const found = await store.entries(from + page.length, wanted);
      for (const one of found) {
        if (characters >= mostCharacters) break;
        page.push(one);
        characters += one.text.length;
      }
      more = found.length === wanted;
    }
    return page;
  };
  const route = (path: string, answer: Route['answer']): Route => ({
    method: 'GET',
    path,
    async answer(question) {
      await question.allow(undefined);
      return answer(question);
    },
  });
  return [
    route('/v1/log', async () => {
      const { size, root, at } = await store.log();
      return { size, root: Buffer.from(root).toString('hex'), at };
    }),
    route('/v1/log/entries', async (question) => {
      const found = await pageOfEntries(numberOf(question.search, 'from', 0), upTo(question));
      return { entries: found.map(({ index, text }) => ({ index, text })) };
    }),
    route('/v1/log/heads', async (question) => {
      const found = await store.heads(numberOf(question.search, 'from', 0), upTo(question));
      return { heads: found.map(({ size, text }) => ({ size, text })) };
    }),
    route('/v1/log/blocks/{entry}', async ({ part, note }) => {
      const entry = wholeNumber(part, 'the entry of a block');
      await note('block', part);
      const lines = await store.blockLines(entry);
      return { lines: lines === undefined ? null : Buffer.from(lines).toString() };
    }),
    route('/v1/log/proof', async ({ search }) => {
      const size = numberOf(search, 'size', (await store.log()).size);
      return { size, path: hex(await inclusionProof(numberOf(search, 'index'), size, read)) };
    }),
    route('/v1/log/consistency', async ({ search }) => {
      const to = numberOf(search, 'to', (await store.log()).size);
      return { to, proof: hex(await consistencyProof(numberOf(search, 'from'), to, read)) };
    }),
  ];
}
