import { describe, expect, test } from '@jest/globals';
import { combination } from './combination.ts';
import { compileSnapshot } from './compile.ts';
import { explain } from './explain.ts';
import type { Operation } from './operation.ts';
import type { Policy, PolicySpec, RecordedContent, RouteSpec, ServiceSpec } from './policy.ts';
import { profiles } from './profiles.ts';
import type { Snapshot } from './snapshot.ts';
import {
  allow,
  anyone,
  authenticated,
  caller,
  clusterPolicy,
  deny,
  group,
  guard,
  label,
  oidc,
  policy,
  provider,
  subject,
} from './testing/policies.ts';

const compile = (...policies: Policy[]): Snapshot => compileSnapshot(policies, { revision: 7 });
const port = (containerPort: number) =>
  ({ containerPort, protocol: 'Auto', caSecretRef: undefined, serverName: undefined }) as const;
const key = (name: string) =>
  ({
    source: { kind: 'Secret', namespace: 'ml', name, key: 'k' },
    use: { kind: 'Header', header: 'authorization', prefix: 'Bearer ' },
  }) as const;
const upstream = (more: Partial<NonNullable<PolicySpec['upstream']>>) => ({
  ports: [],
  hosted: undefined,
  credential: undefined,
  ...more,
});
const tls = (more: Partial<NonNullable<PolicySpec['tls']>>) => ({
  inbound: undefined,
  minVersion: undefined,
  certificate: undefined,
  ...more,
});
const requestLimits = (more: Partial<NonNullable<PolicySpec['requestLimits']>>) => ({
  maxBodyBytes: undefined,
  bodyTimeoutMs: undefined,
  upstreamIdleMs: undefined,
  ...more,
});
const approvals = (more: Partial<NonNullable<PolicySpec['approvals']>>) => ({
  approvers: [],
  required: undefined,
  timeoutMs: undefined,
  maxGrantMs: undefined,
  ...more,
});
const approver = (name: string) => ({ ...group(name), kubernetesGroup: undefined, kubernetesUser: undefined });
const analyzer = (more: object) =>
  ({ name: 'ner', url: 'https://a', timeoutMs: 300, failureMode: 'Allow', ...more }) as const;

describe('a snapshot', () => {
  test('says where it comes from', () => {
    const snapshot = compile(policy('p', {}, { generation: 7 }), clusterPolicy('base', {}, { generation: 3 }));
    expect(snapshot.generation).toBe('cluster/base@3+p@7');
    expect(snapshot.revision).toBe(7);
    expect(snapshot.sources).toEqual([
      { kind: 'ClusterInferencePolicy', uid: 'uid-base', namespace: undefined, name: 'base', generation: 3 },
      { kind: 'InferencePolicy', uid: 'uid-p', namespace: 'ml', name: 'p', generation: 7 },
    ]);
    expect(snapshot.hash).toMatch(/^[0-9a-f]{64}$/);
  });

  test('has one hash for one set of policies, in any order, and another when anything changes', () => {
    const a = policy('a');
    const b = policy('b');
    expect(compile(a, b).hash).toBe(compile(b, a).hash);
    expect(compile(a, b).hash).not.toBe(compile(a, policy('b', { onUnknown: 'Deny' })).hash);
  });

  test('enforces where any policy does, and where there is none', () => {
    expect(compile().enforcing).toBe(true);
    expect(compile(policy('p', { mode: 'Observe' })).enforcing).toBe(false);
    expect(compile(policy('p', { mode: 'Observe' }), policy('q')).enforcing).toBe(true);
  });

  test('holds only policies that select the pod', () => {
    const policies = [
      policy('app', { selector: { matchLabels: { app: 'llama' }, matchExpressions: [] } }),
      policy('other', { selector: { matchLabels: { app: 'gpt' }, matchExpressions: [] } }),
      policy('elsewhere', {}, { namespace: 'x' }),
      clusterPolicy('prod', { namespaceSelector: { matchLabels: { tier: 'prod' }, matchExpressions: [] } }),
      clusterPolicy('dev', { namespaceSelector: { matchLabels: { tier: 'dev' }, matchExpressions: [] } }),
    ];
    const pod = { revision: 1, podLabels: { app: 'llama' }, namespaceLabels: { tier: 'prod' }, namespace: 'ml' };
    expect(compileSnapshot(policies, pod).generation).toBe('cluster/prod@1+app@1');
    expect(compileSnapshot(policies, { ...pod, podLabels: {}, namespace: 'y', namespaceLabels: {} }).generation).toBe(
      'none',
    );
  });

  test('is refused for a namespace whose name stands for the platform, and for two namespaces', () => {
    expect(() => compile(policy('p', {}, { namespace: 'cluster' }))).toThrow('stands for the platform');
    expect(() => compile(policy('p'), policy('q', {}, { namespace: 'x' }))).toThrow('one pod is in one namespace');
  });
});

