import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres } from '../../../test/support/postgres.ts';
import type { PostgresServer } from '../../../test/support/postgres.ts';
import { until } from '../../../test/support/wait.ts';
import { silentLogger, systemClock } from '../../base/index.ts';
import { openPostgresStore } from '../store/index.ts';
import type { SharedStore } from '../store/index.ts';
import { blockOf } from '../store/testing/store-suite.ts';
import { sessionId, testChain } from '../testing/chains.ts';
import type { ShipBook } from './book.ts';
import type { ShippedEvent } from './event.ts';
import { fileBook } from './file-book.ts';
import type { Receiver } from './receiver.ts';
import { sharedBook } from './shared-book.ts';
import { startShipper } from './shipper.ts';
import type { Shipper } from './shipper.ts';
import { createEventSource } from './source.ts';

// What is kept of receivers, beside the embedded store and in a database; and two recorders that ship from one database.

const sessions = 450;
let server: PostgresServer;
let schema: string;
let store: SharedStore;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-books-'));
  server = await startPostgres();
  schema = server.schema();
  store = await openPostgresStore({ dsn: server.dsn, schema, clock: systemClock });
  const chain = testChain();
  for (let n = 0; n < sessions; n += 50)
    await store.append([
      blockOf(
        chain,
        Array.from({ length: 50 }, (_, at) => ({ id: sessionId(n + at) })),
      ),
    ]);
});
afterAll(async () => {
  await store?.close();
  await server?.stop();
  rmSync(folder, { recursive: true });
});

const ids = Array.from({ length: sessions }, (_, at) => sessionId(at));
const idOf = (event: ShippedEvent): string => event.id;

interface Kind {
  readonly name: string;
  open(receiver: string): ShipBook;
  /** Ids of what was never taken. */
  dead(receiver: string): Promise<readonly unknown[]>;
}
const kinds: readonly Kind[] = [
  {
    name: 'files',
    open: (receiver) => fileBook(join(folder, receiver)),
    dead: async (receiver) =>
      readFileSync(join(folder, `${receiver}.dead.jsonl`), 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as Record<string, unknown>)['event.id']),
  },
  {
    name: 'a database',
    open: (receiver) => sharedBook(store.shipping, receiver, systemClock),
    dead: async (receiver) => {
      const event = `event::json->>'event.id'`;
      const from = `${schema}.ship_dead WHERE receiver = '${receiver}'`;
      return (await server.query(`SELECT ${event} AS id FROM ${from} ORDER BY id`)).map((row) => row['id']);
    },
  },
];

const shippers: Shipper[] = [];
afterEach(async () => {
  await Promise.all(shippers.splice(0).map((one) => one.close()));
});

/** A shipper whose receiver is a list. */
function ship(book: ShipBook, send: Receiver['send'], name = 'r') {
  const counts = { dead: 0, rewinds: 0, failures: 0 };
  const shipper = startShipper({
    receiver: { name, send, close: () => undefined },
    source: createEventSource(store, () => true),
    book,
    clock: systemClock,
    logger: silentLogger,
    onDead: (events) => (counts.dead += events),
    onFailure: () => (counts.failures += 1),
    onRewind: () => (counts.rewinds += 1),
    lookMs: 5,
    retryMs: { first: 1, longest: 10 },
  });
  shippers.push(shipper);
  return { shipper, counts, done: () => until(() => shipper.behind() === 0, 'all that is shipped') };
}
const into =
  (got: string[]): Receiver['send'] =>
  async (events) => {
    got.push(...events.map(idOf));
    return 'taken';
  };

