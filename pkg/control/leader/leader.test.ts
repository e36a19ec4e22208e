import { describe, expect, test } from '@jest/globals';
import { silentLogger } from '../../base/index.ts';
import { KubeError } from '../../kube/index.ts';
import type { KubeClient } from '../../kube/index.ts';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { podFact } from '../facts/pod-fact.ts';
import { allowAll, clusterPolicy, fakeControl, pod, policy } from '../testing/fake-state.ts';
import { networkPoliciesOf } from './network-policy.ts';
import type { ClosedReason } from './closed-pods.ts';
import { startNamespaceKeeper } from './namespace-keeper.ts';
import { startRepair } from './repair.ts';

const fact = (...args: Parameters<typeof pod>) => podFact(pod(...args));
const portsOf = (policies: ReturnType<typeof networkPoliciesOf>) =>
  policies.map(({ spec }) => [spec.podSelector.matchLabels, spec.ingress[0].ports.map((one) => one.port)]);

describe('NetworkPolicies', () => {
  test('one for a workload, whatever its revision; with Redirect the model’s ports, with NamedPort the sidecar’s', () => {
    const named = { annotations: { 'sidegate.dev/injected': '{"mode":"NamedPort"}' }, labels: { app: 'ollama' } };
    const policies = networkPoliciesOf('ml', [
      fact('a', { labels: { 'pod-template-hash': 'x' } }),
      fact('b', { labels: { 'pod-template-hash': 'y' } }),
      fact('c', named),
    ]);
    expect(portsOf(policies)).toEqual([
      [{ app: 'llama', 'sidegate.dev/inference': 'true' }, [8000, 17490, 17491]],
      [{ app: 'ollama', 'sidegate.dev/inference': 'true' }, [17400, 17490, 17491]],
    ]);
    expect(new Set(policies.map((one) => one.metadata.name)).size).toBe(2);
    for (const { spec } of policies) expect(spec.policyTypes).toEqual(['Ingress']);
  });

  test('equal pods give equal names, in any order; pods that have ended, have no sidecar or are not governed count not', () => {
    const pods = [fact('a'), fact('b', { labels: { app: 'vllm' } })];
    const names = (list: typeof pods) =>
      networkPoliciesOf('ml', list)
        .map((one) => one.metadata.name)
        .sort();
    expect(names(pods)).toEqual(names([...pods].reverse()));
    expect(
      networkPoliciesOf('ml', [
        fact('a', { status: { phase: 'Succeeded' } }),
        fact('b', { spec: { initContainers: [] } }),
        fact('c', { labels: { 'sidegate.dev/inference': 'no' } }),
      ]),
    ).toEqual([]);
  });

  test('are written also where the root cannot be, for a quota say', async () => {
    const clock = fakeClock();
    const control = await fakeControl(clock);
    const written: string[] = [];
    let full = true;
    const keeper = startNamespaceKeeper({
      ...control,
      clock,
      logger: silentLogger,
      client: {
        page: async () => ({ items: [], resourceVersion: '1', continueToken: undefined }),
        watch: (_path: string, { signal }: { signal: AbortSignal }) =>
          new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('ended')))),
        find: async () => undefined,
        patch: async ({ plural }: { plural: string }) => {
          if (full && plural === 'configmaps') throw new KubeError('refused', 'exceeded quota', { status: 403 });
          written.push(plural);
        },
      } as unknown as KubeClient,
      ownNamespace: 'sidegate-system',
      governNamespaces: 'Auto',
      bundle: () => 'pem',
      leading: () => true,
      networkPolicies: true,
    });
    control.state.pods.put(pod('a'));
    await clock.advanceAsync(5_000);
    expect(written).toContain('networkpolicies');
    expect(written).not.toContain('configmaps');
    full = false;
    await clock.advanceAsync(600_000);
    expect(written).toContain('configmaps');
    await keeper.close();
  });

  test('the last pod of a workload keeps its policy while it is ending: it serves to its end', () => {
    const ending = pod('a');
    const now = podFact({ ...ending, metadata: { ...ending.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } });
    expect(networkPoliciesOf('ml', [now])).toEqual(networkPoliciesOf('ml', [fact('a')]));
  });

  test('what injection leaves open for a mesh or a wrapper stays open', () => {
    const spec = (args: readonly string[]) => ({
      initContainers: [
        { name: 'sidegate-init', args: ['init', '--ports', '8012:17400', ...args] },
        { name: 'sidegate' },
      ],
    });
    const of = (args: readonly string[]) => portsOf(networkPoliciesOf('ml', [fact('a', { spec: spec(args) })]))[0]?.[1];
    expect(of(['--allow-tcp', '8022,9090,9091'])).toEqual([8000, 8022, 9090, 9091, 17490, 17491]);
    expect(of(['--allow-tcp', '8000'])).toEqual([8000, 17490, 17491]);
    expect(of(['--allow-tcp', '0,70000,x'])).toEqual([8000, 17490, 17491]);
    expect(of(['--allow-tcp'])).toEqual([8000, 17490, 17491]);
  });

  test('so it does with NamedPort, as injection wrote it down', () => {
    const of = (open: string) =>
      portsOf(
        networkPoliciesOf('ml', [
          fact('a', {
            annotations: { 'sidegate.dev/injected': '{"mode":"NamedPort"}', 'sidegate.dev/open-ports': open },
          }),
        ]),
      )[0]?.[1];
    expect(of('15021,15090')).toEqual([15021, 15090, 17400, 17490, 17491]);
    expect(of('0,70000,x')).toEqual([17400, 17490, 17491]);
  });

  test('a namespace with very many workloads has one for all', () => {
    const pods = Array.from({ length: 60 }, (_, at) =>
      fact(`a${at}`, {
        labels: { app: `app-${at}` },
        annotations: { 'sidegate.dev/port-map': `{"${8000 + at}":17400}` },
      }),
    );
    const policies = networkPoliciesOf('ml', pods);
    expect(policies).toHaveLength(1);
    expect(policies[0]?.spec.podSelector.matchLabels).toEqual({ 'sidegate.dev/inference': 'true' });
    expect(policies[0]?.spec.ingress[0].ports).toHaveLength(62);
  });
});

