import { expect, test } from '@jest/globals';
import { makeSealKeys, readPrivateKey } from './keys.ts';
import { openSession, sealingKey } from './sealed-session.ts';
import { unsealLines } from './unseal.ts';

// Sessions of which no text stands in clear: each is sealed as others may see it and as it was.

const keys = makeSealKeys();
const privateKey = readPrivateKey(keys.privateKey);
const sealing = sealingKey(keys.publicKey);
const id = 'a'.repeat(32);

type Fields = Record<string, unknown>;

/** One text that was masked, one that was not, one that ends within a character. */
function session(name = id): Fields[] {
  const sealer = sealing.wholeSession(name);
  const whole = (direction: 'request' | 'response', lane: string, masked: string, text = masked): Fields => ({
    lane,
    ...sealer.sealWhole(direction, lane, masked, text),
  });
  const part = (masked: string, text?: string): Fields => ({
    type: 'segment',
    session: name,
    direction: 'response',
    ...whole('response', 'answer', masked, text),
  });
  return [
    {
      type: 'start',
      session: name,
      sealed: sealer.head,
      request: [whole('request', 'ask', 'I am [email]', 'I am ana@corp.test'), whole('request', 'user', '')],
    },
    part('plain \ud83d'),
    part('[two]', 'secret two'),
    { type: 'end', session: name, sealed: sealer.end() },
  ];
}
const open = (lines: readonly Fields[], key = privateKey) =>
  unsealLines(
    lines.map((line) => JSON.stringify(line)),
    id,
    key,
  );
const parsed = (lines: readonly string[]): Fields[] => lines.map((line) => JSON.parse(line) as Fields);

test('nothing of a text stands in a line but how long it is, and the key brings both forms back', () => {
  const lines = session();
  const text = JSON.stringify(lines);
  for (const word of ['ana', 'corp', 'email', 'plain', 'secret', 'two']) expect(text).not.toContain(word);
  expect(lines[0]?.['request']).toEqual([
    { lane: 'ask', length: 12, piece: 1, sealed: expect.any(String) },
    { lane: 'user', length: 0, piece: 2, sealed: expect.any(String) },
  ]);
  const { lines: opened, ...rest } = open(lines);
  expect(rest).toEqual({ sealed: true, ended: true, missing: [], lost: 0 });
  expect(parsed(opened)[0]?.['request']).toEqual([
    { lane: 'ask', text: 'I am ana@corp.test', masked: 'I am [email]' },
    { lane: 'user', text: '' },
  ]);
  expect(parsed(opened)[1]).toMatchObject({ lane: 'answer', text: 'plain \ud83d' });
  expect(parsed(opened)[1]).not.toHaveProperty('masked');
  expect(parsed(opened)[2]).toMatchObject({ text: 'secret two', masked: '[two]' });
});

const changed: readonly (readonly [string, (lines: Fields[]) => Fields[]])[] = [
  ['of another lane', (lines) => lines.with(1, { ...lines[1], lane: 'other' })],
  ['of another direction', (lines) => lines.with(1, { ...lines[1], direction: 'request' })],
  ['of another length', (lines) => lines.with(1, { ...lines[1], length: 6 })],
  ['without a length', (lines) => lines.with(1, { ...lines[1], length: undefined })],
  ['moved', ([start = {}, one = {}, two = {}, end = {}]) => [start, two, one, end]],
  ['repeated', ([start = {}, one = {}, ...rest]) => [start, one, one, ...rest]],
  ['of another session', (lines) => lines.with(1, session('b'.repeat(32))[1] ?? {})],
  [
    'in clear, where its session is sealed',
    (lines) => lines.with(1, { ...lines[1], sealed: undefined, text: 'forged' }),
  ],
  [
    'said to be of the form that has masked text in clear',
    (lines) => lines.with(0, { ...lines[0], sealed: { ...(lines[0]?.['sealed'] as Fields), version: 2 } }),
  ],
];
test.each(changed)('a text that is %s is found', (_what, change) => {
  expect(() => open(change(session()))).toThrow(/^line [123] of the session cannot be opened/);
});

test('a text that is missing is named, and the others are opened', () => {
  const [start = {}, , two = {}, end = {}] = session();
  const { missing, lines } = open([start, two, end]);
  expect(missing).toEqual([{ from: 3, to: 3 }]);
  expect(parsed(lines)[1]).toMatchObject({ text: 'secret two' });
});

test('another key opens nothing, and no form is taken for the other', () => {
  expect(() => open(session(), readPrivateKey(makeSealKeys().privateKey))).toThrow(/sealed to key/);
  const beside = sealing.session(id);
  const text = beside.seal('request', 'ask', 'hidden');
  const opener = openSession(privateKey, id, { ...beside.head, version: 3 });
  expect(() => opener.openWhole('request', 'ask', { ...text, length: 6 })).toThrow();
});
