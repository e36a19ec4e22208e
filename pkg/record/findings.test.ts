import { expect, test } from '@jest/globals';
import { createFindings } from './findings.ts';

const finding = (source: string | undefined, entry: number, fault: 'changed' | 'back_dated' = 'changed') => ({
  fault,
  entry,
  what: 'x',
  ...(source === undefined ? {} : { source }),
});

test('of one sidecar ten of a fault are kept and the rest is counted; others and the log itself lose no place by it', () => {
  const findings = createFindings();
  for (let entry = 0; entry < 250; entry++) findings.add(finding('liar', entry));
  findings.add(finding('liar', 250, 'back_dated'));
  findings.add(finding('finance', 251));
  findings.add(finding(undefined, 252));
  expect(findings.list().map(({ entry }) => entry)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 250, 251, 252]);
  expect(findings.leftOut()).toEqual([{ fault: 'changed', source: 'liar', count: 240 }]);
});

test('of the log itself a hundred of a fault are kept, of sidecars beyond a thousand ten together', () => {
  const findings = createFindings();
  for (let entry = 0; entry < 101; entry++) findings.add(finding(undefined, entry, 'back_dated'));
  for (let source = 0; source < 1_012; source++) findings.add(finding(`source-${source}`, source));
  expect(findings.list()).toHaveLength(100 + 1_000 + 10);
  expect(findings.leftOut()).toEqual([
    { fault: 'back_dated', count: 1 },
    { fault: 'changed', source: 'other sidecars', count: 2 },
  ]);
});
