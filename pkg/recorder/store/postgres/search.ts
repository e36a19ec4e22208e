import type { SessionPage, SessionQuery, SessionSummary } from '../port.ts';
import { readCursor, writeCursor } from '../search/cursor.ts';
import { pageOf } from '../search/page.ts';
import { wordsOf } from '../search/words.ts';
import { groupTag } from './append.ts';
import type { Row, Run } from './connection.ts';
import { foldWords } from '../search/fold-words.ts';
import type { Names } from './names.ts';
import { partOf, sessionsAPart } from './posting.ts';

/** Columns of sessions that are numbers of names, and what asks for them. */
const named = {
  namespace: 'namespace',
  pod: 'pod',
  subject: 'user',
  issuer: 'issuer',
  model: 'model',
  operation: 'operation',
  outcome: 'outcome',
  code: 'code',
} as const satisfies Readonly<Record<string, keyof SessionQuery>>;

interface Conditions {
  readonly where: readonly string[];
  readonly values: readonly unknown[];
}

/** Finds sessions. The text of a question never becomes part of a statement. */
export function createSearch(run: Run, names: Names): (query: SessionQuery) => Promise<SessionPage> {
  return async (query) => {
    const conditions = await conditionsOf(run, names, query);
    if (conditions === undefined) return { sessions: [], cursors: [], cursor: undefined };
    const limit = Math.min(1_000, Math.max(1, Math.floor(query.limit)));
    const rows =
      query.text === undefined
        ? await byFields(run, query, conditions, limit + 1)
        : await byText(run, query.text, query, conditions, limit + 1);
    const page = rows.slice(0, limit);
    const sessions = await summariesOf(run, names, page);
    return pageOf(sessions, (session) => session, page.map(writeCursor), rows.length > limit);
  };
}

/** @returns undefined: no session has such a name */
async function conditionsOf(run: Run, names: Names, query: SessionQuery): Promise<Conditions | undefined> {
  const tags = [...(query.tags ?? []), ...(query.group === undefined ? [] : [groupTag(query.group)])];
  const columns: { column: string; text: string }[] = Object.entries(named).flatMap(([column, key]) => {
    const text = query[key];
    return text === undefined ? [] : [{ column: `s.${column}`, text }];
  });
  if (query.source !== undefined) columns.push({ column: 'c.source', text: query.source });
  const find = await names.find(run, [...columns.map(({ text }) => text), ...tags]);
  const where: string[] = [];
  const values: unknown[] = [];
  let impossible = false;
  const add = (condition: (place: string) => string, value: unknown): void => {
    if (value === undefined) return;
    values.push(value);
    where.push(condition(`$${values.length}`));
  };
  const addName = (condition: (place: string) => string, text: string): void => {
    const number = find(text);
    if (number === undefined) impossible = true;
    else add(condition, number);
  };
  add((place) => `s.request = ${place}`, query.session);
  add((place) => `c.name = ${place}`, query.chain);
  add((place) => `s.at >= ${place}`, query.since);
  add((place) => `s.at < ${place}`, query.until);
  add((place) => `s.status = ${place}`, query.status);
  add((place) => `s.duration >= ${place}`, query.minDurationMs);
  add((place) => `s.bytes_in + s.bytes_out >= ${place}`, query.minBytes);
  for (const { column, text } of columns) addName((place) => `${column} = ${place}`, text);
  for (const tag of tags)
    addName((place) => `EXISTS (SELECT 1 FROM tag t WHERE t.tag = ${place} AND t.session = s.id)`, tag);
  return impossible ? undefined : { where, values };
}

const columns = 's.*, c.source, c.name AS chain_name';

