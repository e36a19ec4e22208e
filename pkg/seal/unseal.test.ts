import { expect, test } from '@jest/globals';
import { makeSealKeys, readPrivateKey } from './keys.ts';
import { sealingKey } from './sealed-session.ts';
import { unsealLines } from './unseal.ts';

const keys = makeSealKeys();
const privateKey = readPrivateKey(keys.privateKey);
const sealing = sealingKey(keys.publicKey);
const id = (seed: number): string => seed.toString(16).padStart(32, '0');

/** A session as the sidecar writes it: one text of the request and three of the answer are sealed, one is as it was. */
function session(name: string): readonly string[] {
  const sealer = sealing.session(name);
  const part = (text: string, raw: string): object => ({
    type: 'segment',
    session: name,
    direction: 'response',
    lane: 'answer',
    text,
    ...(raw === text ? {} : sealer.seal('response', 'answer', raw)),
  });
  const request = [{ lane: 'ask', text: 'I am [email]', ...sealer.seal('request', 'ask', 'I am ana@corp.test') }];
  return [
    { type: 'start', session: name, sealed: sealer.head, request },
    part('[one]', `secret one of ${name}`),
    part('plain', 'plain'),
    part('[two]', 'secret two \ud83d'),
    part('', '\ude42 three'),
    { type: 'end', session: name, sealed: sealer.end() },
  ].map((event) => JSON.stringify(event));
}

const open = (lines: readonly string[], name = id(1), key = privateKey): ReturnType<typeof unsealLines> =>
  unsealLines(lines, name, key);
const textsOf = (lines: readonly string[]): string =>
  lines.map((line) => String((JSON.parse(line) as { readonly text?: string }).text ?? '')).join('|');
const swap = (lines: readonly string[], a: number, b: number): string[] => {
  const out = [...lines];
  [out[a], out[b]] = [lines[b] ?? '', lines[a] ?? ''];
  return out;
};
const renumber = (lines: readonly string[], at: number, piece: number): string[] =>
  change(lines, at, (line) => line.replace(/"piece":[0-9]+/, `"piece":${piece}`));
const change = (lines: readonly string[], at: number, edit: (line: string) => string): string[] =>
  lines.map((line, index) => (index === at ? edit(line) : line));

test('a session comes back as it was said, also where a piece ended within a character', () => {
  const { lines, ...rest } = open(session(id(1)));
  expect(rest).toEqual({ sealed: true, ended: true, missing: [], lost: 0 });
  expect(textsOf(lines)).toBe(`|secret one of ${id(1)}|plain|secret two \ud83d|\ude42 three|`);
  expect(lines[0]).toContain('I am ana@corp.test');
});

test('of many short texts of a request each is opened at its place', () => {
  const sealer = sealing.session(id(3));
  const sealed = (lane: string, raw: string) => ({ lane, text: '[x]', ...sealer.seal('request', lane, raw) });
  const lines = [
    { type: 'start', session: id(3), sealed: sealer.head },
    { type: 'texts', session: id(3), request: [sealed('a', 'one'), { lane: 'b', text: 'plain' }, sealed('c', 'two')] },
    { type: 'end', session: id(3), sealed: sealer.end() },
  ].map((event) => JSON.stringify(event));
  const { request } = JSON.parse(open(lines, id(3)).lines[1] ?? '') as { request: { text: string }[] };
  expect(request.map(({ text }) => text)).toEqual(['one', 'plain', 'two']);
  expect(() =>
    open(
      change(lines, 1, (line) => line.replace('"lane":"a"', '"lane":"c"')),
      id(3),
    ),
  ).toThrow(/^line 2/);
});

test('nothing sealed is said so; an end that has not come is, too', () => {
  const masked = ['{"type":"start","request":[{"lane":"ask","text":"[email]"}]}', '{"type":"end"}'];
  expect(open(masked)).toEqual({ lines: masked, sealed: false, ended: true, missing: [], lost: 0 });
  expect(open(session(id(1)).slice(0, -1))).toMatchObject({ sealed: true, ended: false });
});

test.each<[string, (lines: readonly string[]) => readonly string[], unknown]>([
  ['the first', (lines) => change(lines, 0, (line) => line.replace(/,"request":.*]/, '')), [{ from: 1, to: 1 }]],
  ['one among others', (lines) => lines.toSpliced(1, 1), [{ from: 2, to: 2 }]],
  ['two and the text between', (lines) => lines.toSpliced(1, 3), [{ from: 2, to: 3 }]],
  ['the last', (lines) => lines.toSpliced(4, 1), [{ from: 4, to: 4 }]],
  [
    'the seal of one',
    (lines) => change(lines, 4, (line) => line.replace(/,"sealed":"[^"]*"/, '')),
    [{ from: 4, to: 4 }],
  ],
])('what is missing is said, and the others are opened: %s', (_, cut, missing) => {
  const lines = cut(session(id(1)));
  const found = open(lines);
  expect(found).toMatchObject({ sealed: true, ended: true, missing, lost: 0 });
  const whole = open(session(id(1))).lines.map((line) => JSON.parse(line) as { readonly text?: string });
  for (const line of found.lines) {
    const { text, type } = JSON.parse(line) as { readonly text?: string; readonly type: string };
    if (type === 'segment' && text !== '') expect(whole.map((one) => one.text)).toContain(text);
  }
});

