import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import { createGrantCache, createGrantFeed, recordGrants, startGrantKeeper } from '../../pkg/control/grants/index.ts';
import type { GrantFact, GrantKeeper, GrantStep } from '../../pkg/control/grants/index.ts';
import type { PolicySet } from '../../pkg/control/policies/policy-index.ts';
import type { GrantFeed } from '../../pkg/control/stream/index.ts';
import type { Change } from '../../pkg/control/record/index.ts';
import { governedSet } from '../support/governed-set.ts';
import type { GovernedBy } from '../support/governed-set.ts';
import { selectorMatches } from '../../pkg/core/index.ts';
import { policy } from '../../pkg/core/testing/policies.ts';
import { grantName } from '../../pkg/crd/index.ts';
import type { GrantSpecResource, GrantStatusResource } from '../../pkg/crd/index.ts';
import { createKubeClient, kubeconfigAccess, resources } from '../../pkg/kube/index.ts';
import type { Cache, KubeClient, KubeObject } from '../../pkg/kube/index.ts';
import { startApiServer } from '../cluster/api-server.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import { fakeClock } from '../support/fake-clock.ts';
import type { FakeClock } from '../support/fake-clock.ts';
import { streamWorld } from '../support/stream.ts';
import type { Sidecar, StreamWorld } from '../support/stream.ts';
import { stopwatch, until } from '../support/wait.ts';
import { snapshotOf } from './approval-world.ts';
import { installDefinitions } from './custom-resources.ts';

// Grants as the controller keeps them on the API server, and as sidecars get them over the stream.

type GrantObject = KubeObject & { readonly spec: GrantSpecResource; readonly status?: GrantStatusResource };
const issuer = 'https://corp.example.com';
const minute = 60_000;

let server: ApiServer;
let client: KubeClient;
beforeAll(async () => {
  server = await startApiServer();
  await installDefinitions(server);
  client = createKubeClient({ access: await kubeconfigAccess(server.kubeconfig) });
}, 200_000);
afterAll(async () => {
  client?.close();
  await server?.stop();
});

let namespace = '';
let count = 0;
let clock: FakeClock;
let cache: Cache<GrantFact>;
let keeper: GrantKeeper;
let stopRecord: () => void;
let steps: GrantStep[];
let changes: Change[];
/** Reasons of the Events. */
let happened: string[];
/** What the tests call grants, and what they are called. */
let named: Map<string, string>;
/** Labels of pods, and their policies. */
let pods: { labels: Record<string, string>; set: PolicySet }[];
let leading = true;
/** As the webhook noted it. */
let takenBackBy: string | undefined;

const governed = (more: GovernedBy): PolicySet => governedSet(namespace, more);

beforeEach(async () => {
  namespace = `ml-${++count}`;
  await server.namespace(namespace);
  clock = fakeClock({ now: Date.now() });
  pods = [{ labels: { app: 'llama' }, set: governed({}) }];
  named = new Map();
  steps = [];
  changes = [];
  happened = [];
  leading = true;
  takenBackBy = undefined;
  cache = createGrantCache({ client, clock: systemClock, logger: silentLogger });
  await cache.whenSynced();
  keeper = startGrantKeeper({
    client,
    cache,
    clock,
    logger: silentLogger,
    events: { record: (_, { reason }) => void happened.push(reason) },
    // Those of earlier tests are nobody's here.
    leading: () => leading,
    setsOf: (fact) =>
      fact.namespace === namespace
        ? pods.filter(({ labels }) => selectorMatches(fact.selector, labels)).map(({ set }) => set)
        : undefined,
    onStep: (step) => void steps.push(step),
  });
  stopRecord = recordGrants({
    cache,
    now: () => Date.now(),
    logger: silentLogger,
    changers: {
      gone:
        ({ uid }) =>
        () =>
          uid === '' ? Promise.reject(new Error('no uid')) : Promise.resolve(takenBackBy),
    },
    changes: {
      seen: (change, more) =>
        void (more?.() ?? Promise.resolve({})).then((found) => changes.push({ ...change, ...found })),
    },
  });
});
afterEach(async () => {
  stopRecord();
  await keeper.close();
  await cache.stop();
});

