import { describe, expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { silentLogger } from '../../base/index.ts';
import { resourceDefinitions } from '../../crd/index.ts';
import type { KubeClient } from '../../kube/index.ts';
import { certificateFacts, readPkcs12 } from '../../pki/index.ts';
import { cpuMs } from '../../../test/support/cost.ts';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { allowAll, clusterPolicy, fakeControl, pod, policy } from '../testing/fake-state.ts';
import { createAckBook } from './ack-book.ts';
import { startAckPublisher } from './ack-publisher.ts';
import { changedPolicies, parseAckSummary } from './ack-totals.ts';
import type { AckTotals } from './ack-totals.ts';
import { policyStatus, sameStatus } from './policy-status.ts';
import type { StatusFacts } from './policy-status.ts';
import { problemsOf } from './problems.ts';
import { longestValue } from '../secrets/secret-store.ts';
import type { SecretContent } from '../secrets/secret-store.ts';
import { certificateOf } from '../secrets/secret-views.ts';
import { startStatusWriter } from './status-writer.ts';

const facts = (more: Partial<StatusFacts> = {}): StatusFacts => ({
  entry: { kind: 'InferencePolicy', generation: 3, fault: undefined, status: undefined },
  selected: 4,
  ending: 0,
  enforcing: 4,
  refusing: 0,
  refusal: undefined,
  problems: [],
  overridden: [],
  ...more,
});
type Control = Awaited<ReturnType<typeof fakeControl<ReturnType<typeof fakeClock>>>>;
const now = '2026-11-26T02:00:00Z';
const said = (status: ReturnType<typeof policyStatus>) =>
  Object.fromEntries((status.conditions ?? []).map((one) => [one.type, `${one.status} ${one.reason}`]));

describe('a status', () => {
  test.each<[string, Partial<StatusFacts>, object, string]>([
    ['all', {}, { Accepted: 'True Accepted', Enforced: 'True AllPods', Programmed: 'True Programmed' }, '4/4'],
    [
      'some',
      { enforcing: 1 },
      { Accepted: 'True Accepted', Enforced: 'False PodsBehind', Programmed: 'True Programmed' },
      '1/4',
    ],
    [
      'none',
      { selected: 0, enforcing: 0 },
      { Accepted: 'True Accepted', Enforced: 'Unknown NoPods', Programmed: 'True Programmed' },
      '0/0',
    ],
    [
      'refused',
      { enforcing: 3, refusing: 1 },
      { Accepted: 'True Accepted', Enforced: 'False Refused', Programmed: 'True Programmed' },
      '3/4',
    ],
    [
      'counted twice',
      { enforcing: 7, refusing: 3 },
      { Accepted: 'True Accepted', Enforced: 'True AllPods', Programmed: 'True Programmed' },
      '4/4',
    ],
    [
      'invalid',
      { entry: { kind: 'InferencePolicy', generation: 3, fault: 'spec.x: no', status: undefined }, enforcing: 0 },
      { Accepted: 'False Invalid', Enforced: 'False Invalid', Programmed: 'False Invalid' },
      '0/4',
    ],
    [
      'denied in its place',
      { enforcing: 1, problems: [{ type: 'DeniesAll', message: 'too much' }] },
      {
        Accepted: 'True Accepted',
        Enforced: 'False DeniesAll',
        Programmed: 'False DeniesAll',
        DeniesAll: 'True DeniesAll',
      },
      '1/4',
    ],
    [
      'problems',
      {
        problems: [
          { type: 'RuleCannotFire', message: 'a' },
          { type: 'SecretMissing', message: 'b' },
          { type: 'RuleCannotFire', message: 'a' },
        ],
      },
      {
        Accepted: 'True Accepted',
        Enforced: 'True AllPods',
        Programmed: 'False SecretMissing',
        SecretMissing: 'True SecretMissing',
        RuleCannotFire: 'True RuleCannotFire',
      },
      '4/4',
    ],
  ])('%s', (_what, more, conditions, enforced) => {
    const status = policyStatus(facts(more), now);
    expect(said(status)).toEqual(conditions);
    expect(status.enforced).toBe(enforced);
    const { selected = 0, enforcing = 0, refusing = 0, behind = 0 } = status.pods ?? {};
    expect(enforcing + refusing + behind).toBe(selected);
    expect(Math.min(enforcing, refusing, behind)).toBeGreaterThanOrEqual(0);
  });

  test('equal facts are an equal status at any time; a condition’s time is that of its change', () => {
    const first = policyStatus(facts(), now);
    const again = policyStatus(
      facts({ entry: { kind: 'InferencePolicy', generation: 3, fault: undefined, status: first } }),
      '2026-11-27T00:00:00Z',
    );
    expect(sameStatus(first, again)).toBe(true);
    const later = policyStatus(
      facts({ enforcing: 2, entry: { kind: 'InferencePolicy', generation: 3, fault: undefined, status: first } }),
      '2026-11-27T00:00:00Z',
    );
    expect(sameStatus(first, later)).toBe(false);
    expect(later.conditions?.map((one) => one.lastTransitionTime)).toEqual([now, '2026-11-27T00:00:00Z', now]);
  });

  test('stays within what the definition takes', () => {
    const long = 'x'.repeat(100_000);
    const status = policyStatus(
      facts({
        problems: (
          [
            'SecretMissing',
            'PortNotCaptured',
            'ServiceBypasses',
            'PodsWithoutSidecar',
            'RuleCannotFire',
            'Conflicted',
          ] as const
        ).map((type) => ({ type, message: long })),
        overridden: Array.from({ length: 200 }, (_, at) => ({ field: `${long}${at}`, by: long })),
      }),
      now,
    );
    expect(status.overridden).toHaveLength(64);
    expect(status.conditions?.length).toBeLessThanOrEqual(16);
    expect(Math.max(...(status.conditions ?? []).map((one) => one.message.length))).toBeLessThanOrEqual(32_768);
    expect(resourceDefinitions()).toHaveLength(4);
  });
});

describe('counts of a replica', () => {
  const report = (name: string, generation: number, more: object = {}) => ({
    pod: { namespace: 'ml', name, uid: `uid-${name}` },
    hash: 'h',
    sources: [{ kind: 'InferencePolicy' as const, uid: 'p', namespace: 'ml', name: 'p', generation }],
    problem: undefined,
    portMap: {},
    capture: 'Redirect' as const,
    software: '1',
    ...more,
  });

  test('follow what sidecars say, and who is connected', () => {
    const acks = createAckBook(silentLogger);
    acks.report(report('a', 1));
    acks.report(report('b', 1));
    acks.report(report('b', 2));
    acks.report(report('c', 1, { problem: { reason: 'invalid', message: 'm' } }));
    expect(acks.summary().policies).toEqual({ p: { 1: 2, 2: 1 } });
    expect(acks.summary().problems).toEqual([{ namespace: 'ml', name: 'c', reason: 'invalid', message: 'm' }]);
    // A stream of an earlier pod of that name ends late.
    acks.disconnected({ namespace: 'ml', name: 'a', uid: 'another' });
    expect(acks.connected).toBe(3);
    acks.disconnected({ namespace: 'ml', name: 'a', uid: 'uid-a' });
    acks.forget({ namespace: 'ml', name: 'b', uid: 'uid-b' });
    expect(acks.summary().policies).toEqual({ p: { 1: 1 } });
    expect(acks.refusing).toBe(1);
  });

  test('are written at most every 2 s however many sidecars speak, and every 3 s when none does', async () => {
    const clock = fakeClock();
    const acks = createAckBook(silentLogger);
    const writes: { at: number; data: string }[] = [];
    const removed: string[] = [];
    const publisher = startAckPublisher({
      client: {
        patch: async (_resource: unknown, _ref: unknown, { body }: { body: { data: Record<string, string> } }) => {
          writes.push({ at: clock.monotonic() - 1000, data: body.data['acks.json'] ?? '' });
          return body;
        },
        delete: async (_resource: unknown, { name }: { name: string }) => void removed.push(name),
      } as unknown as KubeClient,
      clock,
      logger: silentLogger,
      namespace: 'sidegate-system',
      replica: 'r1',
      acks,
    });
    for (let at = 0; at < 1_000; at++) {
      acks.report(report(`a${at}`, 1));
      await clock.advanceAsync(10);
    }
    expect(writes.length).toBeLessThanOrEqual(6);
    await clock.advanceAsync(2_000);
    expect(parseAckSummary(writes.at(-1)?.data ?? '')?.policies).toEqual({ p: { 1: 1000 } });
    const before = writes.length;
    await clock.advanceAsync(30_000);
    expect(writes.length - before).toBeLessThanOrEqual(11);
    expect(writes.length - before).toBeGreaterThanOrEqual(9);
    const last = writes.length;
    await publisher.close();
    expect(removed).toEqual(['sidegate-acks-r1']);
    acks.report(report('z', 1));
    await clock.advanceAsync(60_000);
    expect(writes.length).toBe(last);
  });

  test.each(['', '{', '[]', '{"v":2}', '{"v":1,"v":1}'])('that are none count for nothing: %s', (text) => {
    expect(parseAckSummary(text)).toBeUndefined();
  });

  test('of odd values only those that are counts stay', () => {
    expect(
      parseAckSummary('{"v":1,"policies":{"p":{"1":-1,"2":"3","3":4,"4":1.5}},"problems":["x",{"name":5}]}'),
    ).toEqual({
      policies: { p: { 3: 4 } },
      problems: [
        { namespace: '', name: '', reason: 'invalid', message: '' },
        { namespace: '', name: '', reason: 'invalid', message: '' },
      ],
    });
  });
});

describe('what is wrong with a policy', () => {
  async function problems(spec: object, prepare: (control: Control) => void = () => undefined) {
    const control = await fakeControl(fakeClock());
    control.state.policies.put(policy('p', { ...allowAll, ...spec }));
    prepare(control);
    await control.settle();
    const entry = control.index.get('InferencePolicy/ml/p')!;
    const found = problemsOf(entry, control.directory.podsOf(entry), { ...control, ownNamespace: 'sidegate-system' });
    return { ...found, said: found.problems.map((one) => `${one.type}: ${one.message}`) };
  }

  test('nothing', async () => {
    expect((await problems({}, ({ state }) => state.pods.put(pod('a')))).said).toEqual([]);
  });

  test('that a policy beside it cannot be used, or it itself, so that the pods of both deny everything', async () => {
    const { said: words } = await problems({}, ({ state }) => {
      state.pods.put(pod('a'));
      state.policies.put(policy('odd', { fromTheFuture: true }));
      state.clusterPolicies.put(clusterPolicy('floor', allowAll));
    });
    expect(words).toEqual([expect.stringMatching(/^DeniesAll: Pods .* odd cannot be used: .*fromTheFuture/)]);
  });

  test('a port that is not led through the sidecar names the pods', async () => {
    const { said: words } = await problems(
      { upstream: { ports: [{ containerPort: 8000 }, { containerPort: 9000 }] } },
      ({ state }) => {
        for (let at = 0; at < 7; at++) state.pods.put(pod(`a${at}`));
        state.pods.put(pod('good', { annotations: { 'sidegate.dev/port-map': '{"8000":17400,"9000":17401}' } }));
      },
    );
    expect(words).toEqual([
      expect.stringMatching(/^PortNotCaptured: Port 9000 .*ml\/a0, .*ml\/a4 and 2 more: declare it/),
    ]);
  });

  test('a loopback rule for a uid that no helper of the pods has', async () => {
    const loopback = [
      { runAsUser: 2_000, operations: ['Admin'] },
      { runAsUser: 2_001, operations: ['Admin'] },
    ];
    const args = ['--ports', '8000=17400:17430', '--helpers', '2000@8000=17460,2000@8001=17461'];
    const spec = { initContainers: [{ name: 'sidegate', args, restartPolicy: 'Always' }] };
    expect((await problems({ loopback })).said).toEqual([]);
    const { said: words } = await problems({ loopback }, ({ state }) => {
      state.pods.put(pod('a', { spec }));
      state.pods.put(pod('b'));
    });
    expect(words).toEqual([expect.stringMatching(/^RuleCannotFire: spec\.loopback\[2001\] opens nothing/)]);
    const annotations = { 'sidegate.dev/injected': '{"version":"1","templateHash":"x","mode":"NamedPort"}' };
    const named = await problems({ loopback: loopback.slice(0, 1) }, ({ state }) => {
      state.pods.put(pod('a', { spec, annotations }));
    });
    expect(named.said).toEqual([expect.stringMatching(/^RuleCannotFire: spec\.loopback\[2000\] .* NamedPort/)]);
  });

  test('a Service that leads past the sidecar, where nothing redirects', async () => {
    const named = { annotations: { 'sidegate.dev/injected': '{"version":"1","templateHash":"x","mode":"NamedPort"}' } };
    const services = ({ state }: Control): void => {
      const service = (name: string, ports: object[]) =>
        state.services.put({ metadata: { namespace: 'ml', name }, spec: { selector: { app: 'llama' }, ports } });
      service('by-name', [{ port: 80, targetPort: 'http' }]);
      service('by-number', [{ port: 80, targetPort: 8000 }]);
      service('by-default', [{ port: 8000 }]);
      service('elsewhere', [{ port: 80, targetPort: 9999 }]);
    };
    const redirected = await problems({}, (control) => {
      control.state.pods.put(pod('a'));
      services(control);
    });
    expect(redirected.said).toEqual([]);
    const { said: words } = await problems({}, (control) => {
      control.state.pods.put(pod('a', named));
      services(control);
    });
    expect(words).toEqual([
      expect.stringContaining('ServiceBypasses: Service ml/by-default leads to port 8000'),
      expect.stringContaining('ServiceBypasses: Service ml/by-number leads to port 8000'),
    ]);
  });

  test('a Secret that is missing, or has not the key', async () => {
    const upstream = {
      upstream: { ports: [{ containerPort: 8000 }], credential: { secretRef: { name: 'key', key: 'api' } } },
      tls: { certificate: { secretName: 'cert' } },
    };
    expect((await problems(upstream)).said).toEqual([
      'SecretMissing: There is no Secret ml/key that may be read.',
      'SecretMissing: There is no Secret ml/cert that may be read.',
    ]);
    const { said: words } = await problems(upstream, ({ setSecret }) => {
      setSecret('ml/key', { other: 'x' });
      setSecret('ml/cert', { 'tls.crt': 'x' });
    });
    expect(words).toEqual([
      'SecretMissing: Secret ml/key has no key api.',
      expect.stringContaining('SecretMissing: Secret ml/cert holds no certificate: tls.crt and tls.key, or'),
    ]);
    const long = 'x'.repeat(longestValue + 1);
    const { said: large } = await problems(upstream, ({ setSecret }) => {
      setSecret('ml/key', { api: long });
      setSecret('ml/cert', { 'tls.crt': 'x', 'tls.key': long });
    });
    expect(large).toEqual([
      'SecretMissing: Secret ml/key has more than 256 KiB at key api, which is not used.',
      expect.stringContaining('of at most 256 KiB each'),
    ]);
  });

  test('a certificate that cannot be served, once it has been opened, without a word of the Secret', async () => {
    const { privateKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    const store = readFileSync(join(import.meta.dirname, '../../pki/testdata/ec.p12'));
    const { cert, key } = await readPkcs12(store, 'pass');
    const tls = { tls: { certificate: { secretName: 'cert' } } };
    const said = async (data: Record<string, string | Buffer>, at: number): Promise<readonly string[]> => {
      const control = await fakeControl(fakeClock({ now: at }));
      control.setSecret('ml/cert', data);
      control.state.policies.put(policy('p', { ...allowAll, ...tls }));
      await control.settle();
      const certificatesOf = async ({ secrets, certificates }: Control): Promise<void> => {
        const { content } = certificateOf({ namespace: 'ml', name: 'cert' }, secrets.read('ml/cert') as SecretContent);
        await certificates.open(content!);
      };
      const words = (): readonly string[] => {
        const entry = control.index.get('InferencePolicy/ml/p')!;
        return problemsOf(entry, [], { ...control, ownNamespace: 'sidegate-system' }).problems.map(
          (one) => `${one.type}: ${one.message}`,
        );
      };
      if ('tls.crt' in data) return words();
      // The status is looked at again when it is known.
      const opened = new Promise<void>((done) => control.directory.onNamespaces(() => done()));
      expect(words()).toEqual([]);
      await certificatesOf(control);
      await control.settle();
      await opened;
      return words();
    };
    const now = certificateFacts(cert).notBefore + 1_000;
    const why = (text: string) => [
      `CertificateUnusable: Nothing is served with the certificate of Secret ml/cert: ${text}.`,
    ];
    expect(await said({ 'keystore.p12': store, passphrase: 'pass' }, now)).toEqual([]);
    expect(await said({ 'keystore.p12': store, passphrase: 's3cret' }, now)).toEqual(
      why('the passphrase does not open the PKCS#12 file'),
    );
    expect(await said({ 'keystore.p12': store, passphrase: 'pass' }, certificateFacts(cert).notAfter)).toEqual(
      why('the certificate has expired'),
    );
    expect(await said({ 'tls.crt': cert, 'tls.key': key }, now)).toEqual([]);
    expect(await said({ 'tls.crt': cert, 'tls.key': privateKey }, now)).toEqual(
      why('the key is not the key of the certificate'),
    );
    expect(await said({ 'tls.crt': 'nonsense', 'tls.key': key }, now)).toEqual(
      why('there is no certificate that can be read'),
    );
    expect(await said({ 'tls.crt': cert, 'tls.key': 'nonsense' }, now)).toEqual(
      why('there is no private key that can be read'),
    );
  });

  test('more Services than a certificate has names for', async () => {
    const services = (count: number) => (control: Control) => {
      control.state.pods.put(pod('a'));
      for (let at = 0; at < count; at++)
        control.state.services.put({
          metadata: { namespace: 'ml', name: `s${at}` },
          spec: { selector: { app: 'llama' } },
        });
    };
    expect((await problems({}, services(90))).said).toEqual([]);
    expect((await problems({}, services(91))).said).toEqual([
      expect.stringMatching(/^NamesLeftOut: More than 90 Services select ml\/a: /),
    ]);
  });

  test('thousands of Services cost one policy little, and name few of themselves', async () => {
    const control = await fakeControl(fakeClock());
    const named = { 'sidegate.dev/injected': '{"version":"1","templateHash":"x","mode":"NamedPort"}' };
    control.state.policies.put(policy('p'));
    for (let at = 0; at < 200; at++)
      control.state.pods.put(pod(`a${at}`, { labels: { at: `${at}` }, annotations: named }));
    for (let at = 0; at < 5_000; at++)
      control.state.services.put({
        metadata: { namespace: 'ml', name: `s${at}` },
        spec: { selector: { app: 'llama' }, ports: [{ port: 8000 }] },
      });
    await control.settle();
    const entry = control.index.get('InferencePolicy/ml/p')!;
    const pods = control.directory.podsOf(entry);
    const find = () => problemsOf(entry, pods, { ...control, ownNamespace: 'sidegate-system' });
    // Some 7 ms; asked one by one 300 to 400.
    expect(cpuMs(find)).toBeLessThan(150);
    const messages = find().problems.filter(({ type }) => type === 'ServiceBypasses');
    expect(messages).toHaveLength(6);
    expect(messages.at(-1)?.message).toBe('So do 4995 more Services.');
  });

  test('Secrets that are too large together', async () => {
    const ports = Array.from({ length: 16 }, (_, at) => ({
      containerPort: 8_000 + at,
      protocol: 'TLS',
      caSecretRef: { name: `ca-${String(at).padStart(2, '0')}`, key: 'ca.crt' },
    }));
    const { said: words } = await problems({ upstream: { ports } }, ({ state, setSecret }) => {
      const podPorts = Object.fromEntries(ports.map((one) => [one.containerPort, 17_400]));
      state.pods.put(pod('a', { annotations: { 'sidegate.dev/port-map': JSON.stringify(podPorts) } }));
      for (const { caSecretRef } of ports) setSecret(`ml/${caSecretRef.name}`, { 'ca.crt': 'x'.repeat(longestValue) });
    });
    const left = ['11', '12', '13', '14', '15'].map((at) => `Secret ml/ca-${at}, key ca.crt, is left out`);
    expect(words).toEqual(left.map((one) => expect.stringContaining(one)));
  });

  test('pods without a sidecar, rules that never fire, values that lost', async () => {
    const { said: words, overridden } = await problems(
      {
        tls: { inbound: 'Optional' },
        access: [
          ...allowAll.access,
          { name: 'never', effect: 'Allow', subjects: [{ group: 'x' }], operations: ['Chat'] },
        ],
      },
      ({ state }) => {
        state.pods.put(pod('a'));
        const bare = { spec: { initContainers: [] } };
        state.pods.put(pod('bare', bare));
        state.pods.put(pod('fixed', { ...bare, annotations: { 'kubernetes.io/config.mirror': 'x' } }));
        const done = pod('done', { spec: { initContainers: [] }, status: { phase: 'Succeeded' } });
        state.pods.put(done);
        state.clusterPolicies.put(clusterPolicy('base', { tls: { inbound: 'Mutual' }, mode: 'Enforce' }));
      },
    );
    expect(words.map((one) => one.split(':', 1)[0])).toEqual(['PodsWithoutSidecar', 'RuleCannotFire', 'Conflicted']);
    expect(words[0]).toMatch(/ml\/bare\. Delete.* static pods: ml\/fixed\. Run the model from a Deployment/);
    expect(words[1]).toContain('access[never]');
    expect(overridden).toEqual([{ field: 'spec.tls.inbound', by: 'cluster/base' }]);
  });
});

test('which policies’ counts differ between two words of a replica; refusals may be any’s', () => {
  const before = { policies: { p: { 1: 2 }, q: { 1: 1 }, gone: { 3: 1 } }, problems: [] };
  const after = { policies: { p: { 1: 2 }, q: { 1: 1, 2: 1 }, new: { 1: 1 } }, problems: [] };
  expect(changedPolicies(before, before)).toEqual(new Set());
  expect(changedPolicies(before, after)).toEqual(new Set(['q', 'gone', 'new']));
  expect(changedPolicies(undefined, before)).toEqual(new Set(['p', 'q', 'gone']));
  const problem = { namespace: 'ml', name: 'a', reason: 'stale', message: '' } as const;
  expect(changedPolicies(before, { ...before, problems: [problem] })).toBe('all');
});

test('a change of counts has the policies looked at that it is about, and no other', async () => {
  const control = await fakeControl(fakeClock());
  const { state, clock } = control;
  const listeners: ((policies: ReadonlySet<string> | 'all') => void)[] = [];
  const asked: string[] = [];
  const totals: AckTotals = {
    enforcing: (uid) => asked.push(uid),
    problems: () => [],
    onChange: (listener) => void listeners.push(listener),
    synced: () => true,
    stop: async () => undefined,
  };
  for (const name of ['p', 'q']) state.policies.put(policy(name));
  await control.settle();
  const writer = startStatusWriter({
    ...control,
    client: { patch: async () => ({}) } as unknown as KubeClient,
    logger: silentLogger,
    totals,
    leading: () => true,
    ownNamespace: 'sidegate-system',
  });
  await clock.advanceAsync(3_000);
  asked.length = 0;
  for (const tell of listeners) tell(new Set(['p-q', 'of-another-kind']));
  await clock.advanceAsync(3_000);
  expect(asked).toEqual(['p-q']);
  for (const tell of listeners) tell('all');
  await clock.advanceAsync(3_000);
  expect(asked.slice(1).sort()).toEqual(['p-p', 'p-q']);
  await writer.close();
});

test('the writer patches once for a change, only as the leader, and nothing where nothing differs', async () => {
  const control = await fakeControl(fakeClock());
  const { state, clock, directory } = control;
  let leading = false;
  let enforcing = 0;
  const changed: ((policies: 'all') => void)[] = [];
  const totals: AckTotals = {
    enforcing: () => enforcing,
    problems: () => [],
    onChange: (listener) => void changed.push(listener),
    synced: () => true,
    stop: async () => undefined,
  };
  const patches: { name: string; status: { enforced: string } }[] = [];
  state.policies.put(policy('p'));
  for (let at = 0; at < 10; at++) state.pods.put(pod(`a${at}`));
  await control.settle();
  const writer = startStatusWriter({
    ...control,
    client: {
      patch: async (
        _resource: unknown,
        { name }: { name: string },
        { body }: { body: { status: { enforced: string } } },
      ) => {
        patches.push({ name, status: body.status });
        state.policies.put(policy(name, allowAll, { status: body.status }));
        return body;
      },
    } as unknown as KubeClient,
    logger: silentLogger,
    totals,
    leading: () => leading,
    ownNamespace: 'sidegate-system',
    sidecarImage: () => 'sidegate:2',
  });
  await clock.advanceAsync(120_000);
  expect(patches).toEqual([]);
  leading = true;
  for (; enforcing < 10; enforcing++) {
    for (const tell of changed) tell('all');
    await clock.advanceAsync(100);
  }
  for (const tell of changed) tell('all');
  await clock.advanceAsync(3_000);
  expect(patches.length).toBeLessThanOrEqual(3);
  expect(patches.at(-1)?.status).toMatchObject({ enforced: '10/10' });
  const before = patches.length;
  await clock.advanceAsync(600_000);
  expect(patches.length).toBe(before);
  const sidecar = { name: 'sidegate', image: 'sidegate:2', restartPolicy: 'Always' };
  state.pods.put(pod('another', { spec: { initContainers: [sidecar] } }));
  await clock.advanceAsync(3_000);
  expect(patches.at(-1)?.status).toMatchObject({ enforced: '10/11', pods: { selected: 11, outdated: 10 } });
  // One that is ending serves to its end: it counts among those that are behind, and is named.
  const ending = pod('ending');
  state.pods.put({ ...ending, metadata: { ...ending.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } });
  state.pods.put(pod('finished', { status: { phase: 'Succeeded' } }));
  await clock.advanceAsync(3_000);
  expect(patches.at(-1)?.status).toMatchObject({
    enforced: '10/12',
    conditions: expect.arrayContaining([
      expect.objectContaining({
        type: 'Enforced',
        reason: 'PodsBehind',
        message: expect.stringMatching(/^10 of 12 pods enforce generation 1 \(1 of the 12 is ending\)\./),
      }),
    ]),
  });
  await writer.close();
  directory.stop();
});
