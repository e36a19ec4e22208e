import { compileAccess, couldAllow, decide } from './access.ts';
import type { AccessPolicy } from './access.ts';
import { CallerTable } from './caller-table.ts';
import type { CallerBits } from './caller-table.ts';
import { canonical, sha256 } from './canonical.ts';
import type { Identity } from './identity.ts';
import { findInertRules } from './inert-rules.ts';
import type { Operation } from './operation.ts';
import { compileLoopback } from './loopback.ts';
import { inPolicyOrder } from './order.ts';
import type { PolicyEntry } from './order.ts';
import { Planner, compileResponseLimits } from './plans.ts';
import type { Policy } from './policy.ts';
import { PolicyError } from './policy-error.ts';
import { resolveProviders } from './providers.ts';
import { compileScanRules } from './scan-rules.ts';
import type { ScanEntry } from './scan-rules.ts';
import { selects } from './selector.ts';
import { combineSettings, loosenForObserve } from './settings.ts';
import type { Settings } from './settings.ts';
import type {
  AccessDecision,
  AccessRequest,
  CompiledProvider,
  PolicyNotice,
  RequestPlan,
  ResponsePlan,
  Snapshot,
} from './snapshot.ts';

/**
 * Policies of a pod -> the snapshot that its sidecar enforces. Pure: equal policies give equal decisions, in whatever order
 * they came, and nothing is read, timed or random.
 *
 * Promise: with no policy, with no rule that matches and with every conflict the answer is the stricter one. A namespace's
 * policy can add rules to the platform's and never take one away; an observing policy changes nothing that happens.
 */

export interface CompileOptions {
  /** Counts up with each change that the process has seen. */
  readonly revision: number;
  /** Labels of the pod. Undefined: a sidecar that runs on its own, which every policy given selects. */
  readonly podLabels?: Readonly<Record<string, string>>;
  readonly namespaceLabels?: Readonly<Record<string, string>>;
  /** Undefined: not compared; then all namespaced policies must name the same one. */
  readonly namespace?: string;
}

/** What answers before the first snapshot, and where no policy selects the pod. */
export const noPolicy: Extract<AccessDecision, { kind: 'deny' }> = {
  kind: 'deny',
  refusal: { reason: 'no_policy', rule: 'default' },
  observed: [],
};

/** The snapshot and its parts, for explanations. */
export interface Compiled {
  readonly snapshot: Snapshot;
  readonly entries: readonly PolicyEntry[];
  readonly settings: Settings;
  readonly access: readonly AccessPolicy[];
  readonly scan: readonly ScanEntry[];
  bits(caller: Identity | undefined): CallerBits;
}

function selected(policies: readonly Policy[], options: CompileOptions): readonly Policy[] {
  const { podLabels, namespaceLabels = {}, namespace } = options;
  const chosen =
    podLabels === undefined
      ? policies
      : policies.filter((policy) => selects(policy, { namespace, labels: podLabels, namespaceLabels }));
  const namespaces = new Set(chosen.flatMap((policy) => policy.namespace ?? []));
  if (namespaces.has('cluster')) {
    throw new PolicyError(
      'reserved_namespace',
      'the namespace "cluster" cannot have policies: its name stands for the platform',
    );
  }
  if (namespaces.size > 1) {
    throw new PolicyError(
      'mixed_namespaces',
      `one pod is in one namespace, the policies are in ${[...namespaces].sort().join(', ')}`,
    );
  }
  return chosen;
}

/** Access decisions that were taken for one kind of caller. Bounded: models are the caller's words. */
const mostDecisions = 256;
const longestModel = 256;

/** Callers whose bits are equal: one set of plans, one cache of decisions. */
class CallerClass {
  readonly request: RequestPlan;
  readonly response: ResponsePlan;
  readonly #policies: readonly AccessPolicy[];
  readonly #bits: CallerBits;
  readonly #decisions = new Map<string, Map<string | undefined, AccessDecision>>();
  #count = 0;

  constructor(policies: readonly AccessPolicy[], planner: Planner, bits: CallerBits) {
    this.#policies = policies;
    this.#bits = bits;
    this.request = planner.requestPlan(bits);
    this.response = planner.responsePlan(bits);
  }

