import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLogger } from '../../base/index.ts';
import type { EventRecorder } from '../../kube/index.ts';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { fakeCache, pod } from '../testing/fake-state.ts';
import { podFact } from '../facts/pod-fact.ts';
import { startUpgrade } from './upgrade.ts';
import type { Upgrade, UpgradeOptions } from './upgrade.ts';

const [old, wanted] = ['sidegate:1', 'sidegate:2'];
let clock: ReturnType<typeof fakeClock>;
let pods: ReturnType<typeof fakeCache<ReturnType<typeof podFact>>>;
let patched: string[];
let told: string[];
let results: string[];
let leading: boolean;
let refuse: boolean;
let upgrade: Upgrade;

interface Facts {
  readonly namespace?: string;
  readonly image?: string;
  readonly restarts?: number;
  readonly ready?: boolean;
}
const raws = new Map<string, ReturnType<typeof pod>>();
const put = (name: string, facts: Facts = {}): void => {
  const { namespace = 'ml', image = old, restarts = 0, ready = true } = facts;
  const raw = pod(name, {
    namespace,
    spec: {
      initContainers: [
        { name: 'other', image: 'x:1' },
        { name: 'sidegate', image, restartPolicy: 'Always' },
      ],
    },
    status: { initContainerStatuses: [{ name: 'sidegate', ready, restartCount: restarts }] },
  });
  raws.set(name, raw);
  pods.put(raw);
};

beforeEach(() => {
  clock = fakeClock();
  pods = fakeCache(podFact);
  [patched, told, results] = [[], [], []];
  leading = true;
  refuse = false;
  raws.clear();
});
afterEach(() => upgrade.close());

const start = (more: Partial<UpgradeOptions> = {}): void => {
  upgrade = startUpgrade({
    client: {
      get: (_resource: unknown, { name }: { name: string }) => Promise.resolve(raws.get(name)),
      async patch(_resource: unknown, { name }: { name: string }, { body }: { body: readonly { value: string }[] }) {
        if (refuse) throw new Error('not allowed');
        expect(body).toEqual([
          { op: 'test', path: '/metadata/uid', value: `uid-${name}` },
          { op: 'test', path: '/spec/initContainers/1/name', value: 'sidegate' },
          { op: 'test', path: '/spec/initContainers/1/image', value: expect.any(String) },
          { op: 'replace', path: '/spec/initContainers/1/image', value: expect.any(String) },
        ]);
        patched.push(`${name} ${body[3]?.value ?? ''}`);
      },
    } as unknown as UpgradeOptions['client'],
    clock,
    logger: silentLogger,
    state: { pods, synced: () => true },
    events: {
      record: (_about: unknown, { reason }: { reason: string }) => void told.push(reason),
    } as unknown as EventRecorder,
    ownNamespace: 'sidegate-system',
    leading: () => leading,
    image: (namespace) => (namespace === 'canary' ? 'sidegate:3' : wanted),
    upgrade: true,
    onUpgraded: (result) => results.push(result),
    ...more,
  });
};
/** The kubelet has exchanged the container. */
const back = (name: string, facts: Facts = {}): void => put(name, { image: wanted, restarts: 1, ...facts });

describe('sidecars of an older image', () => {
  test('are counted, and left where nobody asked for more', async () => {
    start({ upgrade: false });
    put('a');
    put('b', { image: wanted });
    put('own', { namespace: 'sidegate-system' });
    await clock.advanceAsync(60_000);
    expect([upgrade.old, patched]).toEqual([1, []]);
  });

  test('are exchanged one at first, then a few at a time, never two of a namespace', async () => {
    start();
    for (const namespace of ['n1', 'n2', 'n3', 'n4']) for (const at of [1, 2]) put(`${namespace}-${at}`, { namespace });
    await clock.advanceAsync(60_000);
    expect(patched).toEqual(['n1-1 sidegate:2']);
    // Ready and of the new image, and still the old container.
    put('n1-1', { namespace: 'n1', image: wanted });
    await clock.advanceAsync(20_000);
    expect(patched).toHaveLength(1);
    back('n1-1', { namespace: 'n1', ready: false });
    await clock.advanceAsync(20_000);
    expect(patched).toHaveLength(1);
    back('n1-1', { namespace: 'n1' });
    await clock.advanceAsync(20_000);
    expect(patched.slice(1)).toEqual(['n1-2 sidegate:2', 'n2-1 sidegate:2', 'n3-1 sidegate:2']);
    expect(upgrade.old).toBe(7);
    expect(results).toEqual(['done']);
  });

  test('get the image of their namespace, where it has one of its own: that too is tried with one at first', async () => {
    start();
    put('stable');
    await clock.advanceAsync(20_000);
    back('stable');
    await clock.advanceAsync(20_000);
    expect(patched).toEqual(['stable sidegate:2']);
    put('tried', { namespace: 'canary', image: wanted });
    put('there', { namespace: 'canary', image: 'sidegate:3' });
    put('behind', { namespace: 'n1', image: 'sidegate:3' });
    await clock.advanceAsync(20_000);
    expect(patched.slice(1)).toEqual(['tried sidegate:3', 'behind sidegate:2']);
    expect(upgrade.old).toBe(2);
  });

  test('are left while they are not well, and in namespaces that are never governed', async () => {
    start();
    put('sick', { ready: false });
    put('sys', { namespace: 'kube-system' });
    await clock.advanceAsync(60_000);
    expect(patched).toEqual([]);
  });

  test('one that does not come back gets its former image, and no other is touched', async () => {
    start();
    put('a');
    put('b', { namespace: 'other' });
    await clock.advanceAsync(20_000);
    expect(patched).toEqual(['a sidegate:2']);
    put('a', { image: wanted, restarts: 4, ready: false });
    await clock.advanceAsync(400_000);
    expect(patched).toEqual(['a sidegate:2', 'a sidegate:1']);
    expect([upgrade.halted, results, told]).toEqual([true, ['failed'], ['SidecarUpgrading', 'SidecarUpgradeFailed']]);
  });

  test('only the leader exchanges them; what the API server refuses is tried again and counted', async () => {
    start();
    leading = false;
    put('a');
    await clock.advanceAsync(60_000);
    expect(patched).toEqual([]);
    leading = true;
    refuse = true;
    await clock.advanceAsync(20_000);
    expect(results).toContain('refused');
    refuse = false;
    await clock.advanceAsync(20_000);
    expect(patched).toEqual(['a sidegate:2']);
  });
});
