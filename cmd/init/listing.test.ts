import { describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { captureRules, listingFaults, onePort, rulesetText } from '../../pkg/capture/index.ts';
import { full, plain } from '../../pkg/capture/testing/specs.ts';

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
});
