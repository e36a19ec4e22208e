import { jsonValue, parseJson } from '../../base/index.ts';
import type { JsonValue } from '../../base/index.ts';
import { entryType, isBlockEntry, isDecision } from '../../record/index.ts';
import type { AuditClient } from './client.ts';

/** A log, wherever it comes from. */
export interface LogPages {
  /**
   * Reads it once, from its first entry.
   *
   * @param proven Entries under a head from elsewhere, whose lines are asked for though no head of the log itself is over them; default: there is none.
   */
  each(reader: LogReader, proven?: number): Promise<void>;
}

export interface LogReader {
  /** A signed head; all of them come before the first entry. */
  head(text: string): void;
  /** Each entry, and the lines of its block: undefined: not asked for, as of entries that no head has signed; null: not there. */
  entry(index: number, text: string, lines: string | null | undefined): void;
  /** What the recorder's index says of sessions with lines in a block, behind its entry: of a recorder alone. Default: not asked for. */
  found?(index: number, text: string, lines: string, found: readonly Fields[]): void;
  /**
   * After all entries: one of a type that the recorder seals, which came while they were read. It says why lines were not there, and its seal
   * proves it.
   */
  later(index: number, text: string): void;
}

/** Entries under a head, as it says. */
export const signedBy = (head: string): number =>
  Number(/^\{"v":1,"type":"head","size":([0-9]{1,16})/.exec(head)?.[1] ?? 0);

type Fields = { readonly [key: string]: JsonValue };
const textOf = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : '');
const listOf = (value: JsonValue | undefined): readonly Fields[] =>
  Array.isArray(value)
    ? value.filter((one) => typeof one === 'object' && one !== null && !Array.isArray(one)).map((one) => one as never)
    : [];

const pageSize = 2_000;

/**
 * Of a session whose start or end is not among the lines of a block, nobody compares the lists: those of as many sessions as a block can have would be
 * some GB.
 */
function listsOutside(lines: string): (row: Fields) => Fields {
  const has = { start: new Set<string>(), end: new Set<string>() };
  for (const line of lines.split('\n')) {
    const session = /"session":"([0-9a-f]{32})"/.exec(line)?.[1];
    for (const type of ['start', 'end'] as const)
      if (session !== undefined && line.includes(`"type":"${type}"`)) has[type].add(session);
  }
  return (row) => {
    const session = textOf(row['session']);
    const { groups = [], end = null, ...others } = row;
    const ended = typeof end === 'object' && end !== null && !Array.isArray(end);
    return {
      ...others,
      groups: has.start.has(session) ? groups : [],
      ...(ended && { end: has.end.has(session) ? end : { ...end, tags: [] } }),
    };
  };
}

/**
 * The log as the recorder gives it: what it was when the reading began. Of what comes meanwhile, since lines come faster than they are read,
 * only the deletions are looked at, by which lines may be missing.
 */
export function logOfRecorder(audit: AuditClient, withLines: boolean): LogPages {
  /** @returns entries under the newest */
  const readHeads = async (head: LogReader['head']): Promise<number> => {
    for (let signed = 0; ;) {
      const page = listOf((await audit.get(`/v1/log/heads?from=${signed + 1}&limit=${pageSize}`))['heads']);
      for (const one of page) {
        head(textOf(one['text']));
        signed = Math.max(signed, Number(one['size']));
      }
      if (page.length < pageSize) return signed;
    }
  };
  const sizeOf = async (): Promise<number> => Number((await audit.get('/v1/log'))['size']);
  const readEntries = async (
    from: number,
    to: number,
    lines: boolean,
    entry: (index: number, text: string, lines: JsonValue | undefined) => void,
    found?: LogReader['found'],
  ): Promise<void> => {
    /** All of a block, page by page. */
    const allFound = async (one: Fields, lines: string): Promise<readonly Fields[]> => {
      let rows = listOf(one['found']);
      let { next } = one;
      if (typeof next !== 'string') return rows;
      const short = listsOutside(lines);
      const all = rows.map(short);
      while (typeof next === 'string') {
        const page = await audit.get(`/v1/log/blocks/${String(one['index'])}/found?cursor=${encodeURIComponent(next)}`);
        rows = listOf(page['found']);
        for (const row of rows) all.push(short(row));
        next = rows.length === 0 ? undefined : page['next'];
      }
      return all;
    };
    for (let next = from; next < to;) {
      const more = lines ? `&lines=true${found === undefined ? '' : '&found=true'}` : '';
      const query = `from=${next}&limit=${Math.min(pageSize, to - next)}${more}`;
      const page = listOf((await audit.get(`/v1/log/entries?${query}`))['entries']);
      for (const one of page) {
        const index = Number(one['index']);
        if (!(index >= next && index < to)) return;
        entry(index, textOf(one['text']), one['lines']);
        const { lines: own } = one;
        if (found !== undefined && typeof own === 'string')
          found(index, textOf(one['text']), own, await allFound(one, own));
        next = index + 1;
      }
      // The log ends here: what is missing of it is found by its heads.
      if (page.length === 0) return;
    }
  };
  return {
    async each({ head, entry, found, later }, proven = 0) {
      const own = await readHeads(head);
      // At once: what no head has signed yet is of a minute.
      const size = Math.max(own, await sizeOf());
      const signed = Math.max(own, Math.min(proven, size));
      await readEntries(
        0,
        signed,
        withLines,
        (index, text, lines) =>
          entry(index, text, withLines && isBlockEntry(text) ? (typeof lines === 'string' ? lines : null) : undefined),
        found,
      );
      await readEntries(signed, size, false, (index, text) => entry(index, text, undefined));
      if (withLines)
        await readEntries(size, await sizeOf(), false, (index, text) => {
          if (isDecision(entryType(text))) later(index, text);
        });
    },
  };
}

type FileLines = AsyncIterable<string> | Iterable<string>;

/** @param skip What lines begin with that are left out unread. */
async function* itemsOf(lines: FileLines, skip: string): AsyncGenerator<Fields> {
  for await (const line of lines) if (line !== '' && !line.startsWith(skip)) yield jsonValue(parseJson(line)) as Fields;
}

/** The blocks of a file of `audit export` that have their lines, in its order, one at a time. @throws JsonError */
export async function* blocksOfFile(
  lines: () => FileLines,
): AsyncGenerator<{ readonly entry: string; readonly block: string }> {
  for await (const { kind, text, lines: block } of itemsOf(lines(), '{"kind":"head"'))
    if (kind === 'entry' && typeof block === 'string') yield { entry: textOf(text), block };
}

/**
 * The log as `audit export` wrote it.
 *
 * @param lines Of the file, from its first one at each call: it is read twice, since heads count wherever they stand.
 */
export function logOfFile(lines: () => FileLines, withLines: boolean): LogPages {
  return {
    async each({ head, entry, later }) {
      for await (const one of itemsOf(lines(), '{"kind":"entry"'))
        if (one['kind'] === 'head') head(textOf(one['text']));
      const late: (readonly [index: number, text: string])[] = [];
      for await (const { kind, index, text, lines: own } of itemsOf(lines(), '{"kind":"head"')) {
        if (kind === 'later') late.push([Number(index), textOf(text)]);
        if (kind === 'entry')
          // Whatever stands there: what has no lines is not one whose lines nobody asked for.
          entry(Number(index), textOf(text), !withLines ? undefined : typeof own === 'string' ? own : null);
      }
      for (const [index, text] of late) later(index, text);
    },
  };
}
