import type { DatabaseSync } from 'node:sqlite';
import { createFrontier, edgeOf, entryLeaf, entryText, inLogTime } from '../../record/index.ts';
import type { Frontier, LogEntry, Seal } from '../../record/index.ts';
import { compress } from './compress.ts';
import type { Names } from './names.ts';
import type { Addition, Block, EndFacts, LogState, StartFacts } from './port.ts';
import { heldBytes, namespaceOf } from './held-bytes.ts';
import { labelTags } from './search/label-tags.ts';
import { seenTime } from './session-time.ts';
import { StoreError } from './store-error.ts';

/** The writing half of the embedded store. Everything here runs inside of a transaction that sqlite.ts began. */
export interface Appender {
  /** `text`: of an entry that comes back from an archive, as it stands there. */
  add(additions: readonly (Addition & { readonly text?: string })[]): void;
  /** Adds an entry to the log alone. @returns its index */
  addEntry(entry: LogEntry, text?: string): number;
  log(): LogState;
  /** Entries from now on are not older than this. */
  notBefore(at: number): void;
  /** After a commit that failed: back to what the file says. */
  reset(): void;
}

type BlockAddition = Extract<Addition, { readonly block: Block }> & { readonly text?: string };

export function createAppender(db: DatabaseSync, names: Names, seal: Seal = (entry) => entryText(entry)): Appender {
  const sql = {
    lastEntry: db.prepare('SELECT id, text FROM entry ORDER BY id DESC LIMIT 1'),
    lastHead: db.prepare('SELECT max(at) AS at FROM head'),
    node: db.prepare('SELECT hash FROM node WHERE level = ? AND idx = ?'),
    entry: db.prepare('INSERT INTO entry (id, text) VALUES (?, ?)'),
    addNode: db.prepare('INSERT INTO node (level, idx, hash) VALUES (?, ?, ?)'),
    evidence: db.prepare('INSERT INTO evidence (entry, data) VALUES (?, ?)'),
    evidenceHeld: db.prepare(
      'INSERT INTO evidence_held (namespace, bytes) VALUES (?, ?) ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes',
    ),
    findChain: db.prepare('SELECT id FROM chain WHERE source = ? AND name = ?'),
    addChain: db.prepare(
      'INSERT INTO chain (source, name, namespace, pod, sequence, hash) VALUES (?, ?, ?, ?, 0, ?) RETURNING id',
    ),
    moveChain: db.prepare(
      'UPDATE chain SET sequence = ?, hash = ?, newest = ?, bytes = bytes + ? WHERE id = ? AND sequence = ?',
    ),
    block: db.prepare(
      'INSERT INTO block (id, chain, first, last, received, count, size, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    ),
    session: db.prepare('SELECT id FROM session WHERE request = ? AND chain = ?'),
    addSession: db.prepare(
      `INSERT OR IGNORE INTO session (chain, request, sequence, at, said, namespace, pod, provider, issuer, subject, groups, peer, method, path,
        dialect, operation, model, endSequence, outcome, status, code, tags, bytesIn, bytesOut, inputTokens, outputTokens, duration)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    endSession: db.prepare(
      `UPDATE session SET endSequence = ?, outcome = ?, status = ?, code = ?, tags = ?, bytesIn = ?, bytesOut = ?,
        inputTokens = ?, outputTokens = ?, duration = ? WHERE id = ? AND endSequence IS NULL`,
    ),
    part: db.prepare('INSERT OR IGNORE INTO part (session, block) VALUES (?, ?)'),
    tag: db.prepare('INSERT OR IGNORE INTO tag (tag, session) VALUES (?, ?)'),
    count: db.prepare('UPDATE counter SET value = value + ? WHERE name = ?'),
  };
  let frontier: Frontier;
  let lastAt: number;
  const chains = new Map<string, number>();

  const reset = (): void => {
    chains.clear();
    names.forget();
    const last = sql.lastEntry.get();
    const size = last === undefined ? 0 : Number(last['id']) + 1;
    lastAt = last === undefined ? 0 : Number(/"at":([0-9]+)/.exec(String(last['text']))?.[1] ?? 0);
    lastAt = Math.max(lastAt, Number(sql.lastHead.get()?.['at'] ?? 0));
    frontier = createFrontier(
      size,
      edgeOf(size).map(({ level, index }) => {
        const found = sql.node.get(level, index)?.['hash'];
        if (!(found instanceof Uint8Array)) throw new StoreError('corrupt', 'a node of the log is missing');
        return Buffer.from(found);
      }),
    );
  };
  reset();

  const addEntry = (given: LogEntry, kept?: string): number => {
    const entry = inLogTime(given, lastAt);
    lastAt = entry.at;
    const index = frontier.size;
    const text = kept ?? seal(entry, index);
    sql.entry.run(index, text);
    for (const { level, index: idx, hash } of frontier.append(entryLeaf(text))) sql.addNode.run(level, idx, hash);
    return index;
  };

  const chainOf = (source: string, chain: string, prev: string, pod: Block['pod']): number => {
    const key = `${source} ${chain}`;
    const known = chains.get(key);
    if (known !== undefined) return known;
    const sourceName = names.number(source);
    const row =
      sql.findChain.get(sourceName, chain) ??
      sql.addChain.get(sourceName, chain, names.number(pod.namespace), names.number(pod.name), prev);
    const id = Number(row?.['id']);
    if (chains.size > 20_000) chains.clear();
    chains.set(key, id);
    return id;
  };

  const moveChain = (
    id: number,
    first: number,
    to: { readonly last: number; readonly hash: string; readonly newest: number | null; readonly bytes: number },
  ): void => {
    if (sql.moveChain.run(to.last, to.hash, to.newest, to.bytes, id, first - 1).changes === 1) return;
    throw new StoreError('moved', 'lines that do not follow on what is stored of their chain');
  };

  const optional = (text: string | null): number | null => (text === null ? null : names.number(text));
  const endColumns = (end: EndFacts): readonly (number | null)[] => [
    end.sequence,
    names.number(end.outcome),
    end.status,
    optional(end.code),
    names.number(end.tags.join('\n')),
    end.bytesIn,
    end.bytesOut,
    end.inputTokens,
    end.outputTokens,
    Math.round(end.durationMs),
  ];
  const startColumns = (start: StartFacts): readonly (number | null)[] => [
    optional(start.provider),
    optional(start.issuer),
    optional(start.subject),
    names.number(start.groups.join('\n')),
    names.number(start.peer),
    names.number(start.method),
    names.number(start.path),
    names.number(start.dialect),
    names.number(start.operation),
    optional(start.model),
  ];
  const noStart: readonly null[] = Array.from({ length: 10 }, () => null);
  const noEnd = noStart;

  const addBlock = ({ entry, block, text }: BlockAddition): void => {
    const id = addEntry(entry, text);
    const chain = chainOf(entry.source, entry.chain, entry.prev, block.pod);
    const { count, lines } = block;
    const data = compress(lines);
    moveChain(chain, entry.first, {
      last: entry.last,
      hash: entry.hash,
      newest: block.newest ?? null,
      bytes: heldBytes(data.length, lines.length),
    });
    sql.block.run(id, chain, entry.first, entry.last, lastAt, count, lines.length, data);
    const starts = new Map<string, StartFacts>(block.starts.map((one) => [one.session, one]));
    const endings = new Map<string, EndFacts>(block.ends.map((one) => [one.session, one]));
    const namespace = names.number(block.pod.namespace);
    const pod = names.number(block.pod.name);
    let added = 0;
    /** @returns the session's row, and whether it ends with this: a second end of it is no more than a line */
    const addSession = (
      session: string,
      start: StartFacts | undefined,
      end: EndFacts | undefined,
    ): [number, boolean] => {
      const request = Buffer.from(session, 'hex');
      // A session's start is its first line: one that is here already came in an earlier block.
      let row = start === undefined ? sql.session.get(request, chain) : undefined;
      if (row === undefined) {
        const { at, said } = seenTime(start?.at ?? entry.at, lastAt, entry.at);
        const inserted = sql.addSession.run(
          chain,
          request,
          start?.sequence ?? entry.first,
          at,
          said,
          namespace,
          pod,
          ...(start === undefined ? noStart : startColumns(start)),
          ...(end === undefined ? noEnd : endColumns(end)),
        );
        if (inserted.changes === 1) {
          added++;
          return [Number(inserted.lastInsertRowid), true];
        }
        // A sidecar that begins a session twice does not stop the others.
        row = sql.session.get(request, chain);
      }
      const id = Number(row?.['id']);
      return [id, end !== undefined && sql.endSession.run(...endColumns(end), id).changes === 1];
    };
    for (const session of block.sessions) {
      const end = endings.get(session);
      const [row, ends] = addSession(session, starts.get(session), end);
      const tags = ends ? (end?.tags ?? []) : [];
      for (const tag of [...tags, ...labelTags(tags)]) sql.tag.run(names.number(tag), row);
      sql.part.run(row, id);
    }
    sql.count.run(1, 'blocks');
    sql.count.run(count, 'events');
    sql.count.run(lines.length, 'lineBytes');
    if (added > 0) sql.count.run(added, 'sessions');
  };

  /** Lines that are not there: what comes after them refers to their last. */
  const skip = ({ entry, pod }: Extract<Addition, { readonly pod: Block['pod'] }>): void => {
    const { source, chain, hash } = entry;
    const [first, last] = entry.type === 'block' ? [entry.first, entry.last] : [entry.from, entry.to];
    // One of them may have said that the clock stepped.
    moveChain(chainOf(source, chain, hash, pod), first, { last, hash, newest: null, bytes: 0 });
  };

  return {
    add(additions) {
      for (const addition of additions) {
        if ('block' in addition) addBlock(addition);
        else {
          const index = addEntry(addition.entry, addition.text);
          if ('evidence' in addition) {
            sql.evidence.run(index, addition.evidence);
            sql.evidenceHeld.run(namespaceOf(addition.entry.source), addition.evidence.length);
          }
          if ('pod' in addition) skip(addition);
        }
      }
    },
    addEntry,
    log: () => ({ size: frontier.size, root: frontier.root(), at: lastAt }),
    notBefore(at) {
      lastAt = Math.max(lastAt, at);
    },
    reset,
  };
}
