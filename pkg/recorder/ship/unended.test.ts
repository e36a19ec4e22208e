import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { AuditEvent } from '../../core/index.ts';
import type { RecordStore } from '../store/index.ts';
import { openSqliteStore } from '../store/sqlite.ts';
import { blockOfEvents, source } from '../store/testing/store-suite.ts';
import { sessionEvents, sessionId, testChain, testTime } from '../testing/chains.ts';
import type { TestChain } from '../testing/chains.ts';
import { tracesRequest } from './otlp.ts';
import { createEventSource } from './source.ts';
import { createUnendedSessions } from './unended.ts';
import type { ShippedEvent } from './event.ts';

// A sidecar that is killed leaves sessions without an end: receivers are told of them once it is known that none will come.

let folder: string;
let store: RecordStore;
let chain: TestChain;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-unended-'));
  store = openSqliteStore({ path: join(folder, 'record.db'), clock: fakeClock({ now: testTime }) });
  chain = testChain();
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

const add = (...events: readonly AuditEvent[]): Promise<void> => store.append([blockOfEvents(chain, events)]);
const begins = (name: string): AuditEvent => ({ type: 'process', what: 'start', session: sessionId(name) });
const whole = (n: number): readonly AuditEvent[] => sessionEvents({ id: sessionId(n) });
const start = (n: number): AuditEvent => whole(n)[0] as AuditEvent;
const end = (n: number): AuditEvent => whole(n).at(-1) as AuditEvent;
const vanish = (ended = false): Promise<void> => {
  const { sequence: stored, hash } = chain.point();
  const entry = { type: 'vanished', at: testTime, source, chain: chain.name, stored, known: stored, hash } as const;
  return store.append([{ entry: { ...entry, known: stored + (ended ? 2 : 0), ended, gone: testTime } }]);
};
/** All events; by a source that knows nothing before each of so many. */
async function shipped(atMost = 1_000_000, forget = false): Promise<readonly ShippedEvent[]> {
  let events = createEventSource(store, () => false);
  const all: ShippedEvent[] = [];
  for (let from = { entry: 0, events: 0 }; ;) {
    const batch = await events.read(from, atMost);
    if (batch.next.entry === from.entry && batch.next.events === from.events) return all;
    all.push(...batch.events);
    from = batch.next;
    if (forget) events = createEventSource(store, () => false);
  }
}
const told = (events: readonly ShippedEvent[]): readonly string[] =>
  events.map(({ action, id, fields }) => {
    const names: Readonly<Record<string, string>> = Object.fromEntries(
      ['one', 'two', 'three', 0, 1, 2, 3, 4, 5].map((name) => [sessionId(name), String(name)]),
    );
    return `${action} ${names[id] ?? id} ${String(fields['sidegate.outcome'] ?? '')}`.trim();
  });

/** Three processes, each killed but the last, whose pod vanishes. */
async function killed(): Promise<readonly string[]> {
  await add(begins('one'), ...whole(0), start(1));
  await add(start(2));
  await add(...whole(2).slice(1));
  await add(begins('two'), start(3), ...whole(4));
  await add(begins('three'), start(5));
  await vanish();
  return [
    'process.start one',
    'session 0 completed',
    'session 2 completed',
    'process.start two',
    'session 4 completed',
    'session 1 open',
    'process.start three',
    'session 3 open',
    'record.vanished entry-5',
    'session 5 open',
  ];
}

test('they are told of when its chain goes on with a new process, or its pod is gone: each once, in order', async () => {
  const expected = await killed();
  const events = await shipped();
  expect(told(events)).toEqual(expected);
  const open = events.find(({ id }) => id === sessionId(1));
  expect(open).toMatchObject({
    entry: 3,
    at: testTime,
    severity: 'warning',
    message: 'ana: Chat of llama-3: it never ended: its sidecar was killed',
    fields: {
      'user.name': 'ana',
      'event.outcome': 'unknown',
      'gen_ai.request.model': 'llama-3',
      'event.type': ['access'],
    },
  });
  expect(Object.keys(open?.fields ?? {})).not.toContain('event.duration');
  // Receivers of spans have one of it.
  expect(JSON.stringify(tracesRequest(open === undefined ? [] : [open]))).toContain('"name":"chat llama-3"');
});

