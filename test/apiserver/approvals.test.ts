import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Change } from '../../pkg/control/record/index.ts';
import { createKubeClient, kubeconfigAccess } from '../../pkg/kube/index.ts';
import { startApiServer } from '../cluster/api-server.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import { pause, until } from '../support/wait.ts';
import { ana, approvalWorld, askingPolicy, snapshotOf } from './approval-world.ts';
import type { ApprovalWorld, Replica, Stream } from './approval-world.ts';
import { installDefinitions } from './custom-resources.ts';

// Approvals as the controller keeps them, on the API server that stores them.

let server: ApiServer;
let world: ApprovalWorld;
let namespace = '';
let count = 0;
beforeAll(async () => {
  server = await startApiServer();
  await installDefinitions(server);
}, 200_000);
afterAll(() => server?.stop());
beforeEach(async () => {
  namespace = `ml-${++count}`;
  await server.namespace(namespace);
  world = await approvalWorld(server);
});
afterEach(() => world.close());

const says = (stream: Stream, id: string, what: string): Promise<void> =>
  until(
    () => stream.said(id) === what,
    () => `${id} is ${what}, not ${stream.said(id)}`,
  );
const names = async (): Promise<string[]> => (await world.list(namespace)).map(({ metadata }) => metadata.name).sort();
const one = async (): Promise<{ replica: Replica; stream: Stream }> => {
  const replica = await world.replica();
  return { replica, stream: world.stream(replica, 'a', namespace) };
};
const lead = (user: string) => ({ user });
/** Once the last of these steps is on record at one of the replicas: all that is of an approval, each with who has decided. */
async function recorded(replicas: readonly Replica[], name: string, ...steps: readonly string[]): Promise<void> {
  const of = (): readonly Change[] =>
    replicas.flatMap(({ changes }) => changes).filter((change) => change.name === `${namespace}/${name}`);
  const said = (): readonly string[] =>
    of().map(({ step, decisions = [] }) => [step, ...decisions.map(({ by }) => by)].join(' '));
  await until(
    () => said().length >= steps.length,
    () => `on record are ${said().join(', ')}`,
  );
  expect(said()).toEqual(steps);
  for (const { caller, decisions = [] } of of()) {
    expect(caller).toMatchObject({ issuer: ana.issuer, subject: 'ana' });
    for (const { at } of decisions) expect(new Date(at).toISOString()).toBe(at);
  }
}