const at = (ms: number): string => new Date(clock.now() + ms).toISOString();
const realName = (name: string): string => named.get(name) ?? name;
/** @param free the name of the object in place of that of its spec */
async function ask(name: string, more: Partial<GrantSpecResource> = {}, free?: string): Promise<void> {
  const spec: GrantSpecResource = {
    issuer,
    subject: 'ana',
    operations: ['Chat'],
    models: ['*'],
    expiresAt: at(30 * minute),
    reason: name,
    requestedBy: 'kim',
    ...more,
  };
  named.set(name, free ?? grantName(spec));
  await client.create(
    resources.inferenceGrants,
    {
      apiVersion: 'sidegate.dev/v1alpha1',
      kind: 'InferenceGrant',
      metadata: { namespace, name: realName(name) },
      spec,
    },
    { namespace },
  );
}
const get = (name: string): Promise<GrantObject> =>
  client.get<GrantObject>(resources.inferenceGrants, { namespace, name: realName(name) });
const keyOf = (name: string): string => `${namespace}/${realName(name)}`;
const remove = (name: string): Promise<unknown> =>
  client.delete(resources.inferenceGrants, { namespace, name: realName(name) });
const phase = async (name: string): Promise<string> => (await get(name)).status?.phase ?? 'none';
const decidable = async (name: string): Promise<string> => {
  const found = (await get(name)).status?.conditions?.find(({ type }) => type === 'Decidable');
  return found === undefined ? '' : `${found.status} ${found.reason}`;
};
async function vote(name: string, entry: object): Promise<void> {
  const { status } = await get(name);
  const decisions = [
    ...(status?.decisions ?? []),
    { decision: 'Approve', at: new Date(clock.now()).toISOString(), ...entry },
  ];
  await client.patch(
    resources.inferenceGrants,
    { namespace, name: realName(name) },
    { type: 'merge', body: { status: { phase: 'Pending', decisions } } },
    'status',
  );
}
/** Once as many steps are on record: these are, each with who has decided, of a grant that kim asked for ana. */
async function recorded(name: string, ...steps: readonly string[]): Promise<void> {
  const of = (): readonly Change[] => changes.filter((change) => change.name === keyOf(name));
  const said = (): readonly string[] =>
    of().map(({ step, decisions = [] }) => [step, ...decisions.map(({ by }) => by)].join(' '));
  await until(
    () => said().length >= steps.length,
    () => `on record are ${said().join(', ')}`,
  );
  expect(said()).toEqual(steps);
  for (const { caller, requestedBy, decisions = [] } of of()) {
    expect([caller?.issuer, caller?.subject, requestedBy]).toEqual([issuer, 'ana', 'kim']);
    for (const { at: when } of decisions) expect(new Date(when).toISOString()).toBe(when);
  }
}
const opened = (name: string): Promise<void> =>
  until(async () => (await get(name)).status?.required !== undefined, `${name} can be decided`);

