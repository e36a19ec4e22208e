import type { CallerBits, CallerTable } from './caller-table.ts';
import { combination, mergeSet } from './combination.ts';
import type { Glob } from './glob.ts';
import { allowedModel, deniedModel } from './model-name.ts';
import { operations } from './operation.ts';
import type { Operation } from './operation.ts';
import { ruleId } from './order.ts';
import type { PolicyEntry } from './order.ts';
import type { AccessRule, FileTerms, RateLimits } from './policy.ts';
import type { ProviderScope } from './providers.ts';
import type { AccessDecision, MatchedRule, Refusal, RuleId } from './snapshot.ts';
import { everyCaller, scopesTest, subjectsTest } from './subjects.ts';

/**
 * Whether a caller may do an operation on a model, over the rules of all policies of a pod.
 *
 * Promise: nothing is allowed by default; a matching Deny always wins; where a cluster policy has access rules, nothing is
 * allowed that it does not allow itself; rules of observing policies never change what happens.
 */

export interface CompiledAccessRule {
  readonly id: RuleId;
  readonly spec: AccessRule;
  /** Index into the caller table for the subjects, and for the scopes. */
  readonly subjects: number;
  readonly scopes: number;
  readonly operations: ReadonlySet<Operation>;
  readonly models: readonly Glob[];
}

/** A policy's part in access. */
export interface AccessPolicy {
  readonly entry: PolicyEntry;
  readonly rules: readonly CompiledAccessRule[];
  /** It has guards or labels that read requests: prompts that cannot be inspected need its consent. */
  readonly inspects: boolean;
  /** It has guards or labels, in either direction: what nobody can look into needs its consent. */
  readonly looks: boolean;
}

/** Operations that change a server or that nobody has read: an Allow covers them only by name. */
const namedOnly: ReadonlySet<Operation> = new Set<Operation>(['Admin', 'Other']);
/** Operations on the server as a whole where the request names no model. */
const modelless: ReadonlySet<Operation> = new Set<Operation>(['ListModels', 'Health', 'Metrics']);
/** Operations that always use a model: a server that is not told which one takes its own. */
const modelBound: ReadonlySet<Operation> = new Set<Operation>(['Chat', 'Completions', 'Embeddings']);

/** Operations of a rule. Without any, an Allow means all but those that must be named; a Deny means all. */
export function operationsOf(rule: AccessRule): ReadonlySet<Operation> {
  if (rule.operations.length > 0) return new Set(rule.operations);
  return new Set(operations.filter((operation) => rule.effect === 'Deny' || !namedOnly.has(operation)));
}

export function compileAccess(entry: PolicyEntry, scope: ProviderScope, table: CallerTable): AccessPolicy {
  const rules = entry.policy.spec.access.map((spec): CompiledAccessRule => {
    const use = spec.effect === 'Allow' ? 'permit' : 'restrict';
    // A Deny without subjects is one for everybody: nothing that restricts may fall away because it says too little.
    const subjects =
      spec.effect === 'Deny' && spec.subjects.length === 0 ? everyCaller : subjectsTest(spec.subjects, scope, use);
    return {
      id: ruleId(entry, spec.name),
      spec,
      subjects: table.add(subjects),
      scopes: table.add(scopesTest(spec.scopes, spec.subjects, scope, use)),
      operations: operationsOf(spec),
      models: spec.models.map(spec.effect === 'Allow' ? allowedModel : deniedModel),
    };
  });
  const { guards, classification } = entry.policy.spec;
  const inspects =
    guards.some((guard) => guard.on === 'Request') || classification.some((label) => label.inRequests !== undefined);
  return { entry, rules, inspects, looks: guards.length > 0 || classification.length > 0 };
}

/**
 * Models do not restrict operations that name none. Where an operation uses a model and the request does not say which,
 * both effects fail closed: an Allow must cover every model, and a Deny of any model holds.
 */
