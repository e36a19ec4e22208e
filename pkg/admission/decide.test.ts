import { describe, expect, test } from '@jest/globals';
import { silentLogger } from '../base/index.ts';
import { grantName } from '../crd/index.ts';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { createDecide, createGrantRate } from './index.ts';
import type { DecideOptions } from './index.ts';
import { request, testHooks } from './testing/hooks.ts';

const now = Date.UTC(2026, 10, 26, 9);
const at = new Date(now).toISOString();
const controller = 'system:serviceaccount:sidegate-system:sidegate-controller';
const clock = {
  now: () => now,
  monotonic: () => 0,
  after: () => ({ cancel: () => undefined }),
  every: () => ({ cancel: () => undefined }),
};

function build(more: Partial<DecideOptions> = {}) {
  const hooks = testHooks();
  const asked: unknown[] = [];
  const noted: string[] = [];
  const decide = createDecide({
    controller,
    breakGlassGroup: 'sre',
    mayApprove(question) {
      asked.push(question);
      return Promise.resolve(question.user !== 'stranger');
    },
    mayBecome({ username, groups }, accounts) {
      asked.push({ username, groups, accounts });
      return Promise.resolve(groups.includes('editors'));
    },
    noteChanger: ({ namespace, uid, resourceVersion }, user) =>
      Promise.resolve(void noted.push(`${namespace} ${uid}@${resourceVersion} ${user}`)),
    grantRate: { take: () => undefined },
    clock,
    events: hooks.hook.events,
    metrics: hooks.metrics,
    logger: silentLogger,
    ...more,
  });
  return { ...hooks, decide, asked, noted };
}

type Fields = Record<string, unknown>;
const approvalSpec = {
  requester: { provider: 'p/corp', issuer: 'https://idp', subject: 'ana', kubernetesUser: 'ana@example.com' },
  approvers: [{ group: 'ml-leads' }, { kubernetesGroup: 'ml-leads' }, { kubernetesUser: 'bob' }],
  required: 2,
  expiresAt: new Date(now + 60_000).toISOString(),
};
const grantSpec = {
  issuer: 'https://idp',
  subject: 'ana',
  requestedBy: 'kim',
  expiresAt: new Date(now + 3_600_000).toISOString(),
};
const grantStatus = {
  phase: 'Pending',
  approvers: approvalSpec.approvers,
  required: 1,
  kubernetesUser: 'ana@example.com',
};
const vote = (user: string, more: Fields = {}): Fields => ({ user, decision: 'Approve', at, ...more });

const kinds = { approval: 'inferenceapprovals', grant: 'inferencegrants' } as const;
/** A status that somebody writes. */
function write(
  kind: keyof typeof kinds,
  user: string,
  status: { before?: Fields | undefined; after: Fields },
  more: { groups?: string[]; spec?: Fields; dryRun?: boolean } = {},
) {
  const spec = { ...(kind === 'approval' ? approvalSpec : grantSpec), ...more.spec };
  const object = (value: Fields | undefined) => ({
    metadata: { name: 'x', uid: 'u' },
    spec,
    ...(value && { status: value }),
  });
  return request({
    operation: 'UPDATE',
    group: 'sidegate.dev',
    resource: kinds[kind],
    subResource: 'status',
    name: 'x',
    namespace: 'ml',
    user,
    groups: more.groups ?? ['ml-leads'],
    dryRun: more.dryRun ?? false,
    object: object(status.after),
    oldObject: object(status.before ?? (kind === 'grant' ? grantStatus : undefined)),
  });
}
const pending = (kind: keyof typeof kinds, ...decisions: Fields[]): Fields =>
  kind === 'grant' ? { ...grantStatus, decisions } : { phase: 'Pending', decisions };
const code = (message: string | undefined): string | undefined => /^\[(\w+)\]/.exec(message ?? '')?.[1];

