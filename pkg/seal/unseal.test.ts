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
    ...(raw === text ? {} : { sealed: sealer.seal('response', 'answer', raw) }),
  });
  const request = [{ lane: 'ask', text: 'I am [email]', sealed: sealer.seal('request', 'ask', 'I am ana@corp.test') }];
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
const change = (lines: readonly string[], at: number, edit: (line: string) => string): string[] =>
  lines.map((line, index) => (index === at ? edit(line) : line));

test('a session comes back as it was said, also where a piece ended within a character', () => {
  const { lines, sealed, ended } = open(session(id(1)));
  expect({ sealed, ended }).toEqual({ sealed: true, ended: true });
  expect(textsOf(lines)).toBe(`|secret one of ${id(1)}|plain|secret two \ud83d|\ude42 three|`);
  expect(lines[0]).toContain('I am ana@corp.test');
});

test('of many short texts of a request each is opened at its place', () => {
  const sealer = sealing.session(id(3));
  const sealed = (lane: string, raw: string) => ({ lane, text: '[x]', sealed: sealer.seal('request', lane, raw) });
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
  expect(open(masked)).toEqual({ lines: masked, sealed: false, ended: true });
  expect(open(session(id(1)).slice(0, -1))).toMatchObject({ sealed: true, ended: false });
});

test.each<[string, (lines: readonly string[]) => readonly string[], RegExp]>([
  ['a text of another session', (lines) => change(lines, 1, () => session(id(2))[1] ?? ''), /^line 2 .* not the text/],
  ['two texts in another order', (lines) => swap(lines, 1, 3), /^line 2 .* not the text/],
  ['a text twice', (lines) => [...lines.slice(0, 2), lines[1] ?? '', ...lines.slice(2)], /^line 3 .* not the text/],
  ['a text taken out', (lines) => lines.filter((_, at) => at !== 1), /^line 3 .* not the text/],
  ['the last text taken out', (lines) => lines.filter((_, at) => at !== 4), /4 texts were sealed, and 3 are here/],
  [
    'the last text taken out, and the count changed',
    (lines) => change(lines, 5, (line) => line.replace('"pieces":4', '"pieces":3')).filter((_, at) => at !== 4),
    /^line 5 .* not the text/,
  ],
  [
    'the seal of a text left out',
    (lines) => change(lines, 4, (line) => line.replace(/,"sealed":"[^"]*"/, '')),
    /4 texts were sealed, and 3 are here/,
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
