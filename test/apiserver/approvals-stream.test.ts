import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { ApprovalAsk, ApprovalState } from '../../pkg/core/index.ts';
import { startApiServer } from '../cluster/api-server.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import { streamWorld } from '../support/stream.ts';
import type { Sidecar, StreamWorld } from '../support/stream.ts';
import { until } from '../support/wait.ts';
import { ana, approvalWorld, askingPolicy, snapshotOf } from './approval-world.ts';
import type { ApprovalWorld, Replica } from './approval-world.ts';
import { installDefinitions } from './custom-resources.ts';

// A sidecar's own side, the stream over TLS, the desk and the API server: nothing of it is a stand-in.

const namespace = 'ml';
let server: ApiServer;
let approvals: ApprovalWorld;
let replica: Replica;
let stream: StreamWorld;
beforeAll(async () => {
  server = await startApiServer();
  await installDefinitions(server);
  await server.namespace(namespace);
}, 200_000);
afterAll(() => server?.stop());
beforeEach(async () => {
  approvals = await approvalWorld(server);
  replica = await approvals.replica();
  stream = await streamWorld({ limits: { maxAgeMs: 60_000 }, approvals: () => replica.desk });
});
afterEach(async () => {
  await stream.close();
  await approvals.close();
});

let digests = 0;
const snapshot = snapshotOf(askingPolicy(namespace));
const seen = { inferencepolicies: '1' };
async function sidecar(): Promise<Sidecar> {
  const pod = stream.pod({ namespace });
  stream.directory.answers.set(pod.uid, { kind: 'snapshot', snapshot: { ...snapshot, seen } });
  const made = stream.sidecar(pod);
  await until(() => made.answered().ready, 'the sidecar has its policy');
  return made;
}
function held(by: Sidecar, digest = `sha256:${(++digests).toString(16).padStart(64, '0')}`) {
  const states: ApprovalState[] = [];
  const ask: ApprovalAsk = {
    direction: 'Request',
    rules: ['p/risky'],
    requester: ana,
    operation: 'Chat',
    model: 'llama-3',
    digest,
    snapshot: snapshot.hash,
    session: `s-${digests}-${by.options.pod.uid}`,
    excerpt: 'print [secret]',
  };
  const ticket = by.approvals.ask(ask, (state) => states.push(state));
  const last = (): string | undefined => {
    const state = states.at(-1);
    return state?.kind === 'known' ? state.phase : state?.problem;
  };
  const name = (): string => {
    const state = states.findLast((one) => one.kind === 'known');
    return state?.kind === 'known' ? state.name : '';
  };
  return { ticket, states, last, name, digest };
}

test('a request is held, decided, spent; the other pod that joined is told that it is gone', async () => {
  const [one, two] = [await sidecar(), await sidecar()];
  const first = held(one);
  await until(() => first.last() === 'Pending');
  const second = held(two, first.digest);
  await until(() => second.last() === 'Pending');
  expect(second.name()).toBe(first.name());
  await approvals.vote(namespace, first.name(), { user: 'bob' });
  await approvals.vote(namespace, first.name(), { user: 'eve' });
  await until(() => first.last() === 'Approved' && second.last() === 'Approved');
  const results = await Promise.all([first.ticket.claim(), second.ticket.claim()]);
  expect([...results].sort()).toEqual([false, true]);
  first.ticket.leave();
  second.ticket.leave();
});

test('a stream that ends while it is held: it joins again by the next one, decided meanwhile or not', async () => {
  const one = await sidecar();
  const first = held(one);
  await until(() => first.last() === 'Pending');
  stream.clock.advance(80_000);
  await until(() => stream.closed.length > 0, 'the old stream is closed');
  await approvals.vote(namespace, first.name(), { user: 'bob' });
  await approvals.vote(namespace, first.name(), { user: 'eve' });
  await until(() => {
    stream.clock.advance(500);
    return first.last() === 'Approved';
  }, 'it is told of by the next stream');
  expect((await approvals.list(namespace)).filter(({ metadata }) => metadata.name === first.name())).toHaveLength(1);
  expect(await first.ticket.claim()).toBe(true);
});

test('another policy than the one that asks is refused, and so is one that nobody may decide', async () => {
  const one = await sidecar();
  const before = held(one);
  await until(() => before.last() === 'Pending');
  const changed = snapshotOf(askingPolicy(namespace, { generation: 2 }));
  const { pod } = one.options;
  stream.directory.answers.set(pod.uid, { kind: 'snapshot', snapshot: { ...changed, seen } });
  const late = held(one);
  await until(() => late.last() === 'policy_changed');
  await approvals.vote(namespace, before.name(), { user: 'bob' });
  await approvals.vote(namespace, before.name(), { user: 'eve' });
  await until(() => before.last() === 'Approved');
  expect(await before.ticket.claim()).toBe(false);
  expect((await approvals.get(namespace, before.name())).status?.phase).toBe('Approved');
});

test('1,000 at once from one sidecar are no break of the protocol: 100 wait, and the others are told that they are too many', async () => {
  const one = await sidecar();
  const all = Array.from({ length: 300 }, () => held(one));
  const more = Array.from({ length: 700 }, () => held(one));
  await until(() => [...all, ...more].every((each) => each.last() !== undefined), 'all are answered', 60_000);
  expect(stream.closed).toEqual([]);
  // Of one caller only so many wait.
  expect([...all, ...more].filter((each) => each.last() === 'Pending')).toHaveLength(100);
  expect([...all, ...more].filter((each) => each.last() === 'too_many')).toHaveLength(900);
}, 120_000);
