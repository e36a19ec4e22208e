import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import type { Names } from '../names.ts';
import type { EndFacts, SessionPage, SessionQuery, SessionSummary } from '../port.ts';
import { columns, createChoice } from './choice.ts';
import type { Way } from './choice.ts';
import { isByTag, notOne, readCursor, writeCursor } from './cursor.ts';
import { labelTag, labelTags } from './label-tags.ts';
import { createPageTime } from './page-time.ts';
import type { PageTimeOptions } from './page-time.ts';
import { pageOf } from './page.ts';
import { shardTable, shardsOf } from './shards.ts';
import { wordsOf } from './words.ts';

type Row = Readonly<Record<string, unknown>>;
type Place = readonly [at: number, id: number];

/** Lists of groups with one group that are looked for by an index. */
const mostLists = 500;
/** That a list of groups, joined by line feeds, has one. */
const hasGroup = (list: string): string => `instr(char(10) || ${list} || char(10), char(10) || ? || char(10)) > 0`;

const hasTag = 'EXISTS (SELECT 1 FROM tag t WHERE t.tag = ? AND t.session = s.id)';
/** That a rule acted whose name ends so, which is given twice. */
const hasRuleNamed = `EXISTS (SELECT 1 FROM tag t JOIN name n ON n.id = t.tag
  WHERE t.session = s.id AND substr(n.text, 1, 5) = 'rule:' AND substr(n.text, -length(?)) = ?)`;

/**
 * Finds sessions. The text of a question never becomes part of a statement. Where conditions have no index, a page may be short, or empty, and have a
 * cursor all the same (page-time.ts).
 */