function modelMatches(rule: CompiledAccessRule, operation: Operation, model: string | undefined): boolean {
  if (rule.models.length === 0) return true;
  if (model !== undefined) return rule.models.some((glob) => glob.matches(model));
  if (rule.spec.effect === 'Deny') return !modelless.has(operation);
  return !modelBound.has(operation) || rule.models.some((glob) => glob.all);
}

/** Which of a rule's conditions fails first, or `matched`. */
export function checkRule(
  rule: CompiledAccessRule,
  bits: CallerBits,
  operation: Operation,
  model: string | undefined,
): 'matched' | 'subjects' | 'scopes' | 'operations' | 'models' {
  if (bits[rule.subjects] !== 1) return 'subjects';
  if (bits[rule.scopes] !== 1) return 'scopes';
  if (!rule.operations.has(operation)) return 'operations';
  return modelMatches(rule, operation, model) ? 'matched' : 'models';
}

/** What one policy's rules say. */
interface Vote {
  readonly policy: Pick<AccessPolicy, 'rules' | 'inspects' | 'looks'> & {
    readonly entry: Pick<PolicyEntry, 'cluster' | 'enforces'>;
  };
  readonly denies: readonly CompiledAccessRule[];
  readonly allows: readonly CompiledAccessRule[];
}

type Judgement =
  | {
      readonly kind: 'allow';
      readonly rules: readonly MatchedRule[];
      readonly ceilings: readonly (readonly MatchedRule[])[];
      readonly files: readonly (readonly FileTerms[])[];
      readonly within: readonly (readonly FileTerms[])[];
    }
  | { readonly kind: 'deny'; readonly refusal: Refusal };

const defaultRefusal: Refusal = { reason: 'access_denied', rule: 'default' };
const denied = (rule: CompiledAccessRule): Refusal => ({ reason: 'rule_denied', rule: rule.id });

const limitRows = {
  requestsPerMinute: combination['access.limits.requestsPerMinute'],
  tokensPerMinute: combination['access.limits.tokensPerMinute'],
  maxOutputTokens: combination['access.limits.maxOutputTokens'],
  concurrentRequests: combination['access.limits.concurrentRequests'],
  scope: combination['access.limits.scope'],
  failureMode: combination['access.limits.failureMode'],
} as const;
const limitNames = ['requestsPerMinute', 'tokensPerMinute', 'maxOutputTokens', 'concurrentRequests'] as const;

const noLimits: RateLimits = {
  requestsPerMinute: undefined,
  tokensPerMinute: undefined,
  maxOutputTokens: undefined,
  concurrentRequests: undefined,
  scope: undefined,
  failureMode: undefined,
};

/** What a policy's matching rules leave open at most: any of them may be charged, so the loosest of each value. */
function loosest(rules: readonly CompiledAccessRule[]): RateLimits {
  const most = (name: (typeof limitNames)[number]): number | undefined => {
    const values = rules.map((rule) => rule.spec.limits?.[name]);
    return values.reduce((a, b) => (a === undefined || b === undefined ? undefined : Math.max(a, b)));
  };
  if (rules.length === 0) return noLimits;
  const shared = rules.every((rule) => rule.spec.limits?.scope === 'Policy');
  return {
    requestsPerMinute: most('requestsPerMinute'),
    tokensPerMinute: most('tokensPerMinute'),
    maxOutputTokens: most('maxOutputTokens'),
    concurrentRequests: most('concurrentRequests'),
    scope: shared ? 'Policy' : undefined,
    failureMode: shared && rules.every((rule) => rule.spec.limits?.failureMode !== 'PerPod') ? 'Deny' : undefined,
  };
}

function tightest(a: RateLimits, b: RateLimits): RateLimits {
  return {
    requestsPerMinute: mergeSet(limitRows.requestsPerMinute, a.requestsPerMinute, b.requestsPerMinute),
    tokensPerMinute: mergeSet(limitRows.tokensPerMinute, a.tokensPerMinute, b.tokensPerMinute),
    maxOutputTokens: mergeSet(limitRows.maxOutputTokens, a.maxOutputTokens, b.maxOutputTokens),
    concurrentRequests: mergeSet(limitRows.concurrentRequests, a.concurrentRequests, b.concurrentRequests),
    scope: mergeSet(limitRows.scope, a.scope, b.scope),
    failureMode: mergeSet(limitRows.failureMode, a.failureMode, b.failureMode),
  };
}

