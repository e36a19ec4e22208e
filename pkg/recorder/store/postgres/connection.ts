import { hash } from 'node:crypto';
import pg from 'pg';
import { errorCode } from '../../../base/index.ts';
import { StoreError } from '../store-error.ts';
import { targetsOf } from './address.ts';
import type { DatabaseAddress, Target } from './address.ts';

export type Row = Readonly<Record<string, unknown>>;
export interface StatementOptions {
  /**
   * A connection keeps its plan, where no pooler stands before the server and it is in no transaction: to plan a statement takes longer than to
   * find a row. For statements whose text is always the same and names its columns.
   */
  readonly prepared?: boolean;
  /** After which the server gives up ({@link tookTooLong}). Default: as the kind of connection has it. */
  readonly ms?: number;
}
export type Run = (text: string, values?: readonly unknown[], options?: StatementOptions) => Promise<readonly Row[]>;

/** Connections of one Postgres database: some for what is taken in, others for what people ask, so that no search stands in its way. */
export interface Database {
  /** One statement of somebody who asks. @throws StoreError */
  readonly read: Run;
  /** One statement of what is taken in. @throws StoreError */
  readonly write: Run;
  /**
   * All or nothing, and on the server's disk when it resolves.
   *
   * @param statementMs For each statement, the wait for locks included; default 15 s.
   * @throws StoreError, or what `run` throws
   */
  transaction<Result>(run: (run: Run) => Promise<Result>, statementMs?: number): Promise<Result>;
  /** Makes the space of rows that are gone free for others. @param table One of the schema. */
  vacuum(table: string): Promise<void>;
  /**
   * Connections from here on go there, once one was made; those in use go on until they are not.
   *
   * @param check Looks at what is there, and throws where it is not what it should be.
   * @throws StoreError unavailable, or what `check` throws, and nothing has changed
   */
  moveTo(address: DatabaseAddress, check?: (run: Run) => Promise<void>): Promise<void>;
  close(): Promise<void>;
}

export interface DatabaseOptions extends DatabaseAddress {
  /** Where the tables are; lower-case letters, digits and `_`. */
  readonly schema: string;
  /** After which the server ends the transaction of a writer from which it hears nothing, so that others have their turn. */
  readonly stallMs: number;
  /** For a connection: to be made, or to be given back by who has it; default 5 s. */
  readonly waitMs?: number;
}

const writeMs = 15_000;
const readMs = 30_000;
/** Beyond the server's own limits: for a server that does not answer any more. */
const deafMs = 5_000;

const waitMs = 5_000;
/** What the pool says where all of its connections are in use for as long: the host is well, or whoever waits for it says otherwise. */
const busyPool = 'timeout exceeded when trying to connect';
const busy = 'busy';

/** Standby: the server takes nothing that is written. */
const readOnly = '25006';

/** What a connection is told before it is used: a server whose own default is weaker may not acknowledge what it could lose. */
const settingsOf = ({ schema, stallMs }: DatabaseOptions, statementMs: number, scope: 'SESSION' | 'LOCAL'): string => `
  SET ${scope} search_path = ${schema};
  SET ${scope} synchronous_commit = on;
  SET ${scope} statement_timeout = ${statementMs};
  SET ${scope} lock_timeout = ${statementMs};
  SET ${scope} idle_in_transaction_session_timeout = ${stallMs};
`;

/** Connections to one host. */
interface Connections {
  readonly pool: pg.Pool;
  /** Those behind which a pooler changes servers between transactions, so that nothing which is set outlives one. */
  readonly pooled: WeakSet<pg.ClientBase>;
}

