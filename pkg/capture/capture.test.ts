import { describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { captureRules, formatRanges, joinRanges, listingFaults, onePort, parseRanges, rulesetText } from './index.ts';
import type { CaptureSpec } from './index.ts';

const plain: CaptureSpec = {
  ports: [{ model: 8000, tls: 17400, loopback: 17430 }],
  uid: 61337,
  sidecarTcp: [{ first: 17490, last: 17491 }],
  helpers: [],
  openTcp: [],
  openUdp: [],
  proxyUids: [],
  proxyTcp: [],
  dialerUid: 0,
  dialerTcp: [],
};

const full: CaptureSpec = {
  ...plain,
  ports: [
    { model: 8000, tls: 17400, loopback: 17430 },
    { model: 8001, tls: 17401, loopback: 17431 },
    { model: 8002, tls: 17402, loopback: 17432 },
  ],
  helpers: [{ uid: 2000, model: 8000, listener: 17460 }],
  openTcp: [onePort(15006), onePort(15021)],
  openUdp: [onePort(15053), onePort(15054), onePort(9)],
  proxyUids: [1337, 2102],
  proxyTcp: [{ first: 15000, last: 15099 }],
  dialerTcp: [onePort(29500), { first: 32768, last: 65535 }],
};

/** What `nft -j` lists after `ruleset` was set, in a network namespace of its own. */
function listedAfter(ruleset: string, also = ''): string {
  return execFileSync('unshare', ['-n', 'sh', '-ec', `nft -f -; ${also} nft -j list table inet sidegate`], {
    input: ruleset,
    encoding: 'utf8',
  });
}

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

  it.each([
    ['plain', plain],
    ['full', full],
    ['no port at all', { ...plain, ports: [], sidecarTcp: [] }],
    ['ports that touch', { ...full, openTcp: [onePort(17403), { first: 17404, last: 17410 }] }],
  ])('are what the kernel lists afterwards: %s', (_, spec) => {
    const chains = captureRules(spec);
    expect(listingFaults(listedAfter(rulesetText(chains)), chains)).toEqual([]);
  });

  it('are what the kernel lists, whatever the ports and uids', () => {
    const specs = fc.record({
      ports: fc
        .uniqueArray(fc.integer({ min: 1, max: 17_399 }), { minLength: 1, maxLength: 30 })
        .map((models) =>
          models.sort((a, b) => a - b).map((model, at) => ({ model, tls: 17_400 + at, loopback: 17_430 + at })),
        ),
      openTcp: fc.array(range, { maxLength: 6 }),
      openUdp: fc.array(range, { maxLength: 6 }),
      dialerTcp: fc.array(range, { maxLength: 6 }),
      proxyTcp: fc.array(range, { maxLength: 3 }),
      proxyUids: fc.array(fc.integer({ min: 1, max: 60_000 }), { maxLength: 3 }),
      dialerUid: fc.constantFrom(0, 65_534),
    });
    fc.assert(
      fc.property(specs, (some) => {
        const chains = captureRules({ ...plain, ...some });
        expect(listingFaults(listedAfter(rulesetText(chains)), chains)).toEqual([]);
      }),
      { numRuns: 25 },
    );
  });

  it('replace those of an earlier run', () => {
    const chains = captureRules(plain);
    expect(listingFaults(listedAfter(rulesetText(captureRules(full)) + rulesetText(chains)), chains)).toEqual([]);
  });
});

describe('a listing', () => {
  const chains = captureRules(full);
  const set = rulesetText(chains);
  it.each([
    ['a rule that is gone', `nft flush chain inet sidegate prerouting;`, /missing in sidegate.*17400/],
    ['a rule that was put in front', `nft insert rule inet sidegate input accept;`, /not ours in sidegate/],
    ['a rule that was added at the end', `nft add rule inet sidegate input accept;`, /not ours in sidegate/],
    ['a policy that accepts', `nft 'chain inet sidegate input { policy accept; }';`, /missing in sidegate.*"drop"/],
    ['a chain more', `nft 'add chain inet sidegate other';`, /not ours in sidegate.*other/],
    ['a set more', `nft 'add set inet sidegate some { type inet_service; }';`, /not ours in sidegate.*some/],
  ])('with %s is told', (_, tampering, fault) => {
    expect(listingFaults(listedAfter(set, tampering), chains).join('\n')).toMatch(fault);
  });

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