export function createSearch(
  db: DatabaseSync,
  names: Names,
  time: PageTimeOptions = {},
): (query: SessionQuery) => SessionPage {
  const lastSession = db.prepare('SELECT max(id) AS id FROM session');
  const groupLists = db.prepare(`SELECT id FROM name WHERE ${hasGroup('text')} LIMIT ?`);
  const labelled = db.prepare(
    `SELECT value FROM counter WHERE name = 'labelled' AND EXISTS (SELECT 1 FROM session WHERE id < value)`,
  );
  /** The tags of a question. Sessions of an older recorder have none of labels: these are looked through, by the names of their rules. */
  const tagsAsked = ({ label, tags = [] }: SessionQuery, where: Where): readonly string[] => {
    if (label === undefined) return tags;
    const row = labelled.get();
    if (row === undefined) return [...tags, labelTag(label)];
    const rule = `/${label}`;
    where(
      `(${hasTag} OR (s.id < ? AND ${hasRuleNamed}))`,
      names.find(labelTag(label)) ?? -1,
      Number(row['value']),
      rule,
      rule,
    );
    return tags;
  };
  const choose = createChoice(db, names);
  const tagsOf = db.prepare('SELECT n.text FROM tag t JOIN name n ON n.id = t.tag WHERE t.session = ?');
  /** By which tags a session is found, where these are not its own. */
  const otherTags = (row: Row, { end }: SessionSummary): Pick<SessionSummary, 'searchedTags'> => {
    const own = new Set(end?.tags);
    const labels = new Set(labelTags([...own]));
    const searchedTags = tagsOf
      .all(Number(row['id']))
      .map(({ text }) => String(text))
      .filter((tag) => !labels.has(tag));
    return searchedTags.length === own.size && searchedTags.every((tag) => own.has(tag)) ? {} : { searchedTags };
  };
  /** Undefined: more than are looked for by an index. */
  const listsWith = (group: string): readonly number[] | undefined => {
    const lists = groupLists.all(group, mostLists + 1).map((row) => Number(row['id']));
    return lists.length > mostLists ? undefined : lists;
  };
  const summaryOf = (row: Row): SessionSummary => {
    const name = (column: string): string => (row[column] === null ? '' : names.text(Number(row[column])));
    const optional = (column: string): string | null => (row[column] === null ? null : names.text(Number(row[column])));
    const count = (column: string): number | null => (row[column] === null ? null : Number(row[column]));
    const list = (column: string): readonly string[] =>
      name(column)
        .split('\n')
        .filter((one) => one !== '');
    const end: Omit<EndFacts, 'session'> | undefined =
      row['endSequence'] === null
        ? undefined
        : {
            sequence: Number(row['endSequence']),
            outcome: name('outcome'),
            status: Number(row['status']),
            code: optional('code'),
            tags: list('tags'),
            bytesIn: Number(row['bytesIn']),
            bytesOut: Number(row['bytesOut']),
            inputTokens: count('inputTokens'),
            outputTokens: count('outputTokens'),
            durationMs: Number(row['duration']),
          };
    return {
      session: Buffer.from(row['request'] as Uint8Array).toString('hex'),
      source: names.text(Number(row['source'])),
      namespace: name('namespace'),
      pod: name('pod'),
      chain: String(row['chainName']),
      sequence: Number(row['sequence']),
      at: Number(row['at']),
      ...(row['said'] === null ? {} : { saidAt: Number(row['said']) }),
      provider: optional('provider'),
      issuer: optional('issuer'),
      subject: optional('subject'),
      groups: list('groups'),
      peer: name('peer'),
      method: name('method'),
      path: name('path'),
      dialect: name('dialect'),
      operation: name('operation'),
      model: optional('model'),
      end,
    };
  };

  /** First rows of the tables of words to be read, newest first. */
  const shardsFor = ({ session }: SessionQuery): readonly number[] => {
    const all = shardsOf(db);
    if (session === undefined) return all;
    const rows = db.prepare('SELECT id FROM session WHERE request = ?').all(Buffer.from(session, 'hex'));
    const own = new Set(rows.map(({ id }) => all.find((first) => first <= Number(id))));
    return all.filter((first) => own.has(first));
  };

  /** What is common changes while somebody reads: pages of one search have one order. */
  const wayOf = (
    query: SessionQuery,
    lists: readonly number[] | undefined,
    tag: number | undefined,
  ): Way | undefined => {
    if (query.cursor === undefined) return choose(query, lists, tag);
    if (!isByTag(query.cursor)) return choose(query, lists, undefined);
    if (tag === undefined || query.session !== undefined) throw notOne();
    return 'tag';
  };

  return (query) => {
    const conditions: string[] = [];
    const values: SQLInputValue[] = [];
    let impossible = false;
    const where = (condition: string, ...bound: readonly SQLInputValue[]): void => {
      conditions.push(condition);
      values.push(...bound);
    };
    const named = (column: string, text: string | undefined): void => {
      if (text === undefined) return;
      const number = names.find(text);
      if (number === undefined) impossible = true;
      else where(`${column} = ?`, number);
    };
    // Each word is a quoted string of the index's language: nothing in it is an operator.
    const match = query.text === undefined ? undefined : [allOf(wordsOf(query.text))];
    fields(query, where, named);
    const lists = query.group === undefined ? undefined : listsWith(query.group);
    if (query.group !== undefined) where(...ofGroup(query.group, lists));
    const tags = tagsAsked(query, where).map((tag) => names.find(tag));
    const way = match === undefined ? wayOf(query, lists, tags[0]) : undefined;
    const byTag = way === 'tag';
    for (const [at, number] of tags.entries()) {
      if (number === undefined) impossible = true;
      else if (byTag && at === 0) where('first.tag = ?', number);
      else where(hasTag, number);
    }
    if (impossible) return { sessions: [], cursors: [], cursor: undefined };
    const from = tablesOf(query, way);
    const limit = Math.min(1_000, Math.max(1, Math.floor(query.limit)));
    const shards = match === undefined ? [] : shardsFor(query);
    /** Rows behind a place, down to another and with that; undefined: from the newest, or to the oldest. @param shard Of a search by text. */
    const select = (behind: Place | undefined, to: Place | undefined, most: number, shard?: number): Row[] => {
      // By text and by rule: newest to arrive first, as these indexes have them, so that it can stop early.
      const [key, bound] = from.byId ? [from.key, '?'] : ['(s.at, s.id)', '(?, ?)'];
      const parts = [
        ...conditions,
        ...(behind === undefined ? [] : [`${key} < ${bound}`]),
        ...(to === undefined ? [] : [`${key} >= ${bound}`]),
      ];
      const places = [behind, to].flatMap((place) => (place === undefined ? [] : from.byId ? [place[1]] : place));
      const table = shard === undefined ? '' : shardTable(shard);
      if (shard !== undefined) parts.unshift(`words.${table} MATCH ?`);
      const statement = `SELECT s.*, c.source, c.name AS chainName
        FROM ${from.tables(`${table} AS words`)} JOIN chain c ON c.id = s.chain
        ${parts.length === 0 ? '' : `WHERE ${parts.join(' AND ')}`}
        ORDER BY ${from.order} LIMIT ?`;
      return db.prepare(statement).all(...(match ?? []), ...values, ...places, most) as Row[];
    };
    /** A cursor is whoever's who asks: behind the last session there is nothing to read. */
    const topOf = (behind: Place | undefined): number => {
      const last = Number(lastSession.get()?.['id'] ?? 0);
      return Math.min(behind?.[1] ?? last + 1, last + 1);
    };
    /** Where a window ends that begins behind a place; undefined: with the oldest session. */
    const endOf = (behind: Place | undefined, rows: number): Place | undefined => {
      if (from.byId) {
        const end = topOf(behind) - rows;
        return end <= 0 ? undefined : [0, end];
      }
      const indices = indexed(query, way, names, lists);
      const parts = [
        ...(indices[0] ?? []).map(([condition]) => condition),
        ...(behind === undefined ? [] : ['(s.at, s.id) < (?, ?)']),
      ];
      const last = db.prepare(
        `SELECT s.at, s.id FROM ${from.tables('')} ${parts.length === 0 ? '' : `WHERE ${parts.join(' AND ')}`}
         ORDER BY ${from.order} LIMIT 1 OFFSET ?`,
      );
      const share = Math.ceil(rows / Math.max(1, indices.length));
      // Of several values, each in the order of its own rows: the newest end, up to which all of them were read.
      let end: Place | undefined;
      for (const index of indices) {
        const row = last.get(...index.flatMap(([, ...bound]) => bound), ...(behind ?? []), share - 1);
        const place = row === undefined ? undefined : ([Number(row['at']), Number(row['id'])] as const);
        if (place !== undefined && (end === undefined || isNewer(place, end))) end = place;
      }
      return end;
    };
    /** The same of a search by text, whose windows end with their shards. Undefined: there is nothing to read. */
    const stretchOf = (behind: Place | undefined, rows: number): Stretch | undefined => {
      if (match === undefined) return { to: rows === Number.POSITIVE_INFINITY ? undefined : endOf(behind, rows) };
      const top = topOf(behind);
      const at = shards.findIndex((first) => first < top);
      const shard = shards[at];
      if (shard === undefined) return undefined;
      const end = Math.max(top - rows, shard);
      return { to: end === shard && at === shards.length - 1 ? undefined : [0, end], shard };
    };
    const begin = query.cursor === undefined ? undefined : readCursor(query.cursor);
    const whole = isWhole(conditions.length, query, way, lists);
    /** `read`: up to which everything was; undefined: all of it. */
    const readRows = (): { readonly rows: readonly Row[]; readonly read: Place | undefined } => {
      if (match !== undefined && query.session !== undefined) {
        const found = shards.flatMap((shard) => select(begin, undefined, limit + 1, shard));
        return { rows: found.sort(newestFirst), read: undefined };
      }
      const rows: Row[] = [];
      const windows = createPageTime(time);
      let read = begin;
      do {
        const stretch = stretchOf(read, whole ? Number.POSITIVE_INFINITY : windows.rows());
        if (stretch !== undefined) rows.push(...select(read, stretch.to, limit + 1 - rows.length, stretch.shard));
        read = stretch?.to;
      } while (read !== undefined && rows.length <= limit && (whole || windows.read()));
      return { rows, read };
    };
    const { rows, read } = readRows();
    const page = rows.slice(0, limit);
    const readRow = (row: Row): SessionSummary => {
      const summary = summaryOf(row);
      return query.block === undefined ? summary : { ...summary, ...otherTags(row, summary) };
    };
    const cursors = page.map((row) => writeCursor(row, byTag));
    const found = pageOf(page, readRow, cursors, rows.length > limit);
    // Not all was read, and what was is in it.
    if (read === undefined || found.cursor !== undefined) return found;
    return { ...found, cursor: writeCursor({ at: read[0], id: read[1] }, byTag) };
  };
}

