import type { SessionPage, SessionQuery, SessionSummary } from '../port.ts';
import { readCursor, writeCursor } from '../search/cursor.ts';
import { isLabelTag, labelTag } from '../search/label-tags.ts';
import { createPageTime } from '../search/page-time.ts';
import type { PageTimeOptions } from '../search/page-time.ts';
import { isFull, pageOf } from '../search/page.ts';
import { foldedWordsOf } from '../search/words.ts';
import { groupTag } from './append.ts';
import { tookTooLong } from './connection.ts';
import type { Row, Run } from './connection.ts';
import { clean } from './names.ts';
import type { Names } from './names.ts';
import { sessionsWith } from './segments.ts';

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

/**
 * Finds sessions. The text of a question never becomes part of a statement. Where conditions have no index, a page may be short, or empty, and have a
 * cursor all the same (page-time.ts).
 */
export function createSearch(
  run: Run,
  names: Names,
  time: SearchTime = {},
): (query: SessionQuery) => Promise<SessionPage> {
  let removed = 0;
  return async (query) => {
    // A name that was removed may have come again, by another number.
    const [log] = await run('SELECT names_removed FROM log', [], { prepared: true });
    if (Number(log?.['names_removed']) !== removed) names.forget();
    removed = Number(log?.['names_removed']);
    const conditions = await conditionsOf(run, names, query);
    if (conditions === undefined) return { sessions: [], cursors: [], cursor: undefined };
    const limit = Math.min(1_000, Math.max(1, Math.floor(query.limit)));
    const { rows, read } =
      query.text === undefined
        ? await byFields(run, query, conditions, limit + 1, time)
        : await byText(run, query, conditions, limit + 1, time);
    const page = rows.slice(0, limit);
    const sessions: SessionSummary[] = [];
    // What they are found by is their sidecars' to choose: of those that the page has no room for it is not read.
    for (let at = 0; at < page.length && !isFull(sessions); at += summariesAtOnce)
      sessions.push(...(await summariesOf(run, names, page.slice(at, at + summariesAtOnce))));
    const found = pageOf(
      sessions,
      (session) => session,
      page.map((row) => writeCursor(row)),
      rows.length > limit || sessions.length < page.length,
    );
    // Not all was read, and what was is in it.
    return read === undefined || found.cursor !== undefined ? found : { ...found, cursor: writeCursor(read) };
  };
}

/** Sessions of a page whose texts are read at once. */
const summariesAtOnce = 50;

export interface SearchTime extends PageTimeOptions {
  /** That an index is given to answer all of a question; default 1 s. */
  readonly wholeMs?: number;
}

interface Found {
  readonly rows: readonly Row[];
  /** Columns `at` and `id` of the last session that was looked at; undefined: all were. */
  readonly read: Row | undefined;
}