/** A row of the table: how it is read from a spec, the values from stricter to laxer, and where it comes out. */
const ordered: [string, readonly unknown[], (value: never) => Partial<PolicySpec>, (snapshot: Snapshot) => unknown][] =
  [
    ['tls.inbound', ['Mutual', 'Required', 'Optional'], (inbound) => ({ tls: tls({ inbound }) }), (s) => s.tls.inbound],
    ['tls.minVersion', ['TLSv1.3', 'TLSv1.2'], (minVersion) => ({ tls: tls({ minVersion }) }), (s) => s.tls.minVersion],
    ['onUnknown', ['Deny', 'Buffer'], (onUnknown) => ({ onUnknown }), (s) => s.onUnknown],
    [
      'audit.onFailure',
      ['Deny', 'Allow'],
      (onFailure) => ({ audit: { content: undefined, onFailure } }),
      (s) => s.audit.onFailure,
    ],
    [
      'requestLimits.maxBodyBytes',
      [10, 20],
      (maxBodyBytes) => ({ requestLimits: requestLimits({ maxBodyBytes }) }),
      (s) => s.requestLimits.maxBodyBytes,
    ],
    [
      'requestLimits.bodyTimeout',
      [10, 20],
      (bodyTimeoutMs) => ({ requestLimits: requestLimits({ bodyTimeoutMs }) }),
      (s) => s.requestLimits.bodyTimeoutMs,
    ],
    [
      'requestLimits.upstreamIdle',
      [10, 20],
      (upstreamIdleMs) => ({ requestLimits: requestLimits({ upstreamIdleMs }) }),
      (s) => s.requestLimits.upstreamIdleMs,
    ],
    ['cors.maxAge', [10, 20], (maxAgeMs) => ({ cors: { origins: [], maxAgeMs } }), (s) => s.cors?.maxAgeMs],
    [
      'approvals.required',
      [3, 2, 1],
      (required) => ({ approvals: approvals({ required }) }),
      (s) => s.approvals?.required,
    ],
    [
      'approvals.timeout',
      [10, 20],
      (timeoutMs) => ({ approvals: approvals({ timeoutMs }) }),
      (s) => s.approvals?.timeoutMs,
    ],
    [
      'approvals.maxGrant',
      [10, 20],
      (maxGrantMs) => ({ approvals: approvals({ maxGrantMs }) }),
      (s) => s.approvals?.maxGrantMs,
    ],
    [
      'analyzers[ner].timeout',
      [10, 20],
      (timeoutMs) => ({ analyzers: [analyzer({ timeoutMs })] }),
      (s) => s.analyzers[0]?.timeoutMs,
    ],
    [
      'analyzers[ner].failureMode',
      ['Deny', 'Allow'],
      (failureMode) => ({ analyzers: [analyzer({ failureMode })] }),
      (s) => s.analyzers[0]?.failureMode,
    ],
  ];