/** Rows that are read in one go: down to a place; undefined: to the oldest. */
interface Stretch {
  readonly to: Place | undefined;
  readonly shard?: number;
}

const newestFirst = (a: Row, b: Row): number => Number(b['at']) - Number(a['at']) || Number(b['id']) - Number(a['id']);

type Where = (condition: string, ...bound: readonly SQLInputValue[]) => void;

const allOf = (words: readonly string[]): string => words.map((word) => `"${word}"`).join(' AND ');

/** Conditions on columns of the session itself, and of its chain. */
function fields(
  query: SessionQuery,
  where: (condition: string, ...bound: readonly SQLInputValue[]) => void,
  named: (column: string, text: string | undefined) => void,
): void {
  if (query.session !== undefined) where('s.request = ?', Buffer.from(query.session, 'hex'));
  if (query.block !== undefined) where('s.id IN (SELECT session FROM part WHERE block = ?)', query.block);
  if (query.chain !== undefined) where('c.name = ?', query.chain);
  named('c.source', query.source);
  if (query.since !== undefined) where('s.at >= ?', query.since);
  if (query.until !== undefined) where('s.at < ?', query.until);
  named('s.namespace', query.namespace);
  named('s.pod', query.pod);
  named('s.subject', query.user);
  named('s.issuer', query.issuer);
  named('s.model', query.model);
  named('s.operation', query.operation);
  named('s.outcome', query.outcome);
  named('s.code', query.code);
  if (query.status !== undefined) where('s.status = ?', query.status);
  if (query.minDurationMs !== undefined) where('s.duration >= ?', query.minDurationMs);
  if (query.maxDurationMs !== undefined) where('s.duration <= ?', query.maxDurationMs);
  if (query.minBytes !== undefined) where('s.bytesIn + s.bytesOut >= ?', query.minBytes);
  if (query.maxBytes !== undefined) where('s.bytesIn + s.bytesOut <= ?', query.maxBytes);
  if (query.open === true) where('s.endSequence IS NULL');
}

