import { certainties } from './certainty.ts';
import type { AllowSpec, Certainty } from './certainty.ts';
import type {
  AccessRule,
  AnalyzerSpec,
  ApprovalSpec,
  AuditSpec,
  ClassificationRule,
  CorsSpec,
  FileTerms,
  GuardRule,
  LoopbackSpec,
  Profile,
  ProviderSpec,
  RateLimits,
  Replacement,
  RequestLimits,
  ResponseLimit,
  RouteSpec,
  ServiceSpec,
  SubjectSpec,
  TlsSpec,
  UpstreamSpec,
} from './policy.ts';

/**
 * How the values of several policies become one: a row for each field, its rule in words and the function that does it.
 * This is the only place where such a choice is made; docs/policy.md is written from it.
 *
 * Values come in policy order (the platform's first, then the oldest). A policy that does not set a field takes no part.
 */
export interface CombinationRow<T> {
  readonly field: string;
  readonly rule: string;
  readonly merge: (first: T, second: T) => T;
  /** Namespaces' values count only where no cluster policy sets the field. */
  readonly clusterFirst: boolean;
}

type Set<T> = Exclude<T, undefined>;

function row<T>(
  field: string,
  rule: string,
  merge: (first: T, second: T) => T,
  clusterFirst = false,
): CombinationRow<T> {
  return { field, rule, merge, clusterFirst };
}

/** The one that stands further left in `order`. */
function strictest<T>(order: readonly T[]): (first: T, second: T) => T {
  return (first, second) => (order.indexOf(second) < order.indexOf(first) ? second : first);
}

const smaller = (first: number, second: number): number => Math.min(first, second);
const larger = (first: number, second: number): number => Math.max(first, second);
const keepFirst = <T>(first: T): T => first;
function addUp<T>(first: readonly T[], second: readonly T[]): readonly T[] {
  return [...first, ...second];
}

/** What stands in both; the first itself where it all does. */
function common(first: readonly string[], second: readonly string[]): readonly string[] {
  const both = first.filter((one) => second.includes(one));
  return both.length === first.length ? first : both;
}

/** How much of a value its replacement shows: nothing; whether two are equal; its last characters. */
export function exposure(replacement: Replacement): number {
  switch (replacement.style) {
    case 'Label':
    case 'Constant':
      return 0;
    case 'Hash':
      return 1;
    case 'Partial':
      return 2 + replacement.keep;
    default:
      return Number.POSITIVE_INFINITY;
  }
}

const noOrder = "has no order: the cluster policy's value, else the oldest policy's";
const described =
  'A namespace’s does not count on a pod that a cluster policy with access rules, guards, classification or a record of content selects';

