import { describe, expect, it } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { captureRules, formatRanges, joinRanges, listingFaults, onePort, parseRanges, rulesetText } from './index.ts';
import { full, plain } from './testing/specs.ts';

const range = fc
  .tuple(fc.integer({ min: 1, max: 65_535 }), fc.integer({ min: 0, max: 3 }))
  .map(([first, more]) => ({ first, last: Math.min(65_535, first + more) }));

describe('the rules of a pod', () => {
  it.each([
    ['plain', plain],
    ['full', full],
  ])('are written as the golden file says: %s', (name, spec) => {
    const file = join(import.meta.dirname, 'testdata', `${name}.nft`);
    const text = rulesetText(captureRules(spec));
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, text);
    expect(text).toBe(readFileSync(file, 'utf8'));
  });
});

describe('a listing', () => {
  const chains = captureRules(full);
  it.each([
    ['', 'the listing of nft is not JSON'],
    ['{}', 'the listing of nft has no "nftables" list'],
    ['[]', 'the listing of nft has no "nftables" list'],
  ])('that is %j is told', (text, fault) => {
    expect(listingFaults(text, chains)).toEqual([fault]);
  });

  it('of an empty table lacks everything', () => {
    expect(listingFaults('{"nftables":[]}', captureRules(plain))).toHaveLength(4 + 1 + 2 + 7 + 4);
  });
});

describe('ranges of ports', () => {
  it.each([
    ['8000', [onePort(8000)]],
    ['8001,8000', [{ first: 8000, last: 8001 }]],
    ['1-65535', [{ first: 1, last: 65_535 }]],
    ['', []],
  ])('%j is read', (text, ranges) => {
    expect(parseRanges(text)).toEqual(ranges);
  });

  it.each(['0', '65536', '9-8', '-1', '1-', 'a', '1,,2', '1, 2', '1-2-3', '99999999999'])('%j is not', (text) => {
    expect(parseRanges(text)).toBeUndefined();
  });

  it('hold after joining exactly the ports that they held before', () => {
    const covers = (ranges: readonly { first: number; last: number }[], port: number): boolean =>
      ranges.some(({ first, last }) => first <= port && port <= last);
    fc.assert(
      fc.property(fc.array(range), fc.integer({ min: 1, max: 65_535 }), (ranges, port) => {
        const joined = joinRanges(ranges);
        expect(covers(joined, port)).toBe(covers(ranges, port));
        expect(parseRanges(formatRanges(ranges))).toEqual(joined);
        joined.slice(1).forEach((next, at) => expect(next.first).toBeGreaterThan((joined[at]?.last ?? 0) + 1));
      }),
    );
  });
});
