import { canonical } from './canonical.ts';
import { combination } from './combination.ts';
import type { CombinationRow, CombinedField } from './combination.ts';
import type { PolicyEntry } from './order.ts';
import type {
  AnalyzerSpec,
  ApprovalSpec,
  CorsSpec,
  PolicySpec,
  Profile,
  RouteSpec,
  ServiceSpec,
  SubjectSpec,
  TlsSpec,
  UpstreamSpec,
} from './policy.ts';
import { isSealedTo } from './policy.ts';
import { defaultProfile, profiles } from './profiles.ts';
import type { ProfileDefaults } from './profiles.ts';
import type { ProviderScope } from './providers.ts';
import type { CombinedApprovals, PolicyNotice, Snapshot } from './snapshot.ts';
import { isAnyone, subjectProviders } from './subjects.ts';

/** One value in force and whose it is: a policy's label, `profile NAME`, or why it is not a policy's. */
export interface EffectiveValue {
  readonly field: string;
  readonly value: unknown;
  readonly from: string;
}

export interface Settings {
  readonly profile: Profile;
  readonly tls: Snapshot['tls'];
  readonly certificate: TlsSpec['certificate'];
  readonly upstream: UpstreamSpec | undefined;
  readonly onUnknown: Snapshot['onUnknown'];
  readonly audit: Snapshot['audit'];
  readonly approvals: CombinedApprovals | undefined;
  readonly analyzers: readonly AnalyzerSpec[];
  readonly grpcServices: readonly ServiceSpec[];
  readonly routes: readonly RouteSpec[];
  readonly requestLimits: Snapshot['requestLimits'];
  readonly cors: CorsSpec | undefined;
  readonly maxPolicyAgeMs: number;
  readonly effective: readonly EffectiveValue[];
  readonly notices: readonly PolicyNotice[];
}

interface Candidate<T> {
  readonly entry: PolicyEntry;
  readonly value: T;
}

interface Winner<T> {
  readonly value: T;
  readonly entry: PolicyEntry;
}

/** Combines fields and keeps count of what won and what lost. */
class Combiner {
  readonly effective: EffectiveValue[] = [];
  readonly notices: PolicyNotice[] = [];

  /** Reduces the candidates by the table's row; undefined when no policy sets the field. `field` defaults to the row's. */
  merge<T>(row: CombinationRow<T>, candidates: readonly Candidate<T>[], field = row.field): Winner<T> | undefined {
    const platform = candidates.filter((one) => one.entry.cluster);
    const counted = row.clusterFirst && platform.length > 0 ? platform : candidates;
    const [first, ...rest] = counted;
    if (first === undefined) return undefined;
    let won: Winner<T> = first;
    for (const next of rest) {
      const value = row.merge(won.value, next.value);
      if (value !== won.value) won = { value, entry: next.entry };
    }
    const text = canonical(won.value);
    for (const { entry, value } of candidates) {
      if (canonical(value) === text) continue;
      const message = `${canonical(value)} gives way to ${text} of ${won.entry.label} (${row.rule})`;
      this.notices.push({ policy: entry.label, field, message, by: won.entry.label });
    }
    this.effective.push({ field, value: won.value, from: won.entry.label });
    return won;
  }

  default<T>(field: string, value: T, from: string): T {
    this.effective.push({ field, value, from });
    return value;
  }
}

function candidates<T>(
  entries: readonly PolicyEntry[],
  read: (spec: PolicySpec, entry: PolicyEntry) => T | undefined,
): readonly Candidate<T>[] {
  return entries.flatMap((entry) => {
    const value = read(entry.policy.spec, entry);
    return value === undefined ? [] : [{ entry, value }];
  });
}

/**
 * A credential goes only where its own policy sends it, or to the pod's own model: else a namespace could name a host of
 * its own and be sent the platform's key, or the other way round.
 */