describe('values with an order', () => {
  test.each(ordered)('%s: the stricter wins, whoever says it, and the other is named', (field, values, write, read) => {
    values.forEach((a, i) =>
      values.forEach((b, j) => {
        const snapshot = compile(policy('p', write(a as never)), clusterPolicy('base', write(b as never)));
        expect(read(snapshot)).toBe(values[Math.min(i, j)]);
        const lost = snapshot.notices.filter((notice) => notice.field === field).map((notice) => notice.policy);
        expect(lost).toEqual(i === j ? [] : [i < j ? 'cluster/base' : 'p']);
      }),
    );
  });

  test.each(ordered)('%s: unset takes no part', (_, values, write, read) => {
    for (const value of values) {
      expect(read(compile(policy('p', write(value as never)), clusterPolicy('base')))).toBe(value);
    }
  });

  test('maxPolicyAge: the smaller of those that cluster policies say, 24 h where none does; never a namespace’s', () => {
    const age = (maxPolicyAgeMs: number) => ({ maxPolicyAgeMs });
    const day = 86_400_000;
    expect(compile().maxPolicyAgeMs).toBe(day);
    expect(compile(policy('p', age(1)), policy('q', { profile: 'Relaxed' })).maxPolicyAgeMs).toBe(day);
    expect(compile(policy('p', age(3 * day)), clusterPolicy('base')).maxPolicyAgeMs).toBe(day);
    expect(compile(policy('p'), clusterPolicy('base', age(3 * day))).maxPolicyAgeMs).toBe(3 * day);
    const two = compile(clusterPolicy('a', age(3 * day)), clusterPolicy('b', age(2 * day)));
    expect(two.maxPolicyAgeMs).toBe(2 * day);
    expect(two.notices).toContainEqual(
      expect.objectContaining({ policy: 'cluster/a', field: 'maxPolicyAge', by: 'cluster/b' }),
    );
    const observing = clusterPolicy('o', { ...age(1), mode: 'Observe' });
    expect(compile(policy('p'), observing).maxPolicyAgeMs).toBe(day);
  });

  test('audit.content: the cluster’s stands; of one level the one that keeps less', () => {
    const audit = (content: RecordedContent) => ({ audit: { content, onFailure: undefined } });
    const values = ['None', 'Sealed', 'Masked', 'Full'] as const;
    values.forEach((a, i) =>
      values.forEach((b, j) => {
        expect(compile(policy('p', audit(a)), clusterPolicy('base', audit(b))).audit.content).toBe(b);
        expect(compile(policy('p', audit(a)), policy('q', audit(b))).audit.content).toBe(values[Math.min(i, j)]);
        expect(compile(clusterPolicy('x', audit(a)), clusterPolicy('y', audit(b))).audit.content).toBe(
          values[Math.min(i, j)],
        );
      }),
    );
  });

  test('audit.sealTo: of the level whose content stands, and of no record that is not in full', () => {
    const full = (sealTo: string) => ({ audit: { content: 'Full', sealTo, onFailure: undefined } as const });
    const masked = { audit: { content: 'Masked', onFailure: undefined } as const };
    const own = policy('p', full('own'), { createdAt: 1 });
    expect(compile(own).audit.sealTo).toBe('own');
    // A namespace cannot have the platform's record sealed to a key of its own.
    expect(compile(own, clusterPolicy('base', full('platform'))).audit.sealTo).toBe('platform');
    expect(compile(own, policy('q', full('other'), { createdAt: 2 })).audit.sealTo).toBe('own');
    for (const less of [policy('q', masked), clusterPolicy('base', masked)])
      expect(compile(own, less).audit).toEqual({ content: 'Masked', onFailure: 'Deny' });
  });

  test('audit.sealTo: of one level, of those that say the content which stands', () => {
    const sealed = (content: 'Full' | 'Sealed', sealTo: string) => ({
      audit: { content, sealTo, onFailure: undefined } as const,
    });
    const older = policy('p', sealed('Full', 'full'), { createdAt: 1 });
    const younger = policy('q', sealed('Sealed', 'sealed'), { createdAt: 2 });
    expect(compile(older, younger).audit).toEqual({ content: 'Sealed', sealTo: 'sealed', onFailure: 'Deny' });
    expect(compile(older, younger, policy('r', sealed('Sealed', 'other'), { createdAt: 3 })).audit.sealTo).toBe(
      'sealed',
    );
    const base = clusterPolicy('base', sealed('Full', 'platform'));
    expect(compile(younger, base).audit).toEqual({ content: 'Full', sealTo: 'platform', onFailure: 'Deny' });
    expect(compile(older, clusterPolicy('base', sealed('Sealed', 'platform'))).audit).toEqual({
      content: 'Sealed',
      sealTo: 'platform',
      onFailure: 'Deny',
    });
  });
});