describe('opening', () => {
  test('an ask becomes an approval with all that it is bound to, and with the policy’s own approvers', async () => {
    const { stream, replica } = await one();
    stream.ask('1');
    await says(stream, '1', 'Pending');
    const [made] = await world.list(namespace);
    expect(made?.spec).toEqual({
      policies: [{ kind: 'InferencePolicy', name: 'p', uid: 'uid-p', generation: 1 }],
      rules: ['p/risky'],
      direction: 'Request',
      pod: { name: 'a', uid: 'uid-a' },
      requester: ana,
      operation: 'Chat',
      model: 'llama-3',
      digest: `hmac-sha256:${'a'.repeat(64)}`,
      session: 'session-a-1',
      excerpt: 'print [secret]',
      approvers: [{ kubernetesGroup: 'ml-leads' }, { group: 'leads', provider: 'p/corp' }],
      required: 2,
      expiresAt: new Date(world.clock.now() + 180_000).toISOString(),
    });
    expect(stream.messages[0]?.state?.leftMs).toBe(180_000);
    expect(replica.steps).toEqual(['created']);
    expect(JSON.stringify(replica.notes)).not.toContain('print');
  });

  test.each([
    ['a policy that is not the pod’s', { snapshot: 'e'.repeat(64) }, 'policy_changed'],
    ['a rule that is not there', { rules: ['p/other'] }, 'unavailable'],
    ['a rule that does not ask', { rules: ['p/plain'] }, 'unavailable'],
    ['a request, by a label that asks of answers', { rules: ['p/secret'] }, 'unavailable'],
    [
      'an answer, by a label that asks of requests',
      { direction: 'Response' as const, rules: ['p/held'] },
      'unavailable',
    ],
    ['no rule', { rules: [] }, 'unavailable'],
    ['a caller with half a character', { requester: { ...ana, subject: 'ana\ud800' } }, 'unavailable'],
  ])('%s opens nothing', async (_what, more, problem) => {
    const { stream } = await one();
    stream.ask('1', more);
    await says(stream, '1', problem);
    expect(await names()).toEqual([]);
  });

  test('where the policies name nobody, and where the pod’s policies are not known, nobody is asked', async () => {
    const { stream } = await one();
    stream.snapshot = snapshotOf(askingPolicy(namespace, { approvers: false }));
    stream.ask('1');
    await says(stream, '1', 'no_approvers');
    stream.snapshot = undefined;
    stream.ask('2');
    await says(stream, '2', 'policy_changed');
    expect(await names()).toEqual([]);
  });

  test('an identical retry joins, also at another replica; a changed byte, caller, model, rule or policy asks anew', async () => {
    const { stream, replica } = await one();
    const other = world.stream(await world.replica(), 'b', namespace);
    stream.ask('1');
    other.ask('1');
    stream.ask('again', { session: 'another', excerpt: 'other words' });
    await Promise.all([says(stream, '1', 'Pending'), says(stream, 'again', 'Pending'), says(other, '1', 'Pending')]);
    expect(new Set([stream.name('1'), stream.name('again'), other.name('1')]).size).toBe(1);
    const changes = [
      { digest: `sha256:${'a'.repeat(63)}b` },
      { requester: { ...ana, subject: 'bob' } },
      { requester: { ...ana, kubernetesUser: null } },
      { model: null },
      { direction: 'Response' as const, rules: ['p/secret'] },
      { rules: ['p/held'] },
      { operation: 'Completions' as const },
    ];
    changes.forEach((change, at) => stream.ask(`c${at}`, change));
    stream.snapshot = snapshotOf(askingPolicy(namespace, { generation: 2 }));
    stream.ask('policy');
    for (const id of [...changes.map((_, at) => `c${at}`), 'policy']) await says(stream, id, 'Pending');
    expect((await names()).length).toBe(1 + changes.length + 1);
    expect(replica.desk.waiting).toBe(2 + changes.length + 1);
  });

  test('a name that is taken by something else is left alone', async () => {
    const { stream } = await one();
    stream.ask('1');
    await says(stream, '1', 'Pending');
    const taken = await world.get(namespace, stream.name('1'));
    const { spec } = taken;
    // Somebody with the right to create guesses the name of what is to come and puts an approval of other bytes there.
    const next = stream.name('1').replace(/-1$/, '-2');
    await world.client.create(
      {
        group: 'sidegate.dev',
        version: 'v1alpha1',
        plural: 'inferenceapprovals',
        kind: 'InferenceApproval',
        namespaced: true,
      },
      {
        apiVersion: 'sidegate.dev/v1alpha1',
        kind: 'InferenceApproval',
        metadata: { namespace, name: next },
        spec: { ...spec, digest: `hmac-sha256:${'0'.repeat(64)}` },
      },
      { namespace },
    );
    await world.vote(namespace, stream.name('1'), { ...lead('bob'), decision: 'Deny' });
    await says(stream, '1', 'Denied');
    world.clock.advance(181_000);
    stream.ask('2');
    await says(stream, '2', 'Pending');
    expect(stream.name('2')).toBe(next.replace(/-2$/, '-3'));
  });
});

