import { expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { silentLogger } from '../../base/index.ts';
import { fakeCache } from '../testing/fake-state.ts';
import { grantFact, grantIndices } from './grant-fact.ts';
import { recordGrants } from './grant-record.ts';

const spec = {
  issuer: 'https://idp.example',
  subject: 'ana',
  operations: ['Chat'],
  models: ['m'],
  requestedBy: 'eve',
  expiresAt: '2026-01-01T08:00:00Z',
};
const start = Date.UTC(2026, 0);
const after = (ms: number): string => new Date(start + ms).toISOString();
const minute = 60_000;
const asked = (at: number) => ({ type: 'Decidable', status: 'True', lastTransitionTime: after(at) });
const vote = (at: number) => ({ user: 'lea', decision: 'Approve', at: after(at) });
const terms = { approvers: [{ kubernetesGroup: 'ml-leads' }], required: 1, kubernetesUser: 'corp:ana' };

async function record(first: readonly object[] = [], now = 0) {
  const clock = fakeClock({ now: start + now });
  const cache = fakeCache(grantFact, grantIndices);
  const told: string[] = [];
  const stop = recordGrants({
    cache,
    now: () => clock.now(),
    logger: silentLogger,
    changes: { seen: ({ step, decisions = [] }) => void told.push(`${step} ${decisions.length}`) },
  });
  let version = 1;
  /** @param at when its status was written */
  const put = (status: object, at = 0): void =>
    cache.put({
      metadata: {
        ...{ namespace: 'ml', name: 'g', uid: 'u', resourceVersion: String(version++), creationTimestamp: after(0) },
        managedFields: [{ subresource: 'status', time: after(at) }],
      },
      spec,
      status,
    });
  for (const status of first) put(status, (status as { readonly at?: number }).at);
  await clock.advanceAsync(1);
  return { cache, told, put, stop };
}

test('a grant is opened once it is said who decides, and each step is told once', async () => {
  const { told, put, stop } = await record();
  put({});
  put({ phase: 'Pending', conditions: [{ ...asked(0), status: 'False' }] });
  expect(told).toEqual([]);
  put({ phase: 'Pending', ...terms, conditions: [asked(0)] });
  put({ phase: 'Pending', ...terms, conditions: [asked(0)], decisions: [vote(0)] });
  const approved = { phase: 'Approved', ...terms, conditions: [asked(0)], decisions: [vote(0)] };
  put(approved);
  put({ ...approved, conditions: [asked(0), { ...asked(0), type: 'Holds' }] });
  put({ ...approved, phase: 'Expired' });
  expect(told).toEqual(['opened 0', 'approved 1', 'expired 1']);
  stop();
});

test('one that nobody could decide has one step', async () => {
  const { told, put } = await record();
  put({ phase: 'Pending' });
  put({ phase: 'Cancelled' });
  expect(told).toEqual(['cancelled 0']);
});

test('what a list jumps over is told', async () => {
  const { told, put } = await record();
  put({ phase: 'Pending' });
  put({ phase: 'Expired', ...terms, conditions: [asked(0)], decisions: [vote(0)] });
  expect(told).toEqual(['opened 0', 'approved 1', 'expired 1']);
});

test.each([
  ['opened just now', { phase: 'Pending', ...terms, at: 9 * minute }, ['opened 0']],
  ['opened long ago', { phase: 'Pending', ...terms, at: 7 * minute }, []],
  [
    'opened and approved just now',
    { phase: 'Approved', ...terms, conditions: [asked(9 * minute)], decisions: [vote(9 * minute)], at: 9 * minute },
    ['opened 0', 'approved 1'],
  ],
  [
    'opened long ago, approved just now',
    { phase: 'Approved', ...terms, conditions: [asked(0)], decisions: [vote(9 * minute)], at: 9 * minute },
    ['approved 1'],
  ],
  [
    'voted on long ago, approved just now',
    { phase: 'Approved', ...terms, conditions: [asked(0)], decisions: [vote(0)], at: 9 * minute },
    ['approved 1'],
  ],
  [
    'approved long ago, expired just now',
    { phase: 'Expired', ...terms, conditions: [asked(0)], decisions: [vote(0)], at: 9 * minute },
    ['expired 1'],
  ],
  ['denied long ago', { phase: 'Denied', ...terms, conditions: [asked(0)], decisions: [], at: 7 * minute }, []],
])('of the first list what became of it in the last two minutes is told: %s', async (_, status, steps) => {
  expect((await record([status], 10 * minute)).told).toEqual(steps);
});
