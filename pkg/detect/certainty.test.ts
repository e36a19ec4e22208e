import { describe, expect, it } from '@jest/globals';
import { detectorNames } from '../core/index.ts';
import type { AllowSpec, Certainty, TermsByDetector } from '../core/index.ts';
import { compileScanner } from './index.ts';
import type { LaneEnd, View } from './index.ts';
import { collectUnits } from './scan/unit.ts';
import { detectors } from './detectors/index.ts';
import { foldCodePoint } from './fold/index.ts';
import { sketchRules, sketchView } from './testing/rules.ts';
import type { RuleSketch } from './testing/rules.ts';

const hashKey = new Uint8Array(32).fill(1);

const termsOfAll = (from: Certainty, allow: readonly AllowSpec[] = []): TermsByDetector =>
  Object.fromEntries(detectorNames.map((name) => [name, { from, allow }]));

function viewOf(from: Certainty, allow: readonly AllowSpec[] = []): View {
  const rules = sketchRules({ label: 'x', detectors: ['Pii', 'Secrets'], terms: termsOfAll(from, allow) });
  return compileScanner(rules, { hashKey }).view(sketchView('r'));
}

const masked = (view: View, text: string, end: LaneEnd = 'complete'): string => view.mask(text, 'text', end).text;

describe('a rule takes what a detector finds from its certainty on', () => {
  const [possible, likely, certain] = [viewOf('Possible'), viewOf('Likely'), viewOf('Certain')];

  it.each([
    ['Possible', 'pay 52998224725 soon'],
    ['Possible', 'version 1.2.3.4 of it'],
    ['Possible', 'order (202) 555-0123 today'],
    ['Likely', 'pay 4539578763621486 now'],
    ['Likely', 'his 536-22-8841 of old'],
    ['Likely', 'cpf is 529.982.247-25'.replace('cpf is', 'pay')],
    ['Likely', 'password: hunter22'],
    ['Certain', 'pay 4539 5787 6362 1486 now'],
    ['Certain', 'CPF 52998224725'],
    ['Certain', 'to ana@acme.org'],
    ['Certain', 'AKIAIOSFODNN7EXAMPLE'],
  ] as const)('%s: %s', (certainty, text) => {
    const hides = [possible, likely, certain].map((view) => masked(view, text) !== text);
    expect(hides).toEqual(
      { Possible: [true, false, false], Likely: [true, true, false], Certain: [true, true, true] }[certainty],
    );
  });

  it('takes what a cut leaves unfinished from each on: nobody knows what it would have been', () => {
    for (const view of [possible, likely, certain]) expect(masked(view, 'pay 4539 5787 6362', 'cut')).toBe('pay [x]');
  });

  it('judges each rule by its own, of one text', () => {
    const rules = sketchRules(
      { label: 'a', detectors: ['CreditCard'], terms: termsOfAll('Certain') },
      { label: 'b', detectors: ['CreditCard'] },
      { label: 'c', detectors: ['CreditCard'], terms: termsOfAll('Likely', [{ sets: ['TestCards'], values: [] }]) },
    );
    const { hits } = compileScanner(rules, { hashKey })
      .view(sketchView('rrn'))
      .mask('4539 5787 6362 1486, 4539578763621486, 4111111111111111', 'text', 'complete');
    expect(hits.map(({ rule, start }) => [start, rule])).toEqual([
      [0, 0],
      [0, 1],
      [0, 2],
      [21, 1],
      [21, 2],
      [39, 1],
    ]);
  });
});

describe('rules that differ in certainty or in what they allow', () => {
  it('seek the candidates of a detector once', () => {
    const names = ['Pii', 'Secrets'];
    const environment = {
      detectors: Object.fromEntries(detectors.map((one) => [one.name, one])),
      fold: foldCodePoint,
    };
    const formsOf = (...rules: readonly RuleSketch[]): number =>
      new Set(collectUnits(sketchRules(...rules), environment).map(({ form }) => form.index)).size;
    const once = formsOf({ detectors: names });
    const several = formsOf(
      { detectors: names },
      { detectors: names, terms: termsOfAll('Certain') },
      { detectors: names, terms: termsOfAll('Possible', [{ sets: ['TestCards'], values: [] }]) },
    );
    expect(several).toBe(once);
  });
});

