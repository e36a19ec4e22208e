import { expect, test } from '@jest/globals';
import { parseJson } from '../base/index.ts';
import { maxReportBytes, maxReported, readPodReport, readUpMessage } from './index.ts';

const head = (hash: string) => ({ chain: 'a'.repeat(32), sequence: 1, hash });
const source = (n: number): string => `spiffe://cluster.local/ns/ml/sa/default/pod/${n}`;
const podHead = (n: number, hash = 'a'.repeat(64)) => ({
  source: source(n),
  namespace: 'ml',
  pod: `p-${n}`,
  ...head(hash),
});

test('what a sidecar says of its head a report can tell: one that it cannot ends the stream of that sidecar alone', () => {
  const read = (message: object): unknown => readUpMessage(parseJson(JSON.stringify(message)));
  const beat = (hash: string): object => ({ type: 'beat', audit: head(hash) });
  expect(read(beat('a'.repeat(64)))).toEqual(beat('a'.repeat(64)));
  for (const hash of ['', 'a', 'A'.repeat(64), 'a'.repeat(63), 'a'.repeat(65), 'g'.repeat(64), `${'a'.repeat(63)}=`]) {
    expect(() => readPodReport(JSON.stringify({ v: 1, heads: [podHead(1, hash)], gone: [] }))).toThrow('hash');
    expect(() => read(beat(hash))).toThrow('hash');
  }
});

test('a report has as many heads and as many pods that are gone as it may, also those with the longest names', () => {
  const all = Array.from({ length: maxReported }, (_, n) => n);
  const long = (n: number): string => `spiffe://${'d'.repeat(253)}/ns/${'n'.repeat(63)}/sa/${'s'.repeat(253)}/pod/${n}`;
  const report = {
    v: 1,
    heads: all.map((n) => ({
      ...podHead(n),
      source: long(n),
      namespace: 'n'.repeat(63),
      pod: 'p'.repeat(253),
      sequence: Number.MAX_SAFE_INTEGER,
    })),
    gone: all.map((n) => ({ source: long(n), at: 1_800_000_000_000 })),
  };
  const text = JSON.stringify(report);
  expect(readPodReport(text)).toEqual(report);
  expect(Buffer.byteLength(text)).toBeLessThan(maxReportBytes);
});
