import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { expandDetector } from './detector-names.ts';
import { compileSnapshot } from './compile.ts';
import { operations } from './operation.ts';
import type { Identity } from './identity.ts';
import type {
  AccessRule,
  ClassificationRule,
  GuardRule,
  Policy,
  PolicySpec,
  ProviderSpec,
  RateLimits,
  RecordedContent,
  Replacement,
  ResponseLimit,
  SubjectSpec,
} from './policy.ts';
import type { AccessDecision, MatchedRule, Snapshot } from './snapshot.ts';
import { caller, clusterPolicy, emptySpec, oidc, policy, subject } from './testing/policies.ts';

/**
 * What must hold of all policies, tried on random ones. Names, issuers, groups and models come from small sets so that
 * policies meet.
 */

const optional = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(of, { nil: undefined });
const groups = fc.constantFrom('a', 'b');
const names = ['idp', 'sso'];

const subjects: fc.Arbitrary<SubjectSpec> = fc.oneof(
  fc.constant(subject({ anyone: true })),
  fc.constant(subject({ authenticated: true })),
  fc
    .record({ group: groups, provider: fc.constantFrom(undefined, ...names, 'cluster/idp', 'cluster/c0/idp') })
    .map(({ group, provider }) => subject({ group, provider })),
  fc.constant(subject({ scope: 's' })),
);
const subjectList = (least: number) => fc.array(subjects, { minLength: least, maxLength: 2 });
const limit = optional(fc.integer({ min: 1, max: 5 }));
const limits: fc.Arbitrary<RateLimits> = fc.record({
  requestsPerMinute: limit,
  tokensPerMinute: limit,
  maxOutputTokens: limit,
  concurrentRequests: limit,
  scope: optional(fc.constantFrom('Pod', 'Policy')),
  failureMode: optional(fc.constantFrom('Deny', 'PerPod')),
});

const rule = (name: string, effects: readonly ('Allow' | 'Deny')[]): fc.Arbitrary<AccessRule> =>
  fc.record({
    name: fc.constant(name),
    effect: fc.constantFrom(...effects),
    subjects: subjectList(1),
    operations: fc.uniqueArray(fc.constantFrom(...operations), { maxLength: 3 }),
    models: fc.array(fc.constantFrom('*', 'm1', 'm*', 'x'), { maxLength: 2 }),
    scopes: fc.array(fc.constant('s'), { maxLength: 1 }),
    tokenInput: optional(fc.constantFrom('Allow', 'Deny')),
    limits: optional(limits),
  });

const rules = (effects: readonly ('Allow' | 'Deny')[] = ['Allow', 'Allow', 'Deny']) =>
  fc
    .integer({ min: 0, max: 3 })
    .chain((count) => fc.tuple(...Array.from({ length: count }, (_, at) => rule(`r${at}`, effects))));

const detectors = fc.uniqueArray(fc.constantFrom('Email', 'Iban', 'Pii', 'Jwt'), { minLength: 1, maxLength: 2 });
const replacement: fc.Arbitrary<Replacement | undefined> = optional(
  fc.constantFrom<Replacement>(
    { style: 'Label' },
    { style: 'Hash' },
    { style: 'Partial', keep: 4 },
    { style: 'Partial', keep: 8 },
    { style: 'Constant', text: 'x' },
  ),
);
const guard: fc.Arbitrary<GuardRule> = fc.record({
  name: fc.constant('g'),
  on: fc.constantFrom('Request', 'Response'),
  subjects: subjectList(0),
  match: detectors.map((list) => ({ detectors: list, patterns: [], words: [] })),
  action: fc.constantFrom('Block', 'Mask', 'RequireApproval', 'Flag'),
  replacement,
});
const label: fc.Arbitrary<ClassificationRule> = fc.record({
  label: fc.constantFrom('l1', 'l2'),
  fields: fc.array(fc.constantFrom('**.x', '$.y'), { maxLength: 1 }),
  match: detectors.map((list) => ({ detectors: list, patterns: [], words: [] })),
  visibleTo: subjectList(0),
  otherwise: fc.constantFrom('Mask', 'Block', 'RequireApproval'),
  replacement,
});
const responseLimit: fc.Arbitrary<ResponseLimit> = fc.record({
  subjects: subjectList(1),
  maxBytes: limit,
  maxDurationMs: limit,
  minDurationMs: limit,
  padToMultipleOf: limit,
  cadenceMs: limit,
});