function limitsOrNone(limits: RateLimits): RateLimits | undefined {
  return limitNames.every((name) => limits[name] === undefined) ? undefined : limits;
}

/** Whether a policy's matching rules let token ids through its guards. One that inspects must say so; others must not forbid it. */
function consents(vote: Vote): boolean {
  return vote.allows.some(
    ({ spec }) => spec.tokenInput === 'Allow' || (!vote.policy.inspects && spec.tokenInput !== 'Deny'),
  );
}

/** Cluster policies without access rules have no rule to consent with, so their guards stay in force; those of the namespace leave it to its rules. */
function isAsked({ policy: { entry, inspects, rules }, allows }: Vote): boolean {
  if (entry.cluster) return inspects || rules.length > 0;
  return (inspects && rules.length > 0) || allows.some(({ spec }) => spec.tokenInput === 'Deny');
}

function matchedRules(votes: readonly Vote[], others: readonly Vote[], tokenInput: boolean): readonly MatchedRule[] {
  const cap = others.map((vote) => loosest(vote.allows)).reduce(tightest, noLimits);
  return votes
    .flatMap((vote) => vote.allows)
    .map((rule) => ({
      id: rule.id,
      limits: limitsOrNone(tightest(rule.spec.limits ?? noLimits, cap)),
      tokenInput: rule.spec.tokenInput === 'Allow' && tokenInput,
    }));
}

/** The rule of combination for `access` (see the table in combination.ts), over policies in policy order. */
function judge(votes: readonly Vote[]): Judgement {
  const deny = votes.flatMap((vote) => vote.denies)[0];
  if (deny !== undefined) return { kind: 'deny', refusal: denied(deny) };

  const voting = votes.filter((vote) => vote.policy.rules.length > 0);
  const platform = voting.filter((vote) => vote.policy.entry.cluster);
  const own = voting.filter((vote) => !vote.policy.entry.cluster);
  const mustAllow = own.length > 0 ? [own, ...platform.map((vote) => [vote])] : platform.map((vote) => [vote]);
  const [granting, ...above] = mustAllow;
  if (granting === undefined || mustAllow.some((group) => group.every((vote) => vote.allows.length === 0))) {
    return { kind: 'deny', refusal: defaultRefusal };
  }
  const ceilings = above.flat();
  const tokenInput = votes.filter(isAsked).every(consents);
  return {
    kind: 'allow',
    rules: matchedRules(granting, ceilings, tokenInput),
    ceilings: ceilings.map((vote) => matchedRules([vote], [], tokenInput)),
    files: votes.some(closesFiles) ? noFiles : filesOf([...granting, ...ceilings]),
    within: [...granting, ...ceilings].map(termsOf).filter((terms) => terms.length > 0),
  };
}

const noFiles: readonly (readonly FileTerms[])[] = [];

/** As with token ids: a cluster policy without access rules has no rule to consent with. */
const closesFiles = ({ policy: { entry, looks, rules } }: Vote): boolean =>
  entry.cluster && looks && rules.length === 0;

/** Empty where some policy that allows lets none pass. */
function filesOf(votes: readonly Vote[]): readonly (readonly FileTerms[])[] {
  const each: (readonly FileTerms[])[] = [];
  for (const vote of votes) {
    if (vote.allows.length === 0) continue;
    const terms = termsOf(vote);
    if (terms.length === 0) return noFiles;
    each.push(terms);
  }
  return each;
}

const termsOf = ({ allows }: Vote): readonly FileTerms[] => allows.flatMap(({ spec }) => spec.files ?? []);

function vote(policy: AccessPolicy, bits: CallerBits, operation: Operation, model: string | undefined): Vote {
  const matching = policy.rules.filter((rule) => checkRule(rule, bits, operation, model) === 'matched');
  return {
    policy,
    denies: matching.filter((rule) => rule.spec.effect === 'Deny'),
    allows: matching.filter((rule) => rule.spec.effect === 'Allow'),
  };
}

