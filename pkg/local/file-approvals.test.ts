import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLogger } from '../base/index.ts';
import { compileSnapshot } from '../core/index.ts';
import type {
  ApprovalAsk,
  ApprovalPhase,
  ApprovalState,
  AuditEvent,
  IdentityVerifierFactory,
  Snapshot,
} from '../core/index.ts';
import { parsePolicies } from '../crd/index.ts';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { FakeClock } from '../../test/support/fake-clock.ts';
import type { ApprovalFile } from './approval-file.ts';
import { createFileApprovals } from './file-approvals.ts';
import type { FileApprovals } from './file-approvals.ts';

const policyText = (approvals: string): string => `apiVersion: sidegate.dev/v1alpha1
kind: InferencePolicy
metadata: { name: p, namespace: ml }
spec:
  identity:
    providers:
    - { name: corp, oidc: { issuer: "https://idp", audiences: [a], groupsClaim: groups }, kubernetesUser: { claim: email } }
  guards: [{ name: risky, direction: Request, match: { words: [falcon] }, action: RequireApproval }]
  approvals: ${approvals}
`;
function snapshotOf(approvals: string): Snapshot {
  const { policies, faults } = parsePolicies(policyText(approvals), 'p.yaml');
  expect(faults).toEqual([]);
  return compileSnapshot(policies, { revision: 1 });
}

/** Tokens are `NAME:GROUP,GROUP`, with `@other` of another issuer; whoever is not written so is nobody. */
const verifiers: IdentityVerifierFactory = (providers) => ({
  verify({ token = '' }) {
    if (token === 'down') return { kind: 'refused', reason: 'identity_unavailable' };
    const [, subject, groups, other] = /^(\w+):([\w,-]*)(@other)?$/.exec(token) ?? [];
    const [provider] = providers;
    if (subject === undefined || groups === undefined || provider === undefined)
      return { kind: 'refused', reason: 'token_invalid' };
    const identity = {
      provider: provider.id,
      issuer: other === undefined ? 'https://idp' : 'https://other',
      subject,
      groups: groups.split(','),
      scopes: [],
      expiresAt: undefined,
      kubernetesUser: undefined,
      naming: 'sub for a',
    };
    return { kind: 'proven', identity };
  },
  clientAuthorities: () => undefined,
  close: () => undefined,
});

let clock: FakeClock;
let snapshot: Snapshot;
let shown: Map<string, ApprovalFile>;
let unwritable: boolean;
let approvals: FileApprovals;
let recorded: AuditEvent[];
let unrecordable: boolean;
let warned: unknown[];
let broken: number;
/** Whether the record took each line. */
let taken: boolean[];
const create = (): FileApprovals =>
  createFileApprovals({
    audit: {
      append(events) {
        if (unrecordable) throw new Error('the disk is full');
        recorded.push(...events);
      },
    },
    onRecorded: (one) => void taken.push(one),
    onBreakGlass: () => broken++,
    breakGlass: { issuer: 'https://idp', groups: ['on-call'], subjects: ['root'] },
    files: {
      write(file) {
        if (unwritable) throw new Error('the disk is full');
        shown.set(file.name, file);
      },
      remove: (name) => void shown.delete(name),
    },
    policy: { current: () => snapshot },
    verifiers,
    clock,
    logger: { ...silentLogger, warn: (message, fields) => void warned.push([message, fields]) },
    limits: { perRequester: 3, all: 4 },
  });
beforeEach(() => {
  clock = fakeClock();
  snapshot = snapshotOf('{ approvers: [{ group: leads }], required: 2, timeout: 60s }');
  shown = new Map();
  unwritable = false;
  [recorded, unrecordable, taken, warned] = [[], false, [], []];
  broken = 0;
  approvals = create();
});
afterEach(() => approvals.close());

test('names say nothing of what they stand for: those of another process are others', () => {
  const mine = ask().name;
  const before = approvals;
  approvals = create();
  expect(ask().name).not.toBe(mine);
  before.close();
});

