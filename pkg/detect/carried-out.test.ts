import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { MatchSpec, ScanRule } from '../core/index.ts';
import { group, policy } from '../core/testing/policies.ts';
import { carriedOut } from './carried-out.ts';
import { checkScanRules, compileScanner } from './compile-scanner.ts';

const rule = (index: number, match: Partial<MatchSpec>, fields: readonly string[]): ScanRule => ({
  index,
  id: `rule ${index}`,
  label: 'label',
  on: 'Request',
  action: 'Mask',
  enforce: true,
  match: { detectors: [], patterns: [], words: [], ...match },
  fields,
  replacement: { style: 'Label' },
});

test('limits that would only meet for some callers are a notice, no rule that does nothing', () => {
  const shape = { maxBytes: undefined, padToMultipleOf: undefined, cadenceMs: undefined };
  const responseLimits = [
    { ...shape, subjects: [group('chat')], maxDurationMs: 5_000, minDurationMs: undefined },
    { ...shape, subjects: [group('batch')], maxDurationMs: undefined, minDurationMs: 10_000 },
  ];
  const judged = carriedOut(policy('p', { responseLimits }));
  expect(judged).toMatchObject({ kind: 'can', inert: [] });
  expect(judged.kind === 'can' && judged.notices.map(({ field }) => field)).toContain('responseLimits[1].minDuration');
});

const few = <T>(...values: readonly T[]) => fc.uniqueArray(fc.constantFrom(...values), { maxLength: 2 });
const pattern = (text: string) => ({ pattern: text, maxLength: 64 });
/** One in some of them cannot be carried out. */
const drafts = fc.record({
  detectors: few('Email', 'Secrets', 'UsSsn'),
  patterns: few('a+', '(?i)é', 'x{2,9}', '[0-9]{3}', '\\bid', '(?=b)').map((all) => all.map(pattern)),
  words: few('falcon', 'a b', 'é', '--'),
  fields: few('**.ssn', '$.a[*].b', '$.a', '**.name', '$..'),
});

const faultOf = (run: () => unknown): unknown => {
  try {
    run();
    return undefined;
  } catch (error) {
    return error;
  }
};

test('rules that can be carried out one by one can be together, and then they are: so policies are judged one by one', () => {
  let [good, bad] = [0, 0];
  fc.assert(
    fc.property(fc.array(drafts, { minLength: 1, maxLength: 4 }), (all) => {
      const rules = all.map(({ fields, ...match }, index) => rule(index, match, fields));
      const alone = rules.some((one) => faultOf(() => checkScanRules([{ ...one, index: 0 }])) !== undefined);
      const together = faultOf(() => checkScanRules(rules));
      expect(together !== undefined).toBe(alone);
      const built = faultOf(() => compileScanner(rules, { hashKey: new Uint8Array(32) }));
      expect([(built as Error | undefined)?.message]).toEqual([(together as Error | undefined)?.message]);
      if (alone) bad++;
      else good++;
    }),
    { numRuns: 100 },
  );
  expect(Math.min(good, bad)).toBeGreaterThan(0);
});