describe('values without order', () => {
  test('of upstream: the cluster’s, else the oldest policy’s, as one', () => {
    const young = policy('young', { upstream: upstream({ ports: [port(1)] }) }, { createdAt: 2 });
    const old = policy('old', { upstream: upstream({ ports: [port(2)] }) }, { createdAt: 1 });
    const base = clusterPolicy('base', { upstream: upstream({ hosted: { url: 'https://h' } }) }, { createdAt: 3 });
    expect(compile(young, old).upstream?.ports).toEqual([port(2)]);
    expect(compile(young, old, base).upstream).toEqual(upstream({ hosted: { url: 'https://h' } }));
    expect(compile(young, old).notices).toContainEqual(
      expect.objectContaining({ policy: 'young', field: 'upstream.ports, upstream.hosted' }),
    );
  });

  test('a credential never goes to an endpoint that another policy names', () => {
    const base = clusterPolicy('base', {
      upstream: upstream({ hosted: { url: 'https://h' }, credential: key('platform') }),
    });
    const other = policy('p', { upstream: upstream({ hosted: { url: 'https://evil' }, credential: key('own') }) });
    expect(compile(base, other).upstream?.credential).toEqual(key('platform'));
    const bare = clusterPolicy('base', { upstream: upstream({ hosted: { url: 'https://h' } }) });
    const snapshot = compile(bare, policy('p', { upstream: upstream({ credential: key('own') }) }));
    expect(snapshot.upstream?.credential).toBeUndefined();
    expect(snapshot.notices).toContainEqual(expect.objectContaining({ policy: 'p', field: 'upstream.credential' }));
    const ports = clusterPolicy('a', { upstream: upstream({ ports: [port(1)] }) });
    expect(compile(ports, clusterPolicy('b', base.spec)).upstream?.credential).toBeUndefined();
  });

  test('a credential for the pod’s own model may stand in another policy than the ports', () => {
    const ports = clusterPolicy('base', { upstream: upstream({ ports: [port(1)] }) });
    expect(compile(ports, policy('p', { upstream: upstream({ credential: key('own') }) })).upstream).toEqual(
      upstream({ ports: [port(1)], credential: key('own') }),
    );
  });

  test('approvers: the cluster’s list, each said with the provider that it means', () => {
    const own = policy('p', { approvals: approvals({ approvers: [approver('mine')] }) });
    const base = clusterPolicy('base', { approvals: approvals({ approvers: [approver('leads')] }) });
    expect(compile(own, base).approvals?.approvers).toEqual([
      { ...approver('leads'), provider: 'cluster/base/base-idp' },
    ]);
  });

  test('the certificate is the cluster’s', () => {
    const own = policy('p', { tls: tls({ certificate: { secretName: 'a' } }) });
    const base = clusterPolicy('base', { tls: tls({ certificate: { secretName: 'b' } }) });
    const { effective } = explain(
      [own, base],
      { caller: undefined, operation: 'Chat', model: undefined },
      { revision: 1 },
    );
    expect(effective).toContainEqual({ field: 'tls.certificate', value: { secretName: 'b' }, from: 'cluster/base' });
  });
});

describe('origins of pages', () => {
  const may = (...origins: readonly string[]): Partial<PolicySpec> => ({ cors: { origins, maxAgeMs: undefined } });
  const origins = (...policies: Parameters<typeof compile>) => compile(...policies).cors?.origins;

  test('are those that every policy lists that speaks of them', () => {
    expect(origins(policy('p'))).toBeUndefined();
    expect(origins(policy('p', may('a', 'b')), clusterPolicy('base'))).toEqual(['a', 'b']);
    expect(origins(policy('p', may('a', 'b')), clusterPolicy('base', may('c', 'b')))).toEqual(['b']);
    expect(origins(policy('p', may('a')), policy('q', may('b')))).toEqual([]);
    expect(origins(policy('p', may('a')), clusterPolicy('base', may()))).toEqual([]);
  });

  test('of a policy that observes beside one that enforces do not count', () => {
    expect(origins(policy('p', { mode: 'Observe', ...may('a') }), policy('q'))).toBeUndefined();
    expect(origins(policy('p', { mode: 'Observe', ...may() }), policy('q', may('a')))).toEqual(['a']);
  });

  test('that were lost are named', () => {
    const { notices } = compile(policy('p', may('a', 'b')), clusterPolicy('base', may('b')));
    expect(notices.filter(({ field }) => field === 'cors.origins')).toMatchObject([
      { policy: 'p', by: 'cluster/base' },
    ]);
  });
});

describe('profiles', () => {
  test.each(['Strict', 'Standard', 'Relaxed'] as const)('%s fills what no policy says', (profile) => {
    const snapshot = compile(policy('p', { profile, approvals: approvals({}) }));
    const values = profiles[profile];
    expect(snapshot.tls).toEqual({ inbound: values['tls.inbound'], minVersion: values['tls.minVersion'] });
    expect(snapshot.onUnknown).toBe(values.onUnknown);
    expect(snapshot.audit).toEqual({ content: values['audit.content'], onFailure: values['audit.onFailure'] });
    expect(snapshot.requestLimits.maxBodyBytes).toBe(values['requestLimits.maxBodyBytes']);
    expect(snapshot.approvals).toMatchObject({
      required: values['approvals.required'],
      timeoutMs: values['approvals.timeoutMs'],
    });
  });

  test('the stricter of several wins, Standard where none is named', () => {
    expect(compile(policy('p', { profile: 'Relaxed' }), clusterPolicy('b', { profile: 'Strict' })).tls.minVersion).toBe(
      'TLSv1.3',
    );
    expect(compile(policy('p')).requestLimits.maxBodyBytes).toBe(8 * 1024 * 1024);
  });

  test('never override what a policy says', () => {
    expect(compile(policy('p', { profile: 'Strict', tls: tls({ minVersion: 'TLSv1.2' }) })).tls.minVersion).toBe(
      'TLSv1.2',
    );
  });
});

