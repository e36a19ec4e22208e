import { describe, expect, test } from '@jest/globals';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { parseJson } from '../../base/index.ts';
import { changeEvent } from './change-event.ts';
import { entryEvent, eventText, sessionEvent, shippedStart } from './event.ts';
import { logsRequest } from './otlp.ts';
import { createEventSource } from './source.ts';
import type { ShippedStore } from './source.ts';

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
    const event = sessionEvent(node(end), shippedStart(node(start)), source, 1);
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
    expect(size(eventText(changeEvent(node(change), source, 1)))).toBeLessThan(mostBytes);
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
  const text = JSON.stringify(logsRequest([sessionEvent(end, undefined, source, 1)]));
  expect(text).not.toContain('null');
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