const providers: fc.Arbitrary<readonly ProviderSpec[]> = fc
  .uniqueArray(
    fc.record({
      name: fc.constantFrom(...names),
      issuer: fc.constantFrom('https://1', 'https://2'),
      claim: fc.constantFrom('groups', 'roles'),
    }),
    { maxLength: 2, selector: (one) => one.name },
  )
  .map((list) =>
    list.map(({ name, issuer, claim }) => ({
      name,
      oidc: oidc(issuer, 'inference', { groupsClaim: claim }),
      serviceAccount: undefined,
      clientCertificate: undefined,
      kubernetesUser: undefined,
    })),
  );

const spec: fc.Arbitrary<PolicySpec> = fc
  .record({
    mode: fc.constantFrom<'Enforce' | 'Observe'>('Enforce', 'Enforce', 'Observe'),
    providers,
    access: rules(),
    guards: fc.array(guard, { maxLength: 1 }),
    classification: fc.uniqueArray(label, { maxLength: 2, selector: (one) => one.label }),
    responseLimits: fc.array(responseLimit, { maxLength: 1 }),
    tls: optional(
      fc.record({
        inbound: optional(fc.constantFrom<'Required' | 'Mutual' | 'Optional'>('Required', 'Mutual', 'Optional')),
        minVersion: optional(fc.constantFrom<'TLSv1.2' | 'TLSv1.3'>('TLSv1.2', 'TLSv1.3')),
        certificate: fc.constant(undefined),
      }),
    ),
    requestLimits: optional(fc.record({ maxBodyBytes: limit, bodyTimeoutMs: limit, upstreamIdleMs: limit })),
    audit: optional(
      fc.record({
        content: optional(fc.constantFrom<RecordedContent>('None', 'Sealed', 'Masked', 'Full')),
        onFailure: optional(fc.constantFrom<'Deny' | 'Allow'>('Deny', 'Allow')),
      }),
    ),
    onUnknown: optional(fc.constantFrom<'Deny' | 'Buffer'>('Deny', 'Buffer')),
  })
  .map((some) => ({ ...emptySpec, ...some }));

const age = fc.integer({ min: 1, max: 3 });
const own = (name: string) => fc.record({ spec, age }).map((one) => policy(name, one.spec, { createdAt: one.age }));
const platform = (name: string) =>
  fc.record({ spec, age }).map((one) => clusterPolicy(name, one.spec, { createdAt: one.age }));
const policies: fc.Arbitrary<readonly Policy[]> = fc
  .record({ cluster: fc.integer({ min: 0, max: 2 }), own: fc.integer({ min: 0, max: 2 }) })
  .chain((counts) =>
    fc.tuple(
      ...Array.from({ length: counts.cluster }, (_, at) => platform(`c${at}`)),
      ...Array.from({ length: counts.own }, (_, at) => own(`p${at}`)),
    ),
  );

const claims = fc.record({ groups: fc.subarray(['a', 'b']), scopes: fc.subarray(['s']) });
const question = fc.record({
  operation: fc.constantFrom(...operations),
  model: fc.constantFrom(undefined, 'm1', 'm2', 'x'),
  claims,
  who: fc.nat(20),
});
type Question = typeof question extends fc.Arbitrary<infer Q> ? Q : never;

const compile = (list: readonly Policy[]): Snapshot => compileSnapshot(list, { revision: 1 });

/** A caller whom a provider of the snapshot could have proven, or nobody. */
function who(snapshot: Snapshot, { who: at, claims: said }: Question): Identity | undefined {
  const provider = [undefined, ...snapshot.providers.map((one) => one.id)][at % (snapshot.providers.length + 1)];
  return provider === undefined ? undefined : caller(provider, said);
}
const access = (snapshot: Snapshot, asker: Identity | undefined, { operation, model }: Question): AccessDecision =>
  snapshot.access({ caller: asker, operation, model });

/** The identity that the same credential proves under other policies: providers may have been dropped for another. */
function sameCredential(before: Snapshot, after: Snapshot, asker: Identity | undefined): Identity | undefined {
  if (asker === undefined) return undefined;
  const issuer = before.providers.find((one) => one.id === asker.provider)?.oidc?.issuer;
  const provider = after.providers.find((one) => one.oidc?.issuer === issuer)?.id;
  return provider === undefined ? undefined : { ...asker, provider };
}

const runs = 150;
const check = <T>(property: fc.IProperty<T>): void => fc.assert(property, { numRuns: runs });
const enforces = (list: readonly Policy[]): boolean =>
  list.length === 0 || list.some((one) => one.spec.mode === 'Enforce');