interface Asked {
  readonly states: readonly ApprovalState[];
  readonly name: string;
  readonly phase: ApprovalPhase | undefined;
  claim(): Promise<boolean>;
  leave(keep?: boolean): void;
}
function ask(more: Partial<ApprovalAsk> = {}): Asked {
  const states: ApprovalState[] = [];
  const last = (): Extract<ApprovalState, { kind: 'known' }> | undefined => {
    const state = states.at(-1);
    return state?.kind === 'known' ? state : undefined;
  };
  const ticket = approvals.gate.ask(
    {
      direction: 'Request',
      rules: ['p/risky'],
      requester: {
        provider: 'ml/p/corp',
        issuer: 'https://idp',
        subject: 'ana',
        kubernetesUser: undefined,
        naming: 'sub for a',
      },
      operation: 'Chat',
      model: 'm',
      digest: `sha256:${'1'.repeat(64)}`,
      snapshot: snapshot.hash,
      session: 's1',
      excerpt: 'what is [word]',
      ...more,
    },
    (state) => states.push(state),
  );
  return {
    states,
    get name() {
      return last()?.name ?? '';
    },
    get phase() {
      return last()?.phase;
    },
    claim: () => ticket.claim(),
    leave: (keep) => ticket.leave(keep),
  };
}
const decide = async (name: string, token: string, decision: 'Approve' | 'Deny' = 'Approve'): Promise<string> => {
  const outcome = await approvals.decide(name, token, { decision, comment: undefined }, 'here');
  return outcome.kind === 'fault' ? outcome.fault : 'done';
};
const breakGlass = async (name: string, token: string): Promise<string> => {
  const outcome = await approvals.decide(
    name,
    token,
    { decision: 'Approve', comment: undefined, breakGlass: true },
    'here',
  );
  return outcome.kind === 'fault' ? outcome.fault : 'done';
};
const problemOf = ({ states }: Asked): unknown =>
  states.map((state) => (state.kind === 'problem' ? state.problem : ''));

describe('two people approve', () => {
  test('then one session goes on, once; files show each step', async () => {
    const asked = ask();
    expect(shown.get(asked.name)).toMatchObject({
      namespace: 'ml',
      phase: 'Pending',
      expiresAt: clock.now() + 60_000,
      spec: {
        rules: ['p/risky'],
        excerpt: 'what is [word]',
        required: 2,
        approvers: [{ group: 'leads' }],
        requester: { subject: 'ana' },
        digest: expect.stringMatching(/^hmac-sha256:[0-9a-f]{64}$/),
      },
    });
    expect(await decide(asked.name, 'bob:leads')).toBe('done');
    expect([asked.phase, await asked.claim()]).toEqual(['Pending', false]);
    expect(await decide(asked.name, 'cleo:leads')).toBe('done');
    expect(asked.phase).toBe('Approved');
    expect([await asked.claim(), await asked.claim()]).toEqual([true, true]);
    expect(asked.phase).toBe('Used');
    expect(shown.get(asked.name)).toMatchObject({
      phase: 'Used',
      usedBy: 's1',
      votes: [
        { decision: 'Approve', caller: { subject: 'bob', from: 'here', proof: expect.stringMatching(/^sha256:/) } },
        { decision: 'Approve', caller: { subject: 'cleo' } },
      ],
    });
    expect(JSON.stringify([...shown])).not.toContain('cleo:leads');
    expect(asked.states.at(-1)).toMatchObject({ decisions: [{ by: 'https://idp bob', from: 'here' }, {}] });
  });

  test('at once: both count', async () => {
    const asked = ask();
    expect(await Promise.all([decide(asked.name, 'bob:leads'), decide(asked.name, 'cleo:leads')])).toEqual([
      'done',
      'done',
    ]);
    expect(asked.phase).toBe('Approved');
  });

  test('the clock passes the end between them: it is expired', async () => {
    const asked = ask();
    await decide(asked.name, 'bob:leads');
    clock.step(60_000);
    expect(await decide(asked.name, 'cleo:leads')).toBe('decided');
    expect([asked.phase, await asked.claim()]).toEqual(['Expired', false]);
  });

  test('what was approved expires too', async () => {
    const asked = ask();
    await decide(asked.name, 'bob:leads');
    await decide(asked.name, 'cleo:leads');
    clock.step(60_000);
    expect(await asked.claim()).toBe(false);
    expect(asked.phase).toBe('Expired');
  });
});

