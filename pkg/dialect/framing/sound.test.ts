import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { RefusedError } from '../../core/index.ts';
import { sounds } from './sound.ts';
import type { StreamFraming } from './stream-framing.ts';

const of = (type: string): StreamFraming => {
  const found = sounds.find(({ mediaTypes }) => mediaTypes.has(type));
  if (found === undefined) throw new Error(type);
  return found;
};
const heads: readonly (readonly [string, string])[] = [
  ['audio/mpeg', 'ID3\x04'],
  ['audio/wav', 'RIFF\0\0\0\0WAVE'],
  ['audio/flac', 'fLaC'],
  ['audio/ogg', 'OggS'],
  ['audio/aac', '\xff\xf1\x50\x80'],
  ['audio/webm', '\x1a\x45\xdf\xa3'],
  ['audio/mp4', '\0\0\0\x1cftypM4A '],
  ['audio/pcm', '\0\x01\0\x02'],
];

describe('sound that is an answer', () => {
  it.each(heads)('of type %s is the bytes that came, whatever the cuts', (type, head) => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 80 }),
        fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 12 }),
        (rest, sizes) => {
          const bytes = Buffer.concat([Buffer.from(head.padEnd(12, '\0'), 'latin1'), rest]);
          const splitter = of(type).splitter();
          const frames = [];
          let at = 0;
          for (const size of sizes) {
            frames.push(...splitter.push(bytes.subarray(at, at + size)));
            at += size;
          }
          frames.push(...splitter.push(bytes.subarray(at)));
          const last = splitter.end();
          if (last !== undefined) frames.push(last);
          expect(Buffer.from(frames.map(({ raw }) => raw).join(''), 'latin1').equals(bytes)).toBe(true);
          expect(frames.at(-1)?.file).toEqual({ type: of(type).contentType, bytes: bytes.length });
          expect(splitter.pendingBytes).toBe(0);
        },
      ),
      { numRuns: 100 },
    );
  });

  it.each(heads)('of type %s is refused before anything of it leaves where it is none', (type) => {
    for (const text of ['My card is 4111 1111 1111 1111.', '<html>', 'x']) {
      const splitter = of(type).splitter();
      const run = (): unknown =>
        [...text].map((unit) => splitter.push(Buffer.from(unit))).concat([[splitter.end() as never]]);
      expect(run).toThrow(RefusedError);
    }
  });

  it('that is empty is no frame', () => expect(of('audio/mpeg').splitter().end()).toBeUndefined());
});
