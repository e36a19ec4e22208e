import { expect, test } from '@jest/globals';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createBodyReader } from './frames.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const inUse = (): number => {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
};

test('a frame that comes byte by byte takes no more memory than twice its bytes', () => {
  const size = 200_000;
  let body: Buffer | undefined;
  const reader = createBodyReader({ maxBytes: 2 * 1024 * 1024, onBody: (whole) => (body = whole) });
  const frame = Buffer.alloc(4 + size, 'ab');
  frame.writeUInt32BE(size);
  const before = inUse();
  // Each piece with memory of its own, as a socket gives them.
  for (let at = 0; at < frame.length - 1; at++) reader.push(Uint8Array.of(frame[at] ?? 0));
  expect(inUse() - before).toBeLessThan(2 * size + 500_000);
  expect(body).toBeUndefined();
  reader.push(frame.subarray(-1));
  expect(body?.equals(frame.subarray(4))).toBe(true);
});

test('a frame of which nothing came yet has no more than a little', () => {
  const readers = Array.from({ length: 100 }, () => {
    const reader = createBodyReader({ maxBytes: 2 * 1024 * 1024, onBody: () => undefined });
    return reader;
  });
  const head = Buffer.alloc(5);
  head.writeUInt32BE(2 * 1024 * 1024);
  const before = inUse();
  for (const reader of readers) reader.push(head);
  expect(inUse() - before).toBeLessThan(1024 * 1024);
  // And they go on.
  for (const reader of readers) reader.push(head);
});

test('what is handed on is not what the next frame is written into', () => {
  const bodies: Buffer[] = [];
  const reader = createBodyReader({ maxBytes: 100, onBody: (body) => void bodies.push(body) });
  for (const fill of ['a', 'b']) {
    const frame = Buffer.alloc(4 + 50, fill);
    frame.writeUInt32BE(50);
    for (let at = 0; at < frame.length; at += 7) reader.push(frame.subarray(at, at + 7));
  }
  expect(bodies.map(String)).toEqual(['a'.repeat(50), 'b'.repeat(50)]);
});