describe.each(kinds)('what is kept in $name', ({ open, dead }) => {
  test('says where to go on, after a stop in the middle, and of each receiver by itself', async () => {
    const got: string[] = [];
    const first = ship(open('stopped'), async (events, signal) => {
      if (got.length > 0) void first.shipper.close();
      return into(got)(events, signal);
    });
    await until(() => got.length > 200, 'two batches');
    await first.shipper.close();
    await ship(open('stopped'), into(got)).done();
    expect(got).toEqual(ids);
    const other: string[] = [];
    await ship(open('other'), into(other)).done();
    expect(other).toEqual(ids);
  });

  test('has what was never taken, and goes on behind it', async () => {
    const got: string[] = [];
    const poison = sessionId(123);
    const { counts, done } = ship(open('poisoned'), async (events, signal) =>
      events.some(({ id }) => id === poison) ? 'refused' : into(got)(events, signal),
    );
    await done();
    expect(got).toEqual(ids.filter((id) => id !== poison));
    expect([counts, await dead('poisoned')]).toEqual([{ dead: 1, rewinds: 0, failures: 0 }, [poison]]);
  });

  test('is set back while a batch is on its way: what was taken comes again from there, and no batch of before moves it on', async () => {
    const got: string[] = [];
    const book = open('again');
    let sets: Promise<void> | undefined;
    const { done, counts } = ship(book, async (events, signal) => {
      // In the middle of the third batch.
      if (got.length === 400 && sets === undefined) await (sets = book.again(2));
      return into(got)(events, signal);
    });
    await until(() => got.length >= ids.length + 350, 'the log, and what comes again');
    await done();
    expect(got).toEqual([...ids, ...ids.slice(100)]);
    expect(counts).toEqual({ dead: 0, rewinds: 0, failures: 0 });
    // And where nothing is on its way, which the next process knows.
    await book.again(8);
    await until(() => got.length === ids.length + 400, 'the last block');
    expect(got.slice(-50)).toEqual(ids.slice(400));
  });

  test('of a receiver that has taken nothing yet begins where it was set', async () => {
    const book = open('early');
    await book.again(7);
    await book.close();
    const got: string[] = [];
    await ship(open('early'), into(got)).done();
    expect(got).toEqual(ids.slice(350));
  });

  test('that is ahead of the log is not believed: the log is shipped from its beginning', async () => {
    const book = open('ahead');
    await book.take();
    expect(await book.move({ entry: 9_999, events: 3 })).toBe(true);
    await book.close();
    const got: string[] = [];
    const { counts, done } = ship(open('ahead'), into(got));
    await until(() => got.length === ids.length, 'the log');
    await done();
    expect([got, counts.rewinds]).toEqual([ids, 1]);
  });
});

test('a cursor of another log, as a store has that was brought back and has grown since, ships this one from its beginning', async () => {
  const path = join(folder, 'older');
  writeFileSync(`${path}.cursor`, JSON.stringify({ entry: 3, events: 0, last: '0'.repeat(64) }));
  const got: string[] = [];
  const { counts, done } = ship(fileBook(path), into(got));
  await until(() => got.length === ids.length, 'the log');
  await done();
  expect([got, counts.rewinds]).toEqual([ids, 1]);
});

test('a cursor of this log goes on where it was, also one that does not say of which it is', async () => {
  const path = join(folder, 'same');
  const got: string[] = [];
  const first = ship(fileBook(path), into(got));
  await first.done();
  await first.shipper.close();
  const cursor = JSON.parse(readFileSync(`${path}.cursor`, 'utf8')) as {
    readonly entry: number;
    readonly last: string;
  };
  expect(cursor).toEqual({ entry: 9, events: 0, last: expect.stringMatching(/^[0-9a-f]{64}$/) });
  const behind = async (kept: object): Promise<readonly [number, number]> => {
    writeFileSync(`${path}.cursor`, JSON.stringify(kept));
    const more: string[] = [];
    const { counts, done, shipper } = ship(fileBook(path), into(more));
    await done();
    await shipper.close();
    return [more.length, counts.rewinds];
  };
  expect(await behind(cursor)).toEqual([0, 0]);
  expect(await behind({ entry: 8, events: 10 })).toEqual([40, 0]);
});

test.each([
  ...['', '\0\0\0\0', '{"entry":3}', '{"entry":-5,"events":0}', '{"entry":1.5,"events":0}', '{"entry":5,"events":-1}'],
  ...['{"entry":5,"events":1e300}', '[]'],
])('a cursor that is none is not guessed, and its receiver counts as behind by all of the log: %j', async (text) => {
  writeFileSync(join(folder, 'broken.cursor'), text);
  await expect(fileBook(join(folder, 'broken')).take()).rejects.toThrow('is no cursor');
  const { shipper, counts } = ship(fileBook(join(folder, 'broken')), () =>
    Promise.reject(new Error('nothing is sent')),
  );
  await until(() => counts.failures > 1, 'tries');
  expect(shipper.behind()).toBe(sessions / 50);
});

test('one recorder sets back what another ships, which loses its turn and goes on from there', async () => {
  const got: string[] = [];
  const [shipping, asked] = [0, 1].map(() => sharedBook(store.shipping, 'set back', systemClock));
  if (shipping === undefined || asked === undefined) throw new Error('two');
  let sets: Promise<void> | undefined;
  ship(shipping, async (events, signal) => {
    if (got.length === 400 && sets === undefined) await (sets = asked.again(6));
    return into(got)(events, signal);
  });
  await until(() => got.length >= ids.length + 150, 'the log, and what comes again');
  expect(got).toEqual([...ids, ...ids.slice(300)]);
});

