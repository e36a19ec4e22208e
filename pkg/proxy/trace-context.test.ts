import { expect, test } from '@jest/globals';
import { readTraceparent } from './trace-context.ts';

const [id, parent] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7'];

test.each([
  ['of version 00', `00-${id}-${parent}-01`],
  ['that is not sampled', `00-${id}-${parent}-00`],
  ['of a later version', `01-${id}-${parent}-01`],
  ['of a later version, with more', `cc-${id}-${parent}-01-what.the-future:will=be`],
])('a caller’s place in a trace is read: %s', (_, header) => {
  expect(readTraceparent(header)).toEqual({ id, parent });
});

test.each([
  ['nothing', undefined],
  ['an empty text', ''],
  ['two of them', [`00-${id}-${parent}-01`, `00-${id}-${parent}-01`]],
  ['two of them, joined', `00-${id}-${parent}-01, 00-${id}-${parent}-01`],
  ['the version that is none', `ff-${id}-${parent}-01`],
  ['version 00 with more', `00-${id}-${parent}-01-more`],
  ['later ones without the hyphen', `01-${id}-${parent}-01more`],
  ['a trace of zeros', `00-${'0'.repeat(32)}-${parent}-01`],
  ['a parent of zeros', `00-${id}-${'0'.repeat(16)}-01`],
  ['upper case', `00-${id.toUpperCase()}-${parent}-01`],
  ['a short trace', `00-${id.slice(1)}-${parent}-01`],
  ['a long parent', `00-${id}-${parent}0-01`],
  ['no flags', `00-${id}-${parent}`],
  ['spaces', ` 00-${id}-${parent}-01`],
  ['a line feed behind it', `00-${id}-${parent}-01\n`],
  ['what is far too long', `01-${id}-${parent}-01-${'x'.repeat(10_000)}`],
  ['words', 'mail ana@example.com'],
])('%s is no place in a trace', (_, header) => {
  expect(readTraceparent(header)).toBeUndefined();
});