describe('of all policies it holds that', () => {
  test('the order in which they are read does not matter', () => {
    check(
      fc.property(policies, question, fc.func(fc.nat()), (list, asked, key) => {
        const shuffled = [...list].sort((a, b) => key(a.name) - key(b.name));
        const [one, two] = [compile(list), compile(shuffled)];
        expect(two.hash).toBe(one.hash);
        expect(two.scanRules).toEqual(one.scanRules);
        expect(two.notices).toEqual(one.notices);
        const asker = who(one, asked);
        expect(access(two, asker, asked)).toEqual(access(one, asker, asked));
        expect(two.requestPlan(asker)).toEqual(one.requestPlan(asker));
        expect({ ...two.responsePlan(asker) }).toEqual({ ...one.responsePlan(asker) });
      }),
    );
  });

  test('adding a Deny never allows more', () => {
    check(
      fc.property(policies, fc.nat(), rule('added', ['Deny']), question, (list, at, added, asked) => {
        fc.pre(list.length > 0);
        const more = list.map((one, index) =>
          index === at % list.length ? { ...one, spec: { ...one.spec, access: [...one.spec.access, added] } } : one,
        );
        const [before, after] = [compile(list), compile(more)];
        const asker = who(before, asked);
        if (access(before, asker, asked).kind === 'deny') expect(access(after, asker, asked).kind).toBe('deny');
      }),
    );
  });

  test('adding an enforcing cluster policy never allows more where a policy has access rules', () => {
    check(
      fc.property(policies, platform('added'), question, (list, added, asked) => {
        fc.pre(enforces(list) && list.some((one) => one.spec.mode === 'Enforce' && one.spec.access.length > 0));
        const enforcing = { ...added, spec: { ...added.spec, mode: 'Enforce' as const } };
        const [before, after] = [compile(list), compile([...list, enforcing])];
        const asker = who(before, asked);
        // Where the platform's provider takes another's place under other claims, the caller is another one.
        const then = sameCredential(before, after, asker);
        fc.pre(asker === undefined || then?.provider === asker.provider);
        if (access(before, asker, asked).kind === 'deny') expect(access(after, then, asked).kind).toBe('deny');
      }),
    );
  });

  test('an observing policy beside enforcing ones changes no decision', () => {
    check(
      fc.property(policies, fc.oneof(platform('added'), own('added')), question, (list, added, asked) => {
        fc.pre(list.some((one) => one.spec.mode === 'Enforce'));
        // A rule that names a provider of the platform's means somebody once there is one.
        fc.pre(!JSON.stringify(list).includes('"provider":"cluster/'));
        const watching = { ...added, spec: { ...added.spec, mode: 'Observe' as const } };
        const [before, after] = [compile(list), compile([...list, watching])];
        const acting = compile(list.filter((one) => one.spec.mode === 'Enforce')).providers.map((one) => one.id);
        expect(after.providers.slice(0, acting.length).map((one) => one.id)).toEqual(acting);
        const asker = who({ ...before, providers: before.providers.slice(0, acting.length) }, asked);
        const [was, is] = [access(before, asker, asked), access(after, asker, asked)];
        expect(is.kind).toBe(was.kind);
        if (was.kind === 'allow' && is.kind === 'allow')
          expect([is.rules, is.credential]).toEqual([was.rules, was.credential]);
        expect(after.tls).toEqual(before.tls);
        expect(after.requestLimits).toEqual(before.requestLimits);
        expect(hidden(after, asker)).toEqual(hidden(before, asker));
        expect(after.responsePlan(asker).limits).toEqual(before.responsePlan(asker).limits);
      }),
    );
  });
});

const levels = { mask: 1, approve: 2, block: 3 } as const;

/** What a caller may not see, one by one, with the strongest that keeps it from them. */
function hidden(snapshot: Snapshot, asker: Identity | undefined): ReadonlyMap<string, number> {
  const plan = snapshot.responsePlan(asker);
  const found = new Map<string, number>();
  for (const action of ['mask', 'approve', 'block'] as const) {
    for (const one of snapshot.scanRules.filter((rule) => plan[action][rule.index] === 1)) {
      const things = [
        ...one.match.detectors.flatMap((name): readonly string[] => expandDetector(name) ?? []),
        ...one.fields,
      ];
      for (const thing of things) found.set(thing, Math.max(found.get(thing) ?? 0, levels[action]));
    }
  }
  return found;
}

/** Whether every way to be charged for a request stays within what the platform's own policies leave. */
type LimitName = Exclude<keyof RateLimits, 'scope' | 'failureMode'>;
function within(rules: readonly MatchedRule[], name: LimitName): number {
  return Math.max(...rules.map((one) => one.limits?.[name] ?? Number.POSITIVE_INFINITY));
}