function connect(target: Target, options: DatabaseOptions, max: number, statementMs: number): Connections {
  const pooled = new WeakSet<pg.ClientBase>();
  const pool = new pg.Pool({
    ...target,
    max,
    application_name: 'sidegate-recorder',
    connectionTimeoutMillis: options.waitMs ?? waitMs,
    query_timeout: statementMs + deafMs,
    keepAlive: true,
    types: { getTypeParser },
    // The pool waits for it, whatever its types say.
    onConnect: (async (client: pg.ClientBase & { readonly processID?: number }) => {
      // Its statements fail; nobody else is told.
      client.on('error', () => undefined);
      const { rows } = await client.query<{ pid: number; standby: boolean }>(
        `SELECT pg_backend_pid() AS pid, pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean AS standby`,
      );
      if (rows[0]?.standby !== false) throw Object.assign(new Error('a standby'), { code: readOnly });
      // A pooler tells a number of its own.
      if (rows[0].pid === client.processID) await client.query(settingsOf(options, statementMs, 'SESSION'));
      else pooled.add(client);
    }) as (client: pg.ClientBase) => void,
  });
  // Of a connection that nobody uses: the next statement has a new one.
  pool.on('error', () => undefined);
  return { pool, pooled };
}

/** Makes connections as they are needed. @throws StoreError unavailable, for an address that is none */
export function openDatabase(options: DatabaseOptions): Database {
  const kinds = { writers: { max: 3, statementMs: writeMs }, readers: { max: 4, statementMs: readMs } } as const;
  type Kind = keyof typeof kinds;
  let targets = targetsOf(options);
  let host = 0;
  let ended: Promise<unknown>[] = [];
  const make = (kind: Kind): Connections =>
    connect(targets[host] ?? targets[0], options, kinds[kind].max, kinds[kind].statementMs);
  let current = { writers: make('writers'), readers: make('readers') };
  const replace = (): void => {
    const { writers, readers } = current;
    current = { writers: make('writers'), readers: make('readers') };
    // Those in use are waited for.
    const ending = Promise.allSettled([writers.pool.end(), readers.pool.end()]);
    ended.push(ending);
    void ending.then(() => (ended = ended.filter((one) => one !== ending)));
  };
  /** A connection, to the first host from the last one on that has one which takes what is written. */
  const connected = async (kind: Kind): Promise<{ client: pg.PoolClient; pooled: boolean }> => {
    for (let tried = 1; ; tried++) {
      const { pool, pooled } = current[kind];
      try {
        const client = await guarded(() => pool.connect());
        return { client, pooled: pooled.has(client) };
      } catch (error) {
        // Somebody else may have moved on meanwhile.
        if (tried >= targets.length + 1 || failureOf(error) === busy) throw error;
        if (pool !== current[kind].pool) continue;
        if (targets.length === 1) throw error;
        host = (host + 1) % targets.length;
        replace();
      }
    }
  };
  /** Gives a connection back; one that is broken, or whose server takes nothing any more, is not used again. */
  const release = (client: pg.PoolClient, error?: unknown): void => {
    const failed = failureOf(error);
    client.release(failed !== undefined && breaks(failed));
    // Its other connections lead there, too.
    if (failed === readOnly) {
      host = (host + 1) % targets.length;
      replace();
    }
  };
  const inTransaction = async <Result>(
    { client, pooled }: { readonly client: pg.PoolClient; readonly pooled: boolean },
    run: (run: Run) => Promise<Result>,
    statementMs: number,
    usualMs: number,
  ): Promise<Result> => {
    // The driver knows it of a statement, its types of a connection alone.
    const patience = { query_timeout: statementMs + deafMs };
    const statement: Run = (text, values = []) =>
      guarded(async () => (await client.query({ text, values: [...values], ...patience })).rows as Row[]);
    try {
      const set = pooled || statementMs !== usualMs ? settingsOf(options, statementMs, 'LOCAL') : '';
      await guarded(() => client.query(`BEGIN; ${set}`));
      const result = await run(statement);
      await statement('COMMIT');
      release(client);
      return result;
    } catch (error) {
      await guarded(() => client.query('ROLLBACK')).then(
        () => release(client, error),
        (failure: unknown) => release(client, failure),
      );
      throw error;
    }
  };
  const alone = async <Result>(client: pg.PoolClient, run: () => Promise<Result>): Promise<Result> => {
    try {
      const result = await guarded(run);
      release(client);
      return result;
    } catch (error) {
      release(client, error);
      throw error;
    }
  };
  const runBy =
    (kind: Kind): Run =>
    async (text, values = [], { prepared = false, ms } = {}) => {
      const connection = await connected(kind);
      const { client, pooled } = connection;
      const { statementMs } = kinds[kind];
      return pooled || ms !== undefined
        ? inTransaction(connection, (run) => run(text, values), ms ?? statementMs, statementMs)
        : alone(
            client,
            async () =>
              (
                await client.query({
                  text,
                  values: [...values],
                  ...(prepared && { name: hash('sha256', text).slice(0, 32) }),
                })
              ).rows as Row[],
          );
    };

  return {
    read: runBy('readers'),
    write: runBy('writers'),
    async transaction(run, statementMs = writeMs) {
      return inTransaction(await connected('writers'), run, statementMs, writeMs);
    },
    async vacuum(table) {
      const { client } = await connected('writers');
      await alone(client, () => client.query(`VACUUM (SKIP_LOCKED) ${options.schema}.${table}`));
    },
    async moveTo(address, check) {
      const wanted = targetsOf(address);
      for (const [at, target] of wanted.entries()) {
        const { pool } = connect(target, options, 1, writeMs);
        try {
          const client = await guarded(() => pool.connect());
          try {
            await guarded(() => client.query(`BEGIN; ${settingsOf(options, writeMs, 'LOCAL')}`));
            await check?.((text, values = []) =>
              guarded(async () => (await client.query({ text, values: [...values] })).rows as Row[]),
            );
          } finally {
            // With what it has begun.
            client.release(true);
          }
          [targets, host] = [wanted, at];
          replace();
          return;
        } catch (error) {
          if (at === wanted.length - 1 || failureOf(error) === undefined) throw error;
        } finally {
          await pool.end();
        }
      }
    },
    async close() {
      await Promise.all([current.writers.pool.end(), current.readers.pool.end(), ...ended]);
    },
  };
}

