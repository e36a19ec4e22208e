import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import { errorCode } from '../../../base/index.ts';
import type { Secret } from '../../../base/index.ts';
import { StoreError } from '../store-error.ts';

export type Row = Readonly<Record<string, unknown>>;
export type Run = (text: string, values?: readonly unknown[]) => Promise<readonly Row[]>;

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
  close(): Promise<void>;
}

export interface DatabaseOptions {
  /**
   * `postgres://user:password@host:5432/database`, or `postgres:///database?host=/folder&user=user&port=5432` for a local socket. Over the network the
   * server proves itself by TLS, its name included (`sslmode=verify-full`, whether it is said or not).
   */
  readonly dsn: Secret;
  /** PEM of the authorities of the server's certificate; absent: the public ones. */
  readonly ca?: string | undefined;
  /** Where the tables are; lower-case letters, digits and `_`. */
  readonly schema: string;
  /** After which the server ends the transaction of a writer from which it hears nothing, so that others have their turn. */
  readonly stallMs: number;
}

const writeMs = 15_000;
const readMs = 30_000;
/** Beyond the server's own limits: for a server that does not answer any more. */
const deafMs = 5_000;

/** Makes connections as they are needed. @throws StoreError unavailable, for an address that is none */
export function openDatabase(options: DatabaseOptions): Database {
  const target = targetOf(options);
  const pool = (max: number, statementMs: number): pg.Pool => {
    const made = new pg.Pool({
      ...target,
      max,
      application_name: 'sidegate-recorder',
      connectionTimeoutMillis: 5_000,
      query_timeout: statementMs + deafMs,
      keepAlive: true,
      types: { getTypeParser },
      // The pool waits for it, whatever its types say.
      onConnect: (async (client: pg.ClientBase) => {
        // Its statements fail; nobody else is told.
        client.on('error', () => undefined);
        // A server whose own default is weaker may not acknowledge what it could lose.
        await client.query(`
          SET search_path = ${options.schema};
          SET synchronous_commit = on;
          SET statement_timeout = ${statementMs};
          SET lock_timeout = ${statementMs};
          SET idle_in_transaction_session_timeout = ${options.stallMs};
        `);
      }) as (client: pg.ClientBase) => void,
    });
    // Of a connection that nobody uses: the next statement has a new one.
    made.on('error', () => undefined);
    return made;
  };
  const writers = pool(3, writeMs);
  const readers = pool(4, readMs);
  const runBy =
    (on: pg.Pool): Run =>
    (text, values = []) =>
      guarded(async () => (await on.query(text, [...values])).rows as Row[]);

  return {
    read: runBy(readers),
    write: runBy(writers),
    async transaction(run, statementMs = writeMs) {
      const client = await guarded(() => writers.connect());
      // The driver knows it of a statement, its types of a connection alone.
      const patience = { query_timeout: statementMs + deafMs };
      const statement: Run = (text, values = []) =>
        guarded(async () => (await client.query({ text, values: [...values], ...patience })).rows as Row[]);
      let broken = true;
      try {
        await statement('BEGIN');
        if (statementMs !== writeMs) {
          await statement(`SET LOCAL statement_timeout = ${statementMs}`);
          await statement(`SET LOCAL lock_timeout = ${statementMs}`);
        }
        const result = await run(statement);
        await statement('COMMIT');
        broken = false;
        return result;
      } catch (error) {
        await client.query('ROLLBACK').then(
          () => (broken = false),
          () => undefined,
        );
        throw error;
      } finally {
        client.release(broken);
      }
    },
    async close() {
      await Promise.all([writers.end(), readers.end()]);
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

function targetOf({ dsn, ca }: DatabaseOptions): pg.ClientConfig {
  const refuse = (why: string): StoreError => new StoreError('unavailable', `the address of the database ${why}`);
  let url: URL;
  try {
    url = new URL(dsn.reveal());
  } catch {
    throw refuse('is no URL');
  }
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') throw refuse('is not postgres://…');
  const { searchParams } = url;
  const folder = searchParams.get('host') ?? undefined;
  const mode = searchParams.get('sslmode') ?? 'verify-full';
  const allowed = folder === undefined ? ['sslmode'] : ['host', 'user', 'port'];
  for (const name of searchParams.keys())
    if (!allowed.includes(name))
      throw refuse('has a parameter that is not known: sslmode; of a socket host, user and port');
  if (mode !== 'verify-full') throw refuse('asks for less than sslmode=verify-full');
  if (folder === undefined ? url.hostname === '' : url.hostname !== '' || !folder.startsWith('/'))
    throw refuse('must name a host, or the folder of a socket as host=/…');
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const ssl: ConnectionOptions = {
    host,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    ...(ca === undefined ? {} : { ca }),
  };
  const port = searchParams.get('port') ?? (url.port === '' ? '5432' : url.port);
  if (!/^[0-9]{1,5}$/.test(port)) throw refuse('has a port that is none');
  return {
    user: searchParams.get('user') ?? decodeURIComponent(url.username),
    database: decodeURIComponent(url.pathname.slice(1)),
    port: Number(port),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
    ...(folder === undefined ? { host, ssl } : { host: folder, ssl: false }),
  };
}

/** Postgres' errors as ours; its wording may hold what was given or asked for. */
async function guarded<Result>(run: () => Promise<Result>): Promise<Result> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const code = errorCode(error) ?? '';
    const cause = new Error(`postgres: ${code === '' ? 'no answer' : code}`);
    // Data exceptions and violated constraints: of what was given, not of the server.
    if (/^2[23]/.test(code)) throw new StoreError('refused', 'the store cannot keep what it was given', { cause });
    if (code.startsWith('XX00')) throw new StoreError('corrupt', 'the database says that it is damaged', { cause });
    if (/^(28|3D|42)/.test(code))
      throw new StoreError('unavailable', `the database refuses the recorder (${code})`, { cause });
    throw new StoreError(
      'unavailable',
      `the database cannot be read or written (${code === '' ? 'no answer' : code})`,
      {
        cause,
      },
    );
  }
}