function byFields(run: Run, query: SessionQuery, { where, values }: Conditions, most: number): Promise<readonly Row[]> {
  const all = [...values];
  const conditions = [...where];
  if (query.cursor !== undefined) {
    all.push(...readCursor(query.cursor));
    conditions.push(`(s.at, s.id) < ($${all.length - 1}, $${all.length})`);
  }
  all.push(most);
  return run(
    `SELECT ${columns} FROM session s JOIN chain c ON c.id = s.chain
     ${conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`} ORDER BY s.at DESC, s.id DESC LIMIT $${all.length}`,
    all,
  );
}

/** Sessions from `from` up to and without `to` that have all words: those with lists of their own, and those of words that have lists. */
const withWords = (query: string, words: string, from: string, to: string): string => `
  SELECT session FROM recent WHERE words @@ ${query}::tsquery AND session >= ${from} AND session < ${to}
  UNION
  SELECT p.part * ${sessionsAPart}::bigint + place FROM posting p, unnest(p.sessions) AS place
  WHERE p.word = ANY (${words}::text[]) AND p.part >= ${from}::bigint / ${sessionsAPart} AND p.part <= (${to}::bigint - 1) / ${sessionsAPart}
  GROUP BY 1 HAVING count(*) = cardinality(${words}::text[])`;

/**
 * Newest to arrive first: the newest part of the sessions, then as many before it as have been seen already, and so on. What is common is found
 * in the first, what is rare in few steps.
 */
async function byText(
  run: Run,
  text: string,
  query: SessionQuery,
  { where, values }: Conditions,
  most: number,
): Promise<readonly Row[]> {
  const words = foldWords(wordsOf(text));
  // One word of the tsquery language each, whatever is in it.
  const asked = words.map((word) => `'${word}'`).join(' & ');
  const [last] = await run('SELECT next_session FROM log');
  let end = query.cursor === undefined ? Number(last?.['next_session']) : readCursor(query.cursor)[1];
  const found: Row[] = [];
  const place = (at: number): string => `$${values.length + at}`;
  for (let width = sessionsAPart; end > 0 && found.length < most; width *= 2) {
    const begin = Math.max(0, partOf(end - 1) * sessionsAPart - (width - sessionsAPart));
    const rows = await run(
      `SELECT ${columns} FROM (${withWords(place(1), place(2), place(3), place(4))}) w
       JOIN session s ON s.id = w.session JOIN chain c ON c.id = s.chain
       WHERE ${[...where, `s.id < ${place(4)}::bigint`].join(' AND ')} ORDER BY s.id DESC LIMIT ${place(5)}`,
      [...values, asked, words, begin, end, most - found.length],
    );
    found.push(...rows);
    end = begin;
  }
  return found;
}

async function summariesOf(run: Run, names: Names, rows: readonly Row[]): Promise<readonly SessionSummary[]> {
  const numbersOf = (row: Row): number[] =>
    nameColumns.flatMap((column) => (row[column] ?? []) as number | readonly number[]);
  const text = await names.texts(run, rows.flatMap(numbersOf));
  return rows.map((row) => {
    const optional = (column: string): string | null => (row[column] === null ? null : text(Number(row[column])));
    const name = (column: string): string => optional(column) ?? '';
    const count = (column: string): number | null => (row[column] === null ? null : Number(row[column]));
    const list = (column: string): readonly string[] =>
      ((row[column] ?? []) as readonly number[]).map((number) => text(number));
    return {
      session: String(row['request']).replaceAll('-', ''),
      source: name('source'),
      namespace: name('namespace'),
      pod: name('pod'),
      chain: String(row['chain_name']),
      sequence: Number(row['sequence']),
      at: Number(row['at']),
      provider: optional('provider'),
      issuer: optional('issuer'),
      subject: optional('subject'),
      groups: list('groups').map((group) => group.slice(groupTag('').length)),
      peer: name('peer'),
      method: name('method'),
      path: name('path'),
      dialect: name('dialect'),
      operation: name('operation'),
      model: optional('model'),
      end:
        row['end_sequence'] === null
          ? undefined
          : {
              sequence: Number(row['end_sequence']),
              outcome: name('outcome'),
              status: Number(row['status']),
              code: optional('code'),
              tags: list('tags'),
              bytesIn: Number(row['bytes_in']),
              bytesOut: Number(row['bytes_out']),
              inputTokens: count('input_tokens'),
              outputTokens: count('output_tokens'),
              durationMs: Number(row['duration']),
            },
    };
  });
}

const nameColumns: readonly string[] = [
  ...Object.keys(named),
  ...['source', 'provider', 'groups', 'peer', 'method', 'path', 'dialect', 'tags'],
];