/** @returns undefined: no session has such a name */
async function conditionsOf(run: Run, names: Names, query: SessionQuery): Promise<Conditions | undefined> {
  const groups = query.group === undefined ? [] : [groupTag(query.group)];
  const since = query.label === undefined ? undefined : await labelledSince(run);
  const label = since === undefined ? undefined : query.label;
  const tags =
    query.label === undefined || label !== undefined
      ? (query.tags ?? [])
      : [...(query.tags ?? []), labelTag(query.label)];
  const columns: { column: string; text: string }[] = Object.entries(named).flatMap(([column, key]) => {
    const text = query[key];
    return text === undefined ? [] : [{ column: `s.${column}`, text }];
  });
  if (query.source !== undefined) columns.push({ column: 'c.source', text: query.source });
  const find = await names.find(run, [
    ...columns.map(({ text }) => text),
    ...tags,
    ...groups,
    ...(label === undefined ? [] : [labelTag(label)]),
  ]);
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
  add((place) => `s.id IN (SELECT session FROM part WHERE block = ${place})`, query.block);
  add((place) => `c.name = ${place}`, query.chain);
  add((place) => `s.at >= ${place}`, query.since);
  add((place) => `s.at < ${place}`, query.until);
  add((place) => `s.status = ${place}`, query.status);
  add((place) => `s.duration >= ${place}`, query.minDurationMs);
  add((place) => `s.duration <= ${place}`, query.maxDurationMs);
  add((place) => `s.bytes_in + s.bytes_out >= ${place}`, query.minBytes);
  add((place) => `s.bytes_in + s.bytes_out <= ${place}`, query.maxBytes);
  if (query.open === true) where.push('s.end_sequence IS NULL');
  if (label !== undefined) {
    // Sessions of an older recorder have no tag of it: these are looked through, by the names of their rules.
    values.push(find(labelTag(label)) ?? 0, since, `/${clean(label)}`);
    const [tag, old, rule] = [values.length - 2, values.length - 1, values.length];
    where.push(`(s.tags @> ARRAY[$${tag}::integer] OR (s.id < $${old} AND EXISTS (
      SELECT 1 FROM name n WHERE n.id = ANY (s.tags) AND starts_with(n.text, 'rule:') AND right(n.text, length($${rule})) = $${rule})))`);
  }
  for (const { column, text } of columns) addName((place) => `${column} = ${place}`, text);
  for (const tag of tags) addName((place) => `s.tags @> ARRAY[${place}::integer]`, tag);
  for (const group of groups) addName((place) => `s.groups @> ARRAY[${place}::integer]`, group);
  return impossible ? undefined : { where, values };
}

/** The first session that has tags of labels; undefined: all of them have. */
async function labelledSince(run: Run): Promise<number | undefined> {
  const [row] = await run('SELECT labelled FROM log WHERE EXISTS (SELECT 1 FROM session WHERE id < labelled)');
  return row === undefined ? undefined : Number(row['labelled']);
}

const columns = 's.*, c.source, c.name AS chain_name';