describe('values of observing policies', () => {
  test('are not used beside one that enforces', () => {
    const watching = clusterPolicy('base', {
      mode: 'Observe',
      tls: tls({ inbound: 'Mutual' }),
      profile: 'Strict',
      requestLimits: requestLimits({ maxBodyBytes: 1 }),
    });
    const snapshot = compile(watching, policy('p'));
    expect(snapshot.tls).toEqual({ inbound: 'Required', minVersion: 'TLSv1.2' });
    expect(snapshot.requestLimits.maxBodyBytes).toBe(8 * 1024 * 1024);
  });

  test('refuse nothing when all observe', () => {
    const snapshot = compile(
      policy('p', { mode: 'Observe', profile: 'Strict', requestLimits: requestLimits({ maxBodyBytes: 1 }) }),
    );
    expect(snapshot.tls.minVersion).toBe('TLSv1.2');
    expect(snapshot.requestLimits.maxBodyBytes).toBe(32 * 1024 * 1024);
  });
});

describe('Mutual without a provider of client certificates', () => {
  const says = (...policies: readonly Policy[]): unknown =>
    compile(...policies)
      .notices.filter(({ message }) => message.includes('certificate_required'))
      .map((one) => one.policy);
  const mutual = { tls: tls({ inbound: 'Mutual' as const }) };

  test('is said of each policy that asks for it, as nobody can connect; one provider of any policy ends it', () => {
    const clientCertificate = {
      ca: { kind: 'File', path: '/ca' },
      subjectFrom: 'Auto',
      groupsFrom: 'None',
    } as const;
    const mesh = [provider('mesh', { oidc: undefined, clientCertificate })];
    expect(says(policy('p', mutual), policy('q', {}))).toEqual(['p']);
    expect(says(policy('p', mutual), clusterPolicy('c', { providers: mesh }))).toEqual([]);
    expect(says(policy('p', {}))).toEqual([]);
    expect(says(policy('p', { ...mutual, mode: 'Observe' }))).toEqual([]);
  });
});

describe('providers that prove fewer than they seem to', () => {
  const noticesOf = (...policies: readonly Policy[]): readonly string[] =>
    compile(...policies)
      .notices.filter(({ field }) => field.startsWith('identity'))
      .map((one) => `${one.policy} ${one.field} ${one.message}`);
  const idp = (name: string, audience: string, issuer = 'https://idp') =>
    provider(name, { oidc: oidc(issuer, audience) });
  const accounts = (more: { readonly issuer?: string; readonly jwksUri?: string }) => {
    const serviceAccount = {
      issuer: undefined,
      audiences: ['a'],
      jwksUri: undefined,
      ca: undefined,
      allowInsecureLoopback: false,
    };
    return [provider('sa', { oidc: undefined, serviceAccount: { ...serviceAccount, ...more } })];
  };

  test('of one issuer: a token for both is the first one’s alone', () => {
    const floor = clusterPolicy('base', { providers: [idp('corp', 'floor')] });
    const said = (id: string): string => `identity.providers[own] has the same issuer as ${id}, which is asked first`;
    expect(noticesOf(floor, policy('p', { providers: [idp('own', 'team')] }))).toEqual([
      expect.stringContaining(`p ${said('cluster/base/corp')}`),
    ]);
    expect(noticesOf(policy('p', { providers: [idp('one', 'a'), idp('own', 'b')] }))).toEqual([
      expect.stringContaining(`p ${said('ml/p/one')}`),
    ]);
    expect(noticesOf(floor, policy('p', { providers: [idp('own', 'team', 'https://other')] }))).toEqual([]);
  });

  test('service accounts with keys and no issuer', () => {
    const jwksUri = 'https://cluster/keys';
    expect(noticesOf(policy('p', { providers: accounts({ jwksUri }) }))).toEqual([
      expect.stringMatching(/^p identity\.providers\[sa\] has a jwksUri and no issuer, and proves nobody/),
    ]);
    expect(noticesOf(policy('p', { providers: accounts({ jwksUri, issuer: 'https://cluster' }) }))).toEqual([]);
    expect(noticesOf(policy('p', { providers: accounts({}) }))).toEqual([]);
  });
});