describe('deciding', () => {
  test('as many different people as are required; each change reaches all who wait', async () => {
    const { stream, replica } = await one();
    const beside = await world.replica();
    const other = world.stream(beside, 'b', namespace);
    stream.ask('1');
    other.ask('1');
    await Promise.all([says(stream, '1', 'Pending'), says(other, '1', 'Pending')]);
    await world.vote(namespace, stream.name('1'), lead('bob'));
    await until(() => stream.messages.at(-1)?.state?.decisions.length === 1, 'the first vote is told');
    expect(stream.said('1')).toBe('Pending');
    const eve = { issuer: 'https://corp.example.com', subject: 'eve', kubernetesUser: 'eve', from: '192.0.2.7' };
    await world.vote(namespace, stream.name('1'), { decision: 'Approve', caller: { ...eve, proof: 'x' } });
    await Promise.all([says(stream, '1', 'Approved'), says(other, '1', 'Approved')]);
    const names = ['user:bob', 'https://corp.example.com eve'];
    expect(stream.messages.at(-1)?.state?.decisions.map(({ by }) => by)).toEqual(names);
    expect(replica.steps.filter((step) => step === 'approved').length).toBeLessThanOrEqual(1);
    // Whichever replica made it so, each that may lead sees it once, with who decided and from where.
    for (const { changes } of [replica, beside]) {
      const recorded = (): Change[] => changes.filter(({ name }) => name.startsWith(`${namespace}/`));
      await until(() => recorded().some(({ step }) => step === 'approved'), 'the approval is recorded');
      const told = recorded().map(({ step, caller, decisions }) => [
        step,
        caller?.subject,
        decisions?.map(({ by, from }) => [by, from]),
      ]);
      expect(told).toEqual([
        ['created', 'ana', []],
        [
          'approved',
          'ana',
          [
            ['user:bob', undefined],
            ['https://corp.example.com eve', '192.0.2.7'],
          ],
        ],
      ]);
    }
  });

  test('one denial is final, and stands for the same request until its time is over', async () => {
    const { stream, replica } = await one();
    stream.ask('1');
    await says(stream, '1', 'Pending');
    await world.vote(namespace, stream.name('1'), lead('bob'));
    await world.vote(namespace, stream.name('1'), { ...lead('eve'), decision: 'Deny' });
    await says(stream, '1', 'Denied');
    await recorded([replica], stream.name('1'), 'created', 'denied user:bob user:eve');
    stream.ask('2');
    await says(stream, '2', 'Denied');
    expect(stream.name('2')).toBe(stream.name('1'));
    world.clock.advance(181_000);
    stream.ask('3');
    await says(stream, '3', 'Pending');
    expect(stream.name('3')).toBe(stream.name('1').replace(/1$/, '2'));
  });

  test('the clock passes the expiry between two approvals: Expired, and stays so', async () => {
    const { stream, replica } = await one();
    stream.ask('1');
    await says(stream, '1', 'Pending');
    const name = stream.name('1');
    await world.vote(namespace, name, lead('bob'));
    await until(() => stream.messages.at(-1)?.state?.decisions.length === 1, 'the first vote is told');
    world.clock.step(180_000);
    world.clock.advance(2_000);
    await says(stream, '1', 'Expired');
    await recorded([replica], name, 'created', 'expired user:bob');
    await expect(world.vote(namespace, name, lead('eve'))).rejects.toThrow('nothing more can be decided');
    stream.claim('1');
    await pause(50);
    expect((await world.get(namespace, name)).status?.phase).toBe('Expired');
    expect(stream.said('1')).toBe('Expired');
  });

  test('votes of the requester do not count, whoever let them through', async () => {
    const { stream } = await one();
    stream.ask('1');
    await says(stream, '1', 'Pending');
    const name = stream.name('1');
    await world.vote(namespace, name, lead('ana@example.com'));
    await world.vote(namespace, name, { caller: { issuer: ana.issuer, subject: 'ana', proof: 'x' } });
    await world.vote(namespace, name, lead('bob'));
    await until(() => stream.messages.at(-1)?.state?.decisions.length === 3, 'the votes are told');
    await world.vote(namespace, name, { ...lead('ana@example.org'), breakGlass: true });
    await says(stream, '1', 'Approved');
  });

  test('two people vote at once: the API server takes one after the other and loses none', async () => {
    const { stream } = await one();
    stream.ask('1');
    await says(stream, '1', 'Pending');
    const name = stream.name('1');
    const voters = ['bob', 'eve', 'kim', 'lea'].map(async (user) => {
      for (;;) {
        const { status, metadata } = await world.get(namespace, name);
        if ((status?.phase ?? 'Pending') !== 'Pending') return 'late';
        const done = await world.client
          .patch(
            {
              group: 'sidegate.dev',
              version: 'v1alpha1',
              plural: 'inferenceapprovals',
              kind: 'InferenceApproval',
              namespaced: true,
            },
            { namespace, name },
            {
              type: 'merge',
              body: {
                metadata: { resourceVersion: metadata.resourceVersion },
                status: {
                  phase: 'Pending',
                  decisions: [
                    ...(status?.decisions ?? []),
                    { user, decision: 'Approve', at: new Date(world.clock.now()).toISOString() },
                  ],
                },
              },
            },
            'status',
          )
          .then(
            () => true,
            () => false,
          );
        if (done) return 'counted';
      }
    });
    const results = await Promise.all(voters);
    await says(stream, '1', 'Approved');
    const { status } = await world.get(namespace, name);
    expect(status?.decisions?.length).toBe(results.filter((result) => result === 'counted').length);
    expect(new Set(status?.decisions?.map(({ user }) => user)).size).toBe(status?.decisions?.length);
    expect(status?.decisions?.length).toBeGreaterThanOrEqual(2);
  });
});