describe('who may not decide', () => {
  test.each([
    ['the requester, whatever their groups', 'ana:leads', 'self_approval'],
    ['somebody of another group', 'bob:eng', 'not_allowed'],
    ['nobody', 'nonsense', 'unauthenticated'],
    ['somebody whose issuer does not answer', 'down', 'identity_unavailable'],
  ])('%s', async (_who, token, fault) => {
    const asked = ask();
    expect([await decide(asked.name, token), await decide(asked.name, token, 'Deny')]).toEqual([fault, fault]);
    expect([asked.phase, shown.get(asked.name)?.votes]).toEqual(['Pending', []]);
    expect((await approvals.view(asked.name, token)).kind).toBe(fault === 'self_approval' ? 'done' : 'fault');
  });

  test('the same person twice, also at once', async () => {
    const asked = ask();
    const both = await Promise.all([decide(asked.name, 'bob:leads'), decide(asked.name, 'bob:leads', 'Deny')]);
    expect(both).toEqual(['done', 'voted']);
    expect(asked.phase).toBe('Pending');
  });

  test('anybody, of what is denied: that is final, and stands for the same request until its time is over', async () => {
    const asked = ask();
    expect(await decide(asked.name, 'bob:leads', 'Deny')).toBe('done');
    expect(await decide(asked.name, 'cleo:leads')).toBe('decided');
    expect([asked.phase, await asked.claim(), ask({ session: 's2' }).phase]).toEqual(['Denied', false, 'Denied']);
    clock.advance(60_000);
    const again = ask({ session: 's3' });
    expect([again.phase, again.name]).toEqual(['Pending', asked.name.replace(/-1$/, '-2')]);
  });

  test('anybody, of what is not there', async () => {
    expect(await decide('0123456789abcdef-1', 'bob:leads')).toBe('not_allowed');
  });
});

describe('who may break the glass', () => {
  test.each(['kim:on-call', 'root:eng'])('%s approves alone, though no policy names them', async (token) => {
    const asked = ask();
    expect((await approvals.view(asked.name, token)).kind).toBe('done');
    expect(await decide(asked.name, token)).toBe('not_allowed');
    expect(await breakGlass(asked.name, token)).toBe('done');
    expect([asked.phase, await asked.claim()]).toEqual(['Approved', true]);
    expect(asked.states.at(-1)).toMatchObject({ decisions: [{ breakGlass: true, from: 'here' }] });
    expect(shown.get(asked.name)?.votes).toMatchObject([{ breakGlass: true }]);
    expect(warned).toEqual([['the glass was broken: somebody approved alone', { approval: asked.name }]]);
    expect(broken).toBe(1);
  });

  test.each([
    ['the requester', 'ana:on-call', 'self_approval'],
    ['an approver whom the operator has not named', 'bob:leads', 'not_allowed'],
    ['somebody of that group at another issuer', 'kim:on-call@other', 'not_allowed'],
    ['somebody of that name at another issuer', 'root:leads@other', 'not_allowed'],
    ['nobody', 'nonsense', 'unauthenticated'],
  ])('not %s', async (_who, token, fault) => {
    const asked = ask();
    expect(await breakGlass(asked.name, token)).toBe(fault);
    expect([asked.phase, shown.get(asked.name)?.votes, warned, broken]).toEqual(['Pending', [], [], 0]);
  });

  test('nobody who has voted, and nothing that is over', async () => {
    const asked = ask();
    expect(await decide(asked.name, 'bob:leads,on-call')).toBe('done');
    expect(await breakGlass(asked.name, 'bob:leads,on-call')).toBe('voted');
    clock.step(60_000);
    expect(await breakGlass(asked.name, 'kim:on-call')).toBe('decided');
    expect(await asked.claim()).toBe(false);
  });
});

