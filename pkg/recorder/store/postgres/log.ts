import { createFrontier, edgeOf, entryLeaf, entryText, inLogTime } from '../../../record/index.ts';
import type { Frontier, LogEntry, Seal } from '../../../record/index.ts';
import type { LogState } from '../port.ts';
import { StoreError } from '../store-error.ts';
import { claimLost, restoredMeanwhile } from './claim.ts';
import type { Database, Row, Run } from './connection.ts';
import { schemaVersion } from './schema.ts';

/**
 * The log, and whose turn it is to write: a transaction that changes the store first locks the row that says what the log is. Of all
 * recorders one has it at a time; one that stalls loses it when the server ends its transaction, of which then nothing is there. Nothing is there
 * either of a recorder whose tables a newer one has brought to its own version.
 */
export interface Log {
  turn<Result>(run: (turn: Turn) => Promise<Result>): Promise<Result>;
  state(): Promise<LogState>;
  /** As last seen. */
  latest(): number;
  /** Does something between turns. */
  between<Result>(work: () => Promise<Result>): Promise<Result>;
  /** Whether the log that another database has begins with what was last seen of this one. */
  isIn(run: Run): Promise<boolean>;
}

export interface Turn {
  readonly run: Run;
  /** Time of the last entry. */
  at(): number;
  state(): LogState;
  /** @param text Of an entry that comes back from an archive, as it stands there. @returns its index */
  addEntry(entry: LogEntry, text?: string): number;
  /** Entries from now on are not older than this. */
  notBefore(at: number): void;
  /** The number of the next session. */
  nextSession(): number;
  count(what: 'blocks' | 'events' | 'sessions' | 'line_bytes' | 'unswept', by: number): void;
}

const bytesOf = (value: unknown): Buffer => {
  if (!Buffer.isBuffer(value)) throw new StoreError('corrupt', 'a hash of the log is missing');
  return value;
};
const stateOf = (row: Row | undefined): LogState & { readonly root: Buffer } => ({
  size: Number(row?.['size']),
  root: bytesOf(row?.['sealed_root']),
  at: Number(row?.['at']),
});

const lacksEntries = (): StoreError =>
  new StoreError(
    'unavailable',
    'the database lacks entries of the log that this recorder has seen there: nothing is written to it (docs/audit.md, Several recorders)',
  );

/** Recorders of two builds stand beside each other while one takes the other's place. */
const replaced = (): StoreError =>
  new StoreError('unavailable', 'a newer version of the recorder has the database: this one writes nothing there');

export interface LogOptions {
  /** @param row Of the log: a turn begins. */
  readonly onTurn: (row: Row | undefined) => void;
  /** What was written in a transaction is not there. */
  readonly onFailure: () => void;
  readonly seal?: Seal | undefined;
  /** Whether the store is that of this restoration; undefined: it is of none. */
  readonly restoration?: () => string | undefined;
}