describe('spending', () => {
  const approved = async (stream: Stream, id: string): Promise<string> => {
    await says(stream, id, 'Pending');
    const name = stream.name(id);
    await world.vote(namespace, name, lead('bob'));
    await world.vote(namespace, name, lead('eve'));
    return name;
  };

  test('of two pods that joined, one claim wins; its repetition is the same claim; what follows asks anew', async () => {
    const { stream, replica } = await one();
    const beside = await world.replica();
    const other = world.stream(beside, 'b', namespace);
    stream.ask('1');
    other.ask('1');
    const name = await approved(stream, '1');
    await Promise.all([says(stream, '1', 'Approved'), says(other, '1', 'Approved')]);
    stream.claim('1');
    other.claim('1');
    await until(
      () => [stream, other].every((each) => each.said('1')?.startsWith('Used') === true),
      'both are answered',
    );
    const winners = [stream, other].filter((each) => each.said('1') === 'Used mine');
    expect(winners.length).toBe(1);
    const [winner] = winners;
    const { status } = await world.get(namespace, name);
    expect(status?.usedBy).toEqual({
      pod: winner === stream ? 'uid-a' : 'uid-b',
      session: winner === stream ? 'session-a-1' : 'session-b-1',
    });
    expect(status?.usedAt).toBe(new Date(world.clock.now()).toISOString());
    for (const { changes } of [replica, beside]) {
      const uses = (): Change[] =>
        changes.filter((change) => change.step === 'used' && change.name === `${namespace}/${name}`);
      await until(() => uses().length > 0, 'the use is recorded');
      expect(uses()).toMatchObject([
        { usedBy: status?.usedBy?.session, decisions: [{ by: 'user:bob' }, { by: 'user:eve' }] },
      ]);
    }
    const before = winner?.messages.length ?? 0;
    winner?.claim('1');
    await until(() => (winner?.messages.length ?? 0) > before, 'the claim is answered again');
    expect(winner?.said('1')).toBe('Used mine');
    stream.ask('next');
    await says(stream, 'next', 'Pending');
    expect(stream.name('next')).toBe(name.replace(/1$/, '2'));
  });

  test('an approval that is not approved, is expired, or whose policies have changed is not spent', async () => {
    const { stream } = await one();
    stream.ask('1');
    await says(stream, '1', 'Pending');
    stream.claim('1');
    const told = stream.messages.length;
    await until(() => stream.messages.length > told, 'the claim is answered');
    expect(stream.said('1')).toBe('Pending');
    const name = await approved(stream, '1');
    await says(stream, '1', 'Approved');
    const before = stream.snapshot;
    stream.snapshot = snapshotOf(askingPolicy(namespace, { generation: 2 }));
    stream.claim('1');
    // Whatever the watch says of it afterwards.
    const refused = (): boolean =>
      stream.messages.some(({ id, problem }) => id === '1' && problem === 'policy_changed');
    await until(refused, 'it is refused');
    expect((await world.get(namespace, name)).status?.phase).toBe('Approved');
    stream.snapshot = before;
    world.clock.step(180_000);
    stream.claim('1');
    await says(stream, '1', 'Expired');
    expect((await world.get(namespace, name)).status?.phase).toBe('Expired');
    stream.snapshot = snapshotOf(askingPolicy(namespace, { keys: '{}' }));
    stream.ask('2');
    await says(stream, '2', 'Pending');
    await approved(stream, '2');
    await says(stream, '2', 'Approved');
    // A key of Sidegate's own tokens that came meanwhile is nobody's edit.
    stream.snapshot = snapshotOf(askingPolicy(namespace, { keys: '{"keys":[]}' }));
    stream.claim('2');
    await says(stream, '2', 'Used mine');
    stream.claim('never-asked');
    await says(stream, 'never-asked', 'unavailable');
  });

  test('somebody else’s approval cannot be watched, and watching is not claiming', async () => {
    const { stream } = await one();
    stream.ask('1');
    const name = await approved(stream, '1');
    stream.watch('w', name);
    await says(stream, 'w', 'Approved');
    stream.claim('w');
    // Whatever the watch says of it afterwards.
    await until(
      () => stream.messages.some(({ id, problem }) => id === 'w' && problem === 'unavailable'),
      'the claim is refused',
    );
    stream.watch('x', name, { subject: 'bob' });
    stream.watch('y', name, { issuer: 'https://other.example.com' });
    stream.watch('z', 'not-there');
    await Promise.all(['x', 'y', 'z'].map((id) => says(stream, id, 'unavailable')));
    expect((await world.get(namespace, name)).status?.phase).toBe('Approved');
  });
});