test('of a sidecar that stopped in good order they had an end, which was lost with its pod', async () => {
  await add(begins('one'), start(0));
  await vanish(true);
  expect((await shipped()).find(({ id }) => id === sessionId(0))?.message).toBe(
    'ana: Chat of llama-3: its end was lost with its pod, whose sidecar stopped in good order',
  );
});

test.each([1, 2, 3])('%d events at a time, by a recorder that begins anew after each batch, too', async (atMost) => {
  const expected = await killed();
  expect(told(await shipped(atMost))).toEqual(expected);
  expect(told(await shipped(atMost, true))).toEqual(expected);
});

test('where a pod comes back, its next process tells of what came since', async () => {
  await add(begins('one'), start(0));
  await vanish();
  await add(start(1));
  await add(begins('two'));
  expect(told(await shipped()).slice(-2)).toEqual(['process.start two', 'session 1 open']);
});

test('what goes on is not told of', async () => {
  await add(begins('one'), start(0));
  await add(start(1), end(0));
  expect(told(await shipped())).toEqual(['process.start one', 'session 0 completed']);
});

test('of very many some are told one by one, and how many more there are; each is looked up when it is its turn', async () => {
  const ids = Array.from({ length: 1_000 }, (_, n) => sessionId(n));
  const asked: number[] = [];
  const looked: string[] = [];
  const unended = createUnendedSessions(
    {
      async openSessions(_, { after }, atMost) {
        asked.push(after, atMost);
        return { sessions: ids, count: 1_005 };
      },
      search: async () => ({ sessions: [], cursors: [], cursor: undefined }),
    },
    async (session) => void looked.push(session),
  );
  const events = await unended.before(9_000, { source, chain: chain.name }, { entry: 7, at: testTime });
  expect([events.length, asked, looked]).toEqual([1_001, [0, 1_000], []]);
  const [first] = events;
  expect(typeof first === 'function' ? await first() : first).toMatchObject({
    id: ids[0],
    message: 'nobody known: it never ended: its sidecar was killed',
  });
  expect(looked).toEqual([ids[0]]);
  expect(events.at(-1)).toMatchObject({
    id: 'unended-7-9000',
    action: 'record.unended',
    severity: 'alert',
    fields: { 'sidegate.amount': 5 },
  });
});

test('what retention deletes of them between two batches takes no other event of the block with it', async () => {
  await add(begins('one'), start(0), start(1));
  await add(begins('two'), ...whole(2), ...whole(3));
  const all = [0, 1].map(sessionId);
  // Another recorder goes on, which has not read the block before.
  const events = () =>
    createEventSource({ ...store, openSessions: async () => ({ sessions: [...all], count: all.length }) }, () => false);
  const { next, events: first } = await events().read({ entry: 1, events: 0 }, 2);
  all.splice(0);
  const { events: second } = await events().read(next, 10);
  expect(told([...first, ...second])).toEqual(['process.start two', 'session 2 completed', 'session 3 completed']);
});

test('a batch looks up what it sends alone', async () => {
  await add(begins('one'), start(0), start(1), start(2), start(3));
  await add(begins('two'));
  const looked: string[] = [];
  const events = createEventSource(
    {
      ...store,
      sessionLines(id, of, after) {
        looked.push(id);
        return store.sessionLines(id, of, after);
      },
    },
    () => false,
  );
  const { next } = await events.read({ entry: 1, events: 0 }, 2);
  expect([next, looked]).toEqual([{ entry: 1, events: 2 }, [sessionId(0)]]);
  await events.read(next, 3);
  expect(looked).toEqual([0, 1, 2, 3].map(sessionId));
});
