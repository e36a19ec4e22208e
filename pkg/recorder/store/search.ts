import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import type { Names } from './names.ts';
import type { EndFacts, SessionPage, SessionQuery, SessionSummary } from './port.ts';
import { StoreError } from './store-error.ts';

type Row = Readonly<Record<string, unknown>>;

/** Most words of one question. */
const mostWords = 16;

/** What the tokenizer of the index takes for words. */
export function wordsOf(text: string): readonly string[] {
  const words = text.normalize('NFC').match(/[\p{L}\p{N}\p{Co}]+/gu) ?? [];
  if (words.length === 0) throw new StoreError('query', 'the text to look for has no word in it');
  if (words.length > mostWords) throw new StoreError('query', `the text to look for has more than ${mostWords} words`);
  return words;
}

/** Finds sessions. The text of a question never becomes part of a statement. */
export function createSearch(db: DatabaseSync, names: Names): (query: SessionQuery) => SessionPage {
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
      else where(`s.${column} = ?`, number);
    };
    const byText = query.text !== undefined;
    if (query.text !== undefined) {
      // Each word is a quoted string of the index's language: nothing in it is an operator.
      where(
        'words MATCH ?',
        wordsOf(query.text)
          .map((word) => `"${word}"`)
          .join(' AND '),
      );
    }
    if (query.session !== undefined) where('s.request = ?', Buffer.from(query.session, 'hex'));
    if (query.since !== undefined) where('s.at >= ?', query.since);
    if (query.until !== undefined) where('s.at < ?', query.until);
    named('namespace', query.namespace);
    named('pod', query.pod);
    named('subject', query.user);
    named('issuer', query.issuer);
    named('model', query.model);
    named('operation', query.operation);
    named('outcome', query.outcome);
    named('code', query.code);
    if (query.status !== undefined) where('s.status = ?', query.status);
    if (query.minDurationMs !== undefined) where('s.duration >= ?', query.minDurationMs);
    if (query.minBytes !== undefined) where('s.bytesIn + s.bytesOut >= ?', query.minBytes);
    if (query.group !== undefined)
      where(
        `EXISTS (SELECT 1 FROM name g WHERE g.id = s.groups AND instr(char(10) || g.text || char(10), char(10) || ? || char(10)) > 0)`,
        query.group,
      );
    for (const tag of query.tags ?? []) {
      const number = names.find(tag);
      if (number === undefined) impossible = true;
      else where('EXISTS (SELECT 1 FROM tag t WHERE t.tag = ? AND t.session = s.id)', number);
    }
    if (query.cursor !== undefined) {
      const [at, id] = readCursor(query.cursor);
      if (byText) where('words.rowid < ?', id);
      else where('(s.at, s.id) < (?, ?)', at, id);
    }
    if (impossible) return { sessions: [], cursor: undefined };
    // By text: newest to arrive first, as the index has them, so that it can stop early.
    const statement = `SELECT s.*, c.source, c.name AS chainName
      FROM ${byText ? 'words CROSS JOIN session s ON s.id = words.rowid' : 'session s'} JOIN chain c ON c.id = s.chain
      ${conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`}
      ORDER BY ${byText ? 'words.rowid DESC' : 's.at DESC, s.id DESC'} LIMIT ?`;
    const limit = Math.min(1_000, Math.max(1, Math.floor(query.limit)));
    const rows = db.prepare(statement).all(...values, limit + 1) as Row[];
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    return {
      sessions: page.map(summaryOf),
      cursor: rows.length > limit && last !== undefined ? `${String(last['at'])}.${String(last['id'])}` : undefined,
    };
  };
}

function readCursor(cursor: string): readonly [number, number] {
  const [, at, id] = /^(-?[0-9]{1,15})\.([0-9]{1,15})$/.exec(cursor) ?? [];
  if (at === undefined || id === undefined) throw new StoreError('query', 'that is no cursor of a page before');
  return [Number(at), Number(id)];
}