function combineUpstream(combiner: Combiner, entries: readonly PolicyEntry[]): UpstreamSpec | undefined {
  const places = candidates(entries, ({ upstream }) =>
    upstream === undefined || (upstream.ports.length === 0 && upstream.hosted === undefined)
      ? undefined
      : { ports: upstream.ports, hosted: upstream.hosted },
  );
  const place = combiner.merge(combination['upstream.ports, upstream.hosted'], places);
  const fits = ({ entry }: Candidate<unknown>): boolean =>
    entry === place?.entry || (place?.value.hosted === undefined && entry.policy.spec.upstream?.hosted === undefined);
  const keys = candidates(entries, ({ upstream }) => upstream?.credential);
  for (const key of keys.filter((one) => !fits(one))) {
    combiner.notices.push({
      policy: key.entry.label,
      field: 'upstream.credential',
      message: `is not used: ${place?.entry.label ?? 'no policy'} names the endpoint, and a credential goes only to its own policy's`,
    });
  }
  const credential = combiner.merge(combination['upstream.credential'], keys.filter(fits));
  if (place === undefined && credential === undefined) return undefined;
  return {
    ports: place?.value.ports ?? [],
    hosted: place?.value.hosted,
    credential: credential?.value,
  };
}

function combineAnalyzers(combiner: Combiner, entries: readonly PolicyEntry[]): readonly AnalyzerSpec[] {
  const names = new Set(entries.flatMap((entry) => entry.policy.spec.analyzers.map((one) => one.name)));
  return [...names].flatMap((name) => {
    const of = <T>(read: (spec: AnalyzerSpec) => T): readonly Candidate<T>[] =>
      candidates(entries, (spec) => {
        const found = spec.analyzers.find((one) => one.name === name);
        return found === undefined ? undefined : read(found);
      });
    const at = (field: string): string => `analyzers[${name}].${field}`;
    const url = combiner.merge(
      combination['analyzers.url'],
      of((one) => one.url),
      at('url'),
    );
    const timeout = combiner.merge(
      combination['analyzers.timeoutMs'],
      of((one) => one.timeoutMs),
      at('timeout'),
    );
    const mode = combiner.merge(
      combination['analyzers.failureMode'],
      of((one) => one.failureMode),
      at('failureMode'),
    );
    if (url === undefined || timeout === undefined || mode === undefined) return [];
    return [{ name, url: url.value, timeoutMs: timeout.value, failureMode: mode.value }];
  });
}

/** Entries of a list that stand whole as the first policy says them, each name once. */
interface WholeList<T> {
  readonly row: CombinationRow<T>;
  readonly read: (spec: PolicySpec) => readonly T[] | undefined;
  readonly nameOf: (one: T) => string;
  /** What is told of one. */
  readonly shown: (one: T) => unknown;
}

/** Whether it decides by what a call is, or by what stands in it, or records that. */
const judges = ({ access, guards, classification, audit }: PolicySpec): boolean =>
  access.length + guards.length + classification.length > 0 || (audit?.content ?? 'None') !== 'None';

function combineWhole<T>(
  combiner: Combiner,
  entries: readonly PolicyEntry[],
  { row, read, nameOf, shown }: WholeList<T>,
): readonly T[] {
  const won = new Map<string, { readonly value: T; readonly from: string }>();
  // What a namespace says of a route must not undo what the platform refuses on it, or reads in it.
  const judge = entries.find(({ cluster, policy }) => cluster && judges(policy.spec));
  for (const { label, cluster, policy } of entries) {
    for (const value of read(policy.spec) ?? []) {
      const field = `${row.field}[${nameOf(value)}]`;
      if (judge !== undefined && !cluster) {
        const message = `does not count: ${judge.label} has rules of its own, so only a ClusterInferencePolicy may describe it here`;
        combiner.notices.push({ policy: label, field, message });
        continue;
      }
      const first = won.get(nameOf(value));
      if (first === undefined) {
        won.set(nameOf(value), { value, from: label });
        combiner.effective.push({ field, value: shown(value), from: label });
      } else if (canonical(first.value) !== canonical(value)) {
        const message = `gives way to that of ${first.from} (${row.rule})`;
        combiner.notices.push({ policy: label, field, message, by: first.from });
      }
    }
  }
  return [...won.values()].map(({ value }) => value);
}

type Approver = ApprovalSpec['approvers'][number];

