import { expect, test } from '@jest/globals';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createBodyReader, frameOf } from './frames.ts';

test('frames are the same however they are cut', () => {
  const bodies = [1, 5, 1_023, 1_024, 1_025, 70_000].map((length) =>
    Buffer.from(Uint8Array.from({ length }, (_, at) => (at * 31 + length) % 256)),
  );
  const bytes = Buffer.concat(bodies.map((body) => frameOf(body)));
  for (const size of [1, 2, 3, 7, 1_000, 65_536, bytes.length]) {
    const read: Buffer[] = [];
    const reader = createBodyReader({ maxBytes: 100_000, onBody: (body) => void read.push(body) });
    for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
    expect(read.map((body) => body.toString('hex'))).toEqual(bodies.map((body) => body.toString('hex')));
  }
});

test('a frame that comes byte by byte takes no more memory than its bytes, twice', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const kept = (): number => {
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const length = 512 * 1024;
  let whole = 0;
  const reader = createBodyReader({ maxBytes: length, onBody: (body) => void (whole = body.length) });
  reader.push(frameOf(Buffer.alloc(length)).subarray(0, 4));
  const before = kept();
  // Each in memory of its own, as sockets give them.
  for (let sent = 1; sent < length; sent++) reader.push(new Uint8Array(1));
  expect(kept() - before).toBeLessThan(3 * length);
  reader.push(new Uint8Array(1));
  expect(whole).toBe(length);
});