/** First as the server likes, which for nearly all questions is some index; where that takes too long, window by window. */
async function byFields(
  run: Run,
  query: SessionQuery,
  { where, values }: Conditions,
  most: number,
  time: SearchTime,
): Promise<Found> {
  const select = (behind: Place | undefined, to: Place | undefined, atMost: number, ms?: number) => {
    const all = [...values];
    const conditions = [...where];
    for (const [sign, place] of [
      ['<', behind],
      ['>=', to],
    ] as const) {
      if (place === undefined) continue;
      all.push(...place);
      conditions.push(`(s.at, s.id) ${sign} ($${all.length - 1}, $${all.length})`);
    }
    all.push(atMost);
    return run(
      `SELECT ${columns} FROM session s JOIN chain c ON c.id = s.chain
       ${conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`} ORDER BY s.at DESC, s.id DESC LIMIT $${all.length}`,
      all,
      ms === undefined ? {} : { ms },
    );
  };
  const begin = query.cursor === undefined ? undefined : readCursor(query.cursor);
  // Few rows, or conditions that are all of an index.
  if (query.session !== undefined || query.block !== undefined || !isUnindexed(query))
    return { rows: await select(begin, undefined, most), read: undefined };
  try {
    return { rows: await select(begin, undefined, most, time.wholeMs ?? wholeMs), read: undefined };
  } catch (error) {
    if (!tookTooLong(error)) throw error;
  }
  const windows = createPageTime(time);
  const rows: Row[] = [];
  let behind = begin;
  for (;;) {
    const [at, id] = behind ?? [Number.MAX_SAFE_INTEGER, 0];
    const [read] = await run(
      `SELECT at, id FROM session WHERE (at, id) < ($1, $2) AND at >= $3 AND at < $4 ORDER BY at DESC, id DESC LIMIT 1 OFFSET $5`,
      [at, id, query.since ?? 0, query.until ?? Number.MAX_SAFE_INTEGER, windows.rows() - 1],
    );
    const end = read === undefined ? undefined : ([Number(read['at']), Number(read['id'])] as const);
    rows.push(...(await select(behind, end, most - rows.length)));
    if (read === undefined || rows.length >= most || !windows.read()) return { rows, read };
    behind = end;
  }
}

type Place = readonly [at: number, id: number];
const wholeMs = 1_000;

/** That no index has all of its conditions: then it may read on for long. */
function isUnindexed(query: SessionQuery): boolean {
  const {
    status,
    minDurationMs,
    maxDurationMs,
    minBytes,
    maxBytes,
    open,
    label,
    issuer,
    source,
    chain,
    tags = [],
    group,
  } = query;
  const ofSize = [minDurationMs, maxDurationMs, minBytes, maxBytes];
  if ([status, ...ofSize, open, label, issuer, source, chain].some((one) => one !== undefined)) return true;
  const { namespace, pod, user, model, operation, outcome, code } = query;
  const named = [namespace, pod, user, model, operation, outcome, code, group, ...tags].filter(
    (one) => one !== undefined,
  );
  return named.length > 1 || tags.length > 0 || group !== undefined;
}

/** Sessions among which the newest are looked for first; twice as many before them next, and so on, up to the most. */
const firstSessions = 4_096;
const mostSessions = 262_144;
/** Sessions with the words that are read at once, the newest first. */
const rowsAtOnce = 4_096;

/** Chains with one session that are looked at for a page. */
const mostOfOne = 100;

/** Newest to arrive first: what is common is found among the newest sessions, what is rare in few steps. */
async function byText(
  run: Run,
  query: SessionQuery,
  { where, values }: Conditions,
  most: number,
  time: SearchTime,
): Promise<Found> {
  const windows = createPageTime(time);
  const words = foldedWordsOf(query.text ?? '');
  const [last] = await run('SELECT next_session FROM log');
  // A cursor is whoever's who asks: behind the last session there is nothing to read.
  const next = Number(last?.['next_session']);
  let end = query.cursor === undefined ? next : Math.min(next, readCursor(query.cursor)[1]);
  const found: Row[] = [];
  const place = (at: number): string => `$${values.length + at}`;
  if (query.session !== undefined) {
    // Of one session it is looked whether it has the words: others may have them by the million.
    const ids = await run('SELECT id FROM session WHERE request = $1 AND id < $2 ORDER BY id DESC LIMIT $3', [
      query.session,
      end,
      mostOfOne,
    ]);
    const having: number[] = [];
    for (const { id } of ids) having.push(...(await sessionsWith(run, words, Number(id), Number(id) + 1)));
    const rows = await run(
      `SELECT ${columns} FROM session s JOIN chain c ON c.id = s.chain
       WHERE ${[...where, `s.id = ANY (${place(1)}::bigint[])`].join(' AND ')} ORDER BY s.id DESC LIMIT ${place(2)}`,
      [...values, having, most],
    );
    return {
      rows,
      read: ids.length < mostOfOne || rows.length >= most ? undefined : { at: 0, id: ids.at(-1)?.['id'] },
    };
  }
  for (let width = firstSessions; end > 0 && found.length < most; width = Math.min(2 * width, mostSessions)) {
    const begin = Math.max(0, end - width);
    const sessions = (await sessionsWith(run, words, begin, end)).toReversed();
    for (let at = 0; at < sessions.length && found.length < most; at += rowsAtOnce)
      found.push(
        ...(await run(
          `SELECT ${columns} FROM session s JOIN chain c ON c.id = s.chain
           WHERE ${[...where, `s.id = ANY (${place(1)}::bigint[])`].join(' AND ')} ORDER BY s.id DESC LIMIT ${place(2)}`,
          [...values, sessions.slice(at, at + rowsAtOnce), most - found.length],
        )),
      );
    end = begin;
    if (!windows.read()) break;
  }
  return { rows: found, read: end > 0 && found.length < most ? { at: 0, id: end } : undefined };
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
      ...(row['said'] === null ? {} : { saidAt: Number(row['said']) }),
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
              tags: list('tags').filter((tag) => !isLabelTag(tag)),
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
