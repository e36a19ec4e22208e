import { describe, expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { compileSnapshot } from '../core/index.ts';
import { policyEntry } from './policies/policy-entry.ts';
import { longestValue } from './secrets/secret-store.ts';
import { createAuthority, createAuthorityPair, createKeyRequest } from '../pki/index.ts';
import { createFrameReader, encodeFrame, isTaken, maxUpBytes, protocolVersion, readUpMessage } from '../wire/index.ts';
import { certificateNames } from './stream/pod-names.ts';
import type { PodSecrets } from './stream/index.ts';
import { allowAll, clusterPolicy, fakeControl, pod, policy } from './testing/fake-state.ts';

/** What is sent; a test that meets `pending` fails. */
function known(secrets: PodSecrets | 'pending'): PodSecrets {
  if (secrets === 'pending') throw new Error('not read yet');
  return secrets;
}

const hashOf = (answer: { kind: string; snapshot?: { hash: string } }): string => answer.snapshot?.hash ?? answer.kind;

describe('what a pod is answered', () => {
  test('nothing, until its namespace is guarded; then an answer, also where no policy selects it', async () => {
    const { directory, state, settle, name } = await fakeControl(fakeClock());
    state.namespaces.put({ metadata: { name: 'new' } });
    state.pods.put(pod('a', { namespace: 'new' }));
    await settle();
    expect(directory.answer(name('a', 'new'))).toEqual({ kind: 'pending' });
    state.namespaces.put({ metadata: { name: 'new', labels: { 'sidegate.dev/governed': 'true' } } });
    await settle();
    expect(directory.answer(name('a', 'new'))).toMatchObject({
      kind: 'snapshot',
      snapshot: { policies: [], sources: [] },
    });
  });

  test('a pod of another uid is nobody', async () => {
    const { directory, state, settle } = await fakeControl(fakeClock());
    state.pods.put(pod('a'));
    state.policies.put(policy('p'));
    await settle();
    expect(directory.answer({ namespace: 'ml', name: 'a', uid: 'of-an-earlier-pod' })).toEqual({ kind: 'pending' });
    expect(directory.secrets({ namespace: 'ml', name: 'a', uid: 'other' })).toBe('pending');
  });

  test('exactly the policies that select it: of its namespace by labels, of the cluster by both selectors', async () => {
    const { directory, state, settle, name } = await fakeControl(fakeClock());
    state.namespaces.put({ metadata: { name: 'other', labels: { 'sidegate.dev/governed': 'true', team: 'x' } } });
    for (const one of [pod('a'), pod('b', { labels: { app: 'vllm' } }), pod('c', { namespace: 'other' })])
      state.pods.put(one);
    state.policies.put(policy('mine', { selector: { matchLabels: { app: 'llama' } }, ...allowAll }));
    state.policies.put(policy('theirs', allowAll, { namespace: 'other', uid: 'theirs' }));
    state.clusterPolicies.put(clusterPolicy('all', { mode: 'Enforce' }));
    state.clusterPolicies.put(clusterPolicy('team', { namespaceSelector: { matchLabels: { team: 'x' } } }));
    await settle();
    const names = (key: string, namespace = 'ml'): readonly string[] => {
      const answer = directory.answer(name(key, namespace));
      return answer.kind === 'snapshot' ? answer.snapshot.sources.map((one) => one.name) : [answer.kind];
    };
    expect([names('a'), names('b'), names('c', 'other')]).toEqual([
      ['all', 'mine'],
      ['all'],
      ['all', 'team', 'theirs'],
    ]);
  });

  test('one compilation and one object for all pods with the same policies; an edit tells those in its reach and no other', async () => {
    const { directory, state, settle, name, index, told } = await fakeControl(fakeClock());
    state.policies.put(policy('p', { selector: { matchLabels: { app: 'llama' } }, ...allowAll }));
    for (let at = 0; at < 200; at++)
      state.pods.put(pod(`a${at}`, { labels: { app: at % 2 === 0 ? 'llama' : 'vllm' } }));
    await settle();
    const first = directory.answer(name('a0'));
    const before = index.compilations;
    expect(before).toBe(2);
    for (let at = 2; at < 200; at += 2) {
      const answer = directory.answer(name(`a${at}`));
      expect(answer.kind === 'snapshot' && first.kind === 'snapshot' && answer.snapshot === first.snapshot).toBe(true);
    }
    told.length = 0;
    state.policies.put(
      policy('p', { selector: { matchLabels: { app: 'llama' } }, mode: 'Observe', ...allowAll }, { generation: 2 }),
    );
    await settle();
    expect([told.length, index.compilations]).toEqual([100, before + 1]);
    expect(hashOf(directory.answer(name('a0')))).not.toBe(hashOf(first));
    told.length = 0;
    // Our own write of the status.
    state.policies.put(
      policy(
        'p',
        { selector: { matchLabels: { app: 'llama' } }, mode: 'Observe', ...allowAll },
        { generation: 2, status: {} },
      ),
    );
    await settle();
    expect([told, index.compilations]).toEqual([[], before + 1]);
  });

  test('a set that no pod has any more is forgotten, also where pods alone change', async () => {
    const { directory, state, settle, name, index } = await fakeControl(fakeClock());
    for (const label of ['one', 'two', 'three'])
      state.policies.put(policy(label, { selector: { matchLabels: { [label]: 'x' } }, ...allowAll }, { uid: label }));
    state.pods.put(pod('a', { labels: { one: 'x' } }));
    state.pods.put(pod('stays', { labels: { two: 'x' } }));
    await settle();
    const first = directory.answer(name('a'));
    const kept = directory.answer(name('stays'));
    const before = index.compilations;
    for (const label of ['three', 'two', 'one']) {
      state.pods.put(pod('a', { labels: { [label]: 'x' } }));
      await settle();
    }
    // Of `three` and, as if for the first time, of `one`; `two` was there.
    expect(index.compilations).toBe(before + 2);
    expect(hashOf(directory.answer(name('a')))).toBe(hashOf(first));
    expect(directory.answer(name('stays'))).toEqual(kept);
    state.pods.remove('ml/stays');
    await settle();
    state.pods.put(pod('stays', { labels: { two: 'x' } }));
    await settle();
    expect(index.compilations).toBe(before + 3);
  });

  test('where a policy of its namespace cannot be used: a denial of everything, beside the platform’s policies as they are now', async () => {
    const { directory, state, settle, snapshotOf } = await fakeControl(fakeClock());
    state.pods.put(pod('a'));
    state.pods.put(pod('b', { labels: { app: 'vllm' } }));
    state.policies.put(policy('good'));
    state.policies.put(policy('newer', { selector: { matchLabels: { app: 'llama' } }, fromTheFuture: true }));
    state.clusterPolicies.put(clusterPolicy('floor', allowAll));
    await settle();
    const sources = (key: string): readonly string[] =>
      snapshotOf(key).sources.map((one) => `${one.name}@${one.generation}`);
    expect([sources('a'), sources('b')]).toEqual([
      ['floor@1', 'newer@0'],
      ['floor@1', 'good@1'],
    ]);
    const access = (key: string, operation: 'Chat' | 'Other') =>
      compileSnapshot(snapshotOf(key).policies, { revision: 0 }).access({ caller: undefined, operation, model: 'm' });
    const refusal = { reason: 'rule_denied', rule: 'newer/cannot-be-used' };
    for (const operation of ['Chat', 'Other'] as const)
      expect(access('a', operation)).toMatchObject({ kind: 'deny', refusal });
    expect(access('b', 'Chat').kind).toBe('allow');
    expect(directory.setOf(state.pods.get('ml/a')!)).toMatchObject({
      denied: expect.stringContaining('fromTheFuture'),
    });

    // The floor moves on all the same.
    state.clusterPolicies.put(clusterPolicy('floor', { access: [] }, 2));
    await settle();
    expect([sources('a'), sources('b')]).toEqual([
      ['floor@2', 'newer@0'],
      ['floor@2', 'good@1'],
    ]);
    // One whose selector cannot be read is taken to select all.
    state.policies.put(policy('odd', { selector: 'app=llama' }));
    await settle();
    expect(sources('b')).toEqual(['floor@2', 'odd@0']);
    state.policies.remove('ml/odd');
    await settle();
    expect(sources('b')).toEqual(['floor@2', 'good@1']);
  });

  test('what no sidecar could carry out is known before it is sent: of a namespace it is a denial, of the platform it keeps what is', async () => {
    const { directory, state, index, settle, snapshotOf, name } = await fakeControl(fakeClock());
    state.pods.put(pod('a'));
    const uncompilable = {
      ...allowAll,
      classification: [{ label: 'secret', fields: ['$.a[*'], visibleTo: [], otherwise: 'Mask' }],
    };
    state.policies.put(policy('odd', uncompilable));
    await settle();
    expect(index.get('InferencePolicy/ml/odd')).toMatchObject({
      policy: undefined,
      fault: expect.stringContaining('$.a[*'),
    });
    expect(snapshotOf('a').sources).toMatchObject([{ name: 'odd', generation: 0 }]);
    state.policies.remove('ml/odd');
    state.clusterPolicies.put(clusterPolicy('odd', uncompilable));
    await settle();
    expect(directory.answer(name('a'))).toMatchObject({ kind: 'invalid', message: expect.stringContaining('$.a[*') });
  });

  test('a policy is compiled once a generation, whatever becomes of its status', () => {
    const first = policyEntry('InferencePolicy', policy('p') as never, () => undefined);
    const again = policy('p', allowAll, { status: { observedGeneration: 1 } });
    const second = policyEntry('InferencePolicy', again as never, () => undefined, first);
    expect([second.policy === first.policy, second.status]).toEqual([true, { observedGeneration: 1 }]);
    for (const other of [policy('p', allowAll, { generation: 2 }), policy('p', allowAll, { uid: 'another' })])
      expect(policyEntry('InferencePolicy', other as never, () => undefined, second).policy).not.toBe(first.policy);
  });

  test.each([
    ['larger', 5, 1_100_000],
    ['more', 1_001, 1],
  ])('where its namespace’s policies are %s together than a sidecar takes: the same', async (_what, count, length) => {
    const { directory, state, settle, index, snapshotOf } = await fakeControl(fakeClock());
    state.pods.put(pod('a'));
    state.policies.put(policy('p'));
    state.clusterPolicies.put(clusterPolicy('floor', allowAll));
    await settle();
    const { policy: one, ...entry } = index.get('InferencePolicy/ml/p')!;
    // As read, so that none of them has to be.
    for (let at = 1; at < count; at++) {
      const named = { name: `q${at}`, uid: `p-${at}` };
      const words = { ...one!.spec, profile: 'x'.repeat(length) as 'Strict' };
      index.put({ ...entry, ...named, key: `q${at}`, policy: { ...one!, ...named, spec: words } });
    }
    directory.policiesChanged();
    await settle();
    expect(snapshotOf('a').sources.map((source) => `${source.name}@${source.generation}`)).toEqual(['floor@1', 'p@0']);
    const { policies, hash, sources, seen } = snapshotOf('a');
    expect(isTaken(encodeFrame({ type: 'snapshot', policies, hash, sources, seen }))).toBe(true);
    expect(directory.setOf(state.pods.get('ml/a')!)).toMatchObject({ denied: expect.stringContaining('4 MiB') });
  });

  test('where one of the platform cannot be used: that it cannot be said', async () => {
    const { directory, state, settle, name } = await fakeControl(fakeClock());
    state.pods.put(pod('a'));
    state.policies.put(policy('good'));
    state.clusterPolicies.put(clusterPolicy('floor', { fromTheFuture: true }));
    await settle();
    expect(directory.answer(name('a'))).toMatchObject({
      kind: 'invalid',
      message: expect.stringMatching(/cluster\/floor cannot be used.*fromTheFuture/),
    });
  });

  test('one that connects later sees the versions that the replica has seen by then', async () => {
    const { directory, state, settle, name } = await fakeControl(fakeClock());
    state.pods.put(pod('a'));
    state.policies.put(policy('p'));
    await settle();
    const first = directory.answer(name('a'));
    state.policies.version = '200';
    const second = directory.answer(name('a'));
    expect(hashOf(second)).toBe(hashOf(first));
    expect(second).toMatchObject({ snapshot: { seen: { inferencepolicies: '200', clusterinferencepolicies: '100' } } });
    expect(directory.answer(name('a'))).toMatchObject({ snapshot: expect.objectContaining({}) });
  });

  test('facts of the pod as they are: addresses in any spelling, ending, a sidecar that is not there', async () => {
    const { directory, state, settle } = await fakeControl(fakeClock());
    state.pods.put(pod('a', { status: { podIPs: [{ ip: '10.0.0.7' }, { ip: '2001:db8::7' }] } }));
    await settle();
    expect(directory.podByUid('uid-a')).toEqual(directory.pod('ml', 'a'));
    expect(directory.podByUid('uid-b')).toBeUndefined();
    expect(directory.hasAddress('::ffff:10.0.0.7')).toBe(true);
    expect(directory.hasAddress('2001:0db8:0:0::0007')).toBe(true);
    expect(directory.hasAddress('10.0.0.8')).toBe(false);
    expect(directory.pod('ml', 'a')).toMatchObject({
      governed: true,
      sidecar: true,
      terminating: false,
      serviceAccount: 'llama',
    });
    state.pods.put(
      pod('a', {
        spec: { initContainers: [], containers: [{ name: 'sidegate-not' }] },
        labels: { 'sidegate.dev/inference': 'yes' },
      }),
    );
    expect(directory.pod('ml', 'a')).toMatchObject({ governed: false, sidecar: false });
    const ended = pod('a');
    state.pods.put({ ...ended, metadata: { ...ended.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } });
    expect(directory.pod('ml', 'a')).toMatchObject({ terminating: true, finished: false });
    state.pods.put(pod('a', { status: { phase: 'Failed' } }));
    expect(directory.pod('ml', 'a')).toMatchObject({ terminating: false, finished: true });
    state.pods.put(pod('sys', { namespace: 'kube-system' }));
    state.pods.put(pod('own', { namespace: 'sidegate-system' }));
    expect([directory.pod('kube-system', 'sys'), directory.pod('sidegate-system', 'own')]).toEqual([
      undefined,
      undefined,
    ]);
  });
});

describe('names of the serving certificate', () => {
  test('of the Services that select the pod, and of no other; a change tells the pod', async () => {
    const { directory, state, settle, name, told } = await fakeControl(fakeClock());
    state.pods.put(pod('a'));
    await settle();
    expect(directory.servingNames(name('a'))).toEqual([]);
    told.length = 0;
    const service = (service: string, spec: object, namespace = 'ml') => ({
      metadata: { namespace, name: service },
      spec,
    });
    state.services.put(service('llama', { selector: { app: 'llama' } }));
    state.services.put(service('nobody', { selector: {} }));
    state.services.put(service('vllm', { selector: { app: 'vllm' } }));
    state.services.put(service('llama', { selector: { app: 'llama' } }, 'other'));
    state.services.put(
      service('external', { type: 'ExternalName', externalName: 'bank.example.com', selector: { app: 'llama' } }),
    );
    await settle();
    expect(directory.servingNames(name('a'))).toEqual(['llama.ml.svc', 'llama.ml.svc.cluster.local']);
    expect(told).toEqual(['a']);
  });

  test('also the pod’s own under its governing Service, as a StatefulSet names it, where that selects the pod', async () => {
    const { directory, state, settle, name, told } = await fakeControl(fakeClock());
    state.pods.put(
      pod('llama-0', { spec: { hostname: 'llama-0', subdomain: 'llama', initContainers: [{ name: 'sidegate' }] } }),
    );
    state.pods.put(pod('bare', { spec: { hostname: 'bare', initContainers: [{ name: 'sidegate' }] } }));
    const service = (service: string, namespace: string, app: string) =>
      state.services.put({ metadata: { namespace, name: service }, spec: { selector: { app } } });
    service('other', 'ml', 'llama');
    // Not those that select others, or of another namespace.
    service('llama', 'ml', 'vllm');
    service('llama', 'elsewhere', 'llama');
    await settle();
    const others = ['other.ml.svc', 'other.ml.svc.cluster.local'];
    expect(directory.servingNames(name('llama-0'))).toEqual(others);
    told.length = 0;
    service('llama', 'ml', 'llama');
    await settle();
    expect(told.sort()).toEqual(['bare', 'llama-0']);
    const both = ['llama.ml.svc', 'llama.ml.svc.cluster.local', ...others];
    expect(directory.servingNames(name('bare'))).toEqual(both);
    const own = ['llama-0.llama.ml.svc', 'llama-0.llama.ml.svc.cluster.local'];
    expect(directory.servingNames(name('llama-0'))).toEqual([...own, ...both]);
    const record = directory.podByUid('uid-llama-0')!;
    expect(certificateNames(record, directory.servingNames(name('llama-0')), 'cluster.local')).toEqual(
      expect.arrayContaining(own),
    );
    for (const stranger of [
      'llama-0.llama.other.svc',
      'a.llama-0.llama.ml.svc',
      'llama-0.llama.ml',
      '*.llama.ml.svc',
      'llama-1.llama.ml.svc',
    ])
      expect(() => certificateNames(record, [stranger], 'cluster.local')).toThrow(RangeError);
  });

  test('a change of a Service that leaves its selector and ports is nobody’s business, one of its ports the status’s', async () => {
    const { directory, state, settle, name, told } = await fakeControl(fakeClock());
    state.pods.put(pod('a'));
    const service = (more: object, port = 80) =>
      state.services.put({
        metadata: { namespace: 'ml', name: 'llama', ...more },
        spec: { selector: { app: 'llama' }, ports: [{ port }] },
      });
    service({});
    await settle();
    const names = directory.servingNames(name('a'));
    const heard: string[] = [];
    directory.onNamespaces((namespaces) => heard.push(...namespaces));
    told.length = 0;
    service({ annotations: { note: 'x' } });
    state.services.put({ metadata: { namespace: 'ml', name: 'headless-of-nobody' }, spec: {} });
    await settle();
    expect([heard, told]).toEqual([[], []]);
    service({}, 8000);
    await settle();
    expect([heard, told, directory.servingNames(name('a'))]).toEqual([['ml'], [], names]);
  });

  test('never one that is a domain of the internet where the namespace is called as a top-level domain', async () => {
    const { directory, state, settle, name } = await fakeControl(fakeClock());
    for (const [namespace, service] of [
      ['ai', 'openrouter'],
      ['svc', 'x'],
    ] as const) {
      state.pods.put(pod(service, { namespace }));
      state.services.put({ metadata: { namespace, name: service }, spec: { selector: { app: 'llama' } } });
    }
    await settle();
    expect(directory.servingNames(name('openrouter', 'ai'))).toEqual([
      'openrouter.ai.svc',
      'openrouter.ai.svc.cluster.local',
    ]);
    expect(directory.servingNames(name('x', 'svc'))).toEqual(['x.svc.svc', 'x.svc.svc.cluster.local']);
    const of = directory.podByUid('uid-openrouter')!;
    expect(() => certificateNames(of, ['openrouter.ai'], 'cluster.local')).toThrow(RangeError);
  });

  test('of many Services those that come first by name: as many as an authority signs and a sidecar can say', async () => {
    const { directory, state, settle, name } = await fakeControl(fakeClock());
    state.pods.put(pod('a', { status: { podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }] } }));
    const long = (at: number): string => `s${String(at).padStart(3, '0')}${'x'.repeat(59)}`;
    for (let at = 119; at >= 0; at--)
      state.services.put({ metadata: { namespace: 'ml', name: long(at) }, spec: { selector: { app: 'llama' } } });
    await settle();
    const names = directory.servingNames(name('a'));
    expect(names).toHaveLength(180);
    expect(new Set(names.map((one) => one.split('.')[0]))).toEqual(
      new Set(Array.from({ length: 90 }, (_, at) => long(at))),
    );
    const all = certificateNames(directory.podByUid('uid-a')!, names, 'cluster.local');
    const clock = fakeClock({ now: Date.now() });
    const authority = createAuthority({
      state: { current: await createAuthorityPair(clock), since: clock.now() },
      clock,
    });
    const { csr } = createKeyRequest();
    expect(await authority.sign({ purpose: 'server', csr, dnsNames: all })).toContain('BEGIN CERTIFICATE');
    let heard: unknown;
    createFrameReader({ maxBytes: maxUpBytes, maxNodes: 2_000, onFrame: (root) => (heard = readUpMessage(root)) }).push(
      encodeFrame({
        type: 'hello',
        version: protocolVersion,
        pod: name('a'),
        portMap: { '8000': 17_400 },
        capture: 'Redirect',
        software: 'x',
        holds: null,
        seen: {},
        audit: null,
        serving: all,
      }),
    );
    expect(heard).toMatchObject({ type: 'hello', serving: all });
  });
});