describe('two providers with one issuer and audience', () => {
  const idp = (more = {}) => [provider('corp', { oidc: oidc('https://idp', 'inference', more) })];
  const eng = caller('cluster/base/corp', { groups: ['eng'] });
  const chat = (snapshot: Snapshot, who = eng) => snapshot.access({ caller: who, operation: 'Chat', model: 'm' }).kind;

  test('the cluster’s stays, the other is dropped and named', () => {
    const snapshot = compile(
      policy('p', { providers: idp({ groupsClaim: 'mine' }) }),
      clusterPolicy('base', { providers: idp() }),
    );
    expect(snapshot.providers.map((one) => one.id)).toEqual(['cluster/base/corp']);
    expect(snapshot.notices).toContainEqual(
      expect.objectContaining({ policy: 'p', field: 'identity.providers[corp]' }),
    );
  });

  test('one of a policy that observes goes for one that acts, also the cluster’s: it changes nothing for whom the other meets', () => {
    const own = policy('p', {
      providers: idp({ clockSkewMs: 1_000 }),
      access: [allow('r', { subjects: [group('eng')] })],
    });
    const base = clusterPolicy('base', { mode: 'Observe', providers: idp() }, { createdAt: 1 });
    const snapshot = compile(own, base);
    expect(snapshot.providers.map((one) => one.id)).toEqual(['ml/p/corp']);
    expect(chat(snapshot, caller('ml/p/corp', { groups: ['eng'] }))).toBe('allow');
    expect(snapshot.notices).toContainEqual(expect.objectContaining({ policy: 'cluster/base' }));
  });

  test('the cluster’s stays where all observe, also when the other is older', () => {
    const base = clusterPolicy('base', { mode: 'Observe', providers: idp() }, { createdAt: 9000 });
    const own = policy('p', { mode: 'Observe', providers: idp() });
    expect(compile(own, base).providers.map((one) => one.id)).toEqual(['cluster/base/corp']);
  });

  test('with other settings, what the dropped one’s policy allows or shows does not reach the other’s callers', () => {
    const own = policy('p', {
      providers: idp({ groupsClaim: 'mine' }),
      access: [allow('r', { subjects: [group('eng')] })],
      classification: [label('l', { visibleTo: [group('eng')] })],
    });
    const snapshot = compile(own, clusterPolicy('base', { providers: idp() }));
    expect(chat(snapshot)).toBe('deny');
    expect([...snapshot.responsePlan(eng).mask]).toEqual([1]);
  });

  test('with other settings, what the dropped one’s policy forbids does', () => {
    const own = policy('p', {
      providers: idp({ groupsClaim: 'mine' }),
      access: [allow('all'), deny('no', { subjects: [group('eng')] })],
      guards: [guard('g', { subjects: [group('eng')] })],
    });
    const snapshot = compile(own, clusterPolicy('base', { providers: idp() }));
    expect(snapshot.access({ caller: eng, operation: 'Chat', model: 'm' })).toMatchObject({
      kind: 'deny',
      refusal: { rule: 'p/no' },
    });
    expect(snapshot.requestPlan(eng).inspects).toBe(true);
  });

  test('with the same settings they are one provider declared twice', () => {
    const own = policy('p', {
      providers: [{ ...idp()[0]!, name: 'sso' }],
      access: [allow('r', { subjects: [group('eng', 'sso')] })],
    });
    expect(chat(compile(own, clusterPolicy('base', { providers: idp() })))).toBe('allow');
  });

  test('another audience or another issuer is no conflict', () => {
    const own = policy('p', {
      providers: [
        provider('corp', { oidc: oidc('https://idp', 'other') }),
        provider('x', { oidc: oidc('https://idp/') }),
      ],
    });
    expect(compile(own, clusterPolicy('base', { providers: idp() })).providers).toHaveLength(3);
  });

  test('of one namespace the enforcing policy’s stays, then the oldest’s', () => {
    const watching = policy('w', { mode: 'Observe', providers: idp() }, { createdAt: 1 });
    const young = policy('y', { providers: idp() }, { createdAt: 5 });
    const old = policy('o', { providers: idp() }, { createdAt: 3 });
    expect(compile(watching, young, old).providers.map((one) => one.id)).toEqual(['ml/o/corp']);
  });

  test('those that name no issuer conflict only with their like: service accounts with service accounts, one SAML provider with itself', () => {
    const serviceAccount = {
      issuer: undefined,
      audiences: ['inference'],
      jwksUri: undefined,
      ca: undefined,
      allowInsecureLoopback: false,
    };
    const saml = (name: string, idp: string) =>
      provider(name, { oidc: undefined, sidegate: { idp, audiences: ['inference'] } });
    const snapshot = compile(
      policy('p', {
        providers: [
          provider('sa', { oidc: undefined, serviceAccount }),
          saml('okta', 'okta'),
          saml('entra', 'entra'),
          saml('again', 'okta'),
        ],
      }),
    );
    expect(snapshot.providers.map(({ id }) => id)).toEqual(['ml/p/sa', 'ml/p/okta', 'ml/p/entra']);
  });

  test('service accounts of the cluster’s own issuer and certificates of one authority conflict too', () => {
    const accounts = (name: string) =>
      policy(name, {
        providers: [
          provider('sa', {
            oidc: undefined,
            serviceAccount: {
              issuer: undefined,
              audiences: ['a'],
              jwksUri: undefined,
              ca: undefined,
              allowInsecureLoopback: false,
            },
          }),
        ],
      });
    expect(compile(accounts('p'), accounts('q')).providers.map((one) => one.id)).toEqual(['ml/p/sa']);
    const certificates = (name: string) =>
      policy(name, {
        providers: [
          provider('c', {
            oidc: undefined,
            clientCertificate: { ca: { kind: 'File', path: '/ca' }, subjectFrom: 'Auto', groupsFrom: 'None' },
          }),
        ],
      });
    expect(compile(certificates('p'), certificates('q')).providers.map((one) => one.id)).toEqual(['ml/p/c']);
  });
});