describe.each(['approval', 'grant'] as const)('a decision on an %s', (kind) => {
  test('of somebody whom the policy names, by group or by name, who has the verb approve', async () => {
    const { decide, asked } = build();
    expect(await decide(write(kind, 'lea', { after: pending(kind, vote('lea')) }))).toEqual({ allowed: true });
    expect(asked).toEqual([{ user: 'lea', groups: ['ml-leads'], resource: kinds[kind], namespace: 'ml', name: 'x' }]);
    const before = pending(kind, vote('lea'));
    const after = pending(kind, vote('lea'), vote('bob', { decision: 'Deny', comment: 'no' }));
    expect(await decide(write(kind, 'bob', { before, after }, { groups: [] }))).toEqual({ allowed: true });
    // Nothing written is nothing decided.
    expect(await decide(write(kind, 'bob', { before, after: before }))).toEqual({ allowed: true });
  });

  test.each<[string, string, Fields[], { groups?: string[]; spec?: Fields; status?: Fields }]>([
    ['other_user', 'lea', [vote('bob')], {}],
    ['other_user', 'lea', [vote('Lea')], {}],
    ['other_user', 'lea', [{ decision: 'Approve', at }], {}],
    ['caller_entry', 'lea', [{ caller: { issuer: 'i', subject: 's', proof: 'p' }, decision: 'Approve', at }], {}],
    ['caller_entry', 'lea', [vote('lea', { caller: { issuer: 'i', subject: 's', proof: 'p' } })], {}],
    ['not_approver', 'lea', [vote('lea')], { groups: ['others'] }],
    ['no_access', 'stranger', [vote('stranger')], {}],
    ['self_approval', 'ana@example.com', [vote('ana@example.com')], {}],
    ['self_approval', 'Ana@Example.com', [vote('Ana@Example.com')], {}],
    ['cannot_exclude_self_approval', 'oidc:ana@example.com', [vote('oidc:ana@example.com')], {}],
    ['cannot_exclude_self_approval', 'https://idp#ana@example.com', [vote('https://idp#ana@example.com')], {}],
    ['time', 'lea', [vote('lea', { at: new Date(now - 61_000).toISOString() })], {}],
    ['time', 'lea', [vote('lea', { at: new Date(now + 61_000).toISOString() })], {}],
    ['time', 'lea', [vote('lea', { at: 'soon' })], {}],
    ['expired', 'lea', [vote('lea')], { spec: { expiresAt: at } }],
    ['expired', 'lea', [vote('lea')], { spec: { expiresAt: 'never' } }],
    ['break_glass', 'lea', [vote('lea', { breakGlass: true })], {}],
    ['break_glass', 'lea', [vote('lea', { breakGlass: true, decision: 'Deny' })], { groups: ['sre'] }],
    ['self_approval', 'ana@example.com', [vote('ana@example.com', { breakGlass: true })], { groups: ['sre'] }],
    ['status', 'lea', [vote('lea'), vote('bob')], {}],
    ['status', 'lea', [vote('lea')], { status: { phase: 'Approved' } }],
    ['status', 'lea', [], { status: { usedAt: at } }],
    ['status', 'lea', [vote('lea')], { status: { approvers: [{ kubernetesUser: 'lea' }] } }],
  ])('is refused as %s: %s writes %j %j', async (wanted, user, votes, more) => {
    const { decide } = build();
    const verdict = await decide(write(kind, user, { after: { ...pending(kind, ...votes), ...more.status } }, more));
    expect([verdict.allowed, code(verdict.message)]).toEqual([false, wanted]);
    expect(verdict.message).not.toContain('undefined');
  });

  test('is given once, counts only while it is Pending, and takes nobody else’s away', async () => {
    const { decide } = build();
    const before = pending(kind, vote('lea'));
    const said = async (after: Fields, from = before) =>
      code((await decide(write(kind, 'lea', { before: from, after }))).message);
    expect(await said(pending(kind, vote('lea'), vote('lea', { decision: 'Deny' })))).toBe('voted');
    expect(await said(pending(kind))).toBe('status');
    expect(await said(pending(kind, vote('lea', { decision: 'Deny' })))).toBe('status');
    const byToken = {
      caller: { issuer: 'i', subject: 's', proof: 'p', kubernetesUser: 'lea' },
      decision: 'Approve',
      at,
    };
    expect(await said(pending(kind, byToken, vote('lea')), pending(kind, byToken))).toBe('voted');
    for (const phase of ['Approved', 'Denied', 'Expired', 'Cancelled']) {
      const from = { ...before, phase, decisions: [] };
      expect(await said({ ...from, decisions: [vote('lea')] }, from)).toBe('decided');
    }
  });

  test('where nobody can tell who the caller is to Kubernetes, no Kubernetes user decides', async () => {
    const { decide } = build();
    const spec = { requester: { provider: 'p', issuer: 'https://idp', subject: 'ana' } };
    const before = { ...grantStatus, kubernetesUser: undefined };
    const request =
      kind === 'approval'
        ? write(kind, 'lea', { after: pending(kind, vote('lea')) }, { spec })
        : write(kind, 'lea', { before, after: { ...before, decisions: [vote('lea')] } });
    expect(code((await decide(request)).message)).toBe('cannot_exclude_self_approval');
  });

  test('on a request of a service account nobody approves who may act as it, break-glass or not; denying is free', async () => {
    const account = 'system:serviceaccount:ml:batch';
    const { decide, asked } = build();
    const spec =
      kind === 'approval'
        ? { requester: { ...approvalSpec.requester, kubernetesUser: account } }
        : { requestedBy: account };
    const attempt = async (groups: string[], more: Fields = {}, decides = decide) => {
      const after = pending(kind, vote('lea', more));
      return code((await decides(write(kind, 'lea', { after }, { spec, groups }))).message);
    };
    expect(await attempt(['ml-leads', 'editors'])).toBe('cannot_exclude_self_approval');
    expect(asked).toEqual([{ username: 'lea', groups: ['ml-leads', 'editors'], accounts: [account] }]);
    expect(await attempt(['sre', 'editors'], { breakGlass: true })).toBe('cannot_exclude_self_approval');
    expect(await attempt(['ml-leads', 'editors'], { decision: 'Deny' })).toBeUndefined();
    expect(await attempt(['ml-leads'])).toBeUndefined();
    const down = build({ mayBecome: () => Promise.reject(new Error('down')) });
    expect(await attempt(['ml-leads'], {}, down.decide)).toBe('lookup');
  });

  test('the break-glass group overrides, and it is told; of a dry run nothing is', async () => {
    const warned: string[] = [];
    const { decide, events, render } = build({
      logger: { ...silentLogger, warn: (message) => void warned.push(message) },
    });
    const after = pending(kind, vote('eve', { breakGlass: true }));
    expect((await decide(write(kind, 'eve', { after }, { groups: ['sre'], dryRun: true }))).allowed).toBe(true);
    expect([events, warned]).toEqual([[], []]);
    expect(await decide(write(kind, 'eve', { after }, { groups: ['sre'] }))).toEqual({
      allowed: true,
      audit: { 'break-glass': `approve ${kinds[kind]}/x` },
    });
    expect([events.length, warned]).toEqual([1, ['break-glass approval']]);
    expect(await render()).toContain('sidegate_break_glass_total{verb="approve"} 1');
    const without = build({ breakGlassGroup: '' });
    const verdict = await without.decide(write(kind, 'eve', { after }, { groups: ['', 'sre'] }));
    expect(code(verdict.message)).toBe('break_glass');
  });

  test('is refused while access cannot be asked for', async () => {
    const { decide, render } = build({ mayApprove: () => Promise.reject(new Error('down')) });
    const verdict = await decide(write(kind, 'lea', { after: pending(kind, vote('lea')) }));
    expect([verdict.status, code(verdict.message)]).toEqual([503, 'lookup']);
    expect(await render()).toContain('sidegate_admission_failures_total{kind="lookup"} 1');
  });

  test('the controller writes phases and callers’ entries, and nobody’s vote by Kubernetes', async () => {
    const { decide } = build();
    const caller = { caller: { issuer: 'i', subject: 's', proof: 'p' }, decision: 'Approve', at };
    const may = async (after: Fields) => (await decide(write(kind, controller, { after }, { groups: [] }))).allowed;
    expect(await may({ ...pending(kind), phase: 'Approved' })).toBe(true);
    expect(await may(pending(kind, caller))).toBe(true);
    expect(await may(pending(kind, vote('lea')))).toBe(false);
  });
});

