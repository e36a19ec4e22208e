import { expect, test } from '@jest/globals';
import { cpuMs } from '../../../test/support/cost.ts';
import { ByteChain } from '../../base/index.ts';
import { editWire } from './edit-wire.ts';
import type { Region } from './edit-wire.ts';

/** A message that holds so many elements of a BYTES tensor, and another text in place of each. */
function elements(count: number): { readonly bytes: ByteChain; readonly changes: ReadonlyMap<Region, Uint8Array> } {
  const element = Buffer.concat([Buffer.from([10, 0, 0, 0]), Buffer.from('ana@ex.com')]);
  const contents = Buffer.concat(Array.from({ length: count }, () => element));
  const parent: Region = { lengthAt: 0, from: 4, to: 4 + contents.length, parent: undefined, length: 'varint' };
  const changes = new Map<Region, Uint8Array>();
  for (let at = 4; at < parent.to; at += element.length)
    changes.set({ lengthAt: at, from: at + 4, to: at + 14, parent, length: 'uint32' }, Buffer.from('[x]'));
  return { bytes: ByteChain.of(Buffer.alloc(4), contents), changes };
}

test('each change is written once, and the lengths around it are repaired', () => {
  const { bytes, changes } = elements(3);
  const element = Buffer.concat([Buffer.from([3, 0, 0, 0]), Buffer.from('[x]')]);
  expect(Buffer.from(editWire(bytes, changes).bytes())).toEqual(
    Buffer.concat([Buffer.from([21]), element, element, element]),
  );
});

test('eight times the changes cost no more than some eight times as much', () => {
  const [few, many] = [elements(10_000), elements(80_000)];
  const cost = ({ bytes, changes }: typeof few): number => cpuMs(() => editWire(bytes, changes), 4);
  cost(few);
  expect(cost(many)).toBeLessThan(24 * Math.max(5, cost(few)));
});