describe('those who go', () => {
  test('nobody waits: cancelled after 30 s, unless somebody came back or will', async () => {
    const { stream, replica } = await one();
    stream.ask('goes');
    stream.ask('returns', { digest: `sha256:${'b'.repeat(64)}` });
    stream.ask('keeps', { digest: `sha256:${'c'.repeat(64)}` });
    for (const id of ['goes', 'returns', 'keeps']) await says(stream, id, 'Pending');
    stream.leave('goes');
    stream.leave('returns');
    stream.leave('keeps', true);
    world.clock.advance(29_000);
    stream.ask('back', { digest: `sha256:${'b'.repeat(64)}` });
    await says(stream, 'back', 'Pending');
    world.clock.advance(2_000);
    const phase = async (id: string) => (await world.get(namespace, stream.name(id))).status?.phase ?? 'Pending';
    await until(async () => (await phase('goes')) === 'Cancelled', 'the first is cancelled');
    expect([await phase('returns'), await phase('keeps')]).toEqual(['Pending', 'Pending']);
    await recorded([replica], stream.name('goes'), 'created', 'cancelled');
    stream.ask('anew');
    await says(stream, 'anew', 'Pending');
    expect(stream.name('anew')).toBe(stream.name('goes').replace(/1$/, '2'));
  });

  test('one whose caller comes back is not cancelled where they come back to: at another replica, and hang up', async () => {
    const { stream } = await one();
    stream.ask('keeps');
    stream.ask('goes', { digest: `sha256:${'b'.repeat(64)}` });
    await Promise.all([says(stream, 'keeps', 'Pending'), says(stream, 'goes', 'Pending')]);
    stream.leave('keeps', true);
    const again = world.stream(await world.replica(), 'b', namespace);
    const kept = async () => (await world.get(namespace, stream.name('keeps'))).metadata.annotations;
    await until(async () => (await kept())?.['sidegate.dev/kept'] === 'true', 'every replica knows');
    const at = async (id: string) =>
      (await world.get(namespace, stream.name(id))).metadata.annotations?.['sidegate.dev/waiting'];
    const own: Record<string, string | undefined> = { keeps: await at('keeps'), goes: await at('goes') };
    again.ask('keeps');
    again.ask('goes', { digest: `sha256:${'b'.repeat(64)}` });
    await Promise.all([says(again, 'keeps', 'Pending'), says(again, 'goes', 'Pending')]);
    expect(again.name('keeps')).toBe(stream.name('keeps'));
    await Promise.all(['keeps', 'goes'].map((id) => until(async () => (await at(id)) !== own[id], 'it is taken over')));
    stream.leave('goes');
    again.leave('keeps');
    again.leave('goes');
    world.clock.advance(31_000);
    const phase = async (id: string) => (await world.get(namespace, stream.name(id))).status?.phase ?? 'Pending';
    await until(async () => (await phase('goes')) === 'Cancelled', 'the other is cancelled');
    expect(await phase('keeps')).toBe('Pending');
    for (const user of ['bob', 'eve']) await world.vote(namespace, stream.name('keeps'), lead(user));
    again.ask('once more');
    await says(again, 'once more', 'Approved');
  });

  test('a stream that is lost ends like a caller that goes; at another replica it goes on', async () => {
    const { stream } = await one();
    stream.ask('1');
    stream.ask('2', { digest: `sha256:${'b'.repeat(64)}` });
    await Promise.all([says(stream, '1', 'Pending'), says(stream, '2', 'Pending')]);
    stream.lose();
    const second = await world.replica();
    const again = world.stream(second, 'a', namespace);
    again.ask('1', { session: 'session-a-1' });
    await says(again, '1', 'Pending');
    expect(again.name('1')).toBe(stream.name('1'));
    const waiting = async (name: string) =>
      (await world.get(namespace, name)).metadata.annotations?.['sidegate.dev/waiting'];
    await until(
      async () => (await waiting(stream.name('1'))) !== (await waiting(stream.name('2'))),
      'it was taken over',
    );
    world.clock.advance(31_000);
    const phase = async (name: string) => (await world.get(namespace, name)).status?.phase ?? 'Pending';
    await until(async () => (await phase(stream.name('2'))) === 'Cancelled', 'the other is cancelled');
    expect(await phase(stream.name('1'))).toBe('Pending');
    await world.vote(namespace, again.name('1'), lead('bob'));
    await world.vote(namespace, again.name('1'), lead('eve'));
    await says(again, '1', 'Approved');
    again.claim('1');
    await says(again, '1', 'Used mine');
  });

  test('the controller dies while a request is held: decided meanwhile, it is let through by the next one', async () => {
    const { stream, replica } = await one();
    stream.ask('1');
    await says(stream, '1', 'Pending');
    await replica.stop();
    await world.vote(namespace, stream.name('1'), lead('bob'));
    await world.vote(namespace, stream.name('1'), lead('eve'));
    const again = world.stream(await world.replica(), 'a', namespace);
    again.ask('1', { session: 'session-a-1' });
    await says(again, '1', 'Approved');
    again.claim('1');
    await says(again, '1', 'Used mine');
  });

  test('a replica is killed before it can tell what it wrote: by the API server’s own times the next ones tell', async () => {
    const doomed: { replica?: Replica } = {};
    const dying = createKubeClient({ access: await kubeconfigAccess(server.kubeconfig) });
    const client: typeof dying = {
      ...dying,
      async patch(...call) {
        await dying.patch(...call);
        await doomed.replica?.stop();
        throw new Error('killed');
      },
    };
    const replica = await world.replica({ client });
    doomed.replica = replica;
    const stream = world.stream(replica, 'a', namespace);
    stream.ask('1');
    await says(stream, '1', 'Pending');
    const name = stream.name('1');
    await world.vote(namespace, name, { ...lead('bob'), decision: 'Deny' });
    await until(async () => (await world.get(namespace, name)).status?.phase === 'Denied', 'it is written');
    await recorded([await world.replica()], name, 'created', 'denied user:bob');
    const late = await world.replica({ startedLaterMs: 130_000 });
    await until(() => late.cache.get(`${namespace}/${name}`) !== undefined, 'it is in the copy');
    expect(late.changes.filter((change) => change.name === `${namespace}/${name}`)).toEqual([]);
    dying.close();
  });

  test('the leader ends what nobody waits for, and removes finished ones after a day', async () => {
    const { stream, replica } = await one();
    stream.ask('1');
    await says(stream, '1', 'Pending');
    const name = stream.name('1');
    await replica.stop();
    const leader = await world.replica({ leads: true });
    leader.desk.lead();
    world.clock.advance(181_000);
    await until(async () => (await world.get(namespace, name)).status?.phase === 'Expired', 'it is Expired');
    await until(() => leader.cache.get(`${namespace}/${name}`)?.phase === 'Expired', 'the copy has it');
    await world.clock.advanceAsync(86_000_000);
    expect(await names()).toEqual([name]);
    await until(async () => {
      await world.clock.advanceAsync(600_000);
      return (await names()).length === 0;
    }, 'it is removed');
    expect(leader.steps).toEqual(expect.arrayContaining(['expired', 'removed']));
  });
});