/** Out of its policy an approver must say whose identities it means: one entry for each provider. `anyone` approves nothing. */
function qualify(approver: Approver, scope: ProviderScope | undefined): readonly Approver[] {
  if (approver.kubernetesGroup !== undefined || approver.kubernetesUser !== undefined) return [approver];
  const subject: SubjectSpec = approver;
  if (isAnyone(subject) || scope === undefined) return [];
  return [...subjectProviders(subject, scope, 'permit')].map((provider) => ({ ...approver, provider }));
}

function combineApprovals(
  combiner: Combiner,
  entries: readonly PolicyEntry[],
  scopes: ReadonlyMap<PolicyEntry, ProviderScope>,
  gap: Gap,
): CombinedApprovals | undefined {
  const approvers = combiner.merge(
    combination['approvals.approvers'],
    candidates(entries, ({ approvals }) =>
      approvals === undefined || approvals.approvers.length === 0 ? undefined : approvals.approvers,
    ),
  );
  if (approvers === undefined && entries.every((entry) => entry.policy.spec.approvals === undefined)) return undefined;
  const scope = approvers === undefined ? undefined : scopes.get(approvers.entry);
  const required = combiner.merge(
    combination['approvals.required'],
    candidates(entries, ({ approvals }) => approvals?.required),
  );
  const timeout = combiner.merge(
    combination['approvals.timeoutMs'],
    candidates(entries, ({ approvals }) => approvals?.timeoutMs),
  );
  const maxGrant = combiner.merge(
    combination['approvals.maxGrantMs'],
    candidates(entries, ({ approvals }) => approvals?.maxGrantMs),
  );
  return {
    approvers: (approvers?.value ?? []).flatMap((one) => qualify(one, scope)),
    byPlatform: approvers?.entry.cluster === true,
    required: required?.value ?? gap('approvals.required'),
    timeoutMs: timeout?.value ?? gap('approvals.timeoutMs'),
    maxGrantMs: maxGrant?.value ?? gap('approvals.maxGrantMs'),
  };
}

/** Whoever says Full or Sealed names a key: that of who wants what won counts, so that it is of the same level. */
function combineAudit(combiner: Combiner, entries: readonly PolicyEntry[], gap: Gap): Snapshot['audit'] {
  const of = <T>(row: CombinationRow<T>, read: (spec: PolicySpec) => T | undefined): T | undefined =>
    combiner.merge(row, candidates(entries, read))?.value;
  const content = of(combination['audit.content'], (spec) => spec.audit?.content) ?? gap('audit.content');
  const sealTo = isSealedTo(content)
    ? of(combination['audit.sealTo'], ({ audit }) => (audit?.content === content ? audit.sealTo : undefined))
    : undefined;
  const onFailure = of(combination['audit.onFailure'], (spec) => spec.audit?.onFailure) ?? gap('audit.onFailure');
  return { content, ...(sealTo !== undefined && { sealTo }), onFailure };
}

type Gap = <K extends CombinedField & keyof ProfileDefaults>(field: K) => ProfileDefaults[K];

/**
 * Everything that is one value for the whole pod. Policies that observe take part only where all do: beside one that
 * enforces they must not alter what it says. What nobody sets, the profile fills.
 *
 * @param entries in policy order.
 */