export const combination = {
  profile: row<Profile>(
    'profile',
    'the stricter: Strict over Standard over Relaxed',
    strictest(['Strict', 'Standard', 'Relaxed']),
  ),
  'identity.providers': row<readonly ProviderSpec[]>(
    'identity.providers',
    "add up. Of two with one issuer and a common audience an enforcing policy's stays before one that observes, then the cluster's, then the oldest's; the other is dropped. Where both say the same, the dropped one's rules use the one that stays; where they differ, only its restricting rules do (Deny, guards, responseLimits)",
    addUp,
  ),
  access: row<readonly AccessRule[]>(
    'access',
    'rules add up; any Deny wins; an Allow counts only where every cluster policy with access rules also allows, and where a policy of the namespace has access rules, one of those must allow too',
    addUp,
  ),
  'access.limits.requestsPerMinute': row<Set<RateLimits['requestsPerMinute']>>(
    'access.limits.requestsPerMinute',
    "the smaller of the rule's own and each cluster policy's",
    smaller,
  ),
  'access.limits.tokensPerMinute': row<Set<RateLimits['tokensPerMinute']>>(
    'access.limits.tokensPerMinute',
    "the smaller of the rule's own and each cluster policy's",
    smaller,
  ),
  'access.limits.maxOutputTokens': row<Set<RateLimits['maxOutputTokens']>>(
    'access.limits.maxOutputTokens',
    "the smaller of the rule's own and each cluster policy's",
    smaller,
  ),
  'access.limits.concurrentRequests': row<Set<RateLimits['concurrentRequests']>>(
    'access.limits.concurrentRequests',
    "the smaller of the rule's own and each cluster policy's",
    smaller,
  ),
  'access.limits.scope': row<Set<RateLimits['scope']>>(
    'access.limits.scope',
    'Policy over Pod',
    strictest(['Policy', 'Pod']),
  ),
  'access.limits.failureMode': row<Set<RateLimits['failureMode']>>(
    'access.limits.failureMode',
    'Deny over PerPod',
    strictest(['Deny', 'PerPod']),
  ),
  'access.tokenInput': row<Set<AccessRule['tokenInput']>>(
    'access.tokenInput',
    'Deny over Allow: a policy with request guards, or with labels `inRequests`, must allow it in a rule of its own that allows the request; one of the namespace without access rules leaves it to the others',
    strictest(['Deny', 'Allow']),
  ),
  'access.files': row<readonly (readonly FileTerms[])[]>(
    'access.files',
    'a file passes where, of each policy whose rules allow the request, some rule that allows it lets the file pass; none does where a cluster policy has guards or labels and no access rules; one within the JSON of a request where the same holds of each policy that says anything of files',
    addUp,
  ),
  loopback: row<readonly LoopbackSpec[]>(
    'loopback',
    'add up; an operation is open to a uid only where every cluster policy with access rules opens it too, and where a policy of the namespace has access rules, one of those',
    addUp,
  ),
  guards: row<readonly GuardRule[]>('guards', 'add up', addUp),
  classification: row<readonly ClassificationRule[]>(
    'classification',
    'labels add up; policies that name one label share who may see it, what happens otherwise, what happens in requests and the replacement',
    addUp,
  ),
  'classification.fields': row<ClassificationRule['fields']>('classification.fields', 'of one label: add up', addUp),
  'classification.detectors': row<readonly string[]>('classification.detectors', 'of one label: add up', addUp),
  'classification.patterns': row<ClassificationRule['match']['patterns']>(
    'classification.patterns',
    'of one label: add up',
    addUp,
  ),
  'classification.certainty': row<Certainty>(
    'classification.certainty, classification.certaintyOf',
    'of one label and detector, the lower among the policies that look for it: Possible over Likely (also where unset) over Certain',
    strictest(certainties),
  ),
  'classification.allow': row<readonly AllowSpec[]>(
    'classification.allow',
    'of one label and detector, only what every policy allows that looks for the detector; nothing where one allows nothing',
    (first, second) =>
      first.length === 0 || second.length === 0
        ? []
        : [...first, ...second.filter((one) => !first.some((other) => JSON.stringify(other) === JSON.stringify(one)))],
  ),
  'classification.words': row<readonly string[]>('classification.words', 'of one label: add up', addUp),
  'classification.visibleTo': row<readonly (readonly SubjectSpec[])[]>(
    'classification.visibleTo',
    'of one label: intersects, the caller must stand in every policy’s list',
    addUp,
  ),
  'classification.otherwise': row<ClassificationRule['otherwise']>(
    'classification.otherwise',
    'of one label, the stricter: Block over RequireApproval over Mask',
    strictest(['Block', 'RequireApproval', 'Mask']),
  ),
  'classification.inRequests': row<Set<ClassificationRule['inRequests']>>(
    'classification.inRequests',
    'of one label, the stricter: Block over RequireApproval over Mask; then what any of the policies finds of the label counts',
    strictest(['Block', 'RequireApproval', 'Mask']),
  ),
  'classification.replacement': row<Replacement>(
    'classification.replacement',
    'of one label, what shows less: Label (also where unset) and Constant over Hash over Partial, fewer kept characters over more',
    (first, second) => (exposure(second) < exposure(first) ? second : first),
  ),
  'upstream.ports, upstream.hosted': row<Pick<UpstreamSpec, 'ports' | 'hosted'>>(
    'upstream.ports, upstream.hosted',
    `${noOrder}, as one`,
    keepFirst,
  ),
  'upstream.credential': row<Set<UpstreamSpec['credential']>>(
    'upstream.credential',
    `${noOrder}; never sent to a hosted endpoint that another policy names`,
    keepFirst,
  ),
  'tls.inbound': row<Set<TlsSpec['inbound']>>(
    'tls.inbound',
    'the stricter: Mutual over Required over Optional',
    strictest(['Mutual', 'Required', 'Optional']),
  ),
  'tls.minVersion': row<Set<TlsSpec['minVersion']>>('tls.minVersion', 'the higher', strictest(['TLSv1.3', 'TLSv1.2'])),
  'tls.certificate': row<Set<TlsSpec['certificate']>>('tls.certificate', noOrder, keepFirst),
  onUnknown: row<'Deny' | 'Buffer'>('onUnknown', 'Deny over Buffer', strictest(['Deny', 'Buffer'])),
  'requestLimits.maxBodyBytes': row<Set<RequestLimits['maxBodyBytes']>>(
    'requestLimits.maxBodyBytes',
    'the smaller',
    smaller,
  ),
  'requestLimits.bodyTimeoutMs': row<Set<RequestLimits['bodyTimeoutMs']>>(
    'requestLimits.bodyTimeout',
    'the smaller',
    smaller,
  ),
  'requestLimits.upstreamIdleMs': row<Set<RequestLimits['upstreamIdleMs']>>(
    'requestLimits.upstreamIdle',
    'the smaller',
    smaller,
  ),
  'cors.origins': row<CorsSpec['origins']>(
    'cors.origins',
    'intersect: an origin may call where every policy that sets the field lists it',
    common,
  ),
  'cors.maxAgeMs': row<Set<CorsSpec['maxAgeMs']>>('cors.maxAge', 'the smaller', smaller),
  maxPolicyAgeMs: row<number>('maxPolicyAge', 'the smaller', smaller),
  responseLimits: row<readonly ResponseLimit[]>(
    'responseLimits',
    'add up; of all that apply to a caller, the strictest of each value',
    addUp,
  ),
  'responseLimits.maxBytes': row<number>('responseLimits.maxBytes', 'the smaller', smaller),
  'responseLimits.maxDurationMs': row<number>('responseLimits.maxDuration', 'the smaller', smaller),
  'responseLimits.minDurationMs': row<number>('responseLimits.minDuration', 'the larger', larger),
  'responseLimits.padToMultipleOf': row<number>('responseLimits.padToMultipleOf', 'the larger', larger),
  'responseLimits.cadenceMs': row<number>('responseLimits.cadence', 'the longer', larger),
  grpcServices: row<ServiceSpec>('grpcServices', `add up by service; one service ${noOrder}. ${described}`, keepFirst),
  routes: row<RouteSpec>('routes', `add up by path; one path ${noOrder}. ${described}`, keepFirst),
  analyzers: row<readonly AnalyzerSpec[]>('analyzers', 'add up by name', addUp),
  'analyzers.url': row<string>('analyzers.url', `of one name: ${noOrder}`, keepFirst),
  'analyzers.timeoutMs': row<number>('analyzers.timeout', 'of one name: the smaller', smaller),
  'analyzers.failureMode': row<'Deny' | 'Allow'>(
    'analyzers.failureMode',
    'of one name: Deny over Allow',
    strictest(['Deny', 'Allow']),
  ),
  'approvals.approvers': row<ApprovalSpec['approvers']>('approvals.approvers', noOrder, keepFirst),
  'approvals.required': row<Set<ApprovalSpec['required']>>('approvals.required', 'the larger', larger),
  'approvals.timeoutMs': row<Set<ApprovalSpec['timeoutMs']>>('approvals.timeout', 'the smaller', smaller),
  'approvals.maxGrantMs': row<Set<ApprovalSpec['maxGrantMs']>>('approvals.maxGrant', 'the smaller', smaller),
  'audit.content': row<Set<AuditSpec['content']>>(
    'audit.content',
    'the cluster’s, since a namespace may neither switch the platform’s record off nor widen it; among policies of one level the one that keeps less in clear: None over Sealed over Masked over Full',
    strictest(['None', 'Sealed', 'Masked', 'Full']),
    true,
  ),
  'audit.sealTo': row<string>(
    'audit.sealTo',
    `goes with \`audit.content\`, as one of the policies says that want what stands: the cluster’s; among policies of one level, ${noOrder}`,
    keepFirst,
    true,
  ),
  'audit.onFailure': row<Set<AuditSpec['onFailure']>>(
    'audit.onFailure',
    'Deny over Allow',
    strictest(['Deny', 'Allow']),
  ),
} as const;

export type CombinedField = keyof typeof combination;

/** Merges two values either of which may be unset: unset takes no part. */
export function mergeSet<T>(rule: CombinationRow<T>, first: T | undefined, second: T | undefined): T | undefined {
  if (first === undefined) return second;
  return second === undefined ? first : rule.merge(first, second);
}

/** Whether `next` asks for more than `held` does already. */
export function isStricter<T>(rule: CombinationRow<T>, held: T | undefined, next: T | undefined): boolean {
  if (next === undefined) return false;
  return held === undefined || rule.merge(held, next) !== held;
}