describe('who decides', () => {
  test('comes from the policies of the pods that it selects: the same approvers, the largest number', async () => {
    pods.push({ labels: { app: 'llama', tier: 'b' }, set: governed({ required: 2 }) });
    await ask('g');
    await opened('g');
    const { status } = await get('g');
    expect(status).toMatchObject({
      phase: 'Pending',
      approvers: [{ kubernetesGroup: 'ml-leads' }],
      required: 2,
      kubernetesUser: 'corp:ana',
    });
    expect(await decidable('g')).toBe('True Asked');
    // The keeper counts when its write is answered, which comes after others can read what it wrote.
    await until(() => steps.length > 0, 'the step');
    expect(steps).toEqual(['opened']);
  });

  test.each<[string, () => PolicySet[]]>([
    ['NoPods', () => []],
    ['PolicyInvalid', () => [governed({}), governed({ invalid: true })]],
    ['PolicyInvalid', () => [governed({}), governed({ denied: 'p cannot be used' })]],
    ['NoApprovers', () => [governed({ approvers: '' })]],
    ['ApproversDiffer', () => [governed({}), governed({ approvers: 'others' })]],
  ])('cannot be said: %s; and is said when it can be', async (reason, sets) => {
    pods = sets().map((set) => ({ labels: {}, set }));
    await ask('g');
    await until(async () => (await decidable('g')) === `False ${reason}`);
    expect((await get('g')).status?.approvers).toBeUndefined();
    pods = [{ labels: {}, set: governed({}) }];
    clock.advance(6_000);
    await opened('g');
    expect(await decidable('g')).toBe('True Asked');
  });

  test('nobody by Kubernetes where it is not said who the caller is there', async () => {
    pods = [{ labels: {}, set: governed({ claim: 'email', subjectClaim: 'oid' }) }];
    await ask('g');
    await opened('g');
    expect((await get('g')).status?.kubernetesUser).toBeUndefined();
    await vote('g', { user: 'bob' });
    await until(() => cache.get(keyOf('g'))?.votes.length === 1);
    await vote('g', { user: 'eve' });
    await until(() => cache.get(keyOf('g'))?.votes.length === 2);
    clock.advance(10_000);
    expect(await phase('g')).toBe('Pending');
    const naming = 'claim oid';
    await vote('g', { caller: { issuer, subject: 'bob', kubernetesUser: 'corp:bob', naming, proof: 'x' } });
    await until(async () => (await phase('g')) === 'Approved');
  });

  test('nobody by token either where the caller is known by sub alone, which may be another for each client', async () => {
    pods = [{ labels: {}, set: governed({ claim: 'email' }) }];
    await ask('g');
    await opened('g');
    const { status } = await get('g');
    expect(status?.naming).toBeUndefined();
    expect(status?.conditions?.[0]?.message).toContain('by service accounts alone');
    const bob = { issuer, subject: 'bob', kubernetesUser: 'corp:bob', naming: 'sub for inference', proof: 'x' };
    await vote('g', { caller: bob });
    await until(() => cache.get(keyOf('g'))?.votes.length === 1);
    clock.advance(10_000);
    expect(await phase('g')).toBe('Pending');
  });

  test('for as long as the policies allow from when it begins: what waits for that day does not count', async () => {
    pods = [{ labels: {}, set: governed({ maxGrantMs: 10 * minute }) }];
    await ask('tomorrow', { notBefore: at(1_440 * minute), expiresAt: at(1_450 * minute) });
    await opened('tomorrow');
    await ask('long', { notBefore: at(1_440 * minute), expiresAt: at(1_451 * minute) });
    await until(async () => (await phase('long')) === 'Cancelled');
    expect(await decidable('long')).toBe('False TooLong');
  });

  test('for longer than the shortest maximum of the policies: cancelled, and says why', async () => {
    pods.push({ labels: {}, set: governed({ maxGrantMs: 10 * minute }) });
    await ask('g', { expiresAt: at(11 * minute) });
    await until(async () => (await phase('g')) === 'Cancelled');
    expect(await decidable('g')).toBe('False TooLong');
    await recorded('g', 'cancelled');
    await ask('h', { expiresAt: at(9 * minute) });
    await opened('h');
  });
});

