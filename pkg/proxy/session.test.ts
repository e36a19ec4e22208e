import { expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { AuditEvent, RecordedText } from '../core/index.ts';
import { maxRecordBytes } from '../wire/index.ts';
import { makeSealKeys, readPrivateKey, sealingKey, unsealLines } from '../seal/index.ts';
import { RecordWriter } from './record-writer.ts';
import { Session } from './session.ts';
import type { KeptText } from './session.ts';

function world({ full = () => false }: { readonly full?: () => boolean } = {}) {
  const clock = fakeClock();
  const events: AuditEvent[] = [];
  const turns: number[] = [];
  const sink = {
    append(more: readonly AuditEvent[]) {
      if (full()) throw new Error('the spool is full');
      events.push(...more);
      turns.push(more.length);
    },
    close: () => Promise.resolve(),
  };
  const record = new RecordWriter(sink, clock, () => undefined);
  const session = new Session({
    id: '0'.repeat(32),
    clock,
    record,
    exchange: {
      startedAt: clock.monotonic(),
      peer: '127.0.0.1',
      protocol: 'h2',
      method: 'POST',
      bytesIn: 0,
      bytesOut: 0,
    },
    onFailedOpen: () => undefined,
  });
  return { events, turns, session, record };
}

const kept = (id: string, text: string): KeptText => ({ id, text, raw: text });
const textsOf = (events: readonly AuditEvent[]): string[] =>
  events.flatMap((event) => {
    if (event.type === 'start' || event.type === 'texts')
      return (event.request ?? []).map(({ lane, text }: RecordedText) => `${lane}=${text}`);
    return event.type === 'segment' ? [`${event.lane}=${event.text}`] : [];
  });

test('what most requests say stands in their start', () => {
  const { events, session } = world();
  session.begin([kept('messages[0].content', 'hello'), kept('user', 'ana')]);
  expect(events.map(({ type }) => type)).toEqual(['start']);
  expect(textsOf(events)).toEqual(['messages[0].content=hello', 'user=ana']);
});

test.each<[string, (at: number) => string]>([
  ['empty', () => ''],
  ['of one character', () => 'x'],
  ['of some words', (at) => `some words ${at}`],
])('thousands of texts, %s, are many to a line, and no line is longer than the recorder takes', (_what, text) => {
  const { events, turns, session } = world();
  const texts = Array.from({ length: 60_000 }, (_, at) => kept(`metadata.a[${at}]`, text(at)));
  session.prepare(texts);
  while (session.commitSome());
  expect(textsOf(events)).toEqual(texts.map((one) => `${one.id}=${one.text}`));
  expect(events.length).toBeLessThan(600);
  expect(Math.max(...events.map((event) => JSON.stringify(event).length))).toBeLessThan(maxRecordBytes / 32);
  expect(Math.max(...turns)).toBe(4);
});

test('long texts among short ones keep their place, each cut into segments', () => {
  const { events, session } = world();
  session.begin([kept('a', 'short'), kept('b', 'x'.repeat(40_000)), kept('c', 'short'), kept('d', 'short')]);
  expect(events.map((event) => [event.type, textsOf([event]).map((one) => one.slice(0, 7))])).toEqual([
    ['start', []],
    ['texts', ['a=short']],
    ['segment', ['b=xxxxx']],
    ['segment', ['b=xxxxx']],
    ['segment', ['b=xxxxx']],
    ['texts', ['c=short', 'd=short']],
  ]);
});

test('what was not handed over yet goes with the end, once', () => {
  const { events, session } = world();
  session.prepare(Array.from({ length: 3_000 }, (_, at) => kept(`a[${at}]`, 'x')));
  expect(session.commitSome()).toBe(true);
  const before = events.length;
  session.segment('answer', 'yes');
  session.commit();
  expect(events.length).toBeGreaterThan(before);
  expect(session.commitSome()).toBe(false);
  expect(new Set(textsOf(events)).size).toBe(3_001);
  expect(textsOf(events)).toHaveLength(3_001);
});

test.each([
  ['the start', 0, [{ from: 1, to: 1 }]],
  ['a part of the answer', 1, [{ from: 2, to: 2 }]],
])('where %s could not be written and the policy allows it, what else was sealed is opened', (_what, lost, missing) => {
  let step = 0;
  const { events, session, record } = world({ full: () => step === lost });
  const keys = makeSealKeys();
  session.content = 'Full';
  session.sealing = sealingKey(keys.publicKey);
  session.onAuditFailure = 'Allow';
  session.begin([{ id: 'ask', text: 'I am [email]', raw: 'I am ana@corp.test' }]);
  for (const text of ['one', 'two']) {
    step += 1;
    session.segment('answer', `[${text}]`, text);
    session.commit();
  }
  step += 1;
  session.end('completed', 200, undefined);
  record.flush();
  const lines = events.map((event) => JSON.stringify(event));
  const found = unsealLines(lines, session.id, readPrivateKey(keys.privateKey));
  expect(found).toMatchObject({ sealed: true, ended: true, missing, lost: 1 });
  const texts = textsOf(found.lines.map((line) => JSON.parse(line) as AuditEvent));
  expect(texts).toEqual(['ask=I am ana@corp.test', 'answer=one', 'answer=two'].toSpliced(lost, 1));
});

test('the end says how many lines the session has, and how many could not be written', () => {
  let full = false;
  const { events, session, record } = world({ full: () => full });
  session.onAuditFailure = 'Allow';
  session.begin([kept('messages[0].content', 'hello')]);
  session.segment('a', 'written');
  session.commit();
  full = true;
  session.segment('a', 'not written');
  session.segment('b', 'nor this');
  session.commit();
  full = false;
  session.segment('a', 'written with its end');
  session.end('completed', 200, undefined);
  record.flush();
  expect(events).toHaveLength(4);
  expect(events.at(-1)).toMatchObject({ type: 'end', lines: 4, unwritten: 2 });
});

test('the end of a session that was recorded in parts counts all of them', () => {
  const { events, session, record } = world();
  session.prepare([kept('long', 'x'.repeat(100_000))]);
  while (session.commitSome());
  session.end('completed', 200, undefined);
  record.flush();
  expect(events.at(-1)).toMatchObject({ type: 'end', lines: events.length });
  expect(events.at(-1)).not.toHaveProperty('unwritten');
});

test('what is refused is on record, with its end, when that is said; the end of what had begun goes with others', () => {
  const refused = world();
  refused.session.end('refused', 403, 'access_denied', 10);
  expect(refused.events.map(({ type }) => type)).toEqual(['start', 'end']);
  expect(refused.turns).toEqual([2]);
  const begun = world();
  begun.session.begin([kept('user', 'ana')]);
  begun.session.end('refused', 403, 'guard_blocked', 10);
  expect(begun.events.map(({ type }) => type)).toEqual(['start']);
  begun.record.flush();
  expect(begun.events.map(({ type }) => type)).toEqual(['start', 'end']);
});

test('what is refused is refused where it cannot be recorded', () => {
  const { events, session } = world({ full: () => true });
  expect(() => session.end('refused', 403, 'access_denied', 10)).not.toThrow();
  expect(events).toEqual([]);
});