describe('the resources themselves', () => {
  const of = (
    kind: keyof typeof kinds,
    operation: 'CREATE' | 'UPDATE' | 'DELETE',
    user: string,
    more: Fields = {},
    name?: string,
  ) => {
    const spec = { ...grantSpec, ...more };
    const object = { metadata: { name: name ?? grantName(spec), uid: 'u-1', resourceVersion: '7' }, spec };
    return request({
      operation,
      group: 'sidegate.dev',
      resource: kinds[kind],
      subResource: '',
      name: 'x',
      namespace: 'ml',
      user,
      groups: ['system:masters'],
      object: operation === 'DELETE' ? null : object,
      oldObject: operation === 'CREATE' ? null : object,
    });
  };

  test('approvals are the controller’s alone, whoever else might', async () => {
    const { decide } = build();
    for (const operation of ['CREATE', 'UPDATE', 'DELETE'] as const) {
      expect(await decide(of('approval', operation, controller))).toEqual({ allowed: true });
      expect(code((await decide(of('approval', operation, 'admin'))).message)).toBe('not_yours');
    }
  });

  test('a grant is asked for in one’s own name and for a time to come, and taken back by the asker or an approver', async () => {
    const { decide, asked } = build();
    const said = async (...args: Parameters<typeof of>) => {
      const verdict = await decide(of(...args));
      return verdict.allowed ? 'allowed' : code(verdict.message);
    };
    expect(await said('grant', 'CREATE', 'kim')).toBe('allowed');
    expect(await said('grant', 'CREATE', 'lea')).toBe('other_user');
    expect(await said('grant', 'CREATE', 'kim', { expiresAt: at })).toBe('expired');
    expect(await said('grant', 'CREATE', 'kim', { expiresAt: 'x' })).toBe('expired');
    expect(asked).toEqual([]);
    expect(await said('grant', 'DELETE', 'kim')).toBe('allowed');
    expect(await said('grant', 'DELETE', 'lea')).toBe('allowed');
    expect(await said('grant', 'DELETE', 'stranger')).toBe('not_yours');
  });

  test('who takes a grant back is noted, but not of a dry run, and not the controller; that it cannot be keeps nobody from it', async () => {
    const { decide, noted } = build();
    for (const user of ['kim', 'lea', 'stranger', controller]) await decide(of('grant', 'DELETE', user));
    await decide({ ...of('grant', 'DELETE', 'max'), dryRun: true });
    expect(noted).toEqual(['ml u-1@7 kim', 'ml u-1@7 lea']);
    const away = build({ noteChanger: () => Promise.reject(new Error('away')) });
    expect(await away.decide(of('grant', 'DELETE', 'kim'))).toEqual({ allowed: true });
    expect(await away.render()).toContain('sidegate_webhook_events_dropped_total{why="failed"} 1');
  });

  test.each([{ issuer: '😀'.repeat(257) }, { subject: '😀'.repeat(257) }, { models: ['*', '😀'.repeat(129)] }])(
    'a grant is not longer than sidecars read: %#',
    async (more) => {
      const { decide } = build();
      const ask = async (fields: Fields) => {
        const spec = { ...grantSpec, ...fields };
        const asked = {
          operation: 'CREATE' as const,
          group: 'sidegate.dev',
          resource: 'inferencegrants',
          namespace: 'ml',
        };
        return decide(request({ ...asked, user: 'kim', object: { metadata: { name: grantName(spec) }, spec } }));
      };
      expect(code((await ask(more)).message)).toBe('too_long');
      expect((await ask({ issuer: '😀'.repeat(256), subject: 's'.repeat(512), models: ['m'] })).allowed).toBe(true);
    },
  );

  test('a grant has the name of its spec, so that none takes the place of one that is being decided on', async () => {
    const { decide } = build();
    const name = grantName(grantSpec);
    expect(name).toMatch(/^grant-[0-9a-f]{40}$/);
    const other = { operations: ['Chat', 'Admin'] };
    const taken = await decide(of('grant', 'CREATE', 'kim', other, name));
    expect([taken.allowed, code(taken.message)]).toEqual([false, 'name']);
    expect(taken.message).toContain(`fix: write metadata.name: ${grantName({ ...grantSpec, ...other })}`);
    // The API server may not have made a name of its own yet.
    for (const free of ['', 'grant-x', name.slice(0, -1), `${name}0`])
      expect(code((await decide(of('grant', 'CREATE', 'kim', {}, free))).message)).toBe('name');
    // Of another order, or sent a second time, it is the same.
    const turned = Object.fromEntries(Object.entries(grantSpec).reverse());
    expect(grantName(turned)).toBe(name);
    // Those that were there before names were bound can be labelled and taken back.
    for (const operation of ['UPDATE', 'DELETE'] as const)
      expect(await decide(of('grant', operation, 'kim', {}, 'grant-x'))).toEqual({ allowed: true });
  });

  test.each(['approval', 'grant'] as const)('an %s takes no finalizers, and loses those that it has', async (kind) => {
    const { decide } = build();
    const user = kind === 'grant' ? 'kim' : controller;
    const held = (finalizers: readonly string[]) => ({
      metadata: { name: grantName(grantSpec), finalizers },
      spec: grantSpec,
    });
    const said = async (before: readonly string[] | undefined, after: readonly string[]) => {
      const asked = of(kind, before === undefined ? 'CREATE' : 'UPDATE', user);
      const verdict = await decide({
        ...asked,
        object: held(after),
        oldObject: before === undefined ? null : held(before),
      });
      return verdict.allowed ? 'allowed' : code(verdict.message);
    };
    expect(await said(undefined, [])).toBe('allowed');
    expect(await said(undefined, ['eve.example/keep'])).toBe('finalizers');
    expect(await said([], ['eve.example/keep'])).toBe('finalizers');
    expect(await said(['foregroundDeletion', 'x/y'], ['x/y'])).toBe('allowed');
    expect(await said(['x/y'], ['x/z'])).toBe('finalizers');
  });

  test('grants are asked for as often as people can be told of, and taken back whenever', async () => {
    const rate = createGrantRate(fakeClock(), { user: [0.1, 2], namespace: [0.5, 3] });
    const { decide } = build({ grantRate: rate });
    const said = async (user: string, operation: 'CREATE' | 'DELETE' = 'CREATE', dryRun = false) => {
      const verdict = await decide({ ...of('grant', operation, user, { requestedBy: user }), dryRun });
      return verdict.allowed ? 'allowed' : `${verdict.status} ${code(verdict.message)}`;
    };
    // What is refused, or tried, takes nothing.
    for (let times = 0; times < 5; times++) {
      expect(await said('kim', 'CREATE', true)).toBe('allowed');
      expect(code((await decide(of('grant', 'CREATE', 'kim', { expiresAt: at }))).message)).toBe('expired');
    }
    expect([await said('kim'), await said('kim', 'DELETE'), await said('kim'), await said('kim')]).toEqual([
      'allowed',
      'allowed',
      'allowed',
      '429 too_often',
    ]);
    expect([await said('lea'), await said('max')]).toEqual(['allowed', '429 too_often']);
    for (const user of ['kim', 'lea']) expect(await said(user, 'DELETE')).toBe('allowed');
  });

  test('what it is not asked about is refused', async () => {
    const { decide } = build();
    for (const more of [
      { group: '', resource: 'inferenceapprovals', subResource: '' },
      { group: 'sidegate.dev', resource: 'inferencepolicies', subResource: '' },
      { group: 'sidegate.dev', resource: 'toString', subResource: '' },
      { group: 'sidegate.dev', resource: 'inferenceapprovals', subResource: 'scale' },
    ])
      expect(code((await decide(request({ operation: 'UPDATE', user: controller, ...more }))).message)).toBe(
        'unexpected',
      );
  });
});