describe('a pod’s facts', () => {
  test.each([
    ['not JSON', 'x'],
    ['a list', '[1]'],
    ['names and odd ports', '{"http":1,"0":5,"70000":1,"8000":"17400","8001":70000}'],
    ['very long', `{"8000":17400${' '.repeat(20_000)}}`],
    ['a port twice', '{"8000":17400,"8000":1}'],
  ])('a port map that is %s is none', (_what, text) => {
    expect(fact('a', { annotations: { 'sidegate.dev/port-map': text } }).portMap).toEqual({});
  });

  test('whatever the object looks like, reading it does not throw', () => {
    for (const odd of [undefined, null, 1, 'x', [], [null], { initContainers: 'x' }, { podIPs: [1, null, {}] }]) {
      const raw = { metadata: { name: 'a', labels: odd, annotations: odd }, spec: odd, status: odd };
      expect(podFact(raw as never)).toMatchObject({ name: 'a', governed: false, sidecar: false });
    }
  });
});

describe('repair', () => {
  async function setUp(evict: boolean) {
    const control = await fakeControl(fakeClock());
    const told: string[] = [];
    const notes = new Map<string, string>();
    const closed = new Map<ClosedReason, number>();
    const evicted: unknown[] = [];
    const state: { leading: boolean; budget: boolean; kept?: RegExp } = { leading: true, budget: true };
    const repair = startRepair({
      ...control,
      client: {
        request: async (call: { path: string; body?: unknown }) => {
          if (!state.budget || state.kept?.test(call.path))
            throw new KubeError('refused', 'disruption budget', { status: 429 });
          evicted.push([call.path, (call.body as { deleteOptions: object }).deleteOptions]);
          return undefined;
        },
      } as unknown as KubeClient,
      logger: silentLogger,
      events: {
        record(about, { reason, note }) {
          told.push(`${about.metadata.name} ${reason}`);
          notes.set(about.metadata.name, note);
        },
        close: async () => undefined,
      },
      ownNamespace: 'sidegate-system',
      leading: () => state.leading,
      evict,
      onClosed: (reason, pods) => void closed.set(reason, pods),
    });
    return { ...control, repair, told, notes, closed, evicted, flags: state };
  }
  const bare = { spec: { initContainers: [] } };

  test('tells of labelled pods without a sidecar, and of sidecars that do not become ready', async () => {
    const { state, clock, repair, told, evicted } = await setUp(false);
    state.pods.put(pod('good'));
    state.pods.put(pod('bare', bare));
    state.pods.put(pod('done', { ...bare, status: { phase: 'Failed' } }));
    state.pods.put(pod('own', { ...bare, namespace: 'sidegate-system' }));
    state.pods.put(pod('slow', { status: { initContainerStatuses: [{ name: 'sidegate', ready: false }] } }));
    await clock.advanceAsync(31_000);
    expect([repair.withoutSidecar, repair.unhealthySidecar, [...new Set(told)]]).toEqual([
      1,
      0,
      ['bare SidecarMissing'],
    ]);
    await clock.advanceAsync(330_000);
    expect([repair.withoutSidecar, repair.unhealthySidecar]).toEqual([1, 1]);
    expect(told).toContain('slow SidecarNotReady');
    state.pods.put(pod('slow'));
    state.pods.remove('ml/bare');
    await clock.advanceAsync(31_000);
    expect([repair.withoutSidecar, repair.unhealthySidecar, evicted]).toEqual([0, 0, []]);
    await repair.close();
  });

  test('a sidecar that crashes before the model starts is not ready either; a pod whose init containers take long is left', async () => {
    const { state, clock, repair } = await setUp(false);
    const pending = (restartCount: number) => ({
      phase: 'Pending',
      podIPs: [{ ip: '10.0.0.7' }],
      initContainerStatuses: [{ name: 'sidegate', ready: false, restartCount }],
    });
    state.pods.put(pod('crashes', { status: pending(3) }));
    state.pods.put(pod('loads', { status: pending(0) }));
    await clock.advanceAsync(361_000);
    expect(repair.unhealthySidecar).toBe(1);
    await repair.close();
  });

  test('asked to, it evicts who has a sidecar that crashes; who is kept does not stand before the others', async () => {
    const { state, clock, repair, evicted, flags } = await setUp(true);
    const unready = (restartCount: number) => ({
      status: { phase: 'Running', initContainerStatuses: [{ name: 'sidegate', ready: false, restartCount }] },
    });
    state.pods.put(pod('crashes', unready(4)));
    // It has no policy, say: its successor would have none either.
    state.pods.put(pod('waits', unready(0)));
    // Restarts of long ago, by an upgrade: now it waits for the recorder, with lines that it has not sent.
    state.pods.put(pod('upgraded', unready(3)));
    state.pods.put(pod('killed', unready(0)));
    await clock.advanceAsync(61_000);
    expect(evicted).toEqual([]);
    // Killed once or twice, for its memory say: since then it only waits.
    state.pods.put(pod('killed', unready(1)));
    // As the kubelet starts it again at its slowest.
    for (let restarts = 5; restarts < 8; restarts++) {
      expect(evicted).toEqual([]);
      state.pods.put(pod('crashes', unready(restarts)));
      await clock.advanceAsync(330_000);
    }
    expect(JSON.stringify(evicted)).toContain('/crashes/eviction');
    expect(JSON.stringify(evicted)).not.toMatch(/\/waits\/|\/upgraded\/|\/killed\//);
    expect(repair.unhealthySidecar).toBe(4);
    for (const name of ['crashes', 'waits', 'upgraded', 'killed']) state.pods.remove(`ml/${name}`);
    evicted.length = 0;
    flags.kept = /bare[012]\//;
    for (let at = 0; at < 6; at++) state.pods.put(pod(`bare${at}`, bare));
    await clock.advanceAsync(60_000);
    expect(JSON.stringify(evicted)).toMatch(/bare3.*bare4.*bare5/);
    await repair.close();
  });

  test('a sidecar that crashes now and then, and waits between, is left', async () => {
    const { state, clock, repair, evicted } = await setUp(true);
    for (let restartCount = 0; restartCount < 6; restartCount++) {
      const states = [{ name: 'sidegate', ready: false, restartCount }];
      state.pods.put(pod('rarely', { status: { phase: 'Running', initContainerStatuses: states } }));
      await clock.advanceAsync(1_200_000);
    }
    expect([repair.unhealthySidecar, evicted.length]).toEqual([1, 0]);
    await repair.close();
  });

  test('tells of pods whose namespace nobody labelled, with the command that does', async () => {
    const { state, clock, repair, told, closed } = await setUp(false);
    state.namespaces.put({ metadata: { name: 'new' } });
    state.pods.put(pod('waits', { namespace: 'new' }));
    // Its successor would wait, too; it does not.
    state.pods.put(pod('old', { namespace: 'new', ...bare }));
    state.pods.put(pod('good'));
    await clock.advanceAsync(31_000);
    expect([...new Set(told)].sort()).toEqual([
      'old NamespaceNotGoverned',
      'old SidecarMissing',
      'waits NamespaceNotGoverned',
    ]);
    expect(closed.get('namespace')).toBe(1);
    await repair.close();
  });

  test('says of a pod why it is closed, where the controller knows: by an Event and by counts', async () => {
    const { state, clock, repair, told, notes, closed, setSecret, failing } = await setUp(false);
    const unready = { status: { initContainerStatuses: [{ name: 'sidegate', ready: false }] } };
    const labels = (app: string) => ({ labels: { app } });
    const serving = (app: string, secretName: string, more = {}) =>
      policy(app, { selector: { matchLabels: { app } }, tls: { certificate: { secretName } }, ...allowAll, ...more });
    setSecret('ml/odd', { 'tls.crt': 'CERT', 'tls.key': 'KEY' });
    failing.add('ml/unread');
    for (const name of ['gone', 'odd', 'unread']) state.policies.put(serving(name, name));
    state.policies.put(policy('broken', { selector: { matchLabels: { app: 'broken' } }, fromTheFuture: true }));
    state.clusterPolicies.put(
      clusterPolicy('floor', { selector: { matchLabels: { app: 'floor' } }, fromTheFuture: true }),
    );
    for (const app of ['gone', 'odd', 'unread', 'broken', 'floor']) {
      state.pods.put(pod(app, { ...labels(app), ...unready }));
      // Ready by what it has had before.
      state.pods.put(pod(`${app}-before`, labels(app)));
    }
    // Older than Sidegate: no policy closes it.
    state.pods.put(pod('old', { ...labels('broken'), ...bare }));
    state.pods.put(pod('old-floor', { ...labels('floor'), ...bare }));
    const young = pod('young', { ...labels('floor'), ...unready });
    state.pods.put({
      ...young,
      metadata: { ...young.metadata, creationTimestamp: new Date(clock.now()).toISOString() },
    });
    state.pods.put(pod('good', labels('good')));
    await clock.advanceAsync(6_000);
    expect([...new Set(told)].sort()).toEqual([
      'broken PolicyUnusable',
      'broken-before PolicyUnusable',
      'floor PolicyUnusable',
      'gone CertificateMissing',
      'gone-before CertificateMissing',
      'odd CertificateUnusable',
      'odd-before CertificateUnusable',
      'old SidecarMissing',
      'old-floor SidecarMissing',
      'unread CertificatePending',
    ]);
    expect(notes.get('broken')).toMatch(/^It denies everything: broken cannot be used: .*fromTheFuture/);
    // What the platform wrote is not the namespace's to read.
    expect(notes.get('floor')).not.toContain('fromTheFuture');
    expect(notes.get('odd')).toBe(
      'The certificate of Secret odd cannot be served: there is no certificate that can be read.',
    );
    expect(Object.fromEntries(closed)).toEqual({
      ...{ namespace: 0, platform_policy: 1, denied: 2 },
      ...{ certificate_missing: 2, certificate_unusable: 2, certificate_pending: 1 },
    });
    await clock.advanceAsync(30_000);
    expect(told).toContain('young PolicyUnusable');
    for (const name of ['broken', 'gone', 'odd', 'unread']) state.policies.remove(`ml/${name}`);
    state.clusterPolicies.remove('floor');
    await clock.advanceAsync(31_000);
    expect([...closed.values()].every((count) => count === 0)).toBe(true);
    await repair.close();
  });

  test('asked to, it evicts a few at a time, that very pod, only as the leader, and bears a refusal', async () => {
    const { state, clock, repair, evicted, flags } = await setUp(true);
    state.pods.put(pod('fixed', { ...bare, annotations: { 'kubernetes.io/config.mirror': 'x' } }));
    for (let at = 0; at < 8; at++) state.pods.put(pod(`bare${at}`, bare));
    state.pods.put(pod('system', { ...bare, namespace: 'kube-system' }));
    flags.leading = false;
    await clock.advanceAsync(61_000);
    expect(evicted).toEqual([]);
    flags.leading = true;
    flags.budget = false;
    await clock.advanceAsync(30_000);
    flags.budget = true;
    await clock.advanceAsync(30_000);
    expect(evicted).toHaveLength(3);
    expect(JSON.stringify(evicted)).not.toContain('fixed');
    expect(evicted[0]).toEqual(['/api/v1/namespaces/ml/pods/bare3/eviction', { preconditions: { uid: 'uid-bare3' } }]);
    await repair.close();
    await clock.advanceAsync(120_000);
    expect(evicted).toHaveLength(3);
  });
});
