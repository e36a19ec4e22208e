import { expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { FakeClock } from '../../../test/support/fake-clock.ts';
import { silentLogger } from '../../base/index.ts';
import type { ApprovalSpecResource, ApprovalStatusResource } from '../../crd/index.ts';
import { KubeError } from '../../kube/index.ts';
import type { KubeClient } from '../../kube/index.ts';
import { fakeCache } from '../testing/fake-state.ts';
import { createTwoClocks } from '../two-clocks.ts';
import { createApprovalBook } from './approval-book.ts';
import { approvalFact, approvalIndices } from './approval-fact.ts';
import type { ApprovalFact } from './approval-fact.ts';
import { createApprovalDesk } from './desk.ts';
import { approvalLimits } from './limits.ts';
import { createOpener } from './opener.ts';
import { startTrimmer } from './trimmer.ts';

// Who asks and goes away leaves objects behind: how many, in the time that counts and altogether, is bounded.

const minutes = 60_000;
const specOf = (digest: string, subject: string, clock: FakeClock): ApprovalSpecResource => ({
  policies: [{ kind: 'InferencePolicy', name: 'p', uid: 'p', generation: 1 }],
  rules: ['ml/p/held'],
  direction: 'Request',
  requester: { provider: 'ml/p/corp', issuer: 'https://idp.example', subject },
  operation: 'Chat',
  digest,
  approvers: [{ kubernetesGroup: 'leads' }],
  required: 1,
  pod: { name: 'pod', uid: 'pod' },
  expiresAt: new Date(clock.now() + 60 * minutes).toISOString(),
});

function setUp() {
  const clock = fakeClock();
  const cache = fakeCache(approvalFact, approvalIndices);
  let version = 1;
  const put = (name: string, spec: ApprovalSpecResource, status: ApprovalStatusResource, createdAt = clock.now()) => {
    const metadata = {
      namespace: 'ml',
      name,
      uid: name,
      resourceVersion: String(version++),
      creationTimestamp: new Date(createdAt).toISOString(),
    };
    cache.put({ metadata, spec, status });
    const fact = cache.get(`ml/${name}`);
    if (fact === undefined) throw new Error(`${name} is not in the copy`);
    return fact;
  };
  return { clock, cache, put };
}
const vote = { user: 'lea', decision: 'Approve', at: '2026-01-01T00:00:00Z' } as const;

test('what a caller asked and nobody answered counts against them for ten minutes, whatever became of it', async () => {
  const { clock, cache, put } = setUp();
  const made: { readonly name: string; readonly spec: ApprovalSpecResource }[] = [];
  const opener = createOpener({
    book: createApprovalBook(cache),
    clock,
    clocks: createTwoClocks(clock),
    limits: { ...approvalLimits, perRequester: 3 },
    writer: {
      create: (_namespace, name, spec) => {
        made.push({ name, spec });
        return Promise.resolve(put(name, spec, { phase: 'Pending' }));
      },
      read: () => Promise.resolve(undefined),
    },
  });
  let next = 0;
  const ask = async (subject = 'ana'): Promise<unknown> => {
    const got = await opener.open({ namespace: 'ml', name: 'pod', uid: 'pod' }, specOf(`d${next++}`, subject, clock));
    return typeof got === 'string' ? got : got.phase;
  };
  const endAll = (status: ApprovalStatusResource): void => {
    for (const { name, spec } of made) put(name, spec, status);
  };
  expect([await ask(), await ask(), await ask(), await ask()]).toEqual(['Pending', 'Pending', 'Pending', 'too_many']);
  endAll({ phase: 'Cancelled' });
  expect([await ask(), await ask('bob')]).toEqual(['too_many', 'Pending']);
  endAll({ phase: 'Expired' });
  expect(await ask()).toBe('too_many');
  // People answer: then the caller may ask on.
  endAll({ phase: 'Used', decisions: [vote] });
  expect(await ask()).toBe('Pending');
  endAll({ phase: 'Cancelled' });
  expect(await ask()).toBe('too_many');
  await clock.advanceAsync(approvalLimits.recentMs);
  expect(await ask()).toBe('Pending');
});

test('the leader keeps so many finished ones of a namespace: the unanswered go first, denials stand', async () => {
  const { clock, cache, put } = setUp();
  const removed: string[] = [];
  let leading = false;
  let failing = true;
  const trimmer = startTrimmer({
    cache,
    clock,
    clocks: createTwoClocks(clock),
    logger: silentLogger,
    leading: () => leading,
    limits: { finishedPerNamespace: 3 },
    writer: {
      remove: ({ name }: ApprovalFact) => {
        if (failing) return Promise.reject(new KubeError('refused', 'not now', { status: 500, reason: '' }));
        removed.push(name);
        return Promise.resolve();
      },
    },
  });
  const spec = specOf('d', 'ana', clock);
  const began = clock.now();
  put('denied', spec, { phase: 'Denied', decisions: [{ ...vote, decision: 'Deny' }] }, began);
  put('used-1', spec, { phase: 'Used', decisions: [vote] }, began + 1_000);
  put('used-2', spec, { phase: 'Used', decisions: [vote] }, began + 2_000);
  put('cancelled-2', spec, { phase: 'Cancelled' }, began + 4_000);
  put('cancelled-1', spec, { phase: 'Cancelled' }, began + 3_000);
  put('open', spec, { phase: 'Pending' }, began);
  await clock.advanceAsync(10);
  expect(removed).toEqual([]);

  leading = true;
  trimmer.lead();
  await clock.advanceAsync(10);
  failing = false;
  await clock.advanceAsync(1_000);
  expect(removed).toEqual(['cancelled-1', 'cancelled-2']);
  // They are in the copy yet, and are not taken for too many again.
  put('used-3', spec, { phase: 'Used', decisions: [vote] }, began + 5_000);
  await clock.advanceAsync(10);
  expect(removed.slice(2)).toEqual(['used-1']);
  for (const name of removed) cache.remove(`ml/${name}`);
  put('used-4', spec, { phase: 'Used', decisions: [vote] }, began + 6_000);
  await clock.advanceAsync(10);
  expect(removed.slice(3)).toEqual(['used-2']);
  // A denial that is over stands in nobody's way.
  await clock.advanceAsync(60 * minutes);
  put('used-5', spec, { phase: 'Used', decisions: [vote] }, began + 7_000);
  await clock.advanceAsync(10);
  expect(removed.slice(4)).toEqual(['denied']);
  await trimmer.close();
});

test('a controller that begins to lead removes what is too much, and goes on so', async () => {
  const { clock, cache, put } = setUp();
  const removed: string[] = [];
  const steps: string[] = [];
  let leading = false;
  const spec = specOf('d', 'ana', clock);
  put('one', spec, { phase: 'Cancelled' }, clock.now() - 2_000);
  put('two', spec, { phase: 'Cancelled' }, clock.now() - 1_000);
  const desk = createApprovalDesk({
    client: {
      delete: (_resource: unknown, { name }: { readonly name: string }) => {
        removed.push(name);
        cache.remove(`ml/${name}`);
        return Promise.resolve();
      },
    } as unknown as KubeClient,
    cache,
    clock,
    logger: silentLogger,
    events: { record: () => undefined },
    replica: 'a',
    seal: () => undefined,
    leading: () => leading,
    onStep: (step) => steps.push(step),
    limits: { finishedPerNamespace: 1 },
  });
  await clock.advanceAsync(10);
  expect(removed).toEqual([]);
  leading = true;
  desk.lead();
  await clock.advanceAsync(10);
  expect(removed).toEqual(['one']);
  put('three', spec, { phase: 'Expired' });
  await clock.advanceAsync(10);
  expect([removed, steps]).toEqual([
    ['one', 'two'],
    ['removed', 'removed'],
  ]);
  await desk.close();
});
