import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { generateKeyPairSync, hash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { zstdCompressSync } from 'node:zlib';
import type { JsonValue } from '../../pkg/base/index.ts';
import type { Cluster } from '../../pkg/cli/index.ts';
import { sealBy, signHead } from '../../pkg/record/index.ts';
import { openPostgresStore, openSqliteStore } from '../../pkg/recorder/index.ts';
import type { RecordStore } from '../../pkg/recorder/index.ts';
import { logRoutes } from '../../pkg/recorder/api/log-routes.ts';
import { matchRoute, Streamed } from '../../pkg/recorder/api/question.ts';
import { blockOf, source } from '../../pkg/recorder/store/testing/store-suite.ts';
import { sessionId, testChain, testTime } from '../../pkg/recorder/testing/chains.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { startPostgres } from '../support/postgres.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { sidegateCommand } from '../support/sidegate-command.ts';

// Who can write the store changes what stands in it, entry by entry and line by line; `audit verify` asks the recorder as people do, and says what
// was done, and to which.

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
const count = 6;
const minute = 60_000;

/** The tables, as somebody writes them who is no recorder. */
interface Tables {
  entry(id: number): Promise<string>;
  setEntry(id: number, text: string): Promise<void>;
  removeEntry(id: number): Promise<void>;
  setData(block: number, data: Uint8Array, size: number): Promise<void>;
  removeBlock(block: number): Promise<void>;
}

let postgres: PostgresServer;
let folder: string;
let store: RecordStore;
let tables: Tables;
let close: () => Promise<void>;

beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-touched-'));
});
afterEach(async () => {
  await store.close();
  await close();
  rmSync(folder, { recursive: true });
});

function embedded(): void {
  const path = join(folder, 'record.db');
  store = openSqliteStore({ path, clock: fakeClock(), seal: sealBy(privateKey) });
  const db = new DatabaseSync(path, { timeout: 5_000 });
  const run = async (sql: string, ...values: readonly (string | number | Uint8Array)[]): Promise<void> =>
    expect(db.prepare(sql).run(...values).changes).toBe(1);
  tables = {
    entry: async (id) => String(db.prepare('SELECT text FROM entry WHERE id = ?').get(id)?.['text']),
    setEntry: (id, text) => run('UPDATE entry SET text = ? WHERE id = ?', text, id),
    removeEntry: (id) => run('DELETE FROM entry WHERE id = ?', id),
    setData: (block, data, size) => run('UPDATE block SET data = ?, size = ? WHERE id = ?', data, size, block),
    removeBlock: (block) => run('DELETE FROM block WHERE id = ?', block),
  };
  close = async () => db.close();
}

async function shared(): Promise<void> {
  const schema = postgres.schema();
  store = await openPostgresStore({ dsn: postgres.dsn, schema, clock: fakeClock(), seal: sealBy(privateKey) });
  const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;
  const hex = (data: Uint8Array): string => `'\\x${Buffer.from(data).toString('hex')}'`;
  const run = async (sql: string): Promise<void> => expect(await postgres.query(`${sql} RETURNING 1`)).toHaveLength(1);
  tables = {
    entry: async (id) =>
      String((await postgres.query(`SELECT text FROM ${schema}.entry WHERE id = ${id}`))[0]?.['text']),
    setEntry: (id, text) => run(`UPDATE ${schema}.entry SET text = ${quoted(text)} WHERE id = ${id}`),
    removeEntry: (id) => run(`DELETE FROM ${schema}.entry WHERE id = ${id}`),
    setData: (block, data, size) =>
      run(`UPDATE ${schema}.block SET data = ${hex(data)}, size = ${size} WHERE id = ${block}`),
    removeBlock: (block) => run(`DELETE FROM ${schema}.block WHERE id = ${block}`),
  };
  close = async () => void (await postgres.query(`DROP SCHEMA ${schema} CASCADE`));
}

const sign = async (): Promise<void> => {
  await store.addHead(({ size, root, at }) => {
    const head = { size, root: Buffer.from(root).toString('hex'), at };
    return { ...head, text: signHead(head, privateKey) };
  });
};