describe('two recorders on one database', () => {
  test('ship in turns: one has it until it gives it back, or says nothing for long', async () => {
    const { shipping } = store;
    const [one, other] = [randomUUID(), randomUUID()];
    expect(await shipping.take('turns', one, 60_000)).toEqual({ entry: 0, events: 0 });
    expect(await shipping.take('turns', other, 60_000)).toBeUndefined();
    expect(await shipping.move('turns', other, { entry: 9, events: 9 }, 60_000)).toBe(false);
    expect(await shipping.move('turns', one, { entry: 3, events: 1 }, 60_000)).toBe(true);
    // Not its to give.
    await shipping.release('turns', other);
    expect(await shipping.take('turns', other, 60_000)).toBeUndefined();
    expect(await shipping.take('turns', one, 1)).toEqual({ entry: 3, events: 1 });
    await until(() => shipping.take('turns', other, 60_000), 'the end of a turn');
    expect(await shipping.move('turns', one, { entry: 0, events: 0 }, 60_000)).toBe(false);
    await shipping.release('turns', other);
    expect(await shipping.take('turns', one, 60_000)).toEqual({ entry: 3, events: 1 });
  });

  test('send each event once, in order, also when the one that ships is stopped', async () => {
    const got: [at: number, id: string][] = [];
    const books = [0, 1].map(() => sharedBook(store.shipping, 'both', systemClock));
    const both = books.map((book, at) =>
      ship(book, async (events) => {
        got.push(...events.map(({ id }): [number, string] => [at, id]));
        // Whoever ships first is stopped after its first batch.
        if (got.length === 200) void both[at]?.shipper.close();
        return 'taken';
      }),
    );
    await until(() => got.length >= ids.length, 'all that is shipped');
    expect(got.map(([, id]) => id)).toEqual(ids);
    expect(new Set(got.map(([at]) => at)).size).toBe(2);
  });

  test('lose nothing when the one that ships stands still in the middle of a batch, and it moves nothing when it is back', async () => {
    const got: string[] = [];
    const stalled = Promise.withResolvers<void>();
    let late = 0;
    const first = ship(sharedBook(store.shipping, 'stall', systemClock, 100), async (events, signal) => {
      if (got.length > 0) {
        late += events.length;
        await stalled.promise;
        return 'taken';
      }
      return into(got)(events, signal);
    });
    await until(() => late > 0, 'the batch that stands still');
    const second = ship(sharedBook(store.shipping, 'stall', systemClock, 60_000), into(got));
    await until(() => got.length === ids.length, 'the rest, by the other');
    await second.done();
    expect(got).toEqual(ids);
    const [before] = await server.query(`SELECT * FROM ${schema}.ship WHERE receiver = 'stall'`);
    stalled.resolve();
    await until(() => first.shipper.behind() === undefined, 'that it knows');
    expect(await server.query(`SELECT * FROM ${schema}.ship WHERE receiver = 'stall'`)).toMatchObject([
      { entry: before?.['entry'], events: before?.['events'], holder: before?.['holder'] },
    ]);
    expect([late, got.length]).toEqual([200, ids.length]);
  });

  test('keep of it no more than 16 MiB, the newest', async () => {
    const { shipping } = store;
    const mebibyte = (n: number) => JSON.stringify({ n, x: 'y'.repeat(1024 * 1024) });
    for (let n = 0; n < 20; n++) await shipping.keepDead('heavy', [mebibyte(n)]);
    const kept = async () =>
      (
        await server.query(
          `SELECT (event::json->>'n')::int AS n FROM ${schema}.ship_dead WHERE receiver = 'heavy' ORDER BY id`,
        )
      ).map((row) => row['n']);
    expect(await kept()).toEqual([5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
    await shipping.keepDead(
      'heavy',
      Array.from({ length: 20 }, (_, n) => mebibyte(100 + n)),
    );
    expect(await kept()).toEqual([105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119]);
  });

  test('keep the newest of what a receiver never took', async () => {
    const { shipping } = store;
    const texts = (from: number, count: number) => Array.from({ length: count }, (_, at) => `{"n":${from + at}}`);
    await shipping.keepDead('full', texts(0, 9_999));
    await shipping.keepDead('full', texts(9_999, 3));
    await shipping.keepDead('neighbour', ['{"n":0}']);
    const kept = `min((event::json->>'n')::int) AS first, max((event::json->>'n')::int) AS last, count(*)::int AS count`;
    expect(await server.query(`SELECT ${kept} FROM ${schema}.ship_dead WHERE receiver = 'full'`)).toEqual([
      { first: 2, last: 10_001, count: 10_000 },
    ]);
  });
});
