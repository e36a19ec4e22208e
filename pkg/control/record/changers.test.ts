import { beforeEach, expect, test } from '@jest/globals';
import { createNoteChanger } from '../../admission/index.ts';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { FakeClock } from '../../../test/support/fake-clock.ts';
import { createMemoryObjects } from '../../../test/support/memory-config-maps.ts';
import type { MemoryObjects } from '../../../test/support/memory-config-maps.ts';
import { createChangers } from './changers.ts';
import type { Changers } from './changers.ts';

let clock: FakeClock;
let objects: MemoryObjects;
let changers: Changers;
let note: (uid: string, user: string) => Promise<void>;
beforeEach(() => {
  clock = fakeClock();
  objects = createMemoryObjects();
  changers = createChangers({ client: objects, namespace: 'sidegate-system', clock });
  note = createNoteChanger(objects, 'sidegate-system', clock);
});
const add = (data: Record<string, string>) =>
  objects.patch({} as never, { name: 'sidegate-changers' }, { type: 'merge', body: { data } });

test('what the webhook notes the controller reads, until it is on record long since', async () => {
  expect(await changers.who('u-1')).toBeUndefined();
  await expect(note('u-1', 'kim')).rejects.toThrow('none');
  await changers.sweep();
  await note('u-1', 'kim');
  await note('u-2', 'l'.repeat(2_000));
  expect([await changers.who('u-1'), (await changers.who('u-2'))?.length]).toEqual(['kim', 256]);
  clock.advance(599_000);
  await note('u-3', 'max');
  await changers.sweep();
  expect(await changers.who('u-1')).toBe('kim');
  clock.advance(1_000);
  await changers.sweep();
  expect([await changers.who('u-1'), await changers.who('u-3')]).toEqual([undefined, 'max']);
});

test('what cannot be understood is nobody, and is removed', async () => {
  await changers.sweep();
  await add({ a: 'kim', b: '{"user":"","at":"2026-01-01T00:00:00Z"}', c: '{"user":"kim"}', d: '[]' });
  expect([await changers.who('a'), await changers.who('b'), await changers.who('d')]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  await changers.sweep();
  expect(objects.objects.get('sidegate-changers')).toMatchObject({ data: {} });
});

test('who takes access back does not wait for an API server that does not answer', async () => {
  const slow = createNoteChanger({ patch: () => new Promise(() => undefined) }, 'sidegate-system', clock);
  const noting = slow('u-1', 'kim');
  clock.advance(2_000);
  await expect(noting).rejects.toThrow('in time');
});