/** Rules of retention, and blocks of three lines behind them, one of each second and two sessions in each; a head over the first half, and one over all. */
async function start(kind: 'embedded' | 'postgres'): Promise<void> {
  if (kind === 'embedded') embedded();
  else await shared();
  const chain = testChain();
  await store.append([
    { entry: { type: 'retention', at: testTime, days: { all: 30, namespaces: {}, policies: {} }, seals: 'all' } },
  ]);
  for (let n = 1; n <= count; n++) {
    await store.append([blockOf(chain, [{ id: sessionId(n), ask: `falcon${n} flies` }], testTime + n * 1_000)]);
    if (n === count / 2) await sign();
  }
  await sign();
}

/** The recorder's own routes, asked by the command. */
const client = {
  create: async () => ({ status: { token: 't' } }),
  async request({ path, body }: { readonly path: string; readonly body?: JsonValue }): Promise<unknown> {
    if (!path.includes('/proxy/')) return {};
    const url = new URL(path.slice(path.indexOf('/proxy/') + '/proxy'.length), 'https://recorder');
    if (url.pathname === '/v1/search') return store.search(body as never);
    const route = logRoutes(store).find((one) => matchRoute(one, url.pathname) !== undefined);
    const nothing = (): Promise<void> => Promise.resolve();
    const answer = await route?.answer({
      ...{ who: 'ana', search: url.searchParams, body: undefined, part: matchRoute(route, url.pathname) ?? '' },
      ...{ allow: nothing, allowChanges: nothing, turn: (act) => act(), note: nothing },
    });
    if (!(answer instanceof Streamed)) return answer;
    let text = '';
    for await (const part of answer.parts) text += part;
    return JSON.parse(text);
  },
  close: () => undefined,
} as unknown as Cluster['client'];

const verify = async (...args: readonly string[]): Promise<readonly [number, readonly string[]]> => {
  const { code, out, err } = await sidegateCommand(['audit', 'verify', '--key', 'public.pem', ...args], {
    openCluster: () => Promise.resolve({ client, namespace: 'ml' }),
    readFile: () => pem,
  });
  return [
    code,
    `${out}${err}`
      .split('\n')
      .map((line) => /^[a-z_]+: entry [0-9]+(?: to [0-9]+)?(?:: lines? [0-9]+)?/.exec(line)?.[0] ?? line),
  ];
};

const linesOf = async (block: number): Promise<string[]> =>
  Buffer.from((await store.blockLines(block)) ?? [])
    .toString()
    .trimEnd()
    .split('\n');
const setLines = (block: number, lines: readonly string[]): Promise<void> => {
  const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
  return tables.setData(block, zstdCompressSync(bytes), bytes.length);
};
/** With all hashes right again, as who knows how the chain works does it. */
const madeAnew = (lines: readonly string[], edit: (body: string) => string): readonly string[] => {
  let prev: string | undefined;
  return lines.map((line, at) => {
    let body = line.slice(0, line.lastIndexOf(',"hash":"'));
    if (at === 1) body = edit(body);
    if (prev !== undefined) body = body.replace(/"prev":"[0-9a-f]{64}"/, `"prev":"${prev}"`);
    prev = hash('sha256', body, 'hex');
    return `${body},"hash":"${prev}"}`;
  });
};