describe('limits', () => {
  test('of one caller, of a namespace and of one stream only so many wait', async () => {
    const replica = await world.replica({ limits: { perRequester: 3, perNamespace: 5, perStream: 7 } });
    const stream = world.stream(replica, 'a', namespace);
    const digest = (n: number) => ({ digest: `sha256:${n.toString(16).padStart(64, '0')}` });
    for (let n = 0; n < 4; n++) stream.ask(`a${n}`, digest(n));
    await until(() => [0, 1, 2, 3].every((n) => stream.said(`a${n}`) !== undefined), 'all are answered');
    expect([0, 1, 2, 3].filter((n) => stream.said(`a${n}`) === 'too_many').length).toBe(1);
    for (let n = 0; n < 3; n++) stream.ask(`b${n}`, { ...digest(n), requester: { ...ana, subject: 'bob' } });
    await until(() => [0, 1, 2].every((n) => stream.said(`b${n}`) !== undefined), 'all are answered');
    expect([0, 1, 2].filter((n) => stream.said(`b${n}`) === 'too_many').length).toBe(1);
    expect((await names()).length).toBe(5);
    stream.ask('c', { ...digest(9), requester: { ...ana, subject: 'eve' } });
    await says(stream, 'c', 'too_many');
    // What waits already is joined in any case.
    const again = world.stream(replica, 'b', namespace);
    again.ask('a0', digest(0));
    await until(() => again.said('a0') !== undefined, 'it is answered');
    expect(again.said('a0')).toBe(stream.said('a0') === 'too_many' ? 'too_many' : 'Pending');
  });

  test('1,000 asks at once: each has its approval, and those that are decided are spent', async () => {
    const snapshot = snapshotOf(askingPolicy(namespace, { required: 1 }));
    const replica = await world.replica();
    const stream = world.stream(replica, 'a', namespace, snapshot);
    const ids = Array.from({ length: 1_000 }, (_, at) => `r${at}`);
    for (const [at, id] of ids.entries())
      stream.ask(id, {
        digest: `sha256:${at.toString(16).padStart(64, '0')}`,
        requester: { ...ana, subject: `user-${at % 50}` },
      });
    await until(() => ids.every((id) => stream.said(id) === 'Pending'), 'all wait', 60_000);
    expect((await names()).length).toBe(1_000);
    // Some of them, of different callers.
    const chosen = ids.filter((_, at) => at % 20 === 0);
    await Promise.all(chosen.map((id) => world.vote(namespace, stream.name(id), lead('bob'))));
    await until(() => chosen.every((id) => stream.said(id) === 'Approved'), 'they are approved', 60_000);
    for (const id of chosen) stream.claim(id);
    await until(() => chosen.every((id) => stream.said(id) === 'Used mine'), 'they are spent', 60_000);
    expect(ids.filter((id) => stream.said(id) === 'Pending').length).toBe(1_000 - chosen.length);
  }, 180_000);

  test('an API server that cannot be reached keeps nobody waiting for ever and lets nobody through', async () => {
    const client = createKubeClient({ access: await kubeconfigAccess(server.kubeconfig) });
    const replica = await world.replica({ client });
    const stream = world.stream(replica, 'a', namespace);
    stream.ask('held');
    await says(stream, 'held', 'Pending');
    await server.halt();
    try {
      stream.ask('1', { digest: `sha256:${'b'.repeat(64)}` });
      stream.claim('held');
      await until(async () => {
        await world.clock.advanceAsync(1_000);
        return stream.said('1') === 'unavailable' && stream.said('held') === 'unavailable';
      }, 'both are told');
    } finally {
      await server.resume();
      client.close();
    }
  });
});
