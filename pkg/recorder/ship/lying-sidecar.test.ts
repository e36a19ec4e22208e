import { describe, expect, test } from '@jest/globals';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { parseJson } from '../../base/index.ts';
import { changeEvent } from './change-event.ts';
import { entryEvent, eventText, sessionEvent, shippedStart } from './event.ts';
import { logsRequest } from './otlp.ts';
import { processEvent } from './process-event.ts';
import { createEventSource } from './source.ts';
import type { Position, ShippedStore } from './source.ts';

// A sidecar writes its lines itself: whatever stands in them, little of it is shipped, and less is kept.

const long = 'x'.repeat(2 * 1024 * 1024);
const id = 'a'.repeat(32);
const source = `spiffe://cluster.local/ns/ml/sa/default/pod/uid-1`;
/** What one event may come to, whatever is in it. */
const mostBytes = 128 * 1024;
/** As each line begins. */
const place = { v: 1, seq: 2, time: '2026-11-26T12:00:00.000Z', prev: '0'.repeat(64) };
const nobody = (): boolean => false;
const node = (value: unknown) => parseJson(JSON.stringify(value), { loneSurrogates: true });
const size = (text: string): number => Buffer.byteLength(text);

const lists = {
  long: Array.from({ length: 100 }, (_, n) => `${n} ${'x'.repeat(20_000)}`),
  many: Array.from({ length: 10_000 }, (_, n) => `g${n}`),
};

describe.each(Object.entries(lists))('texts of 2 MB, and lists that are %s', (_, list) => {
  const start = {
    type: 'start',
    session: id,
    time: long,
    generation: long,
    caller: { subject: long, issuer: long, groups: list },
    peer: long,
    method: long,
    path: long,
    operation: long,
    model: long,
  };
  const end = {
    type: 'end',
    session: long,
    time: long,
    outcome: long,
    code: long,
    status: 200,
    rules: list.map((by) => ({ rule: by, act: by, by: [by] })),
    failedOpen: list,
  };

  test('make a small event of a session', () => {
    const event = sessionEvent(node(end), shippedStart(node(start)), source, { entry: 1, at: 1 });
    expect(size(eventText(event))).toBeLessThan(mostBytes);
    expect(size(JSON.stringify(logsRequest([event])))).toBeLessThan(2 * mostBytes);
    expect(event.fields['user.name']).toBe('x'.repeat(256));
  });

  test('make a small event of a change', () => {
    const change = {
      type: 'change',
      session: long,
      time: long,
      what: long,
      step: long,
      name: long,
      caller: { subject: long, issuer: long, groups: list },
      from: long,
      rules: list,
      until: long,
      requestedBy: long,
      by: long,
      decisions: list.map((who) => ({ who, [who]: list.slice(0, 3) })),
    };
    expect(size(eventText(changeEvent(node(change), source, { entry: 1, at: 1 })))).toBeLessThan(mostBytes);
  });
});

test('what an auditor asked and how an entry names a chain are cut too', () => {
  const read = JSON.stringify({ v: 1, type: 'read', at: 1, who: long, what: 'search', question: long });
  const event = entryEvent(read, 1);
  expect(event?.action).toBe('record.read');
  expect(size(event === undefined ? '' : eventText(event))).toBeLessThan(mostBytes);
});

test('numbers that JSON has no word for are not shipped', () => {
  const end = parseJson(`{"type":"end","status":1e400,"bytesIn":1e999,"timing":{"total":1e400}}`);
  const text = JSON.stringify(logsRequest([sessionEvent(end, undefined, source, { entry: 1, at: 1 })]));
  expect(text).not.toContain('null');
});

test('a total that is no number of nanoseconds is one that every receiver takes', () => {
  for (const [total, duration] of [
    ['1e305', Number.MAX_SAFE_INTEGER],
    ['-5', 0],
    ['1.5', 1_500_000],
  ] as const) {
    const end = parseJson(`{"type":"end","timing":{"total":${total}}}`);
    const event = sessionEvent(end, undefined, source, { entry: 1, at: 1 });
    expect(event.fields['event.duration']).toBe(duration);
    expect(JSON.stringify(logsRequest([event]))).not.toContain('null');
  }
});

describe('a time that the recorder does not believe', () => {
  const logged = Date.parse('2026-11-26T12:00:00.000Z');
  const shown = (time: string, began = time) => {
    const [end, start] = [
      { type: 'end', time },
      { type: 'start', time: began },
    ];
    return sessionEvent(node(end), shippedStart(node(start)), source, { entry: 1, at: logged });
  };

  test.each([
    ['1971-01-01T00:00:00.000Z', '2026-11-19T12:00:00.000Z'],
    ['9999-01-01T00:00:00.000Z', '2026-11-26T12:05:00.000Z'],
    ['no time', '2026-11-19T12:00:00.000Z'],
  ])('does not put its session out of the window of a SIEM: %s', (said, at) => {
    const event = shown(said);
    expect(JSON.parse(eventText(event))).toMatchObject({
      '@timestamp': at,
      'event.created': '2026-11-26T12:00:00.000Z',
      'sidegate.said_at': said,
    });
    const [record] =
      (logsRequest([event]) as unknown as { resourceLogs: { scopeLogs: { logRecords: object[] }[] }[] }).resourceLogs[0]
        ?.scopeLogs[0]?.logRecords ?? [];
    expect(record).toMatchObject({
      timeUnixNano: `${Date.parse(at)}000000`,
      observedTimeUnixNano: `${logged}000000`,
    });
  });

  test('does not stand in when the session began, of a change and of a process', () => {
    const said = '1971-01-01T00:00:00.000Z';
    const line = node({ type: 'change', what: 'start', step: 'approved', time: said });
    expect(shown(said).fields['event.start']).toBe('2026-11-19T12:00:00.000Z');
    for (const event of [
      changeEvent(line, source, { entry: 1, at: logged }),
      processEvent(line, source, { entry: 1, at: logged }),
    ])
      expect(event).toMatchObject({
        at: Date.parse('2026-11-19T12:00:00.000Z'),
        logged,
        fields: { 'sidegate.said_at': said },
      });
  });

  test('is one alone that is far off: others are shipped as they were said', () => {
    const said = '2026-11-26T11:59:30.123456Z';
    const event = shown(said);
    expect(event.at).toBe(Date.parse(said));
    expect(event.fields['event.start']).toBe(said);
    expect(Object.keys(event.fields)).not.toContain('sidegate.said_at');
  });
});