describe('rules that cannot fire are named', () => {
  const empty = { detectors: [], patterns: [], words: [] };
  const cases: [string, readonly Policy[], string, string][] = [
    [
      'a subject of a provider that does not exist',
      [policy('p', { access: [allow('r', { subjects: [group('g', 'nope')] })] })],
      'access[r].subjects',
      'no provider nope',
    ],
    [
      'a subject of a platform provider that does not exist',
      [policy('p', { access: [allow('r', { subjects: [group('g', 'cluster/x/y')] })] })],
      'access[r].subjects',
      'no provider cluster/x/y',
    ],
    [
      'subjects of a policy without providers',
      [policy('p', { providers: [], access: [allow('r', { subjects: [authenticated] })] })],
      'access[r].subjects',
      'no provider of this policy',
    ],
    [
      'a guard’s subjects',
      [policy('p', { providers: [], guards: [guard('g', { subjects: [group('x')] })] })],
      'guards[g].subjects',
      'never matches',
    ],
    [
      'a label’s viewers',
      [policy('p', { providers: [], classification: [label('l', { visibleTo: [subject({ scope: 'x' })] })] })],
      'classification[l].visibleTo',
      'never matches',
    ],
    [
      'a guard that looks for nothing',
      [policy('p', { guards: [guard('g', { match: empty })] })],
      'guards[g].match',
      'never finds anything',
    ],
    [
      'a label that looks for nothing',
      [policy('p', { classification: [label('l', { match: empty })] })],
      'classification[l]',
      'never finds anything',
    ],
    [
      'a label of fields alone that is to read requests',
      [policy('p', { classification: [label('l', { match: empty, fields: ['**.ssn'], inRequests: 'Block' })] })],
      'classification[l].inRequests',
      'arguments of tools alone',
    ],
    [
      'an Allow that a Deny covers',
      [policy('p', { access: [allow('r'), deny('no')] })],
      'access[r]',
      'p/no denies all of it',
    ],
    [
      'a model that a Deny covers',
      [policy('p', { access: [allow('r', { models: ['llama-3*', 'gpt'] }), deny('no', { models: ['llama*'] })] })],
      'access[r].models[0]',
      'p/no denies it',
    ],
    [
      'a cluster policy that only denies',
      [clusterPolicy('b', { access: [deny('no', { operations: ['Admin'] })] })],
      'access',
      'has no Allow',
    ],
    [
      'an analyser, which nobody calls yet',
      [policy('p', { analyzers: [{ name: 'ner', url: 'https://a/x', timeoutMs: 300, failureMode: 'Deny' }] })],
      'analyzers[ner]',
      'every inference request is refused',
    ],
    ['policies that allow nothing', [policy('p')], 'access', 'everything is denied'],
  ];
  test.each(cases)('%s', (_, policies, field, message) => {
    expect(compile(...policies).notices).toContainEqual(
      expect.objectContaining({ field, message: expect.stringContaining(message) }),
    );
  });

  test('and rules that can fire are not', () => {
    const whole = policy('p', {
      access: [
        allow('r', { subjects: [group('eng'), anyone], models: ['llama-3*'] }),
        deny('some', { models: ['llama-3-405b'] }),
        deny('who', { subjects: [group('contractors')] }),
      ],
      guards: [guard('g')],
      classification: [label('l', { visibleTo: [group('c')] })],
    });
    expect(compile(whole).notices).toEqual([]);
  });
});