export function combineSettings(
  entries: readonly PolicyEntry[],
  scopes: ReadonlyMap<PolicyEntry, ProviderScope>,
): Settings {
  const combiner = new Combiner();
  const enforcing = entries.filter((entry) => entry.enforces);
  const taking = enforcing.length > 0 ? enforcing : entries;
  const profile =
    combiner.merge(
      combination.profile,
      candidates(taking, (spec) => spec.profile),
    )?.value ?? combiner.default('profile', defaultProfile, 'default');
  const gap: Gap = (field) =>
    combiner.default(combination[field].field, profiles[profile][field], `profile ${profile}`);
  const merged = <T>(row: CombinationRow<T>, read: (spec: PolicySpec) => T | undefined): T | undefined =>
    combiner.merge(row, candidates(taking, read))?.value;

  const tls = {
    inbound: merged(combination['tls.inbound'], (spec) => spec.tls?.inbound) ?? gap('tls.inbound'),
    minVersion: merged(combination['tls.minVersion'], (spec) => spec.tls?.minVersion) ?? gap('tls.minVersion'),
  };
  const certificate = merged(combination['tls.certificate'], (spec) => spec.tls?.certificate);
  const upstream = combineUpstream(combiner, taking);
  const onUnknown = merged(combination.onUnknown, (spec) => spec.onUnknown) ?? gap('onUnknown');
  const audit = combineAudit(combiner, taking, gap);
  const requestLimits = {
    maxBodyBytes:
      merged(combination['requestLimits.maxBodyBytes'], (spec) => spec.requestLimits?.maxBodyBytes) ??
      gap('requestLimits.maxBodyBytes'),
    bodyTimeoutMs:
      merged(combination['requestLimits.bodyTimeoutMs'], (spec) => spec.requestLimits?.bodyTimeoutMs) ??
      gap('requestLimits.bodyTimeoutMs'),
    upstreamIdleMs:
      merged(combination['requestLimits.upstreamIdleMs'], (spec) => spec.requestLimits?.upstreamIdleMs) ??
      gap('requestLimits.upstreamIdleMs'),
  };
  const origins = merged(combination['cors.origins'], (spec) => spec.cors?.origins);
  const corsMaxAgeMs = merged(combination['cors.maxAgeMs'], (spec) => spec.cors?.maxAgeMs);
  // Whoever could keep a sidecar from its controller would choose how long an old policy lives: no namespace does.
  const maxPolicyAgeMs =
    combiner.merge(
      combination.maxPolicyAgeMs,
      candidates(taking, (spec, entry) => (entry.cluster ? spec.maxPolicyAgeMs : undefined)),
    )?.value ?? gap('maxPolicyAgeMs');
  return {
    profile,
    tls,
    certificate,
    upstream,
    onUnknown,
    audit,
    approvals: combineApprovals(combiner, taking, scopes, gap),
    analyzers: combineAnalyzers(combiner, taking),
    // Descriptors are long: of a service its methods are told.
    grpcServices: combineWhole(combiner, taking, {
      row: combination.grpcServices,
      read: ({ grpcServices }) => grpcServices,
      nameOf: ({ service }) => service,
      shown: ({ methods }) => methods.map(({ name }) => name),
    }),
    routes: combineWhole(combiner, taking, {
      row: combination.routes,
      read: ({ routes }) => routes,
      nameOf: ({ path }) => path,
      shown: ({ operation }) => operation,
    }),
    requestLimits,
    cors: origins === undefined ? undefined : { origins, maxAgeMs: corsMaxAgeMs },
    maxPolicyAgeMs,
    effective: combiner.effective,
    notices: combiner.notices,
  };
}

/**
 * While every policy observes, nothing may be refused for what a policy says: plain HTTP and TLS 1.2 are taken, and bodies and times are
 * bounded only by the widest of the policies' own values and the Relaxed profile's, which protect the process itself.
 */
export function loosenForObserve(settings: Settings): Settings {
  const floor = profiles.Relaxed;
  const inbound = 'Optional';
  const minVersion = 'TLSv1.2';
  const requestLimits = {
    maxBodyBytes: Math.max(settings.requestLimits.maxBodyBytes, floor['requestLimits.maxBodyBytes']),
    bodyTimeoutMs: Math.max(settings.requestLimits.bodyTimeoutMs, floor['requestLimits.bodyTimeoutMs']),
    upstreamIdleMs: Math.max(settings.requestLimits.upstreamIdleMs, floor['requestLimits.upstreamIdleMs']),
  };
  const values: ReadonlyMap<string, unknown> = new Map<string, unknown>([
    ['tls.inbound', inbound],
    ['tls.minVersion', minVersion],
    ['requestLimits.maxBodyBytes', requestLimits.maxBodyBytes],
    ['requestLimits.bodyTimeout', requestLimits.bodyTimeoutMs],
    ['requestLimits.upstreamIdle', requestLimits.upstreamIdleMs],
  ]);
  return {
    ...settings,
    tls: { inbound, minVersion, observedInbound: settings.tls.inbound },
    requestLimits,
    effective: settings.effective.map((one) => {
      const value = values.get(one.field);
      return value === undefined || value === one.value ? one : { ...one, value, from: 'every policy observes' };
    }),
  };
}
