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
let note: (uid: string, user: string, namespace?: string) => Promise<void>;
let who: (uid: string, namespace?: string) => Promise<string | undefined>;
beforeEach(() => {
  clock = fakeClock();
  objects = createMemoryObjects();
  changers = createChangers({ client: objects, namespace: 'sidegate-system', clock });
  const write = createNoteChanger(objects, 'sidegate-system', clock);
  note = (uid, user, namespace = 'ml') => write({ namespace, uid }, user);
  who = async (uid, namespace = 'ml') => {
    const asked = changers.who({ namespace, uid });
    await clock.advanceAsync(100);
    return asked;
  };
});
const add = (data: Record<string, string>) =>
  objects.patch({} as never, { name: 'sidegate-changers' }, { type: 'merge', body: { data } });

test('what the webhook notes the controller reads, until it is on record long since', async () => {
  expect(await who('u-1')).toBeUndefined();
  await expect(note('u-1', 'kim')).rejects.toThrow('none');
  await changers.sweep();
  await note('u-1', 'kim');
  await note('u-2', 'l'.repeat(2_000));
  expect([await who('u-1'), (await who('u-2'))?.length]).toEqual(['kim', 256]);
  clock.advance(119_000);
  await note('u-3', 'max');
  await changers.sweep();
  expect(await who('u-1')).toBe('kim');
  clock.advance(1_000);
  await changers.sweep();
  expect([await who('u-1'), await who('u-3')]).toEqual([undefined, 'max']);
});

test('what cannot be understood is nobody, and is removed', async () => {
  await changers.sweep();
  await add({ 'ml.10': 'kim', 'ml.11': '{"user":"","at":"2026-01-01T00:00:00Z"}', c: '{"user":"kim"}', 'ml.13': '[]' });
  expect([await who('a'), await who('b'), await who('d')]).toEqual([undefined, undefined, undefined]);
  await changers.sweep();
  expect(objects.objects.get('sidegate-changers')).toMatchObject({ data: {} });
});

test('who takes access back does not wait for an API server that does not answer', async () => {
  const slow = createNoteChanger({ patch: () => new Promise(() => undefined) }, 'sidegate-system', clock);
  const noting = slow({ namespace: 'ml', uid: 'u-1' }, 'kim');
  clock.advance(2_000);
  await expect(noting).rejects.toThrow('in time');
});

test('no namespace pushes out what is noted of another, however many grants it has taken back', async () => {
  await changers.sweep();
  await note('a0000001', 'kim', 'web');
  for (let at = 0; at < 500; at++) await note(`b00000${at.toString(16).padStart(3, '0')}`, 'eve'.repeat(85));
  expect(await who('a0000001', 'web')).toBe('kim');
  // Its own last is there, and of another's uid nothing is said.
  expect([await who('b00000003'), await who('b000001f3'), await who('a0000001')]).toEqual([
    undefined,
    'eve'.repeat(85),
    undefined,
  ]);
  const { data } = objects.objects.get('sidegate-changers') as unknown as { data: object };
  expect(Object.keys(data)).toHaveLength(65);
});

test('many who ask at once are answered by one reading, begun after they asked', async () => {
  await changers.sweep();
  let reads = 0;
  const counted = {
    ...objects,
    find: (...args: Parameters<typeof objects.find>) => (reads++, objects.find(...args)),
  } as MemoryObjects;
  const one = createChangers({ client: counted, namespace: 'sidegate-system', clock });
  const asked = Array.from({ length: 200 }, (_, at) => one.who({ namespace: 'ml', uid: `${at}` }));
  await note('0000000a', 'kim');
  asked.push(one.who({ namespace: 'ml', uid: '0000000a' }));
  await clock.advanceAsync(100);
  expect((await Promise.all(asked)).at(-1)).toBe('kim');
  expect(reads).toBe(1);
});
