import { expect, test } from '@jest/globals';
import { parseJson } from '../base/index.ts';
import { maxReportBytes, maxReported, mostInReport, readPodReport } from './pod-reports.ts';
import type { PodReport } from './pod-reports.ts';
import { readUpMessage } from './read-up.ts';

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

test('a report with as much as one may have, of the longest names, is no longer than one may be', () => {
  const long = `spiffe://${'d'.repeat(253)}/ns/${'n'.repeat(63)}/sa/${'s'.repeat(253)}/pod/${'u'.repeat(36)}`;
  const all = Array.from({ length: maxReported }, () => long);
  const report: PodReport = {
    v: 1,
    heads: all.map((one) => ({
      ...head,
      source: one,
      namespace: 'n'.repeat(63),
      pod: 'p'.repeat(253),
      sequence: Number.MAX_SAFE_INTEGER,
      ended: true,
    })),
    gone: all.map((one) => ({ source: one, at: 1_800_000_000_000 })),
  };
  const text = JSON.stringify(report);
  expect(readPodReport(text)).toEqual(report);
  expect(Buffer.byteLength(text)).toBeLessThan(maxReportBytes);
});

test('what a sidecar may say of its head a report can tell: one that lies ends its own stream, and keeps no report of others', () => {
  const read = (message: object): unknown => readUpMessage(parseJson(JSON.stringify(message)));
  const beat = (hash: string): object => ({ type: 'beat', audit: { chain: head.chain, sequence: 7, hash } });
  expect(read(beat(head.hash))).toEqual(beat(head.hash));
  for (const hash of ['', 'a', 'A'.repeat(64), 'a'.repeat(63), 'a'.repeat(65), 'g'.repeat(64), `${'a'.repeat(63)}=`]) {
    expect(() => readPodReport(JSON.stringify({ v: 1, heads: [{ ...head, hash }], gone: [] }))).toThrow('hash');
    expect(() => read(beat(hash))).toThrow('hash');
  }
});