/** What observing policies would refuse beside what is enforced. */
function observedRefusals(
  observing: readonly Vote[],
  enforced: Judgement | undefined,
  together: Judgement,
): readonly Refusal[] {
  const byRule = observing.flatMap((one) => one.denies).map(denied);
  if (together.kind === 'allow' || together.refusal.rule !== 'default') return byRule;
  // The default is theirs only where what is enforced lets the request through.
  return enforced?.kind === 'deny' ? byRule : [...byRule, defaultRefusal];
}

/**
 * Whether some enforcing rule names this caller and operation, whatever its models. A request of which it is false is refused
 * before its body is read; one of which it is true is decided when its model is known.
 */
export function couldAllow(policies: readonly AccessPolicy[], bits: CallerBits, operation: Operation): boolean {
  const enforcing = policies.filter((policy) => policy.entry.enforces);
  if (enforcing.length === 0) return policies.length > 0;
  return enforcing.some((policy) =>
    policy.rules.some((rule) => {
      if (rule.spec.effect !== 'Allow') return false;
      const unmet = checkRule(rule, bits, operation, undefined);
      return unmet === 'matched' || unmet === 'models';
    }),
  );
}

/** A grant's say: one Allow rule of the namespace, without limits of its own and without consent to what cannot be inspected. */
function grantVote(id: RuleId): Vote {
  const spec: AccessRule = {
    name: id,
    effect: 'Allow',
    subjects: [],
    operations: [],
    models: [],
    scopes: [],
    tokenInput: 'Deny',
    limits: undefined,
  };
  const rule: CompiledAccessRule = { id, spec, subjects: -1, scopes: -1, operations: new Set(), models: [] };
  const policy = { entry: { cluster: false, enforces: true }, rules: [rule], inspects: true, looks: false };
  return { policy, denies: [], allows: [rule] };
}

/**
 * @param policies in policy order; policies without access rules among them, since they may have guards.
 * @param granted the grant that covers the request, if one does.
 */
export function decide(
  policies: readonly AccessPolicy[],
  bits: CallerBits,
  operation: Operation,
  model: string | undefined,
  granted?: RuleId,
): AccessDecision {
  const votes: Vote[] = policies.map((policy) => vote(policy, bits, operation, model));
  if (granted !== undefined && votes.length > 0) votes.push(grantVote(granted));
  const enforcing = votes.filter((one) => one.policy.entry.enforces);
  const observing = votes.filter((one) => !one.policy.entry.enforces);
  const together = observing.length === 0 ? undefined : judge(votes);
  if (enforcing.length > 0) {
    const enforced = judge(enforcing);
    const observed = together === undefined ? [] : observedRefusals(observing, enforced, together);
    if (enforced.kind === 'deny') return { kind: 'deny', refusal: enforced.refusal, observed };
    return {
      kind: 'allow',
      rules: enforced.rules,
      ...(enforced.ceilings.length === 0 ? {} : { ceilings: enforced.ceilings }),
      ...observedLimits(observing),
      credential: true,
      observed,
      ...(enforced.files.length === 0 ? {} : { files: enforced.files }),
      ...(enforced.within.length === 0 ? {} : { within: enforced.within }),
    };
  }
  if (together === undefined) return { kind: 'deny', refusal: defaultRefusal, observed: [] };
  return {
    kind: 'allow',
    rules: [],
    ...observedLimits(observing),
    credential: together.kind === 'allow' && eachAllows(observing),
    observed: observedRefusals(observing, undefined, together),
  };
}

/** The model's key goes only with callers whom each observing policy with access rules would let through on its own. */
function eachAllows(observing: readonly Vote[]): boolean {
  return observing.every((one) => one.policy.rules.length === 0 || (one.denies.length === 0 && one.allows.length > 0));
}

function observedLimits(observing: readonly Vote[]): { readonly observedRules?: readonly MatchedRule[] } {
  const rules = matchedRules(observing, [], true);
  return rules.length === 0 ? {} : { observedRules: rules };
}
