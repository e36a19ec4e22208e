import { describe, expect, test } from '@jest/globals';
import { cpuMs } from '../../../test/support/cost.ts';
import { checkPattern } from '../../detect/index.ts';
import { oversizedEntry, policyEntry } from './policy-entry.ts';

const access = [{ name: 'a', effect: 'Allow', subjects: [{ anyone: true }] }];

const check = (pattern: string, maxLength: number) => checkPattern(pattern, maxLength)?.message;

const entryOf = (more: object) =>
  policyEntry(
    'InferencePolicy',
    {
      apiVersion: 'sidegate.dev/v1alpha1',
      kind: 'InferencePolicy',
      metadata: { namespace: 'ml', name: 'p', uid: 'u', generation: 1, resourceVersion: '1' },
      spec: { access, ...more },
    } as Parameters<typeof policyEntry>[1],
    check,
  );

describe('a policy that is too large to be read', () => {
  const metadata = { namespace: 'ml', name: 'p', uid: 'u', generation: 1, resourceVersion: '2' };

  test('cannot be used, and selects everything; read, it is another', () => {
    const entry = oversizedEntry('InferencePolicy', { metadata }, check);
    expect(entry).toMatchObject({
      ...{ key: 'InferencePolicy/ml/p', uid: 'u', generation: 0, policy: undefined, certificate: 'unknown' },
      ...{ enforces: true, selector: { matchLabels: {}, matchExpressions: [] }, namespaceSelector: undefined },
      fault: expect.stringContaining('larger than the controller reads') as unknown,
    });
    expect(oversizedEntry('InferencePolicy', { metadata }, check, entry).fault).toBe(entry.fault);
    const read = policyEntry('InferencePolicy', { metadata, ...{ spec: { access } } }, check, entry);
    expect(read).toMatchObject({ generation: 1, fault: undefined, policy: { uid: 'u' } });
  });

  test('of a spec that was read goes on by it', () => {
    const known = entryOf({});
    expect(oversizedEntry('InferencePolicy', { metadata }, check, known)).toEqual({ ...known, resourceVersion: '2' });
    const edited = { metadata: { ...metadata, generation: 2 } };
    expect(oversizedEntry('InferencePolicy', edited, check, known).policy).toBeUndefined();
  });
});

const guard = (name: string, match: object) => ({ name, direction: 'Response', match, action: 'Mask' });

/** Words of 24 letters, no two alike. */
const words = (of: number, count: number): string[] =>
  Array.from({ length: count }, (_, at) =>
    Array.from({ length: 24 }, (_, place) =>
      String.fromCharCode(97 + ((of * 7 + place * 11 + Math.floor(at / 26 ** (place % 3))) % 26)),
    ).join(''),
  );

describe('a policy of the cluster', () => {
  test.each<[string, object, string]>([
    ['an unknown detector', { guards: [guard('g', { detectors: ['Nothing'] })] }, '"Nothing" is not known here'],
    ['a pattern that is not RE2', { guards: [guard('g', { patterns: ['(?=a)'] })] }, 'patterns[0]: cannot be used'],
    ['a word without a letter', { guards: [guard('g', { words: ['ab', ' - '] })] }, 'holds no letter, digit or sign'],
    [
      'a field path that is none',
      { classification: [{ label: 'l', fields: ['$.a.**'], visibleTo: [], otherwise: 'Mask' }] },
      '"$.a.**" is not a path',
    ],
  ])('with %s cannot be used, and says why', (_, spec, why) => {
    const entry = entryOf(spec);
    expect(entry.policy).toBeUndefined();
    expect(entry.fault).toContain(why);
  });

  test.each([
    ['plain repeats', (at: number) => `k${at}[a-z]{900}`],
    ['Unicode classes', (at: number) => `k${at}\\pL{900}`],
    ['negated ones in any case', (at: number) => `(?i)k${at}([^\\pL\\pN]{100}x){9}`],
  ])(
    'whose patterns are too much together is refused, and costs the controller little: %s',
    (_what, make) => {
      const guards = Array.from({ length: 32 }, (_, of) =>
        guard(`g${of}`, {
          patternMaxLength: 1_024,
          patterns: Array.from({ length: 500 }, (__, at) => make(of * 500 + at)),
        }),
      );
      let entry = entryOf({});
      const ms = cpuMs(() => (entry = entryOf({ guards })));
      expect(entry.policy).toBeUndefined();
      expect(entry.fault).toContain('the patterns of this policy are too much together');
      // Some 40 to 400 ms; without a bound it is half a minute and more.
      expect(ms).toBeLessThan(3_000);
    },
    60_000,
  );

  test('of a thousand honest patterns can be used', () => {
    const patterns = Array.from(
      { length: 500 },
      (_, at) => `(?i)project number ${at} (alpha|beta|gamma) [0-9]{3}-[0-9]{4}`,
    );
    const guards = ['g', 'h'].map((name) => guard(name, { patterns: patterns.map((one) => `${one}${name}`) }));
    expect(entryOf({ guards })).toMatchObject({ fault: undefined });
  });

  test('costs the controller little, however many words it holds', () => {
    const guards = Array.from({ length: 32 }, (_, at) => guard(`g${at}`, { words: words(at, 1_000) }));
    expect(JSON.stringify(guards).length).toBeGreaterThan(740_000);
    let entry = entryOf({});
    const ms = cpuMs(() => (entry = entryOf({ guards })));
    expect(entry).toMatchObject({ fault: undefined, policy: { uid: 'u' } });
    process.stderr.write(`judging a policy of 32,000 words: ${ms.toFixed()} ms\n`);
    expect(ms).toBeLessThan(300);
  });
});
