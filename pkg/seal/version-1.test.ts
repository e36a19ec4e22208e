import { expect, test } from '@jest/globals';
import { readPrivateKey } from './keys.ts';
import { unsealLines } from './unseal.ts';

/** A session as sidecars wrote it before sealed texts had numbers: it is opened as it was then, all of it in order or nothing. */
const id = '00000000000000000000000000000001';
const privateKey = readPrivateKey(`-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VuBCIEIBgrJoBPhCIiYStPCW0XjOvoLS3w70aIRm24S+tBmRdv
-----END PRIVATE KEY-----
`);
const part = (text: string, sealed?: string): object => ({
  type: 'segment',
  session: id,
  direction: 'response',
  lane: 'answer',
  text,
  ...(sealed !== undefined && { sealed }),
});
const lines = [
  {
    type: 'start',
    session: id,
    sealed: { key: '684825cb4934b7f3', enc: '47Gb+fBQ039hqw2+irzlzK0/i7Y7X3PdDkowDWOsNyA=' },
    request: [{ lane: 'ask', text: '[ask]', sealed: '36xDfIFU2AWzPn58sqCj7ylYhtqbjUDKnPKxgg==' }],
  },
  part('[one]', 'SJpPzY7RnKqRiF1yYvfwGrgearswAaaHvkznQQ=='),
  part('plain'),
  part('[two]', 'xWx6iYcd68u5yD3BKQoQ4tEYvuLBtQKo0Ey/0A=='),
  { type: 'end', session: id, sealed: { pieces: 3, seal: 'mekFQHpnS86ObeKBe867FA==' } },
].map((event) => JSON.stringify(event));

test('it is opened', () => {
  const found = unsealLines(lines, id, privateKey);
  expect(found).toMatchObject({ sealed: true, ended: true, missing: [], lost: 0 });
  const said = found.lines.join('\n');
  for (const text of ['"secret ask"', '"secret one"', '"plain"', '"secret two"']) expect(said).toContain(text);
});

test.each([
  ['a text missing', lines.toSpliced(1, 1), /^line 3 .* not the text/],
  ['the last text missing', lines.toSpliced(3, 1), /3 texts were sealed, and 2 are here/],
  ['a text twice', lines.toSpliced(1, 0, lines[1] ?? ''), /^line 3 .* not the text/],
  ['another order', lines.toSpliced(1, 3, lines[3] ?? '', lines[1] ?? ''), /^line 2 .* not the text/],
  [
    'numbers of the later version',
    lines.with(0, (lines[0] ?? '').replace('"key"', '"version":2,"key"')),
    /^line 1 .* stands behind text 0/,
  ],
])('%s is refused', (_what, attacked, message) => {
  expect(() => unsealLines(attacked, id, privateKey)).toThrow(message);
});