// The fourth block has the lines 10 to 12.
const touched = {
  'an entry removed': [() => tables.removeEntry(4), 'removed: entry 4'],
  'the last entry cut off': [() => tables.removeEntry(count), 'truncated: entry 6'],
  'an entry changed': [
    async () => tables.setEntry(4, (await tables.entry(4)).replace(/"hash":"[0-9a-f]/, '"hash":"x')),
    'changed: entry 4 to 6',
  ],
  'an entry back-dated': [
    async () => tables.setEntry(4, (await tables.entry(4)).replace(/"at":[0-9]+/, '"at":7')),
    'back_dated: entry 4',
  ],
  'entries exchanged': [
    async () => {
      const [four, five] = [await tables.entry(4), await tables.entry(5)];
      await tables.setEntry(4, five);
      await tables.setEntry(5, four);
    },
    'chain_broken: entry 4',
  ],
  'an entry that only a recorder makes changed': [
    async () => tables.setEntry(0, (await tables.entry(0)).replace('"all":30', '"all":1')),
    'entry_forged: entry 0',
  ],
  'a line removed': [async () => setLines(4, (await linesOf(4)).toSpliced(1, 1)), 'removed: entry 4: line 11'],
  'a line changed': [
    async () =>
      setLines(
        4,
        (await linesOf(4)).map((line) => line.replace('"hi"', '"ho"')),
      ),
    'changed: entry 4: line 11',
  ],
  'lines reordered': [
    async () => {
      const [one = '', two = '', three = ''] = await linesOf(4);
      await setLines(4, [one, three, two]);
    },
    'reordered: entry 4: line 11',
  ],
  'a line twice': [
    async () => {
      const [one = '', two = '', three = ''] = await linesOf(4);
      await setLines(4, [one, two, two, three]);
    },
    'duplicated: entry 4: line 11',
  ],
  'a line back-dated': [
    async () =>
      setLines(
        4,
        madeAnew(await linesOf(4), (body) => body.replace(/"time":"2026/, '"time":"2025')),
      ),
    'back_dated: entry 4: line 11',
  ],
  'the last lines cut off': [async () => setLines(4, (await linesOf(4)).slice(0, 1)), 'truncated: entry 4: lines 11'],
  'lines of another block': [async () => setLines(4, await linesOf(5)), 'changed: entry 4: line 13'],
  'lines deleted without a word': [() => tables.removeBlock(4), 'lines_missing: entry 4'],
  'lines that cannot be unpacked': [() => tables.setData(4, Buffer.from('no zstd'), 100), 'changed: entry 4: line 10'],
  'lines longer than they say': [
    async () => tables.setData(4, zstdCompressSync(Buffer.alloc(1_000_000)), 100),
    'changed: entry 4: line 10',
  ],
} as const satisfies Readonly<Record<string, readonly [() => Promise<void>, string]>>;

describe.each(['embedded', 'postgres'] as const)('a store of kind %s in which somebody else writes', (kind) => {
  test.each(Object.entries(touched))('%s: told, and which', async (_, [touch, expected]) => {
    await start(kind);
    while (await store.index());
    await touch();
    const [code, said] = await verify();
    expect([code, said]).toEqual([1, expect.arrayContaining([expected, expect.stringMatching(/^NOT PROVEN: /)])]);
  });

  test('is proven as long as they do not', async () => {
    await start(kind);
    expect(await verify()).toEqual([
      0,
      expect.arrayContaining([expect.stringMatching(/^proven: 7 entries .* 18 lines/)]),
    ]);
  });

  test.each<[string, () => Promise<void>]>([
    ['that cannot be unpacked', () => tables.setData(4, Buffer.from('no zstd'), 100)],
    ['that are no lines', () => setLines(4, ['{"session":"', `{"v":1,"session":"${'a'.repeat(32)}","type":"start"`])],
    [
      'whose texts are none',
      async () =>
        setLines(
          4,
          (await linesOf(4)).map((line) => line.replace('"request":[', '"request":['.slice(0, -1))),
        ),
    ],
  ])('lines %s stop nothing that is done with others', async (_, damage) => {
    await start(kind);
    await damage();
    // What is indexed, archived, told of pods and deleted comes to the other blocks.
    const chain = testChain('later');
    await store.append([blockOf(chain, [{ id: sessionId(9), ask: 'falcon9 flies' }], testTime + minute)]);
    while (await store.index());
    const found = await store.search({ text: 'falcon9', limit: 9 });
    expect([found.sessions.map(({ session }) => session), found.unsearched]).toEqual([[sessionId(9)], undefined]);
    const archived = await store.archivable(0, { entries: 100, bytes: 1_000_000 });
    expect(archived).toHaveLength(count + 2);
    await store.learn({ heads: [], gone: [{ source, at: testTime }] }, testTime);
    expect((await store.departed(testTime + 60 * minute, 9)).map((one) => one.chain).sort()).toEqual(
      [chain.name, testChain().name].sort(),
    );
    expect(await store.lineHash(source, chain.name, 1)).toMatch(/^[0-9a-f]{64}$/);
    const rule = { before: testTime + 10 * minute, of: { allBut: [] } } as const;
    expect(await store.deleteOld(rule, testTime + 31 * 24 * 60 * minute, 50)).toMatchObject({ deleted: count + 1 });
    for (let steps = 0; (await store.index()) || (await store.sweep()); steps++) expect(steps).toBeLessThan(1_000);
    await sign();
    expect((await verify())[0]).toBe(0);
  });
});
