import { describe, expect, test } from '@jest/globals';
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
  const sealed: number[] = [];
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
    onSealed: (texts) => void sealed.push(texts),
  });
  return { events, turns, session, record, sealed };
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

describe('with audit.content: Sealed', () => {
  const keys = makeSealKeys();
  const secret = 'falconry';
  /** Nothing of a text in a line, and all of it for the key. */
  function recorded(run: (session: Session) => void, options: Parameters<typeof world>[0] = {}) {
    const { events, session, record, sealed } = world(options);
    session.content = 'Sealed';
    session.sealing = sealingKey(keys.publicKey);
    run(session);
    session.end('completed', 200, undefined);
    record.flush();
    const lines = events.map((event) => JSON.stringify(event));
    const opened = unsealLines(lines, session.id, readPrivateKey(keys.privateKey));
    return {
      events,
      lines,
      opened,
      sealed,
      texts: textsOf(opened.lines.map((line) => JSON.parse(line) as AuditEvent)),
    };
  }

  test('each text is sealed, masked or not, short or long, and its length alone stands in clear', () => {
    const long = `${secret} `.repeat(4_000);
    const { lines, opened, texts, events, sealed } = recorded((session) => {
      session.begin([kept('messages[0].content', `a ${secret}`), kept('user', 'ana')]);
      session.add([kept('messages[1].content', long)]);
      session.segment('choices[0].delta.content', `the ${secret}`, `the ${secret} of ana`);
      session.segment('choices[0].delta.content', '', `, and ${secret}`);
      session.commit();
    });
    expect(lines.join()).not.toMatch(/falcon|ana\b/);
    expect(opened).toMatchObject({ sealed: true, ended: true, missing: [], lost: 0 });
    expect(sealed).toEqual([texts.length]);
    expect(texts.filter((text) => !text.startsWith('messages[1]'))).toEqual([
      `messages[0].content=a ${secret}`,
      'user=ana',
      `choices[0].delta.content=the ${secret} of ana`,
      `choices[0].delta.content=, and ${secret}`,
    ]);
    expect(
      texts
        .filter((text) => text.startsWith('messages[1]'))
        .map((text) => text.slice(text.indexOf('=') + 1))
        .join(''),
    ).toBe(long);
    const lengths = events.flatMap((event) => (event.type === 'segment' ? [event.length] : []));
    expect(lengths.reduce<number>((sum, length) => sum + (length ?? Number.NaN), 0)).toBe(
      long.length + `the ${secret}`.length,
    );
    expect(events[0]).toMatchObject({ request: [{ length: `a ${secret}`.length }, { length: 3 }] });
  });

  test('a path that is the caller’s, and a method that no server knows, are no clear text either', () => {
    const { events, lines, texts } = recorded((session) => {
      Object.assign(session.exchange, { method: secret.toUpperCase() });
      session.path = '…';
      session.pathText = { id: 'url.path', text: '/[x]', raw: `/${secret}` };
    });
    expect(lines.join()).not.toMatch(/falconry/i);
    expect(events[0]).toMatchObject({ path: '…', method: '…', request: [{ lane: 'url.path', length: 4 }] });
    expect(texts).toEqual([`url.path=/${secret}`]);
  });

  test('where there is no key, no text is kept', () => {
    const { events, session, record } = world();
    session.content = 'Sealed';
    session.pathText = kept('url.path', secret);
    session.begin([kept('a', secret)]);
    session.add([kept('b', secret)]);
    session.segment('c', secret);
    session.commit();
    session.end('completed', 200, undefined);
    record.flush();
    expect(JSON.stringify(events)).not.toContain(secret);
    expect(textsOf(events)).toEqual([]);
  });

  test('it stays sealed, whatever its policy says once it was begun', () => {
    const { lines, texts } = recorded((session) => {
      session.begin([kept('a', secret)]);
      session.content = 'Masked';
      session.segment('b', secret);
      session.commit();
    });
    expect(lines.join()).not.toContain(secret);
    expect(texts).toEqual([`a=${secret}`, `b=${secret}`]);
  });

  test('no line is longer than the recorder takes, whatever is escaped in it', () => {
    const { lines } = recorded((session) => {
      session.begin([{ id: 'a', text: '\u0000'.repeat(200_000), raw: '\u0001'.repeat(200_000) }]);
      session.add(Array.from({ length: 20_000 }, (_, at) => kept(`b[${at}]`, '\u0000')));
      session.segment('c', '\ud800'.repeat(40_000), '\udfff'.repeat(40_000));
      session.commit();
    });
    expect(Math.max(...lines.map((line) => Buffer.byteLength(line)))).toBeLessThan(maxRecordBytes / 2);
  });

  test.each([
    ['the start', 0, [{ from: 1, to: 1 }]],
    ['a part of the answer', 1, [{ from: 2, to: 2 }]],
  ])('where %s could not be written, it is known by number, and the rest is opened', (_what, lost, missing) => {
    let step = 0;
    const { opened, texts } = recorded(
      (session) => {
        session.onAuditFailure = 'Allow';
        session.begin([kept('ask', 'who?')]);
        for (const text of ['one', 'two']) {
          step += 1;
          session.segment('answer', text);
          session.commit();
        }
        step += 1;
      },
      { full: () => step === lost },
    );
    expect(opened).toMatchObject({ sealed: true, ended: true, missing, lost: 1 });
    expect(texts).toEqual(['ask=who?', 'answer=one', 'answer=two'].toSpliced(lost, 1));
  });
});
