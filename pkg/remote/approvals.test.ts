import { describe, expect, test } from '@jest/globals';
import { silentLogger } from '../base/index.ts';
import type { ApprovalAsk, ApprovalState } from '../core/index.ts';
import type { ApprovalStateMessage, UpMessage } from '../wire/index.ts';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { createRemoteApprovals } from './approvals.ts';

const ask: ApprovalAsk = {
  direction: 'Request',
  rules: ['p/risky'],
  requester: { provider: 'ml/p/corp', issuer: 'https://idp', subject: 'ana', kubernetesUser: undefined },
  operation: 'Chat',
  model: undefined,
  digest: `sha256:${'a'.repeat(64)}`,
  snapshot: 'b'.repeat(64),
  session: 'session-1',
  excerpt: '',
};

function build() {
  const clock = fakeClock();
  const remote = createRemoteApprovals({ clock, logger: silentLogger });
  const sent: UpMessage[] = [];
  const connect = (): UpMessage[] => {
    const own: UpMessage[] = [];
    remote.connected((message) => {
      own.push(message);
      sent.push(message);
    });
    return own;
  };
  const heard: ApprovalState[] = [];
  const wait = (more: Partial<ApprovalAsk> = {}) => remote.gate.ask({ ...ask, ...more }, (state) => heard.push(state));
  const id = (): string => {
    const last = sent.findLast((message) => message.type === 'approval-ask');
    return last?.type === 'approval-ask' ? last.id : '';
  };
  type State = NonNullable<ApprovalStateMessage['state']>;
  const say = (phase: State['phase'], more: Partial<State> = {}, to = id()): void =>
    remote.take({
      type: 'approval-state',
      id: to,
      state: { name: 'x-1', phase, yours: false, leftMs: 60_000, decisions: [], ...more },
      problem: null,
    });
  const outcome = async (claim: Promise<boolean>): Promise<boolean | 'open'> => {
    await clock.advanceAsync(0);
    return Promise.race([claim, Promise.resolve('open' as const)]);
  };
  return { clock, remote, sent, connect, heard, wait, id, say, outcome };
}
const types = (messages: readonly UpMessage[]): string[] => messages.map(({ type }) => type);

describe('asking', () => {
  test('reaches the listener with every change until it is final', () => {
    const world = build();
    world.connect();
    world.wait();
    expect(world.sent).toEqual([
      {
        type: 'approval-ask',
        id: world.id(),
        ...ask,
        requester: { ...ask.requester, kubernetesUser: null },
        model: null,
      },
    ]);
    world.say('Pending');
    world.say('Denied');
    world.say('Approved');
    expect(world.heard.map((state) => (state.kind === 'known' ? state.phase : state.problem))).toEqual([
      'Pending',
      'Denied',
    ]);
  });

  test('waits while nobody is connected, and is asked again under its id by each new connection', () => {
    const world = build();
    const ticket = world.wait();
    expect(world.sent).toEqual([]);
    const first = world.connect();
    expect(types(first)).toEqual(['approval-ask']);
    world.remote.disconnected();
    const second = world.connect();
    expect(second).toEqual(first);
    ticket.leave();
    expect(second.at(-1)).toEqual({ type: 'approval-leave', id: world.id(), keep: false });
    world.remote.disconnected();
    expect(world.connect()).toEqual([]);
  });

  test('what the controller would not take is not sent: the others’ stream must stand', () => {
    const world = build();
    world.connect();
    for (const more of [
      { model: 'm'.repeat(300) },
      { model: '' },
      { model: 'm\ud83d' },
      { rules: Array.from({ length: 257 }, () => 'p/r') },
      { excerpt: 'x'.repeat(5_000) },
      { requester: { ...ask.requester, subject: 's'.repeat(600) } },
      { requester: { ...ask.requester, issuer: '' } },
    ])
      world.wait(more);
    expect(world.sent).toEqual([]);
    expect(world.heard).toEqual(Array.from({ length: 7 }, () => ({ kind: 'problem', problem: 'unavailable' })));
  });

  test('states of somebody who left, and of nobody, are nothing', () => {
    const world = build();
    world.connect();
    const ticket = world.wait();
    ticket.leave(true);
    expect(world.sent.at(-1)).toMatchObject({ keep: true });
    world.say('Approved');
    world.say('Approved', {}, 'nobody');
    expect(world.heard).toEqual([]);
  });

  test('watching goes by name and leaves like asking', () => {
    const world = build();
    const own = world.connect();
    const states: ApprovalState[] = [];
    const watch = world.remote.gate.watch('x-1', ask.requester, (state) => states.push(state));
    const [message] = own;
    expect(message).toMatchObject({ type: 'approval-watch', name: 'x-1' });
    world.say('Approved', {}, message !== undefined && 'id' in message ? message.id : '');
    expect(states).toHaveLength(1);
    watch.leave();
    expect(types(own)).toEqual(['approval-watch', 'approval-leave']);
    world.remote.gate.watch('NOT A NAME', ask.requester, (state) => states.push(state));
    expect(states.at(-1)).toEqual({ kind: 'problem', problem: 'unavailable' });
  });
});

describe('claiming', () => {
  test('is true on the word that this session spent it, and on no other', async () => {
    const world = build();
    world.connect();
    const ticket = world.wait();
    world.say('Approved');
    const claim = ticket.claim();
    expect(ticket.claim()).toBe(claim);
    expect(types(world.sent)).toEqual(['approval-ask', 'approval-claim']);
    world.say('Approved', { decisions: [{ decision: 'Approve', at: 'now', by: 'user:x', breakGlass: false }] });
    expect(await world.outcome(claim)).toBe('open');
    world.say('Used', { yours: true });
    expect(await world.outcome(claim)).toBe(true);
    expect(await world.outcome(ticket.claim())).toBe(true);
  });

  test.each<[string, (world: ReturnType<typeof build>) => void]>([
    ['somebody else’s use', (world) => world.say('Used')],
    ['its expiry', (world) => world.say('Expired', { yours: true })],
    ['a denial', (world) => world.say('Denied')],
    [
      'a problem',
      (world) => world.remote.take({ type: 'approval-state', id: world.id(), state: null, problem: 'policy_changed' }),
    ],
    ['the end of the process', (world) => world.remote.close()],
    ['silence until its time is over', (world) => world.clock.advance(60_000)],
  ])('is false on %s', async (_what, happens) => {
    const world = build();
    world.connect();
    const ticket = world.wait();
    world.say('Approved');
    const claim = ticket.claim();
    happens(world);
    expect(await world.outcome(claim)).toBe(false);
    world.say('Used', { yours: true });
    expect(await world.outcome(claim)).toBe(false);
  });

  test('is repeated after a reconnect, behind its ask; who leaves has claimed nothing', async () => {
    const world = build();
    world.connect();
    const ticket = world.wait();
    world.say('Approved');
    const claim = ticket.claim();
    world.remote.disconnected();
    const second = world.connect();
    expect(types(second)).toEqual(['approval-ask', 'approval-claim']);
    world.say('Pending');
    expect(await world.outcome(claim)).toBe('open');
    ticket.leave();
    expect(await world.outcome(claim)).toBe(false);
    expect(await world.outcome(ticket.claim())).toBe(false);
  });

  test('after the end nobody is asked', () => {
    const world = build();
    world.connect();
    world.remote.close();
    world.wait();
    expect(world.sent).toEqual([]);
    expect(world.heard).toEqual([{ kind: 'problem', problem: 'unavailable' }]);
  });
});