describe('what is allowed is no finding', () => {
  const sets = viewOf('Possible', [
    {
      sets: ['TestCards', 'DocumentationAddresses', 'ExampleDomains'],
      values: ['Support@Acme.com', '+49 30 901820', '10.0.0.1'],
    },
  ]);

  it.each([
    '4111 1111 1111 1111',
    '4111111111111111',
    '3782-822463-10005',
    '192.0.2.1',
    '198.51.100.255',
    '203.0.113.77',
    '2001:db8::1',
    '2001:0DB8:0:0:0:0:0:1',
    '3fff::1',
    '3fff:fff::1',
    'ana@example.com',
    'ana@mail.Example.org',
    'ana@corp.test',
    'ana@x.invalid',
    'support@acme.com',
    'SUPPORT@ACME.COM',
    '+49 (30) 901820',
    '10.0.0.1',
  ])('%s, and so in disguise', (value) => {
    const wide = value.replace(/[!-~]/g, (char) => String.fromCodePoint(char.charCodeAt(0) + 0xfee0));
    for (const text of [`see ${value} there`, value, wide]) expect(masked(sets, text)).toBe(text);
  });

  it.each([
    ['4111 1111 1111 1111', '4539 5787 6362 1486'],
    ['192.0.2.1', '192.0.3.1'],
    ['192.0.2.1', '11.192.0.2'],
    ['2001:db8::1', '2001:db9::1'],
    ['3fff::1', '3fff:1000::1'],
    ['ana@example.com', 'ana@example.com.evil.org'],
    ['ana@example.com', 'ana@notexample.com'],
    ['support@acme.com', 'xsupport@acme.com'],
    ['support@acme.com', 'support@acme.company'],
    ['support@acme.com', '张support@acme.com'],
    ['support@acme.com', 'josésupport@acme.com'],
    ['10.0.0.1', '10.0.0.11'],
    ['10.0.0.1', '1.0.0.01'.replace('01', '10')],
    ['+49 30 901820', '+49 30 901821'],
  ])('beside %s not %s', (_, other) => {
    expect(masked(sets, other)).not.toBe(other);
  });

  it('only where each that has a say allows it', () => {
    const both = viewOf('Likely', [
      { sets: ['TestCards'], values: [] },
      { sets: [], values: ['4111111111111111', 'ana@acme.org'] },
    ]);
    expect(masked(both, '4111111111111111')).toBe('4111111111111111');
    expect(masked(both, '5555555555554444 ana@acme.org')).toBe('[x] [x]');
  });

  it('never of what has no end yet, nor of what a cut left', () => {
    const key = `ghp_${'a1B2'.repeat(9)}`;
    const view = viewOf('Likely', [{ sets: ['TestCards'], values: [key, '4111 1111 1111'] }]);
    expect(masked(view, key)).toBe('[x]');
    expect(masked(view, 'pay 4111 1111 1111', 'cut')).toBe('pay [x]');
  });

  it('streams as it is whole, at every split', () => {
    const view = viewOf('Likely', [{ sets: ['TestCards', 'ExampleDomains'], values: ['ana@acme.org'] }]);
    const text =
      'ana@acme.org, ana@acme.orgs, 4111 1111 1111 1111 or 4111 1111 1111 1112, b@example.com and b@example.co';
    const whole = masked(view, text);
    expect(whole).toBe('ana@acme.org, [x], 4111 1111 1111 1111 or 4111 1111 1111 1112, b@example.com and [x]');
    for (let at = 0; at <= text.length; at += 1) {
      const lane = view.open('text');
      lane.push(text.slice(0, at));
      const sent = lane.take(lane.decided);
      expect(whole.startsWith(sent)).toBe(true);
      lane.push(text.slice(at));
      lane.end('complete');
      expect(sent + lane.take(lane.decided)).toBe(whole);
    }
  });
});