  couldAllow(operation: Operation): boolean {
    return couldAllow(this.#policies, this.#bits, operation);
  }

  access(request: AccessRequest): AccessDecision {
    const { operation, model } = request;
    if (this.#policies.length === 0) return noPolicy;
    let byModel = this.#decisions.get(operation);
    const known = byModel?.get(model);
    if (known !== undefined) return known;
    const decision = decide(this.#policies, this.#bits, operation, model);
    if (model !== undefined && model.length > longestModel) return decision;
    if (this.#count >= mostDecisions) {
      this.#decisions.clear();
      this.#count = 0;
      byModel = undefined;
    }
    if (byModel === undefined) {
      byModel = new Map();
      this.#decisions.set(operation, byModel);
    }
    byModel.set(model, decision);
    this.#count++;
    return decision;
  }
}

/** Finds a caller's class: by the identity object on the hot path, by its bits when the object is new. */
class CallerClasses {
  readonly #policies: readonly AccessPolicy[];
  readonly #planner: Planner;
  readonly #table: CallerTable;
  readonly #byIdentity = new WeakMap<Identity, CallerClass>();
  readonly #byBits = new Map<string, CallerClass>();
  readonly #unproven: CallerClass;

  constructor(policies: readonly AccessPolicy[], planner: Planner, table: CallerTable) {
    this.#policies = policies;
    this.#planner = planner;
    this.#table = table;
    this.#unproven = this.#make(undefined);
  }

  of(caller: Identity | undefined): CallerClass {
    if (caller === undefined) return this.#unproven;
    return this.#byIdentity.get(caller) ?? this.#make(caller);
  }

  #make(caller: Identity | undefined): CallerClass {
    const bits = this.#table.bits(caller);
    const key = bits.join('');
    let found = this.#byBits.get(key);
    if (found === undefined) {
      found = new CallerClass(this.#policies, this.#planner, bits);
      this.#byBits.set(key, found);
    }
    if (caller !== undefined) this.#byIdentity.set(caller, found);
    return found;
  }
}

/** The controller gives these keys; authors write none. The same object where there are none. */
function withoutKeys(policy: Policy): object {
  const { providers } = policy.spec;
  if (!providers.some((one) => (one.serviceAccount?.keys ?? one.sidegate?.keys) !== undefined)) return policy;
  const bare = providers.map(({ serviceAccount, sidegate, ...others }) => ({
    ...others,
    serviceAccount: serviceAccount === undefined ? undefined : { ...serviceAccount, keys: undefined },
    sidegate: sidegate === undefined ? undefined : { ...sidegate, keys: undefined },
  }));
  return { ...policy, spec: { ...policy.spec, providers: bare } };
}

/**
 * As {@link compileSnapshot}, with what explanations need beside it.
 *
 * @throws PolicyError
 */
export function compile(policies: readonly Policy[], options: CompileOptions): Compiled {
  const entries = inPolicyOrder(selected(policies, options));
  const { providers, scopes, notices: providerNotices } = resolveProviders(entries);
  const table = new CallerTable();
  const access = entries.flatMap((entry) => {
    const scope = scopes.get(entry);
    return scope === undefined ? [] : [compileAccess(entry, scope, table)];
  });
  const scan = compileScanRules(entries, scopes, table);
  const planner = new Planner(scan.entries, compileResponseLimits(entries, scopes, table));
  // Without any policy everything is refused, so that is enforcing.
  const enforcing = entries.length === 0 || entries.some((entry) => entry.enforces);
  const combined = combineSettings(entries, scopes);
  const settings = enforcing ? combined : loosenForObserve(combined);
  const loopback = compileLoopback(entries);
  const classes = new CallerClasses(access, planner, table);
  const sources = entries.map((entry) => entry.policy);
  const bare = sources.map(withoutKeys);
  const hash = sha256(canonical(sources));
  const snapshot: Snapshot = {
    revision: options.revision,
    hash,
    terms: bare.every((one, at) => one === sources[at]) ? hash : sha256(canonical(bare)),
    sources: entries.map(({ policy: { kind, uid, namespace, name, generation } }) => ({
      kind,
      uid,
      namespace,
      name,
      generation,
    })),
    generation: entries.map((entry) => `${entry.label}@${entry.policy.generation}`).join('+') || 'none',
    enforcing,
    notices: [
      ...providerNotices,
      ...settings.notices,
      ...scan.notices,
      ...loopback.notices,
      ...findInertRules(entries, scopes),
      ...nobodyConnects(entries, settings, providers),
    ],
    providers,
    tls: settings.tls,
    upstream: settings.upstream,
    scanRules: scan.entries.map((entry) => entry.rule),
    onUnknown: settings.onUnknown,
    audit: settings.audit,
    profile: settings.profile,
    approvals: settings.approvals,
    analyzers: settings.analyzers,
    grpcServices: settings.grpcServices,
    routes: settings.routes,
    requestLimits: settings.requestLimits,
    ...(settings.cors !== undefined && { cors: settings.cors }),
    maxPolicyAgeMs: settings.maxPolicyAgeMs,
    loopback: loopback.rules,
    access: (request) => classes.of(request.caller).access(request),
    accessGranted: ({ caller, operation, model }, grant) =>
      access.length === 0 ? noPolicy : decide(access, table.bits(caller), operation, model, grant),
    couldAllow: (caller, operation) => classes.of(caller).couldAllow(operation),
    requestPlan: (caller) => classes.of(caller).request,
    responsePlan: (caller) => classes.of(caller).response,
  };
  return { snapshot, entries, settings, access, scan: scan.entries, bits: (caller) => table.bits(caller) };
}

/** A certificate must come, and none is asked for. */
function nobodyConnects(
  entries: readonly PolicyEntry[],
  { tls }: Pick<Snapshot, 'tls'>,
  providers: readonly CompiledProvider[],
): readonly PolicyNotice[] {
  if (tls.inbound !== 'Mutual' || providers.some(({ clientCertificate }) => clientCertificate !== undefined)) return [];
  const message =
    'Mutual, and no provider takes client certificates: every request is refused (certificate_required), unless a sidecar that runs on its own has --client-ca. Add a provider with clientCertificate';
  return entries
    .filter(({ policy }) => policy.spec.tls?.inbound === 'Mutual')
    .map(({ label }) => ({ policy: label, field: 'identity.providers', message }));
}

/**
 * Compiles the policies that select a pod into what its sidecar enforces. Policies that do not select it are left out; with
 * none left everything is refused with `no_policy`.
 *
 * @throws PolicyError for policies that cannot stand on one pod, or that name a detector which does not exist: the last good
 * snapshot stays.
 */
export function compileSnapshot(policies: readonly Policy[], options: CompileOptions): Snapshot {
  return compile(policies, options).snapshot;
}