describe('deciding', () => {
  test('the one who asked and the one it is for do not count; others do', async () => {
    await ask('g');
    await opened('g');
    await vote('g', { user: 'kim' });
    await vote('g', { user: 'corp:ana' });
    await vote('g', { caller: { issuer, subject: 'ana', kubernetesUser: 'x', proof: 'x' } });
    await vote('g', { caller: { issuer, subject: 'kim', kubernetesUser: 'kim', proof: 'x' } });
    await vote('g', { caller: { issuer, subject: 'who', proof: 'x' } });
    await until(() => cache.get(keyOf('g'))?.votes.length === 5);
    clock.advance(10_000);
    expect(await phase('g')).toBe('Pending');
    await vote('g', { user: 'bob' });
    await until(async () => (await phase('g')) === 'Approved');
  });

  test('a denial is final; the end of its time is one, whichever clock brings it', async () => {
    await ask('g');
    await ask('h');
    await Promise.all([opened('g'), opened('h')]);
    await vote('g', { user: 'bob', decision: 'Deny', comment: 'not on call' });
    await vote('h', { user: 'bob' });
    await until(async () => (await phase('g')) === 'Denied' && (await phase('h')) === 'Approved');
    clock.step(30 * minute);
    clock.advance(2_000);
    await until(async () => (await phase('h')) === 'Expired');
    expect(await phase('g')).toBe('Denied');
    await recorded('g', 'opened', 'denied user:bob');
    expect(changes.findLast(({ name }) => name === keyOf('g'))?.decisions).toMatchObject([{ comment: 'not on call' }]);
    await recorded('h', 'opened', 'approved user:bob', 'expired user:bob');
  });

  test('on one of another name than its spec’s is not possible: it is cancelled, and says why; what was approved before holds', async () => {
    leading = false;
    await ask('g', {}, 'grant-x');
    await ask('h', {}, 'grant-y');
    const approvers = { approvers: [{ kubernetesGroup: 'ml-leads' }], required: 1, kubernetesUser: 'corp:ana' };
    for (const name of ['g', 'h'])
      await client.patch(
        resources.inferenceGrants,
        { namespace, name: realName(name) },
        { type: 'merge', body: { status: { phase: 'Pending', ...approvers } } },
        'status',
      );
    await vote('g', { user: 'bob' });
    await vote('h', { user: 'bob' });
    await client.patch(
      resources.inferenceGrants,
      { namespace, name: realName('h') },
      { type: 'merge', body: { status: { phase: 'Approved' } } },
      'status',
    );
    await until(() => cache.get(keyOf('h'))?.phase === 'Approved' && cache.get(keyOf('g'))?.votes.length === 1);
    leading = true;
    keeper.lead();
    await until(async () => (await phase('g')) === 'Cancelled');
    expect(await decidable('g')).toBe('False NotBound');
    expect(await phase('h')).toBe('Approved');
  });

  test('a replica that does not lead writes nothing; the next leader does', async () => {
    leading = false;
    await ask('g');
    await until(() => cache.get(keyOf('g')) !== undefined);
    clock.advance(10_000);
    expect((await get('g')).status).toBeUndefined();
    leading = true;
    keeper.lead();
    await opened('g');
  });
});

test('an approved grant says when policies of its pods go beyond what was approved, and when they are back', async () => {
  const holds = async (): Promise<string> => {
    const found = (await get('g')).status?.conditions?.find(({ type }) => type === 'Holds');
    return found === undefined ? 'nothing is said' : `${found.status} ${found.reason}`;
  };
  const said = (expected: string): Promise<void> =>
    until(async () => {
      clock.advance(6_000);
      return (await holds()) === expected;
    }, expected);
  // Each look at it takes six of its seconds.
  await ask('g', { expiresAt: at(59 * minute) });
  await opened('g');
  await vote('g', { user: 'bob' });
  await until(async () => (await phase('g')) === 'Approved');
  clock.advance(6_000);
  pods.push({ labels: {}, set: governed({ required: 2 }) });
  await said('False OnSomePods');
  pods = [{ labels: {}, set: governed({ approvers: 'security' }) }];
  await said('False OnNoPod');
  expect(await decidable('g')).toBe('True Asked');
  pods = [{ labels: {}, set: governed({}) }];
  await said('True OnAllPods');
  expect([await phase('g'), happened]).toEqual([
    'Approved',
    ['GrantOpened', 'GrantApproved', 'GrantHoldsOnSomePods', 'GrantHoldsOnAllPods'],
  ]);
});

