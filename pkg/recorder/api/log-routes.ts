import type { JsonValue } from '../../base/index.ts';
import { consistencyProof, inclusionProof, isBlockEntry } from '../../record/index.ts';
import type { RecordStore, SessionSummary, StoredEntry } from '../store/index.ts';
import { conflictPage } from './conflict-page.ts';
import { badQuestion, numberOf, Streamed, wholeNumber } from './question.ts';
import type { Question, Route } from './question.ts';

const entriesAPage = 2_000;
/** Characters of lines in one page of entries with them: it is more only by its last block. The API server's answer is read up to 64 MiB. */
const linesAPage = 4 * 1024 * 1024;
/** Characters of entries after which a page ends, and entries that are read at once. */
const mostCharacters = 4 * 1024 * 1024;
const entriesAtOnce = 100;
/** Sessions of a block that are told at once: fewer where they have long lists. */
const sessionsAPage = 1_000;
const hex = (hashes: readonly Uint8Array[]): string[] => hashes.map((one) => Buffer.from(one).toString('hex'));
const upTo = ({ search }: Question): number =>
  Math.min(entriesAPage, Math.max(1, numberOf(search, 'limit', entriesAPage)));

/** As many entries as are a page, at least one. */
async function pageOfEntries(
  store: Pick<RecordStore, 'entries'>,
  from: number,
  atMost: number,
): Promise<readonly StoredEntry[]> {
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
}

type Blocks = Pick<RecordStore, 'entries' | 'blockLines' | 'search'>;

/** What the index says of sessions with lines in a block, from a cursor on: a page of them. */
async function foundIn(
  store: Pick<Blocks, 'search'>,
  block: number,
  cursor?: string,
): Promise<{ readonly found: readonly SessionSummary[]; readonly next: string | undefined }> {
  const page = await store.search({ block, limit: sessionsAPage, ...(cursor === undefined ? {} : { cursor }) });
  return { found: page.sessions, next: page.cursor };
}

/** Entries with the lines of their blocks, and what the index says of them: as many as are a page, at least one. */
async function* entriesWithLines(
  store: Blocks,
  from: number,
  atMost: number,
  withFound: boolean,
): AsyncIterable<string> {
  let room = linesAPage;
  yield '{"entries":[';
  for (const [at, { index, text }] of (await pageOfEntries(store, from, atMost)).entries()) {
    if (room <= 0) break;
    const block = isBlockEntry(text);
    const lines = block ? await store.blockLines(index) : undefined;
    room -= lines?.length ?? 0;
    const own = lines === undefined ? null : Buffer.from(lines).toString();
    const page = withFound && lines !== undefined ? await foundIn(store, index) : undefined;
    const found = page === undefined ? '' : `,"found":${JSON.stringify(page.found)}`;
    // The others are asked for.
    const next = page?.next === undefined ? '' : `,"next":${JSON.stringify(page.next)}`;
    room -= found.length;
    const entry = JSON.stringify({ index, text, ...(block ? { lines: own } : {}) });
    yield `${at === 0 ? '' : ','}${entry.slice(0, -1)}${found}${next}}`;
  }
  yield ']}\n';
}

/** The log and its proofs, which are for who may read everything. */
export function logRoutes(
  store: Pick<RecordStore, 'log' | 'entries' | 'heads' | 'blockLines' | 'node' | 'search' | 'archivable'>,
): readonly Route[] {
  const read = (level: number, index: number): Promise<Uint8Array> => store.node(level, index);
  const route = (path: string, parameters: readonly string[], answer: Route['answer']): Route => ({
    method: 'GET',
    path,
    parameters,
    async answer(question) {
      await question.allow(undefined);
      return answer(question);
    },
  });
  return [
    route('/v1/log', [], async () => {
      const { size, root, at } = await store.log();
      return { size, root: Buffer.from(root).toString('hex'), at };
    }),
    route('/v1/log/entries', ['from', 'limit', 'lines', 'found'], async (question) => {
      const { search, note } = question;
      const [from, atMost] = [numberOf(search, 'from', 0), upTo(question)];
      const asked = search.get('lines') ?? 'false';
      if (asked !== 'true' && asked !== 'false') throw badQuestion('lines is true or false');
      const withFound = search.get('found') ?? 'false';
      if (withFound !== 'false' && (withFound !== 'true' || asked !== 'true'))
        throw badQuestion('found is true or false, and goes with lines');
      if (asked === 'true') {
        await note('blocks', `from ${from}`);
        return new Streamed('application/json', entriesWithLines(store, from, atMost, withFound === 'true'));
      }
      // What others asked stands in them, word by word.
      await note('entries', `from ${from}`);
      const found = await pageOfEntries(store, from, atMost);
      return { entries: found.map(({ index, text }) => ({ index, text })) };
    }),
    route('/v1/log/heads', ['from', 'limit'], async (question) => {
      const found = await store.heads(numberOf(question.search, 'from', 0), upTo(question));
      return { heads: found.map(({ size, text }) => ({ size, text })) };
    }),
    route('/v1/log/conflicts', ['from', 'limit'], async (question) => {
      const from = numberOf(question.search, 'from', 0);
      await question.note('evidence', `from ${from}`);
      return conflictPage(store, from, upTo(question));
    }),
    route('/v1/log/blocks/{entry}', [], async ({ part, note }) => {
      const entry = wholeNumber(part, 'the entry of a block');
      await note('block', part);
      const lines = await store.blockLines(entry);
      return { lines: lines === undefined ? null : Buffer.from(lines).toString() };
    }),
    route('/v1/log/blocks/{entry}/found', ['cursor'], async ({ part, search, note }) => {
      const entry = wholeNumber(part, 'the entry of a block');
      await note('found', part);
      const { found, next } = await foundIn(store, entry, search.get('cursor') ?? undefined);
      return { found: found as unknown as JsonValue, next: next ?? null };
    }),
    route('/v1/log/proof', ['index', 'size'], async ({ search }) => {
      const size = numberOf(search, 'size', (await store.log()).size);
      return { size, path: hex(await inclusionProof(numberOf(search, 'index'), size, read)) };
    }),
    route('/v1/log/consistency', ['from', 'to'], async ({ search }) => {
      const to = numberOf(search, 'to', (await store.log()).size);
      return { to, proof: hex(await consistencyProof(numberOf(search, 'from'), to, read)) };
    }),
  ];
}