export function createLog(
  database: Database,
  { onTurn, onFailure, seal = (entry) => entryText(entry), restoration = () => undefined }: LogOptions,
): Log {
  let latest = 0;
  let seen: { readonly size: number; readonly root: Uint8Array } = { size: 0, root: createFrontier().root() };
  let frontier: Frontier = createFrontier();
  let last: Promise<unknown> = Promise.resolve();

  /** The trees of the first so many entries; of none that the log does not have. */
  const frontiersAt = async (run: Run, ...sizes: readonly number[]): Promise<readonly Frontier[]> => {
    const edge = sizes.flatMap(edgeOf);
    const rows = await run(
      `SELECT n.hash FROM unnest($1::integer[], $2::bigint[]) WITH ORDINALITY AS e (level, idx, place)
       LEFT JOIN node n USING (level, idx) ORDER BY e.place`,
      [edge.map(({ level }) => level), edge.map(({ index }) => index)],
    );
    let at = 0;
    return sizes.map((size) => {
      const own = rows.slice(at, (at += edgeOf(size).length));
      return createFrontier(
        size,
        own.map((row) => bytesOf(row['hash'])),
      );
    });
  };
  /** The tree's edge as the database has it: another recorder may have written since. */
  const catchUp = async (run: Run, { size, root }: LogState): Promise<void> => {
    if (frontier.size === size && frontier.root().equals(root)) return;
    // A standby that took over without what its primary had committed: what is written there now could never be put together with that again.
    if (size < seen.size) throw lacksEntries();
    const [before, now] = await frontiersAt(run, seen.size, size);
    if (now === undefined || !now.root().equals(root))
      throw new StoreError('corrupt', 'the tree of the log is not what the log says');
    if (before === undefined || !before.root().equals(seen.root)) throw lacksEntries();
    frontier = now;
  };
  const see = (state: typeof seen): void => {
    if (state.size >= seen.size) seen = state;
  };
  const write = async <Result>(run: Run, work: (turn: Turn) => Promise<Result>): Promise<Result> => {
    const [row] = await run('SELECT *, restoring_until > now() AS restored FROM log FOR UPDATE');
    const own = restoration();
    if (own === undefined && row?.['restored'] === true) throw restoredMeanwhile();
    if (own !== undefined && row?.['restoring'] !== own) throw claimLost();
    onTurn(row);
    const before = stateOf(row);
    await catchUp(run, before);
    let { at } = before;
    let session = Number(row?.['next_session']);
    const counted = { blocks: 0, events: 0, sessions: 0, line_bytes: 0, unswept: 0 };
    const entries: { id: number; text: string }[] = [];
    const nodes: { level: number; idx: number; hash: string }[] = [];
    const result = await work({
      run,
      at: () => at,
      state: () => ({ size: frontier.size, root: frontier.root(), at }),
      addEntry(given, kept) {
        const entry = inLogTime(given, at);
        ({ at } = entry);
        const id = frontier.size;
        const text = kept ?? seal(entry, id);
        entries.push({ id, text });
        for (const { level, index, hash } of frontier.append(entryLeaf(text)))
          nodes.push({ level, idx: index, hash: `\\x${hash.toString('hex')}` });
        return id;
      },
      notBefore(time) {
        at = Math.max(at, time);
      },
      nextSession: () => session++,
      count(what, by) {
        counted[what] += by;
      },
    });
    if (entries.length > 0) {
      await run('INSERT INTO entry SELECT * FROM json_populate_recordset(NULL::entry, $1)', [JSON.stringify(entries)]);
      await run('INSERT INTO node SELECT * FROM json_populate_recordset(NULL::node, $1)', [JSON.stringify(nodes)]);
    }
    const written = await run(
      `UPDATE log SET size = $1, sealed_root = $2, at = $3, next_session = $4,
        blocks = blocks + $5, events = events + $6, sessions = sessions + $7, line_bytes = line_bytes + $8, unswept = unswept + $9
       WHERE (SELECT version FROM store) = $10 RETURNING 1`,
      [
        frontier.size,
        frontier.root(),
        at,
        session,
        counted.blocks,
        counted.events,
        counted.sessions,
        counted.line_bytes,
        counted.unswept,
        schemaVersion,
      ],
    );
    if (written.length === 0) throw replaced();
    latest = Math.max(latest, at);
    return result;
  };

  return {
    turn(work) {
      // One after the other: the others of this recorder would hold connections while they wait.
      const turn = last.then(async () => {
        try {
          const result = await database.transaction((run) => write(run, work));
          see({ size: frontier.size, root: frontier.root() });
          return result;
        } catch (error) {
          frontier = createFrontier();
          onFailure();
          throw error;
        }
      });
      last = turn.catch(() => undefined);
      return turn;
    },
    async state() {
      const [row] = await database.read('SELECT size, sealed_root, at FROM log');
      const state = stateOf(row);
      latest = Math.max(latest, state.at);
      // Later ones are compared with what was seen before, in the next turn.
      if (seen.size === 0) see(state);
      return state;
    },
    latest: () => latest,
    between(work) {
      const done = last.then(work);
      last = done.catch(() => undefined);
      return done;
    },
    async isIn(run) {
      const [row] = await run('SELECT size FROM log');
      if (Number(row?.['size']) < seen.size) return false;
      const [before] = await frontiersAt(run, seen.size);
      return before?.root().equals(seen.root) === true;
    },
  };
}