test('a grant that holds on all of its pods has no more to say', async () => {
  await ask('g');
  await opened('g');
  await vote('g', { user: 'bob' });
  await until(() => cache.get(keyOf('g'))?.phase === 'Approved');
  const { resourceVersion } = (await get('g')).metadata;
  clock.advance(6_000);
  // What it wrote would be there before this one, which takes more calls.
  await ask('h');
  await opened('h');
  expect((await get('g')).metadata.resourceVersion).toBe(resourceVersion);
});

describe('at the sidecars', () => {
  let stream: StreamWorld;
  let labels: Record<string, string>;
  /** Of the policies of the sidecar's pod. */
  let set: PolicySet | undefined;
  let latest: ReturnType<StreamWorld['pod']>;
  const feedOf = (copy: Cache<GrantFact>): GrantFeed =>
    createGrantFeed({ cache: copy, clock, podOf: () => ({ labels, set }) });
  beforeEach(async () => {
    labels = { app: 'llama' };
    set = governed({});
    stream = await streamWorld({ grants: feedOf(cache) });
  });
  afterEach(() => stream.close());
  async function sidecar(port = stream.server.port): Promise<Sidecar> {
    const pod = stream.pod({ namespace });
    latest = pod;
    stream.directory.answers.set(pod.uid, {
      kind: 'snapshot',
      snapshot: { ...snapshotOf(policy('p')), seen: { inferencepolicies: '1' } },
    });
    const made = stream.sidecar(pod, { url: `https://127.0.0.1:${port}` });
    await until(() => made.answered().ready && made.grants.ageMs() < Infinity, 'the sidecar has its policy and grants');
    return made;
  }
  const names = (by: Sidecar): string =>
    by.grants
      .current()
      .map(({ name }) => [...named].find(([, real]) => real === name)?.[0] ?? name)
      .join();
  async function approved(name: string, more: Partial<GrantSpecResource> = {}): Promise<void> {
    await ask(name, more);
    await opened(name);
    await vote(name, { user: 'bob' });
  }

  test('a grant is there within a second of its approval, and gone within a second of its revocation: of twenty each', async () => {
    const one = await sidecar();
    const timed = async (change: () => Promise<unknown>, shown: string): Promise<number> => {
      // Time in which this process was given no processor does not count; what the API server takes does.
      const watch = stopwatch();
      await change();
      await until(() => names(one) === shown, shown === '' ? 'it is gone' : 'it is there');
      return watch.stop();
    };
    const [approvals, revocations]: [number[], number[]] = [[], []];
    for (let round = 0; round < 20; round++) {
      await ask(`g${round}`);
      await opened(`g${round}`);
      approvals.push(await timed(() => vote(`g${round}`, { user: 'bob' }), `g${round}`));
      revocations.push(await timed(() => remove(`g${round}`), ''));
    }
    for (const [what, times] of Object.entries({ approvals, revocations })) {
      times.sort((a, b) => a - b);
      const [median = 0, worst = 0] = [times[10], times.at(-1)].map((ms) => Math.round(ms ?? Infinity));
      process.stderr.write(`${what} of grants at a sidecar, ms: median ${median}, worst ${worst} of ${times.length}\n`);
      expect(worst).toBeLessThanOrEqual(1_000);
    }
  });

  test('what is told of a grant is what was approved, from when it begins', async () => {
    const one = await sidecar();
    expect(names(one)).toBe('');
    await ask('g', { operations: ['Chat', 'Embeddings'], models: ['llama-*'], notBefore: at(minute) });
    await opened('g');
    expect(names(one)).toBe('');
    await vote('g', { user: 'bob' });
    await until(() => names(one) === 'g', 'it is there');
    expect(one.grants.current()[0]).toMatchObject({
      issuer,
      subject: 'ana',
      operations: ['Chat', 'Embeddings'],
      models: ['llama-*'],
      from: clock.now() + minute,
      until: clock.now() + 30 * minute,
    });
    takenBackBy = 'lea';
    await remove('g');
    await until(() => names(one) === '', 'it is gone');
    await until(() => steps.includes('cancelled'));
    const told = () => changes.filter(({ name }) => name === keyOf('g'));
    await until(() => told().length === 3, 'it is on record');
    expect(told().map(({ step, by }) => [step, by])).toEqual([
      ['opened', undefined],
      ['approved', undefined],
      ['withdrawn', 'lea'],
    ]);
  });

  test('only of its namespace and of the pods that it selects, and only while it holds', async () => {
    const one = await sidecar();
    await approved('a', { selector: { matchLabels: { app: 'llama' } } });
    await approved('b');
    pods.push({ labels: { app: 'other' }, set: governed({}) });
    await approved('c', { selector: { matchLabels: { app: 'other' } } });
    await approved('d', { expiresAt: at(10 * minute) });
    await until(() => names(one).split(',').sort().join() === 'a,b,d');
    clock.step(10 * minute);
    clock.advance(2_000);
    await until(() => names(one).split(',').sort().join() === 'a,b');
  });

  test('only where the policies ask the same people, as many of them at most, and allow it for as long', async () => {
    const one = await sidecar();
    const given = (): string | undefined =>
      feedOf(cache)
        .grants(one.options.pod)
        ?.map(({ name }) => [...named].find(([, real]) => real === name)?.[0])
        .join();
    pods = [{ labels: {}, set: governed({ required: 2, maxGrantMs: 30 * minute }) }];
    await approved('g');
    await vote('g', { user: 'eve' });
    await until(() => names(one) === 'g', 'it holds where fewer must approve');
    // It began when it was said who decides: what is left of it says nothing.
    clock.step(25 * minute);
    const wanted: readonly (readonly [string, PolicySet | undefined, string | undefined])[] = [
      ['as asked', governed({ required: 2, maxGrantMs: 30 * minute }), 'g'],
      ['other people', governed({ approvers: 'security' }), ''],
      ['nobody', governed({ approvers: '' }), ''],
      ['more people', governed({ required: 3 }), ''],
      ['a shorter time', governed({ maxGrantMs: 29 * minute }), ''],
      ['not who the caller is to Kubernetes', governed({ claim: undefined }), ''],
      ['nothing that can be used', governed({ invalid: true }), ''],
      ['no longer', governed({ denied: 'p cannot be used' }), ''],
      ['not yet', undefined, undefined],
    ];
    const said = wanted.map(([what, of]) => {
      set = of;
      return [what, given()];
    });
    expect(said).toEqual(wanted.map(([what, , holds]) => [what, holds]));
  });

  test('a replica that lags cannot bring a revoked grant back, and is believed when it has caught up', async () => {
    await approved('g');
    const one = await sidecar();
    await until(() => names(one) === 'g');
    const before = feedOf(cache).grants(one.options.pod) ?? [];
    const old = cache.resourceVersion() ?? '';
    await remove('g');
    await until(() => names(one) === '');
    let caughtUp = false;
    const lagging: GrantFeed = {
      grants: () => (caughtUp ? [] : before),
      seen: () => ({ inferencegrants: caughtUp ? (cache.resourceVersion() ?? '') : old }),
      subscribe: () => () => undefined,
    };
    const replica = await stream.replica(undefined, undefined, lagging);
    const again = stream.sidecar(latest, {
      ...one.options,
      url: `https://127.0.0.1:${replica.port}`,
    });
    await until(() => again.answered().ready, 'it is connected to the other replica');
    await until(() => one.events.includes('grants_stale'), 'they were refused');
    expect(names(again)).toBe('');
    expect(again.grants.ageMs()).toBe(Infinity);
    caughtUp = true;
    await until(() => {
      stream.clock.advance(1_000);
      return again.grants.ageMs() < Infinity;
    }, 'it is believed');
    expect(names(again)).toBe('');
  });
});
