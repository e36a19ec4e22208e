import { expect, test } from '@jest/globals';
import { maxReported, mostInReport, readPodReport } from './pod-reports.ts';
import type { PodReport } from './pod-reports.ts';

const source = `spiffe://cluster.local/ns/ml/sa/default/pod/${'u'.repeat(36)}`;
const head = { source, namespace: 'ml', pod: 'llama-0', chain: 'a'.repeat(32), sequence: 7, hash: 'b'.repeat(64) };

test('a report with as much as one may have is read, with what heads say of their ends', () => {
  const report: PodReport = {
    v: 1,
    heads: Array.from({ length: maxReported }, (_, n) => (n % 2 === 0 ? { ...head, ended: true } : head)),
    gone: Array.from({ length: maxReported }, () => ({ source, at: 1 })),
  };
  expect(readPodReport(JSON.stringify(report))).toEqual(report);
});

test('a report that is sent has no more values than recorders take that know of no end', () => {
  // They count names and values of what they do not know, too.
  const [ofHead, ofGone] = [1 + 2 * Object.keys({ ...head, ended: true }).length, 1 + 2 * 2];
  expect(mostInReport * (ofHead + ofGone)).toBeLessThan(2_000 * 16);
});

test('a head whose end is no yes or no is refused', () => {
  const report = { v: 1, heads: [{ ...head, ended: 'yes' }], gone: [] };
  expect(() => readPodReport(JSON.stringify(report))).toThrow(expect.objectContaining({ code: 'message_shape' }));
});