describe('Secrets', () => {
  const upstream = {
    upstream: { ports: [{ containerPort: 8000 }], credential: { secretRef: { name: 'key', key: 'api' } } },
  };

  test('are read by name, once for all pods, again each 30 s; a change tells the pods and makes a new object', async () => {
    const { directory, state, settle, clock, name, reads, setSecret, told } = await fakeControl(fakeClock());
    for (let at = 0; at < 50; at++) state.pods.put(pod(`a${at}`));
    setSecret('ml/key', { api: 's3cret', other: 'not named' });
    state.policies.put(policy('p', { ...upstream, ...allowAll }));
    await settle();
    expect(reads).toEqual(['ml/key']);
    const first = directory.secrets(name('a0'));
    expect(known(first).values.map((one) => [one.name, one.key, one.value.reveal()])).toEqual([
      ['key', 'api', 's3cret'],
    ]);
    expect(JSON.stringify(first)).not.toContain('s3cret');
    expect(directory.secrets(name('a1'))).toBe(first);
    await clock.advanceAsync(61_000);
    expect(reads).toHaveLength(3);
    expect(directory.secrets(name('a0'))).toBe(first);
    told.length = 0;
    setSecret('ml/key', { api: 'new' });
    await clock.advanceAsync(31_000);
    expect(told).toHaveLength(50);
    expect(known(directory.secrets(name('a0'))).values[0]?.value.reveal()).toBe('new');
  });

  test('gone, forbidden or without the key they are missing; a policy that names them no more makes them forgotten', async () => {
    const { directory, state, settle, clock, name, setSecret, secrets, forbidden, reads } =
      await fakeControl(fakeClock());
    state.pods.put(pod('a'));
    state.policies.put(policy('p', { ...upstream, ...allowAll }));
    await settle();
    const missing = { values: [], missing: [{ namespace: 'ml', name: 'key', key: 'api' }] };
    expect(directory.secrets(name('a'))).toEqual(missing);
    setSecret('ml/key', { wrong: 'x' });
    await clock.advanceAsync(31_000);
    expect(directory.secrets(name('a'))).toEqual(missing);
    setSecret('ml/key', { api: 'x' });
    await clock.advanceAsync(31_000);
    expect(known(directory.secrets(name('a'))).values).toHaveLength(1);
    forbidden.add('ml/key');
    await clock.advanceAsync(121_000);
    expect(directory.secrets(name('a'))).toEqual(missing);
    state.policies.put(policy('p', allowAll, { generation: 2 }));
    await settle();
    reads.length = 0;
    await clock.advanceAsync(120_000);
    expect([reads, secrets.read('ml/key'), directory.secrets(name('a'))]).toEqual([
      [],
      'pending',
      { values: [], missing: [] },
    ]);
  });

  test('an API server that starts forbids what it does not know yet: what was read stays until that has lasted for a minute', async () => {
    const { directory, state, settle, clock, name, setSecret, forbidden, failing } = await fakeControl(fakeClock());
    state.pods.put(pod('a'));
    setSecret('ml/key', { api: 's3cret' });
    forbidden.add('ml/key');
    state.policies.put(policy('p', { ...upstream, ...allowAll }));
    await settle();
    // One that was never read is not missing for that either, and is read soon.
    expect(directory.secrets(name('a'))).toBe('pending');
    forbidden.clear();
    await clock.advanceAsync(1_000);
    const first = directory.secrets(name('a'));
    expect(known(first).values).toHaveLength(1);
    for (let restarts = 0; restarts < 3; restarts++) {
      failing.add('ml/key');
      await clock.advanceAsync(60_000);
      failing.clear();
      forbidden.add('ml/key');
      await clock.advanceAsync(45_000);
      expect(directory.secrets(name('a'))).toBe(first);
      forbidden.clear();
    }
    await clock.advanceAsync(31_000);
    forbidden.add('ml/key');
    await clock.advanceAsync(59_000);
    expect(directory.secrets(name('a'))).toBe(first);
    await clock.advanceAsync(65_000);
    expect(known(directory.secrets(name('a'))).missing).toHaveLength(1);
  });

  test('of a namespace that names thousands hold up those of no other', async () => {
    const { directory, state, settle, name, setSecret, reads } = await fakeControl(fakeClock());
    const caSecretRef = (at: number) => ({
      containerPort: 8_000 + at,
      protocol: 'TLS',
      caSecretRef: { name: `s${at}`, key: 'ca' },
    });
    const many = { upstream: { ports: Array.from({ length: 16 }, (_, at) => caSecretRef(at)) }, ...allowAll };
    state.namespaces.put({ metadata: { name: 'other', labels: { 'sidegate.dev/governed': 'true' } } });
    state.policies.put(policy('many', many, { namespace: 'other', uid: 'many' }));
    state.pods.put(pod('a'));
    setSecret('ml/key', { api: 'x' });
    state.policies.put(policy('p', { ...upstream, ...allowAll }));
    await settle();
    expect(known(directory.secrets(name('a'))).values).toHaveLength(1);
    expect(reads).toHaveLength(17);
    // Eight are read at once.
    expect(reads.indexOf('ml/key')).toBeLessThan(10);
  });

  test('a cluster’s policy means those of Sidegate’s own namespace, a namespace’s policy only its own', async () => {
    const { directory, state, settle, name, setSecret } = await fakeControl(fakeClock());
    setSecret('sidegate-system/key', { api: 'platform' });
    setSecret('ml/key', { api: 'tenant' });
    state.pods.put(pod('a'));
    const hosted = {
      upstream: { hosted: { url: 'https://api.example.com' }, credential: { secretRef: { name: 'key', key: 'api' } } },
    };
    state.policies.put(policy('p', { ...upstream, ...allowAll }));
    await settle();
    expect(known(directory.secrets(name('a'))).values[0]?.value.reveal()).toBe('tenant');
    state.clusterPolicies.put(clusterPolicy('base', hosted));
    await settle();
    expect(known(directory.secrets(name('a'))).values[0]?.value.reveal()).toBe('platform');
  });

  test('of one name and key in both namespaces go side by side, each under its own', async () => {
    const { directory, state, settle, name, setSecret } = await fakeControl(fakeClock());
    setSecret('sidegate-system/key', { api: 'platform' });
    setSecret('ml/key', { api: 'tenant' });
    state.pods.put(pod('a'));
    const caSecretRef = { name: 'key', key: 'api' };
    const oidc = { issuer: 'https://idp.example.com', audiences: ['a'], caSecretRef };
    state.policies.put(policy('p', { ...upstream, ...allowAll }));
    state.clusterPolicies.put(clusterPolicy('base', { identity: { providers: [{ name: 'corp', oidc }] } }));
    await settle();
    const sent = known(directory.secrets(name('a'))).values.map((one) => [one.namespace ?? 'own', one.value.reveal()]);
    expect(sent.sort()).toEqual([
      ['ml', 'tenant'],
      ['own', 'platform'],
    ]);
    const answer = directory.answer(name('a'));
    const policies = answer.kind === 'snapshot' ? answer.snapshot.policies : [];
    const refs = policies.map(({ spec }) => spec.providers[0]?.oidc?.ca ?? spec.upstream?.credential?.source);
    expect(refs).toEqual([
      { kind: 'Secret', namespace: undefined, ...caSecretRef },
      { kind: 'Secret', namespace: 'ml', ...caSecretRef },
    ]);
  });

  test('the authorities of an issuer that was dropped for the platform’s are not sent', async () => {
    const { directory, state, settle, name, setSecret } = await fakeControl(fakeClock());
    setSecret('ml/ca', { pem: 'theirs' });
    state.pods.put(pod('a'));
    const oidc = { issuer: 'https://idp.example.com', audiences: ['a'] };
    const caSecretRef = { name: 'ca', key: 'pem' };
    const identity = (more = {}) => ({ identity: { providers: [{ name: 'corp', oidc: { ...oidc, ...more } }] } });
    state.policies.put(policy('p', { ...identity({ caSecretRef }), ...allowAll }));
    await settle();
    expect(known(directory.secrets(name('a'))).values.map((one) => one.value.reveal())).toEqual(['theirs']);
    state.clusterPolicies.put(clusterPolicy('base', identity()));
    await settle();
    expect(directory.secrets(name('a'))).toEqual({ values: [], missing: [] });
  });

  test('a tenant does not get the platform’s credential by naming it in an endpoint of its own', async () => {
    const { directory, state, settle, name, setSecret } = await fakeControl(fakeClock());
    setSecret('sidegate-system/key', { api: 'platform' });
    state.pods.put(pod('a'));
    const mine = {
      upstream: {
        hosted: { url: 'https://attacker.example.com' },
        credential: { secretRef: { name: 'key', key: 'api' } },
      },
    };
    state.policies.put(policy('p', { ...mine, ...allowAll }));
    state.clusterPolicies.put(
      clusterPolicy('watching', {
        mode: 'Observe',
        upstream: {
          hosted: { url: 'https://api.example.com' },
          credential: { secretRef: { name: 'key', key: 'api' } },
        },
      }),
    );
    await settle();
    expect(known(directory.secrets(name('a'))).values).toEqual([]);
  });

  test('not read yet, or of policies that are not valid: pending, so that nobody takes away what a sidecar holds', async () => {
    const { directory, state, settle, clock, name, setSecret, failing } = await fakeControl(fakeClock());
    state.pods.put(pod('a'));
    setSecret('ml/key', { api: 'x' });
    setSecret('ml/cert', { 'tls.crt': 'CERT', 'tls.key': 'KEY' });
    failing.add('ml/key').add('ml/cert');
    state.policies.put(policy('p', { ...upstream, tls: { certificate: { secretName: 'cert' } }, ...allowAll }));
    await settle();
    expect([directory.secrets(name('a')), directory.imported(name('a'))]).toEqual(['pending', 'pending']);
    failing.clear();
    await clock.advanceAsync(31_000);
    expect(known(directory.secrets(name('a'))).values).toHaveLength(1);
    expect(directory.imported(name('a'))).toMatchObject({ content: { certificate: 'CERT' } });
    failing.add('ml/key').add('ml/cert'); // what was read stays
    await clock.advanceAsync(31_000);
    expect(known(directory.secrets(name('a'))).values).toHaveLength(1);
    for (const [at, tls] of ['nonsense', { certificate: 7 }, { certificate: { issuer: 'Other' } }].entries()) {
      state.policies.put(policy('p', { guards: 'nonsense', tls }, { generation: 2 + at }));
      await settle();
      expect(directory.answer(name('a'))).toMatchObject({
        kind: 'snapshot',
        snapshot: { sources: [{ generation: 0 }] },
      });
      expect([directory.secrets(name('a')), directory.imported(name('a'))]).toEqual(['pending', 'pending']);
    }
    state.clusterPolicies.put(clusterPolicy('c', { guards: 'nonsense' }));
    await settle();
    expect(directory.answer(name('a'))).toMatchObject({ kind: 'invalid' });
    expect([directory.secrets(name('a')), directory.imported(name('a'))]).toEqual(['pending', 'pending']);
  });

  test('a serving certificate is had also where a policy cannot be used: by the platform’s word, then the oldest’s', async () => {
    const { directory, state, settle, name, setSecret } = await fakeControl(fakeClock());
    for (const key of ['ml/old', 'ml/new', 'sidegate-system/floor'])
      setSecret(key, { 'tls.crt': `CERT ${key}`, 'tls.key': 'KEY' });
    const tls = (secretName: string) => ({ tls: { certificate: { secretName } } });
    const served = async (): Promise<unknown> => {
      await settle();
      const imported = directory.imported(name('a'));
      return typeof imported === 'object' && imported.content?.kind === 'pem' ? imported.content.certificate : imported;
    };
    state.pods.put(pod('a'));
    state.policies.put(policy('a-new', { ...tls('new'), ...allowAll }));
    const old = policy('b-old', { ...tls('old'), fromTheFuture: true });
    state.policies.put({ ...old, metadata: { ...old.metadata, creationTimestamp: '2025-01-01T00:00:00Z' } });
    expect(await served()).toBe('CERT ml/old');
    expect(directory.setOf(state.pods.get('ml/a')!)).toMatchObject({
      denied: expect.stringContaining('fromTheFuture'),
    });
    // One that only observes says nothing beside those that enforce.
    state.clusterPolicies.put(clusterPolicy('watching', { mode: 'Observe', ...tls('floor') }));
    expect(await served()).toBe('CERT ml/old');
    state.clusterPolicies.put(clusterPolicy('floor', { fromTheFuture: true, ...tls('floor') }));
    expect(await served()).toBe('CERT sidegate-system/floor');
    state.clusterPolicies.put(
      clusterPolicy('floor', { fromTheFuture: true, tls: { certificate: { issuer: 'Sidegate' } } }, 2),
    );
    expect(await served()).toBeUndefined();
  });

  test('never more than a sidecar takes, whatever is in them: what is too much is missing, and the rest is sent', async () => {
    const { directory, state, settle, name, setSecret } = await fakeControl(fakeClock());
    const cas = Array.from({ length: 12 }, (_, at) => ({ name: `ca-${at}`, key: 'ca.crt' }));
    const ports = cas.map((caSecretRef, at) => ({ containerPort: 8_000 + at, protocol: 'TLS', caSecretRef }));
    // In JSON each of them is six.
    setSecret('ml/key', { api: 's3cret-api' });
    setSecret('ml/ca-0', { 'ca.crt': '\0'.repeat(longestValue + 1) });
    for (const ca of cas.slice(1)) setSecret(`ml/${ca.name}`, { 'ca.crt': '\0'.repeat(longestValue) });
    state.pods.put(pod('a'));
    state.policies.put(policy('p', { upstream: { ...upstream.upstream, ports }, ...allowAll }));
    await settle();
    const { values, missing } = known(directory.secrets(name('a')));
    expect([values.map((one) => one.name), missing.length]).toEqual([['key', 'ca-1'], 11]);
    const sent = values.map((one) => ({ ...one, value: one.value.reveal() }));
    expect(isTaken(encodeFrame({ type: 'secrets', values: sent, missing }))).toBe(true);
  });

  test('a serving certificate from a Secret: PEM, PKCS#12, or neither', async () => {
    const { directory, state, settle, clock, name, setSecret } = await fakeControl(fakeClock());
    state.pods.put(pod('a'));
    expect(directory.imported(name('a'))).toBeUndefined();
    setSecret('ml/cert', { 'tls.crt': 'CERT', 'tls.key': 'KEY' });
    state.policies.put(policy('p', { tls: { certificate: { secretName: 'cert' } }, ...allowAll }));
    await settle();
    const first = directory.imported(name('a'));
    expect(first).toMatchObject({ secretName: 'cert', content: { kind: 'pem', certificate: 'CERT' } });
    expect(directory.imported(name('a'))).toBe(first);
    setSecret('ml/cert', { 'keystore.p12': 'P12', password: 'pw' });
    await clock.advanceAsync(31_000);
    expect(directory.imported(name('a'))).toMatchObject({ content: { kind: 'pkcs12' } });
    for (const none of [
      { 'tls.crt': 'CERT' },
      { 'tls.crt': '', 'tls.key': 'KEY' },
      { 'tls.crt': 'CERT', 'tls.key': '' },
    ]) {
      setSecret('ml/cert', none);
      await clock.advanceAsync(31_000);
      expect(directory.imported(name('a'))).toEqual({ secretName: 'cert', content: undefined });
    }
  });
});
