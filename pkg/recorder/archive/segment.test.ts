import { expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import { openSegment, sealSegment } from './segment.ts';
import type { Segment } from './segment.ts';

const { privateKey } = generateKeyPairSync('ed25519');
const mib = 1024 * 1024;

/** As anyone may write it into a bucket: whoever gives no key does not ask who signed. */
function segmentOf(saysBytes: number, body: Uint8Array): Segment {
  const header = { log: '', first: 0, last: 0, from: 0, to: 0, before: '', after: '', head: null };
  const object = sealSegment(
    { ...header, namespaces: [], events: 0, bytes: saysBytes },
    zstdCompressSync(body),
    privateKey,
  );
  return openSegment(object, undefined);
}

async function read(segment: Segment): Promise<void> {
  for await (const entry of segment.entries()) expect(entry).toBeUndefined();
}

test('a segment that says it holds more than any that is written is not unpacked', () => {
  expect(() => segmentOf(64 * mib + 1, Buffer.alloc(0))).toThrow(
    expect.objectContaining({ code: 'changed', message: 'it holds more than any that is written' }),
  );
});

test('nor further than its header says', async () => {
  await expect(read(segmentOf(mib, Buffer.alloc(8 * mib)))).rejects.toMatchObject({
    code: 'changed',
    message: 'it holds more than its header says',
  });
});
