import { describe, expect, test } from '@jest/globals';
import { parseJson } from '../../base/index.ts';
import { sessionId } from '../testing/chains.ts';
import { eventText, sessionEvent, shippedStart } from './event.ts';
import type { ShippedEvent } from './event.ts';
import { logsRequest, tracesRequest } from './otlp.ts';

// What stands at the places of OTLP that receivers judge: ids and times.

const [trace, parent] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7'];
const id = sessionId(1);
const node = (value: unknown) => parseJson(JSON.stringify(value));
const session = (start: object | undefined, end: object = {}): ShippedEvent =>
  sessionEvent(
    node({
      type: 'end',
      session: id,
      time: '2026-11-26T12:00:01.000Z',
      outcome: 'completed',
      timing: { total: 500 },
      ...end,
    }),
    start === undefined ? undefined : shippedStart(node({ type: 'start', time: '2026-11-26T12:00:00.000Z', ...start })),
    'spiffe://cluster.local/ns/ml/sa/default/pod/uid-1',
    { entry: 7, at: Date.parse('2026-11-26T12:00:02.000Z') },
  );
interface Shown {
  readonly traceId?: string;
  readonly spanId?: string;
  readonly parentSpanId?: string;
  readonly startTimeUnixNano?: string;
  readonly endTimeUnixNano?: string;
  readonly timeUnixNano?: string;
}
const spanOf = (event: ShippedEvent): Shown =>
  (tracesRequest([event]) as unknown as { resourceSpans: { scopeSpans: { spans: Shown[] }[] }[] }).resourceSpans[0]
    ?.scopeSpans[0]?.spans[0] ?? {};
const logOf = (event: ShippedEvent): Shown =>
  (logsRequest([event]) as unknown as { resourceLogs: { scopeLogs: { logRecords: Shown[] }[] }[] }).resourceLogs[0]
    ?.scopeLogs[0]?.logRecords[0] ?? {};

describe('the caller’s trace', () => {
  const event = session({ trace: { id: trace, parent } });

  test('has the span, below the one in which the caller asked', () => {
    expect(spanOf(event)).toMatchObject({ traceId: trace, parentSpanId: parent });
    expect(spanOf(event).spanId).toMatch(/^(?!00f067aa0ba902b7)[0-9a-f]{16}$/);
  });

  test('is named by the event of each other receiver', () => {
    expect(logOf(event)).toMatchObject({ traceId: trace, spanId: parent });
    expect(JSON.parse(eventText(event))).toMatchObject({ 'trace.id': trace, 'span.id': parent, 'event.id': id });
  });

  test.each([
    ['of zeros', { id: '0'.repeat(32), parent }],
    ['with a parent of zeros', { id: trace, parent: '0'.repeat(16) }],
    ['with other characters', { id: trace.toUpperCase(), parent }],
    ['that is too long', { id: trace, parent: `${parent}00` }],
    ['without a parent', { id: trace }],
    ['that is no text', { id: 1, parent: [] }],
    ['that is nothing', null],
  ])('%s, as a sidecar that lies may write it, is none', (_, lie) => {
    const told = session({ trace: lie });
    expect(spanOf(told)).toMatchObject({ traceId: id });
    for (const shown of [spanOf(told), logOf(told)]) expect(shown).not.toHaveProperty('parentSpanId');
    expect(logOf(told)).not.toHaveProperty('traceId');
  });
});

test('a session of which no caller said more is a trace of its own, and of an id that is none another is made', () => {
  expect(spanOf(session(undefined)).traceId).toBe(id);
  for (const none of ['0'.repeat(32), 'xyz', 'A'.repeat(32), 'a'.repeat(31), ''])
    expect(spanOf({ ...session(undefined), id: none }).traceId).toMatch(/^(?!0+$)[0-9a-f]{32}$/);
});

describe('a time that a receiver would refuse', () => {
  const times = (event: ShippedEvent): bigint[] => {
    const { startTimeUnixNano = '', endTimeUnixNano = '' } = spanOf(event);
    return [startTimeUnixNano, endTimeUnixNano, logOf(event).timeUnixNano ?? ''].map(BigInt);
  };
  test.each<[string, object | undefined, object]>([
    ['before 1970', { time: '1900-01-01T00:00:00.000Z' }, { time: '1901-01-01T00:00:00.000Z' }],
    ['in the year 9999', { time: '9999-01-01T00:00:00.000Z' }, { time: '9999-12-31T23:59:59.999Z' }],
    ['in the year 200000', undefined, { time: '+200000-01-01T00:00:00.000Z' }],
    ['that is none', { time: 'noon' }, { time: 'noon' }],
    ['that ends before it began', { time: '2026-11-26T13:00:00.000Z' }, {}],
    ['of a session that took longer than time has been', undefined, { timing: { total: 1e15 } }],
    ['of one that took less than none', undefined, { timing: { total: -1e15 } }],
  ])('%s becomes one that it takes', (_, start, end) => {
    const [began = -1n, ended = -1n, at = -1n] = times(session(start, end));
    for (const time of [began, ended, at]) {
      expect(time).toBeGreaterThanOrEqual(0n);
      expect(time).toBeLessThan(2n ** 63n);
    }
    expect(began).toBeLessThanOrEqual(ended);
  });

  test('is the only one that is changed', () => {
    const at = BigInt(Date.UTC(2026, 10, 26, 12)) * 1_000_000n;
    expect(times(session({}))).toEqual([at, at + 1_000_000_000n, at + 1_000_000_000n]);
    expect(times(session(undefined))).toEqual([at + 500_000_000n, at + 1_000_000_000n, at + 1_000_000_000n]);
  });
});