interface Tables {
  /** @param words A table of words, by this name. */
  readonly tables: (words: string) => string;
  readonly order: string;
  /** They are read by the number of their session, which is this column. */
  readonly byId: boolean;
  readonly key: string;
}

const byWords: Tables = {
  tables: (words) => `${words} CROSS JOIN session s ON s.id = words.rowid`,
  order: 'words.rowid DESC',
  byId: true,
  key: 'words.rowid',
};

/**
 * Which index is read is said in each statement: without figures of its own SQLite takes a user's, of whom there may be sessions by the million,
 * for as good as that of one session's id.
 */
function tablesOf(query: SessionQuery, way: Way | undefined): Tables {
  const ofTime = { order: 's.at DESC, s.id DESC', byId: false, key: '' };
  if (query.session !== undefined) {
    const session = 'session s INDEXED BY session_request';
    // It is looked whether it has the words: others may have them by the million.
    if (query.text === undefined) return { ...ofTime, tables: () => session };
    return { ...ofTime, tables: (words) => `${session} CROSS JOIN ${words} ON words.rowid = s.id` };
  }
  if (query.text !== undefined) return byWords;
  if (way === 'tag')
    return {
      tables: () => 'tag first CROSS JOIN session s ON s.id = first.session',
      order: 'first.session DESC',
      byId: true,
      key: 'first.session',
    };
  // A block's sessions are listed.
  if (query.block !== undefined) return { ...ofTime, tables: () => 'session s NOT INDEXED' };
  return { ...ofTime, tables: () => `session s INDEXED BY session_${way ?? 'at'}` };
}

const isNewer = ([at, id]: Place, than: Place): boolean => at > than[0] || (at === than[0] && id > than[1]);

/** That the index which is read has all conditions, or that few rows meet one of them: then nothing is read on for long. */
function isWhole(
  conditions: number,
  query: SessionQuery,
  way: Way | undefined,
  lists: readonly number[] | undefined,
): boolean {
  if (query.session !== undefined || query.block !== undefined) return true;
  // What several lists of groups have is sorted, so that no more is read than a window.
  if (way === 'groups' && lists?.length !== 1) return false;
  const ofTime = [query.since, query.until].filter((time) => time !== undefined).length;
  // Of several words each may be common, and both together not.
  if (query.text !== undefined) return conditions === 0 && wordsOf(query.text).length === 1;
  if (way === 'tag') return conditions === 1;
  return conditions === ofTime + (way === undefined ? 0 : 1);
}

type Condition = readonly [text: string, ...bound: readonly SQLInputValue[]];

/** Conditions of the index that is read: for each of its values, which are several of lists of groups alone. @param lists As {@link ofGroup} is told. */
function indexed(
  query: SessionQuery,
  way: Way | undefined,
  names: Names,
  lists: readonly number[] | undefined,
): readonly (readonly Condition[])[] {
  const times: Condition[] = [];
  if (query.since !== undefined) times.push(['s.at >= ?', query.since]);
  if (query.until !== undefined) times.push(['s.at < ?', query.until]);
  if (way === undefined || way === 'tag') return [times];
  const values = way === 'groups' ? (lists ?? []) : [names.find(query[columns[way]] ?? '') ?? -1];
  return values.map((value) => [[`s.${way} = ?`, value], ...times]);
}

/** @param lists The lists of groups with this one; undefined: too many to name. */
function ofGroup(group: string, lists: readonly number[] | undefined): readonly [string, ...SQLInputValue[]] {
  if (lists === undefined)
    return [`EXISTS (SELECT 1 FROM name g WHERE g.id = s.groups AND ${hasGroup('g.text')})`, group];
  // One value has the order of its index; several are sorted.
  return [lists.length === 1 ? 's.groups = ?' : `s.groups IN (${lists.map(() => '?').join()})`, ...lists];
}
