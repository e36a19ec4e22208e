import { expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { FakeClock } from '../../../test/support/fake-clock.ts';
import { silentLogger } from '../../base/index.ts';
import type { AuditEvent } from '../../core/index.ts';
import { KubeError } from '../../kube/index.ts';
import type { KubeClient, KubeObject } from '../../kube/index.ts';
import { createChangeLog } from '../record/index.ts';
import { fakeCache } from '../testing/fake-state.ts';
import type { FakeCache } from '../testing/fake-state.ts';
import { createTwoClocks } from '../two-clocks.ts';
import { approvalFact, approvalIndices } from './approval-fact.ts';
import type { ApprovalFact } from './approval-fact.ts';
import { recordApprovals } from './approval-record.ts';
import { createApprovalWriter } from './approval-writer.ts';

type Approval = KubeObject & { readonly status?: { readonly phase?: string; readonly decisions?: readonly object[] } };
const vote = (clock: FakeClock, decision: string) => ({
  user: 'bob',
  decision,
  at: new Date(clock.now()).toISOString(),
});

/** One API server, and its watches. */
function cluster() {
  const clock = fakeClock({ now: Date.UTC(2026, 0) });
  const watches = new Set<FakeCache<ApprovalFact>>();
  let object: Approval | undefined;
  let version = 10;
  const keep = (next: Approval): Approval => {
    const time = new Date(clock.now()).toISOString();
    const { metadata } = next;
    const managedFields = [{ subresource: 'status', time }];
    object = { ...next, metadata: { ...metadata, resourceVersion: String(++version), managedFields } };
    for (const watch of watches) watch.put(object);
    return object;
  };
  const write = (status: object): Approval => {
    if (object === undefined) throw new Error('there is none');
    return keep({ ...object, status: { ...object.status, ...status } });
  };
  /** @param onWritten what becomes of the answer to a write */
  const replica = (
    leads: boolean,
    onWritten: (answer: KubeObject) => Promise<KubeObject> = Promise.resolve.bind(Promise),
  ) => {
    const state = { leads };
    const events: AuditEvent[] = [];
    const changes = createChangeLog({
      sink: { append: (more) => void events.push(...more) },
      clock,
      logger: silentLogger,
      leading: () => state.leads,
      onResult: () => undefined,
    });
    const cache = fakeCache(approvalFact, approvalIndices);
    const stop = recordApprovals({ cache, changes, now: () => clock.now() });
    if (object !== undefined) cache.put(object);
    watches.add(cache);
    const steps: string[] = [];
    const writer = createApprovalWriter({
      client: {
        find: () => Promise.resolve(object),
        patch: async (
          ...[, , { body }]: [unknown, unknown, { body: { metadata: KubeObject['metadata']; status: object } }]
        ) => {
          if (body.metadata.resourceVersion !== object?.metadata.resourceVersion)
            throw new KubeError('refused', 'it was changed', { status: 409 });
          return onWritten(write(body.status));
        },
      } as unknown as KubeClient,
      clock,
      clocks: createTwoClocks(clock),
      logger: silentLogger,
      events: { record: () => undefined },
      replica: 'r',
      onStep: (step) => void steps.push(step),
      onFact: () => undefined,
      onGone: () => undefined,
    });
    return {
      cache,
      writer,
      steps,
      told: () =>
        events.map((event) => (event.type === 'change' ? `${event.step} ${event.decisions?.length ?? 0}` : '')),
      events,
      lead() {
        state.leads = true;
        changes.lead();
      },
      kill() {
        stop();
        watches.delete(cache);
        state.leads = false;
      },
      /** It hears nothing, until it lists again. */
      cut: () => void watches.delete(cache),
      list() {
        watches.add(cache);
        if (object !== undefined) cache.put(object);
      },
      fact(): ApprovalFact {
        const fact = cache.get('ml/a-1');
        if (fact === undefined) throw new Error('it is not in the copy');
        return fact;
      },
    };
  };
  return {
    clock,
    replica,
    write,
    create(): void {
      const creationTimestamp = new Date(clock.now()).toISOString();
      keep({
        metadata: { namespace: 'ml', name: 'a-1', uid: 'u-1', creationTimestamp },
        spec: {
          ...{
            policies: [],
            rules: ['ml/p/held'],
            direction: 'Request',
            operation: 'Chat',
            digest: 'd',
            approvers: [],
          },
          ...{
            requester: { provider: 'ml/p/corp', issuer: 'https://idp.example', subject: 'ana', kubernetesUser: 'ana' },
          },
          ...{ required: 1, pod: { name: 'p', uid: 'p' }, expiresAt: new Date(clock.now() + 600_000).toISOString() },
        },
      } as Approval);
    },
    remove(): void {
      object = undefined;
      for (const watch of watches) watch.remove('ml/a-1');
    },
  };
}

test('with all replicas alive each step is on record once, with who decided, whoever wrote it', async () => {
  const { clock, replica, write, create } = cluster();
  const [one, two] = [replica(true), replica(false)];
  await clock.advanceAsync(1);
  create();
  write({ decisions: [vote(clock, 'Approve')] });
  await two.writer.settle(two.fact());
  await one.writer.use('ml/a-1', { pod: 'p', session: 's' });
  await clock.advanceAsync(1);
  expect([one.told(), two.told()]).toEqual([['created 0', 'approved 1', 'used 1'], []]);
  expect(one.events).toMatchObject([
    { what: 'approval', name: 'ml/a-1', uid: 'u-1', caller: { subject: 'ana' }, rules: ['ml/p/held'] },
    { decisions: [{ by: 'user:bob' }] },
    { usedBy: 's' },
  ]);
  expect(one.events[1]).not.toHaveProperty('usedBy');
  expect([one.steps, two.steps]).toEqual([['used'], ['approved']]);
});

test('a leader that is killed between its write and its word: the next one tells', async () => {
  const { clock, replica, write, create } = cluster();
  const dead: { kill?: () => void } = {};
  const one = replica(true, () => new Promise(() => dead.kill?.()));
  const two = replica(false);
  await clock.advanceAsync(1);
  create();
  write({ decisions: [vote(clock, 'Deny')] });
  dead.kill = one.kill;
  one.cut();
  void one.writer.settle(one.fact());
  await clock.advanceAsync(15_000);
  expect([one.told(), one.steps, two.told()]).toEqual([['created 0'], [], []]);
  two.lead();
  expect(two.told()).toEqual(['created 0', 'denied 1']);
  two.lead();
  expect(two.told()).toHaveLength(2);
});

test('a write whose answer is lost is on record, once', async () => {
  const { clock, replica, write, create } = cluster();
  const one = replica(true, () => Promise.reject(new KubeError('unreachable', 'the connection was reset')));
  await clock.advanceAsync(1);
  create();
  write({ decisions: [vote(clock, 'Deny')] });
  await expect(one.writer.settle(one.fact())).rejects.toThrow('reset');
  expect(await one.writer.settle(one.fact())).toMatchObject({ phase: 'Denied' });
  expect([one.told(), one.steps]).toEqual([['created 0', 'denied 1'], []]);
});

test('what a list jumps over is told: used was approved before, and so was what ended with enough votes that nobody had seen', async () => {
  for (const [last, votes, steps] of [
    ['Used', 1, ['created 0', 'approved 1', 'used 1']],
    ['Expired', 1, ['created 0', 'approved 1', 'expired 1']],
    ['Expired', 0, ['created 0', 'expired 0']],
    ['Approved', 1, ['created 0', 'approved 1']],
  ] as const) {
    const { clock, replica, write, create } = cluster();
    const one = replica(true);
    await clock.advanceAsync(1);
    create();
    one.cut();
    clock.advance(300_000);
    write({ phase: last, decisions: Array.from({ length: votes }, () => vote(clock, 'Approve')) });
    one.list();
    one.list();
    expect(one.told()).toEqual(steps);
  }
});

test('what expired with its votes in sight was never approved', async () => {
  const { clock, replica, write, create } = cluster();
  const one = replica(true);
  await clock.advanceAsync(1);
  create();
  write({ decisions: [vote(clock, 'Approve')] });
  write({ phase: 'Expired' });
  expect(one.told()).toEqual(['created 0', 'expired 1']);
});

test('after all replicas were killed the next leader tells again what happened in the last two minutes', async () => {
  const { clock, replica, write, create } = cluster();
  const one = replica(true);
  await clock.advanceAsync(1);
  create();
  clock.advance(100_000);
  write({ decisions: [vote(clock, 'Approve')] });
  one.kill();
  write({ phase: 'Approved' });
  clock.advance(60_000);
  const two = replica(false);
  await clock.advanceAsync(15_000);
  expect([one.told(), two.told()]).toEqual([['created 0'], []]);
  two.lead();
  // What is older was told long since.
  expect(two.told()).toEqual(['approved 1']);
  two.kill();
  clock.advance(120_000);
  const three = replica(true);
  await clock.advanceAsync(1);
  expect(three.told()).toEqual([]);
});

test('one that somebody deletes while it is open is withdrawn; one that is over and is removed is not', async () => {
  for (const [phase, steps] of [
    ['Pending', ['created 0', 'withdrawn 0']],
    ['Denied', ['created 0', 'denied 0']],
  ] as const) {
    const { clock, replica, write, create, remove } = cluster();
    const one = replica(true);
    await clock.advanceAsync(1);
    create();
    write({ phase });
    remove();
    expect(one.told()).toEqual(steps);
  }
});