describe('what policies describe of services and routes', () => {
  const texts = { texts: [], values: [] };
  const route = (path: string, operation: Operation): RouteSpec => {
    const body = { ...texts, format: 'JSON', others: 'Texts' } as const;
    const response = { ...body, messages: 'Joined' } as const;
    return { path, webSocket: false, operation, model: undefined, request: body, response };
  };
  const service = (name: string, descriptorSet: string): ServiceSpec => {
    const response = { ...texts, messages: 'Joined' } as const;
    const method = { name: 'M', operation: 'Chat', model: undefined, request: texts, response } as const;
    return { service: name, descriptorSet, methods: [method] };
  };
  const snapshot = compile(
    policy('late', { routes: [route('/a', 'Chat'), route('/b', 'Chat')], grpcServices: [service('x.Y', 'late')] }),
    policy('early', { routes: [route('/b', 'Embeddings'), route('/c', 'Chat')] }, { createdAt: 1 }),
    clusterPolicy('base', { routes: [route('/a', 'Admin')], grpcServices: [service('x.Y', 'base')] }),
  );

  test('adds up; of one path or service the platform’s stands, else the oldest policy’s', () => {
    expect(snapshot.routes.map(({ path, operation }) => [path, operation])).toEqual([
      ['/a', 'Admin'],
      ['/b', 'Embeddings'],
      ['/c', 'Chat'],
    ]);
    expect(snapshot.grpcServices.map(({ descriptorSet }) => descriptorSet)).toEqual(['base']);
  });

  test('who lost is told, without the descriptors', () => {
    const lost = snapshot.notices.filter(({ by }) => by !== undefined);
    expect(lost.map(({ policy: of, field, by }) => [of, field, by])).toEqual([
      ['late', 'grpcServices[x.Y]', 'cluster/base'],
      ['late', 'routes[/a]', 'cluster/base'],
      ['late', 'routes[/b]', 'early'],
    ]);
    expect(JSON.stringify(lost)).not.toContain('descriptorSet');
  });

  const told = { routes: [route('/a', 'Chat')], grpcServices: [service('x.Y', 'own')] };
  test.each<[string, Partial<PolicySpec>]>([
    ['access rules', { access: [allow('a', { subjects: [anyone] })] }],
    ['guards', { guards: [guard('g', {})] }],
    ['a label', { classification: [label('l', {})] }],
    ['a record of content', { audit: { content: 'Masked', onFailure: undefined } as never }],
  ])('beside a cluster policy with %s a namespace describes nothing, and is told so', (_, spec) => {
    const own = compile(clusterPolicy('base', spec), policy('team', told));
    expect([own.routes, own.grpcServices]).toEqual([[], []]);
    expect(own.notices.filter(({ message }) => message.startsWith('does not count: cluster/base'))).toMatchObject([
      { policy: 'team', field: 'grpcServices[x.Y]' },
      { policy: 'team', field: 'routes[/a]' },
    ]);
    const both = compile(
      clusterPolicy('base', { ...spec, ...told }),
      policy('team', { routes: [route('/b', 'Chat')] }),
    );
    expect(both.routes.map(({ path }) => path)).toEqual(['/a']);
    expect(both.grpcServices).toHaveLength(1);
    expect(compile(clusterPolicy('describes', told), clusterPolicy('base', spec)).routes).toHaveLength(1);
  });

  test('an observing policy describes nothing beside one that enforces', () => {
    const beside = policy('watch', { mode: 'Observe', routes: [route('/a', 'Chat')] });
    expect(compile(policy('p'), beside).routes).toEqual([]);
    expect(compile(beside).routes).toHaveLength(1);
  });
});

test('the table has a rule in words for every field, each once', () => {
  const rows = Object.values(combination);
  expect(new Set(rows.map((row) => row.field)).size).toBe(rows.length);
  for (const row of rows) expect(row.rule.length).toBeGreaterThan(3);
});