describe('what a namespace adds never weakens the platform’s', () => {
  /** Only cluster policies, then the same with a policy of a namespace. */
  const pair = fc
    .record({ base: fc.tuple(platform('c0'), platform('c1')), added: own('added'), asked: question })
    .filter(({ base }) => enforces(base) && base.some((one) => one.spec.mode === 'Enforce'));

  test('masks: whatever was hidden from a caller stays hidden, as strongly', () => {
    check(
      fc.property(pair, ({ base, added, asked }) => {
        const [before, after] = [compile(base), compile([...base, added])];
        const asker = who(before, asked);
        const then = hidden(after, asker);
        for (const [thing, level] of hidden(before, asker)) expect(then.get(thing) ?? 0).toBeGreaterThanOrEqual(level);
      }),
    );
  });

  test('masks: a caller whom only the namespace’s provider proves sees no more than anybody', () => {
    check(
      fc.property(pair, claims, ({ base, added }, said) => {
        const after = compile([...base, added]);
        const nobody = hidden(compile(base), undefined);
        for (const { id } of after.providers.filter((one) => one.id.startsWith('ml/'))) {
          const then = hidden(after, caller(id, said));
          for (const [thing, level] of nobody) {
            // `subjects` of the platform's guards and viewers never name callers of a namespace.
            expect(then.get(thing) ?? 0).toBeGreaterThanOrEqual(level);
          }
        }
      }),
    );
  });

  test('live streams: the plan without the namespace’s policy hides nothing that the plan with it shows', () => {
    check(
      fc.property(pair, ({ base, added, asked }) => {
        const [before, after] = [compile(base), compile([...base, added])];
        const asker = who(before, asked);
        const [was, is] = [before.responsePlan(asker), after.responsePlan(asker)];
        // Replacements too: of two rules that find the same, the one that shows less stands.
        expect(is.coveredBy(was)).toBe(true);
      }),
    );
  });

  test('limits: no answer may be longer, later or less padded, and no request longer or slower', () => {
    check(
      fc.property(pair, ({ base, added, asked }) => {
        const [before, after] = [compile(base), compile([...base, added])];
        const asker = who(before, asked);
        const [was, is] = [before.responsePlan(asker).limits, after.responsePlan(asker).limits];
        if (was.maxBytes !== undefined)
          expect(is.maxBytes ?? Number.POSITIVE_INFINITY).toBeLessThanOrEqual(was.maxBytes);
        if (was.maxDurationMs !== undefined)
          expect(is.maxDurationMs ?? Number.POSITIVE_INFINITY).toBeLessThanOrEqual(was.maxDurationMs);
        for (const name of ['minDurationMs', 'padToMultipleOf', 'cadenceMs'] as const) {
          expect(is[name] ?? 0).toBeGreaterThanOrEqual(was[name] ?? 0);
        }
        for (const name of ['maxBodyBytes', 'bodyTimeoutMs', 'upstreamIdleMs'] as const) {
          expect(after.requestLimits[name]).toBeLessThanOrEqual(before.requestLimits[name]);
        }
        if (
          before.onUnknown === 'Deny' &&
          base.some((one) => one.spec.onUnknown === 'Deny' && one.spec.mode === 'Enforce')
        )
          expect(after.onUnknown).toBe('Deny');
        if (base.some((one) => one.spec.mode === 'Enforce' && one.spec.audit?.content !== undefined))
          expect(after.audit.content).toBe(before.audit.content);
      }),
    );
  });

  test('budgets: each cluster policy’s rules are still charged, and no rule has more than they leave', () => {
    check(
      fc.property(pair, ({ base, added, asked }) => {
        const after = compile([...base, added]);
        const asker = who(compile(base), asked);
        const decision = access(after, asker, asked);
        if (decision.kind !== 'allow') return;
        const charged = [decision.rules, ...(decision.ceilings ?? [])]
          .flat()
          .map((one) => one.id.split('/').slice(0, -1).join('/'));
        for (const one of base) {
          if (one.spec.mode === 'Enforce' && one.spec.access.length > 0)
            expect(charged).toContain(`cluster/${one.name}`);
        }
        for (const ceiling of decision.ceilings ?? []) {
          for (const name of [
            'requestsPerMinute',
            'tokensPerMinute',
            'maxOutputTokens',
            'concurrentRequests',
          ] as const) {
            expect(within(decision.rules, name)).toBeLessThanOrEqual(within(ceiling, name));
          }
        }
      }),
    );
  });

  test('access: whatever the cluster policies with access rules refuse stays refused', () => {
    check(
      fc.property(pair, ({ base, added, asked }) => {
        fc.pre(base.some((one) => one.spec.mode === 'Enforce' && one.spec.access.length > 0));
        const [before, after] = [compile(base), compile([...base, added])];
        const asker = who(before, asked);
        if (access(before, asker, asked).kind === 'deny') expect(access(after, asker, asked).kind).toBe('deny');
      }),
    );
  });
});