describe('the record', () => {
  const changes = (): unknown => recorded.map((event) => (event.type === 'change' ? event.step : event.type));

  test('has what is decided while nobody waits: who, when and from where', async () => {
    const asked = ask();
    asked.leave(true);
    await decide(asked.name, 'bob:leads');
    await decide(asked.name, 'cleo:leads', 'Deny');
    expect(recorded).toEqual([
      expect.objectContaining({ step: 'voted' }),
      {
        type: 'change',
        session: expect.stringMatching(/^[0-9a-f]{32}$/),
        what: 'approval',
        step: 'denied',
        name: `ml/${asked.name}`,
        caller: { provider: 'ml/p/corp', issuer: 'https://idp', subject: 'ana' },
        rules: ['p/risky'],
        decisions: [
          { decision: 'Approve', by: 'https://idp bob', at: expect.any(String), breakGlass: false, from: 'here' },
          { decision: 'Deny', by: 'https://idp cleo', at: expect.any(String), breakGlass: false, from: 'here' },
        ],
        until: new Date(shown.get(asked.name)?.expiresAt ?? 0).toISOString(),
      },
    ]);
  });

  test.each<[string, () => Promise<unknown> | void, string[]]>([
    [
      'approval, and an end without use',
      () => approveTwice().then(() => clock.advance(60_000)),
      ['voted', 'approved', 'expired'],
    ],
    ['a glass that is broken', () => breakGlass(onlyName(), 'kim:on-call'), ['approved']],
    ['an end without an answer', () => clock.advance(60_000), ['expired']],
    ['the end of the process', () => approvals.close(), ['cancelled']],
  ])('has %s', async (_what, happen, steps) => {
    ask().leave(true);
    await happen();
    expect(changes()).toEqual(steps);
  });
  const onlyName = (): string => [...shown.keys()][0] ?? '';
  async function approveTwice(): Promise<void> {
    await decide(onlyName(), 'bob:leads');
    await decide(onlyName(), 'cleo:leads');
  }

  test('has of one that is cancelled since its caller hung up', () => {
    ask().leave();
    clock.advance(30_000);
    expect(changes()).toEqual(['cancelled']);
  });

  test('is left to the session, where one waits', async () => {
    const asked = ask();
    await decide(asked.name, 'bob:leads');
    await decide(asked.name, 'cleo:leads');
    await asked.claim();
    expect([asked.phase, recorded]).toEqual(['Used', []]);
  });

  test('that takes nothing keeps nobody from deciding, and is counted', async () => {
    unrecordable = true;
    const asked = ask();
    asked.leave(true);
    expect(await decide(asked.name, 'bob:leads')).toBe('done');
    unrecordable = false;
    expect(await decide(asked.name, 'cleo:leads')).toBe('done');
    expect([shown.get(asked.name)?.phase, taken]).toEqual(['Approved', [false, true]]);
  });
});