const int8 = 20;
const text = (value: string): string => value;
/** Numbers of 64 bits as numbers: none here is beyond 2^53. */
function getTypeParser(oid: number, format?: 'text' | 'binary'): unknown {
  if (oid === int8 && format !== 'binary') return Number;
  return pg.types.getTypeParser(oid, format) ?? text;
}

/** What the driver or the server said, without its wording, which may hold what was given or asked for. */
class DatabaseFailure extends Error {
  /** SQLSTATE, or of the system; empty: none. */
  readonly code: string;

  constructor(code: string) {
    super(`postgres: ${code === '' ? 'no answer' : code}`);
    this.code = code;
  }
}

/** That the server gave a statement up, since it took longer than it may. */
export const tookTooLong = (error: unknown): boolean => failureOf(error) === '57014';

/** What the database or the driver said; undefined: the error is of something else. */
function failureOf(error: unknown): string | undefined {
  const cause = error instanceof StoreError ? error.cause : undefined;
  return cause instanceof DatabaseFailure ? cause.code : undefined;
}

/** That a connection is of no use after it: the server is none to write to, has ended it, or is not in reach. */
const breaks = (code: string): boolean => code === readOnly || !/^[0-9A-Z]{5}$/.test(code) || /^(08|57P)/.test(code);

/** Postgres' errors as ours; its wording may hold what was given or asked for. */
async function guarded<Result>(run: () => Promise<Result>): Promise<Result> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof StoreError) throw error;
    if (error instanceof Error && error.message === busyPool)
      throw new StoreError('unavailable', 'all connections to the database are in use', {
        cause: new DatabaseFailure(busy),
      });
    const code = errorCode(error) ?? '';
    const cause = new DatabaseFailure(code);
    // Data exceptions and violated constraints: of what was given, not of the server.
    if (/^2[23]/.test(code)) throw new StoreError('refused', 'the store cannot keep what it was given', { cause });
    if (code.startsWith('XX00')) throw new StoreError('corrupt', 'the database says that it is damaged', { cause });
    if (/^(28|3D|42)/.test(code))
      throw new StoreError('unavailable', `the database refuses the recorder (${code})`, { cause });
    if (code === readOnly) throw new StoreError('unavailable', 'the database is a standby', { cause });
    throw new StoreError(
      'unavailable',
      `the database cannot be read or written (${code === '' ? 'no answer' : code})`,
      {
        cause,
      },
    );
  }
}
