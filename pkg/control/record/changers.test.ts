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
let note: (uid: string, user: string, namespace?: string, resourceVersion?: string) => Promise<void>;
let who: (uid: string, namespace?: string, resourceVersion?: string) => Promise<string | undefined>;
beforeEach(() => {
  clock = fakeClock();
  objects = createMemoryObjects();
  changers = createChangers({ client: objects, namespace: 'sidegate-system', clock });
  const write = createNoteChanger(objects, 'sidegate-system', clock);
  note = (uid, user, namespace = 'ml', resourceVersion = '7') => write({ namespace, uid, resourceVersion }, user);
  who = async (uid, namespace = 'ml', resourceVersion = '7') => {
    const asked = changers.gone({ namespace, uid, resourceVersion })();
    await clock.advanceAsync(100);
    return asked;
  };
});
const add = (data: Record<string, string>) =>
  objects.patch({} as never, { name: 'sidegate-changers' }, { type: 'merge', body: { data } });

test('what the webhook notes the controller reads', async () => {
  expect(await who('u-1')).toBeUndefined();
  await expect(note('u-1', 'kim')).rejects.toThrow('none');
  await changers.sweep();
  await note('u-1', 'kim');
  await note('u-2', 'l'.repeat(2_000));
  await note('u-3', '\u0001é😀'.repeat(2_000));
  expect([await who('u-1'), (await who('u-2'))?.length]).toEqual(['kim', 256]);
  const odd = (await who('u-3')) ?? '';
  expect(odd).toMatch(/^(\u0001é😀)+/u);
  expect(odd.isWellFormed()).toBe(true);
  expect(Buffer.byteLength(JSON.stringify(odd))).toBeLessThanOrEqual(258);
});

test('a note is of the deletion that it meant: of that version, and of one that happened then', async () => {
  await changers.sweep();
  await note('u-1', 'kim');
  // That deletion failed, and the grant was changed since.
  expect([await who('u-1', 'ml', '8'), await who('u-2')]).toEqual([undefined, undefined]);
  const then = changers.gone({ namespace: 'ml', uid: 'u-1', resourceVersion: '7' });
  await clock.advanceAsync(10_000);
  expect(await who('u-1')).toBe('kim');
  await clock.advanceAsync(5_000);
  expect(await who('u-1')).toBeUndefined();
  // A leader who begins asks later of what went then.
  const asked = then();
  await clock.advanceAsync(30_000);
  expect(await asked).toBe('kim');
});

test('both go by the API server’s clock, where they know it', async () => {
  const server = fakeClock({ now: clock.now() + 3_600_000 });
  const byServer = createChangers({
    client: objects,
    namespace: 'sidegate-system',
    clock,
    serverTime: () => server.now(),
  });
  await byServer.sweep();
  await createNoteChanger(
    objects,
    'sidegate-system',
    clock,
    () => server.now() - 500,
  )({ namespace: 'ml', uid: 'u-1', resourceVersion: '7' }, 'kim');
  const gone = { namespace: 'ml', uid: 'u-1', resourceVersion: '7' };
  const [there, here] = [byServer.gone(gone)(), changers.gone(gone)()];
  await clock.advanceAsync(200);
  expect([await there, await here]).toEqual(['kim', undefined]);
});

test('what is on record long since is forgotten', async () => {
  await changers.sweep();
  await note('u-1', 'kim');
  await clock.advanceAsync(59_000);
  await note('u-2', 'max');
  await changers.sweep();
  const kept = (): number =>
    Object.keys((objects.objects.get('sidegate-changers') as { data?: object }).data ?? {}).length;
  expect(kept()).toBe(2);
  await clock.advanceAsync(1_000);
  await changers.sweep();
  expect(kept()).toBe(1);
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
  const noting = slow({ namespace: 'ml', uid: 'u-1', resourceVersion: '7' }, 'kim');
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
  expect(Object.keys(data)).toHaveLength(17);
  // 140 namespaces together leave room in the 1 MiB of the list, also with the longest names.
  const longest = 'n'.repeat(63);
  await note(`${'0'.repeat(35)}f`, '\u0001'.repeat(300), longest, '9'.repeat(40));
  const { data: all } = objects.objects.get('sidegate-changers') as unknown as { data: Record<string, string> };
  const bytes = `${longest}.15${all[`${longest}.15`]}`.length;
  expect(bytes).toBeGreaterThan(400);
  expect(bytes * 16 * 140).toBeLessThan(1_048_576);
});

test('many who ask at once are answered by one reading, begun after they asked', async () => {
  await changers.sweep();
  let reads = 0;
  const counted = {
    ...objects,
    find: (...args: Parameters<typeof objects.find>) => (reads++, objects.find(...args)),
  } as MemoryObjects;
  const one = createChangers({ client: counted, namespace: 'sidegate-system', clock });
  const asked = Array.from({ length: 200 }, (_, at) =>
    one.gone({ namespace: 'ml', uid: `${at}`, resourceVersion: '7' })(),
  );
  await note('0000000a', 'kim');
  asked.push(one.gone({ namespace: 'ml', uid: '0000000a', resourceVersion: '7' })());
  await clock.advanceAsync(100);
  expect((await Promise.all(asked)).at(-1)).toBe('kim');
  expect(reads).toBe(1);
});
