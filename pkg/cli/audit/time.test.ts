import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { readQuery, readTerms } from '../../recorder/index.ts';
import { isDay, refuseEmptyRange, timeOf } from './time.ts';

const now = Date.parse('2026-11-27T12:00:00Z');

/** A module of the browser's: types are its own project's. */
const file = join(import.meta.dirname, '../../recorder/console/assets/question.js');
const { questionOf } = (await import(file)) as {
  questionOf(values: ReadonlyMap<string, readonly string[]>): {
    readonly question: { readonly since?: number };
    readonly faults: readonly string[];
  };
};

/** By the console: the same words give the same time. */
const inConsole = (text: string): number => {
  const { question, faults } = questionOf(new Map([['since', [text]]]));
  if (faults.length > 0) throw new Error(faults.join());
  return Number(question.since);
};

describe.each([
  ['the command', (text: string) => timeOf(text, now)],
  ['the console', inConsole],
] as const)('a time that is given to %s', (_, read) => {
  test.each([
    ['2026-11-26', '2026-11-26T00:00:00.000Z'],
    ['2026-11-26T12:00:00Z', '2026-11-26T12:00:00.000Z'],
    ['2026-11-26t12:00:00.25z', '2026-11-26T12:00:00.250Z'],
    ['2026-11-26T12:00Z', '2026-11-26T12:00:00.000Z'],
    ['2026-11-26 12:00:00+02:00', '2026-11-26T10:00:00.000Z'],
    ['2026-11-26T23:59:59-05:30', '2026-11-27T05:29:59.000Z'],
    ['2028-02-29', '2028-02-29T00:00:00.000Z'],
  ])('is %s', (text, time) => {
    expect(new Date(read(text)).toISOString()).toBe(time);
  });

  test.each([
    ...['2026-02-31', '2026-02-29', '2026-11-31T00:00:00Z', '2026-13-01', '2026-00-10', '2026-11-00', '0026-11-26'],
    ...['2026-11-26T24:00:00Z', '2026-11-26T12:60:00Z', '2026-11-26T12:00:61Z', '2026-11-26T12:00:00+24:00'],
    ...['2026-', '2026-1-5', '2026-Nov-3', '2026-11-26 (x)', '2026-11-26T12:00:00', '2026-11-26T12', '2026', ''],
  ])('is not %j, which is no time of the calendar, or one of nobody knows which zone', (text) => {
    if (text !== '') expect(() => read(text)).toThrow();
    else expect(() => timeOf(text, now)).toThrow('is no time');
  });
});

test.each([
  ['2026-11-26', true],
  ['2028-02-29', true],
  ['2026-02-29', false],
  ['2026-99-99', false],
  ['2026-11-26T12:00:00Z', false],
  ['7d', false],
])('%s is a day: %s', (text, is) => {
  expect(isDay(text)).toBe(is);
});

test('so long ago is from now', () => {
  expect([timeOf('90s', now), timeOf('2d', now)]).toEqual([now - 90_000, now - 2 * 86_400_000]);
});

test('a range that nothing can be in is refused: by commands, by questions and by holds', () => {
  expect(() => refuseEmptyRange(2, 1)).toThrow('nothing is between them');
  expect(() => refuseEmptyRange(1, 1)).toThrow('nothing is between them');
  expect(() => refuseEmptyRange(1, 2)).not.toThrow();
  expect(() => refuseEmptyRange(1, undefined)).not.toThrow();
  for (const read of [readQuery, readTerms]) {
    expect(() => read({ since: 2, until: 1 })).toThrow('until is after since');
    expect(() => read({ since: 1, until: 1 })).toThrow('until is after since');
    expect(read({ since: 1, until: 2 })).toMatchObject({ since: 1, until: 2 });
  }
});