describe('an approval', () => {
  test('is joined by the same of the same caller, and lets one of them through', async () => {
    const [first, second] = [ask(), ask({ session: 's2', excerpt: 'other' })];
    expect([second.name, shown.size]).toEqual([first.name, 1]);
    await decide(first.name, 'bob:leads');
    await decide(first.name, 'cleo:leads');
    expect([await second.claim(), await first.claim(), first.phase]).toEqual([true, false, 'Used']);
    expect(ask({ session: 's3' }).name).not.toBe(first.name);
  });

  test.each<[string, Partial<ApprovalAsk>]>([
    ['a body', { digest: `sha256:${'1'.repeat(63)}2` }],
    [
      'a caller',
      { requester: { provider: 'ml/p/corp', issuer: 'https://idp', subject: 'eve', kubernetesUser: undefined } },
    ],
    ['a model', { model: 'n' }],
    ['a rule', { rules: ['p/risky', 'p/other'] }],
    ['a direction', { direction: 'Response' }],
  ])('is of %s: another asks anew', async (_what, more) => {
    const first = ask();
    await decide(first.name, 'bob:leads');
    await decide(first.name, 'cleo:leads');
    const other = ask({ session: 's2', ...more });
    expect([other.phase, await other.claim(), first.phase]).toEqual(['Pending', false, 'Approved']);
  });

  test('that nobody waits for is cancelled after half a minute, unless its caller comes back for it', () => {
    const [gone, kept] = [ask(), ask({ digest: `sha256:${'2'.repeat(64)}` })];
    gone.leave();
    kept.leave(true);
    clock.advance(29_000);
    expect(shown.get(gone.name)?.phase).toBe('Pending');
    clock.advance(1_000);
    expect([shown.get(gone.name)?.phase, shown.get(kept.name)?.phase]).toEqual(['Cancelled', 'Pending']);
    clock.advance(30_000);
    expect(shown.get(kept.name)?.phase).toBe('Expired');
    clock.advance(86_400_000);
    expect([...shown]).toEqual([]);
  });

  test('that was denied stays so until its end, however many others have ended since', async () => {
    const denied = ask();
    await decide(denied.name, 'bob:leads', 'Deny');
    const others = ['eve', 'dan'].flatMap((subject) =>
      ['2', '3'].map((digit) =>
        ask({
          digest: `sha256:${digit.repeat(64)}`,
          requester: { provider: 'ml/p/corp', issuer: 'https://idp', subject, kubernetesUser: undefined },
        }),
      ),
    );
    for (const other of others) other.leave();
    clock.advance(31_000);
    expect([shown.size, ask().phase]).toEqual([4, 'Denied']);
    clock.advance(60_000);
    expect(ask().phase).toBe('Pending');
  });

  test('is followed by its requester alone', () => {
    const asked = ask();
    const heard: unknown[] = [];
    const watch = (subject: string, name = asked.name, provider = 'ml/p/corp'): void =>
      void approvals.gate.watch(
        name,
        { provider, issuer: 'https://idp', subject, kubernetesUser: undefined },
        (state) => heard.push(state.kind === 'known' ? state.phase : state.problem),
      );
    watch('eve');
    watch('ana', 'other');
    watch('ana', asked.name, 'ml/p/partner');
    watch('ana');
    clock.advance(60_000);
    expect(heard).toEqual(['unavailable', 'unavailable', 'unavailable', 'Pending', 'Expired']);
  });
});

describe('nobody is asked', () => {
  test.each([
    ['no approver', '{ timeout: 60s }'],
    [
      'approvers of a cluster alone',
      '{ approvers: [{ kubernetesGroup: leads }, { kubernetesUser: bob }], timeout: 60s }',
    ],
  ])('where the policy names %s', (_what, text) => {
    snapshot = snapshotOf(text);
    expect(problemOf(ask())).toEqual(['no_approvers']);
  });

  test('under a policy that is no longer in force', () => {
    expect(problemOf(ask({ snapshot: '0'.repeat(64) }))).toEqual(['policy_changed']);
  });

  test('where it cannot be shown', async () => {
    unwritable = true;
    const asked = ask();
    expect([problemOf(asked), await asked.claim()]).toEqual([['unavailable'], false]);
    unwritable = false;
    expect(ask().phase).toBe('Pending');
  });

  test('of too many: of one caller, and of all', () => {
    const digest = (at: number): string => `sha256:${String(at).repeat(64)}`;
    const eve = { provider: 'ml/p/corp', issuer: 'https://idp', subject: 'eve', kubernetesUser: undefined };
    for (const at of [1, 2, 3]) expect(ask({ digest: digest(at) }).phase).toBe('Pending');
    expect(problemOf(ask({ digest: digest(4) }))).toEqual(['too_many']);
    expect(ask({ requester: eve }).phase).toBe('Pending');
    expect(problemOf(ask({ requester: eve, digest: digest(5) }))).toEqual(['too_many']);
  });

  test('after the end: what waited is cancelled, and nothing is spent', async () => {
    const asked = ask();
    await decide(asked.name, 'bob:leads');
    await decide(asked.name, 'cleo:leads');
    approvals.close();
    expect([asked.phase, await asked.claim(), await decide(asked.name, 'dan:leads')]).toEqual([
      'Cancelled',
      false,
      'decided',
    ]);
    expect(problemOf(ask({ session: 's2' }))).toEqual(['unavailable']);
  });
});