test('of a session whose start could not be written, the end says what it was sealed to', () => {
  const sealer = sealing.session(id(4));
  sealer.seal('request', 'ask', 'lost with the start');
  sealer.lose(1);
  const lines = [
    {
      type: 'segment',
      session: id(4),
      direction: 'response',
      lane: 'a',
      text: '[x]',
      ...sealer.seal('response', 'a', 'kept'),
    },
    { type: 'end', session: id(4), sealed: sealer.end() },
  ].map((event) => JSON.stringify(event));
  const found = open(lines, id(4));
  expect(found).toMatchObject({ sealed: true, ended: true, missing: [{ from: 1, to: 1 }], lost: 1 });
  expect(textsOf(found.lines)).toBe('kept|');
  expect(() => open(lines, id(5))).toThrow(/^line 1 .* not the text/);
});

test.each<[string, (lines: readonly string[]) => readonly string[], RegExp]>([
  ['a text of another session', (lines) => change(lines, 1, () => session(id(2))[1] ?? ''), /^line 2 .* not the text/],
  ['two texts in another order', (lines) => swap(lines, 1, 3), /^line 4 .* text 2, and stands behind text 3/],
  ['a text twice', (lines) => [...lines.slice(0, 2), lines[1] ?? '', ...lines.slice(2)], /^line 3 .* behind text 2/],
  [
    'two texts in another order, and their numbers',
    (lines) => renumber(renumber(swap(lines, 1, 3), 1, 2), 3, 3),
    /^line 2 .* not the text/,
  ],
  [
    'a text twice, under the number of the next',
    (lines) =>
      renumber(
        change(lines, 3, () => lines[1] ?? ''),
        3,
        3,
      ),
    /^line 4 .* not the text/,
  ],
  ['a text without its number', (lines) => change(lines, 1, (line) => line.replace(/"piece":2,/, '')), /^line 2 /],
  ['a number that is none', (lines) => renumber(lines, 1, 2.5), /^line 2 .* text 2.5/],
  [
    'the version before',
    (lines) => change(lines, 0, (line) => line.replace('"version":2,', '')),
    /^line 1 .* not the text/,
  ],
  [
    'a version that is to come',
    (lines) => change(lines, 0, (line) => line.replace('"version":2', '"version":4')),
    /version 4/,
  ],
  [
    'the last text taken out, and the count changed',
    (lines) => change(lines, 5, (line) => line.replace('"pieces":4', '"pieces":3')).filter((_, at) => at !== 4),
    /^line 5 .* not the text/,
  ],
  [
    'a text taken out, and told as lost',
    (lines) => change(lines.toSpliced(1, 1), 4, (line) => line.replace('"pieces":4', '"pieces":4,"lost":1')),
    /^line 5 .* not the text/,
  ],
  [
    'fewer texts than there are',
    (lines) => change(lines, 5, (line) => line.replace('"pieces":4', '"pieces":3')),
    /3 texts were sealed, and 4 are here/,
  ],
  [
    'a text of the answer as one of the request',
    (lines) => change(lines, 1, (line) => line.replace('"response"', '"request"')),
    /^line 2 .* not the text/,
  ],
  ['a text in another lane', (lines) => change(lines, 1, (line) => line.replace('"answer"', '"other"')), /^line 2/],
  [
    'one bit of a text',
    (lines) =>
      change(lines, 1, (line) =>
        line.replace(/"sealed":"./, (head) => head.slice(0, -1) + (head.endsWith('A') ? 'B' : 'A')),
      ),
    /^line 2 .* not the text/,
  ],
  ['no start', (lines) => lines.slice(1), /^line 1 .* before the start/],
  [
    'the start of another session',
    (lines) => change(lines, 0, () => session(id(2))[0] ?? ''),
    /^line 1 .* not the text/,
  ],
])('%s is refused', (_, attack, message) => {
  expect(() => open(attack(session(id(1))))).toThrow(message);
});

test('a whole session under another id, and another key, are refused', () => {
  expect(() => open(session(id(2)))).toThrow(/^line 1 .* not the text/);
  const stranger = readPrivateKey(makeSealKeys().privateKey);
  expect(() => open(session(id(1)), id(1), stranger)).toThrow(
    /is sealed to key [0-9a-f]{16}, and this is [0-9a-f]{16}/,
  );
});