describe('a source of events', () => {
  /** A store of one block an entry. */
  const storeOf = (blocks: readonly string[], sessionLines: ShippedStore['sessionLines']): ShippedStore => ({
    entries: (from, atMost) =>
      Promise.resolve(
        blocks.slice(from, from + atMost).map((_, at) => ({
          index: from + at,
          text: JSON.stringify({ v: 1, type: 'block', at: 1, source, chain: 'c' }),
        })),
      ),
    blockLines: (entry) => Promise.resolve(Buffer.from(blocks[entry] ?? '')),
    sessionLines,
    log: () => Promise.resolve({ size: blocks.length, root: new Uint8Array(), at: 1 }),
    openSessions: () => Promise.resolve({ sessions: [], count: 0 }),
    search: () => Promise.resolve({ sessions: [], cursors: [], cursor: undefined }),
  });

  test('keeps some MB of sessions that have begun, however much their lines say', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const texts = ['subject', 'issuer'].map((key) => [key, 'y'.repeat(16 * 1024)] as const);
    const line = (n: number): string =>
      JSON.stringify({
        ...place,
        type: 'start',
        session: n.toString(16).padStart(32, '0'),
        generation: 'g'.repeat(16 * 1024),
        caller: { ...Object.fromEntries(texts), groups: Array.from({ length: 64 }, (_, at) => `${at}`.padEnd(200)) },
        model: `model number ${n} of many`,
      });
    const blocks = Array.from({ length: 64 }, (_, block) =>
      Array.from({ length: 16 }, (_, n) => `${line(block * 16 + n)}\n`).join(''),
    );
    const source = createEventSource(
      storeOf(blocks, async function* () {}),
      nobody,
    );
    collect();
    const before = process.memoryUsage().heapUsed;
    // 1,024 starts of 60 KB.
    const { next } = await source.read({ entry: 0, events: 0 }, 10);
    expect(next.entry).toBe(64);
    collect();
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(24 * 1024 * 1024);
    expect(await source.size()).toBe(64);
  });

  test('sends an entry again from its first event where a place says more events than it has', async () => {
    const end = JSON.stringify({ ...place, type: 'end', session: id, outcome: 'completed' });
    const source = createEventSource(
      storeOf([`${end}\n`, `${end}\n`], async function* () {}),
      nobody,
    );
    expect((await source.read({ entry: 0, events: 1 }, 200)).events).toHaveLength(1);
    expect((await source.read({ entry: 0, events: 1e9 }, 200)).events).toHaveLength(2);
  });

  test('looks up once what many ends of one session name', async () => {
    let asked = 0;
    const end = JSON.stringify({ ...place, type: 'end', session: id, outcome: 'completed' });
    const lines = Array.from({ length: 150 }, () => `${end}\n`).join('');
    const source = createEventSource(
      storeOf([lines], async function* () {
        asked++;
        yield JSON.stringify({ ...place, type: 'segment', session: id });
        throw new Error('only its first line is looked at');
      }),
      nobody,
    );
    expect((await source.read({ entry: 0, events: 0 }, 200)).events).toHaveLength(150);
    expect(asked).toBe(1);
  });

  test('looks up the starts of what it sends alone, and reads a block of thousands of ends once', async () => {
    const ids = Array.from({ length: 300 }, (_, n) => n.toString(16).padStart(32, '0'));
    const lines = ids.map((session) => `${JSON.stringify({ ...place, type: 'end', session, outcome: 'completed' })}\n`);
    const looked: string[] = [];
    let read = 0;
    const stored = storeOf([lines.join('')], async function* (session) {
      looked.push(session);
      yield JSON.stringify({ ...place, type: 'segment', session });
    });
    const source = createEventSource(
      {
        ...stored,
        blockLines(entry) {
          read++;
          return stored.blockLines(entry);
        },
      },
      nobody,
    );
    const sent: string[] = [];
    for (let from: Position = { entry: 0, events: 0 }; from.entry === 0;) {
      const { events, next } = await source.read(from, 10);
      sent.push(...events.map((event) => event.id));
      from = next;
    }
    expect([sent, looked, read]).toEqual([ids, ids, 1]);
  });

  test('is told of who decided what by controllers alone, and by lines that are of that type themselves', async () => {
    const change = { session: id, what: 'approval', step: 'approved', name: 'payroll' };
    const lines = [
      { ...place, type: 'note', x: { type: 'change', session: id }, ...change },
      { ...place, x: 1, type: 'change', ...change },
      { ...place, type: 'change', ...change },
    ];
    const stored = storeOf([lines.map((line) => `${JSON.stringify(line)}\n`).join('')], async function* () {});
    const from = async (isController: (source: string) => boolean) =>
      (await createEventSource(stored, isController).read({ entry: 0, events: 0 }, 10)).events.map(
        ({ action }) => action,
      );
    expect(await from(nobody)).toEqual([]);
    expect(await from(() => true)).toEqual(['approval.approved']);
  });
});
