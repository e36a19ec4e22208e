import type { DocumentFault, FaultPath } from './fault.ts';
import { longestDuration, parseDuration, parseSize } from './quantity.ts';
import type {
  AccessRuleResource,
  ApproverResource,
  ClassificationResource,
  GuardResource,
  PolicyResource,
  PolicySpecResource,
  ProviderResource,
  ReplacementResource,
  ResponseLimitResource,
  SelectorResource,
  SubjectResource,
  UpstreamResource,
} from './schema.ts';
import { suggestion } from './shape.ts';

/**
 * What a schema cannot say: conditions over several fields of one policy. Each check reads as its sentence; all run, so that
 * a person sees everything at once.
 */
export interface RuleOptions {
  /** Says why a pattern cannot be used, or undefined. */
  readonly checkPattern: ((pattern: string, maxLength: number) => string | undefined) | undefined;
  /** Whether files beside the process may be named: never in a cluster, where an author could read the sidecar's own. */
  readonly local: boolean;
}

/** The sidecars' own way to the controller: a provider that took it would make every pod a caller. */
const reservedAudience = 'sidegate.dev/controller';
const mostBody = 64 * 1024 * 1024;

class Checker {
  readonly faults: DocumentFault[] = [];
  readonly options: RuleOptions;

  constructor(options: RuleOptions) {
    this.options = options;
  }

  fault(path: FaultPath, message: string): void {
    this.faults.push({ path, message });
  }

  /** Exactly one of the named fields of `value`. */
  oneOf(path: FaultPath, value: object, names: readonly string[]): void {
    const given = names.filter((name) => Object.hasOwn(value, name));
    if (given.length === 1) return;
    this.fault(
      path,
      given.length === 0
        ? `needs one of ${names.join(', ')}`
        : `has ${given.join(' and ')}: only one of them can stand here`,
    );
  }

  anyOf(path: FaultPath, value: object, names: readonly string[]): void {
    const lists = value as Readonly<Record<string, unknown>>;
    const given = names.some(
      (name) => Object.hasOwn(value, name) && !(Array.isArray(lists[name]) && lists[name].length === 0),
    );
    if (!given) this.fault(path, `needs at least one of ${names.join(', ')}`);
  }

  unique(path: FaultPath, names: readonly string[], what: string, field: string): void {
    const seen = new Map<string, number>();
    names.forEach((name, at) => {
      const before = seen.get(name);
      if (before !== undefined)
        this.fault([...path, at, field], `"${name}" is the ${what} of entry ${before} already: give each its own`);
      else seen.set(name, at);
    });
  }

  duration(path: FaultPath, text: string | undefined, bounds: { least?: number; most?: number } = {}): void {
    if (text === undefined) return;
    const { least = 1, most = longestDuration } = bounds;
    const value = parseDuration(text);
    if (value === undefined) return;
    if (value < least) this.fault(path, `must be at least ${least}ms`);
    if (value > most)
      this.fault(path, `must be at most ${most >= 3_600_000 ? `${most / 3_600_000}h` : `${most / 60_000}m`}`);
  }

  size(path: FaultPath, value: string | number | undefined, most: number): void {
    if (value === undefined) return;
    const bytes = parseSize(value);
    if (bytes === undefined || bytes > most) this.fault(path, `must be at most ${most / 1024 / 1024}Mi`);
    else if (bytes < 1) this.fault(path, 'must be at least 1');
  }

  localOnly(path: FaultPath, value: object, names: readonly string[]): void {
    if (this.options.local) return;
    for (const name of names) {
      if (Object.hasOwn(value, name))
        this.fault([...path, name], 'is only for a sidecar that runs on its own, from files: name a Secret instead');
    }
  }
}

/** https, or http on a loopback address where that is allowed. A URL with user info, query or fragment is none of ours. */
function checkUrl(
  check: Checker,
  path: FaultPath,
  text: string | undefined,
  loopback: 'allowed' | 'when asked' | 'never',
): void {
  if (text === undefined) return;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) return check.fault(path, 'must be a URL such as https://idp.example.com');
  if (url.username !== '' || url.password !== '' || url.hash !== '' || url.search !== '') {
    return check.fault(path, 'must be a URL without user, password, query and fragment');
  }
  if (url.protocol === 'https:') return;
  const local = url.hostname === 'localhost' || url.hostname === '[::1]' || /^127(\.[0-9]{1,3}){3}$/.test(url.hostname);
  if (url.protocol === 'http:' && local && loopback === 'allowed') return;
  if (url.protocol === 'http:' && local && loopback === 'when asked') {
    return check.fault(path, 'must begin with https://, or set allowInsecureLoopback: true beside it');
  }
  check.fault(
    path,
    local || loopback === 'never'
      ? 'must begin with https://'
      : 'must begin with https:// (plain http only on a loopback address)',
  );
}

const subjectForms = ['anyone', 'authenticated', 'group', 'subject', 'scope'];
const approverForms = ['authenticated', 'group', 'subject', 'scope', 'kubernetesGroup', 'kubernetesUser'];

function checkSubject(
  check: Checker,
  path: FaultPath,
  subject: SubjectResource | ApproverResource,
  context: { readonly forms: readonly string[]; readonly providers: readonly string[] },
): void {
  check.oneOf(path, subject, context.forms);
  const { provider } = subject;
  if (provider === undefined) return;
  if ('anyone' in subject)
    check.fault(
      [...path, 'provider'],
      'says nothing beside anyone: write authenticated: true for every caller of a provider',
    );
  if ('kubernetesGroup' in subject || 'kubernetesUser' in subject)
    check.fault([...path, 'provider'], 'says nothing of Kubernetes users: remove it');
  if (provider.startsWith('cluster/') || context.providers.includes(provider)) return;
  const known = context.providers.length === 0 ? 'it declares none' : `it declares ${context.providers.join(', ')}`;
  check.fault(
    [...path, 'provider'],
    `"${provider}" is no provider of this policy (${known}); one of the platform is cluster/POLICY/NAME.${suggestion(provider, context.providers)}`,
  );
}

function checkSubjects(
  check: Checker,
  path: FaultPath,
  subjects: readonly SubjectResource[] | undefined,
  spec: PolicySpecResource,
): void {
  const context = { forms: subjectForms, providers: (spec.identity?.providers ?? []).map((one) => one.name) };
  subjects?.forEach((subject, at) => checkSubject(check, [...path, at], subject, context));
}

function checkSelector(check: Checker, path: FaultPath, selector: SelectorResource | undefined): void {
  selector?.matchExpressions?.forEach((expression, at) => {
    const where = [...path, 'matchExpressions', at, 'values'];
    const needs = expression.operator === 'In' || expression.operator === 'NotIn';
    const has = (expression.values ?? []).length > 0;
    if (needs && !has) check.fault(where, `${expression.operator} needs at least one value`);
    if (!needs && has) check.fault(where, `${expression.operator} takes no values: remove them`);
  });
}

function checkUpstream(
  check: Checker,
  path: FaultPath,
  upstream: UpstreamResource | undefined,
  cluster: boolean,
): void {
  if (upstream === undefined) return;
  const { ports, hosted, credential } = upstream;
  if (ports !== undefined && hosted !== undefined)
    check.fault(path, 'has ports and hosted: only one of them can stand here');
  checkUrl(check, [...path, 'hosted', 'url'], hosted?.url, 'allowed');
  ports?.forEach((port, at) => {
    const where = [...path, 'ports', at];
    if (ports.findIndex((other) => other.containerPort === port.containerPort) !== at) {
      check.fault([...where, 'containerPort'], 'this port stands twice: remove one');
    }
    if (port.caSecretRef !== undefined && port.caFile !== undefined)
      check.fault(where, 'has caSecretRef and caFile: only one of them can stand here');
    check.localOnly(where, port, ['caFile']);
    for (const name of ['caSecretRef', 'caFile', 'serverName']) {
      if (Object.hasOwn(port, name) && port.protocol !== 'TLS')
        check.fault([...where, name], 'needs protocol: TLS beside it');
    }
  });
  if (credential === undefined) return;
  const where = [...path, 'credential'];
  check.oneOf(where, credential, ['secretRef', 'file']);
  check.localOnly(where, credential, ['file']);
  // A Secret of Sidegate's own namespace would else go to whatever model runs in the pod.
  if (cluster && hosted === undefined) check.fault(where, 'of a ClusterInferencePolicy needs hosted beside it');
  const header = (credential.header ?? 'authorization').toLowerCase();
  const framing = [
    'host',
    'content-length',
    'transfer-encoding',
    'connection',
    'content-type',
    'content-encoding',
    'te',
    'trailer',
    'upgrade',
    'expect',
  ];
  if (framing.includes(header) || header.startsWith('sidegate-')) {
    check.fault(
      [...where, 'header'],
      `${header} belongs to HTTP itself or to Sidegate: name the header that the model reads its key from`,
    );
  }
}

function checkProvider(check: Checker, path: FaultPath, provider: ProviderResource): void {
  check.oneOf(path, provider, ['oidc', 'serviceAccount', 'clientCertificate']);
  check.localOnly(path, provider, ['clientCertificate']);
  for (const kind of ['oidc', 'serviceAccount'] as const) {
    const tokens = provider[kind];
    if (tokens === undefined) continue;
    const where = [...path, kind];
    const loopback = tokens.allowInsecureLoopback === true ? 'allowed' : 'when asked';
    checkUrl(check, [...where, 'issuer'], tokens.issuer, loopback);
    checkUrl(check, [...where, 'jwksUri'], tokens.jwksUri, loopback);
    check.localOnly(where, tokens, ['caFile', 'allowInsecureLoopback']);
    tokens.audiences.forEach((audience, at) => {
      if (audience === reservedAudience)
        check.fault(
          [...where, 'audiences', at],
          `${reservedAudience} is for sidecars and their controller only: use an audience of your own`,
        );
    });
  }
  check.duration([...path, 'oidc', 'clockSkew'], provider.oidc?.clockSkew, { least: 0, most: 5 * 60_000 });
  if (provider.kubernetesUser !== undefined && provider.clientCertificate !== undefined) {
    check.fault([...path, 'kubernetesUser'], 'needs tokens: a certificate has no claims');
  }
}

function checkAccess(check: Checker, path: FaultPath, rule: AccessRuleResource, spec: PolicySpecResource): void {
  checkSubjects(check, [...path, 'subjects'], rule.subjects, spec);
  if (rule.effect === 'Allow') return;
  if (rule.limits !== undefined)
    check.fault([...path, 'limits'], 'belongs to Allow rules: a Deny lets nothing through that could be counted');
  if (rule.tokenInput !== undefined) check.fault([...path, 'tokenInput'], 'belongs to Allow rules: remove it');
}

function checkPatterns(
  check: Checker,
  path: FaultPath,
  match: { readonly patterns?: readonly string[]; readonly patternMaxLength?: number },
): void {
  if (match.patternMaxLength !== undefined && (match.patterns ?? []).length === 0) {
    check.fault([...path, 'patternMaxLength'], 'needs patterns beside it');
  }
  match.patterns?.forEach((pattern, at) => {
    const why = check.options.checkPattern?.(pattern, match.patternMaxLength ?? 256);
    if (why !== undefined) check.fault([...path, 'patterns', at], `cannot be used: ${why}`);
  });
}

function checkReplacement(check: Checker, path: FaultPath, replacement: ReplacementResource | undefined): void {
  if (replacement === undefined) return;
  if (replacement.keep !== undefined && replacement.style !== 'Partial')
    check.fault([...path, 'keep'], 'needs style: Partial');
  if (replacement.style === 'Constant' && replacement.text === undefined)
    check.fault(path, 'of style Constant lacks the field "text"');
  if (replacement.text !== undefined && replacement.style !== 'Constant')
    check.fault([...path, 'text'], 'needs style: Constant');
}

function checkGuard(check: Checker, path: FaultPath, guard: GuardResource, spec: PolicySpecResource): void {
  checkSubjects(check, [...path, 'subjects'], guard.subjects, spec);
  check.anyOf([...path, 'match'], guard.match, ['detectors', 'patterns', 'words']);
  checkPatterns(check, [...path, 'match'], guard.match);
  checkReplacement(check, [...path, 'replacement'], guard.replacement);
  if (guard.replacement !== undefined && guard.action !== 'Mask')
    check.fault([...path, 'replacement'], 'needs action: Mask');
}

function checkLabel(check: Checker, path: FaultPath, rule: ClassificationResource, spec: PolicySpecResource): void {
  checkSubjects(check, [...path, 'visibleTo'], rule.visibleTo, spec);
  check.anyOf(path, rule, ['fields', 'detectors', 'patterns', 'words']);
  checkPatterns(check, path, rule);
  checkReplacement(check, [...path, 'replacement'], rule.replacement);
  if (rule.replacement !== undefined && rule.otherwise !== 'Mask')
    check.fault([...path, 'replacement'], 'needs otherwise: Mask');
  rule.fields?.forEach((field, at) => {
    if (field === '$') check.fault([...path, 'fields', at], 'stands for the whole answer: name a field in it');
  });
}

function checkResponseLimit(
  check: Checker,
  path: FaultPath,
  limit: ResponseLimitResource,
  spec: PolicySpecResource,
): void {
  checkSubjects(check, [...path, 'subjects'], limit.subjects, spec);
  check.anyOf(path, limit, ['maxBytes', 'maxDuration', 'minDuration', 'padToMultipleOf', 'cadence']);
  check.size([...path, 'maxBytes'], limit.maxBytes, 1024 * 1024 * 1024);
  check.duration([...path, 'maxDuration'], limit.maxDuration);
  check.duration([...path, 'minDuration'], limit.minDuration, { most: 5 * 60_000 });
  check.duration([...path, 'cadence', 'every'], limit.cadence?.every, { most: 60_000 });
  const shortest = limit.minDuration === undefined ? undefined : parseDuration(limit.minDuration);
  const longest = limit.maxDuration === undefined ? undefined : parseDuration(limit.maxDuration);
  if (shortest !== undefined && longest !== undefined && shortest > longest) {
    check.fault([...path, 'minDuration'], 'is longer than maxDuration: every answer would be cut');
  }
}

/** Receipts name `POLICY/NAME`, whatever list a rule stands in. */
function checkNames(check: Checker, path: FaultPath, spec: PolicySpecResource): void {
  const access = (spec.access ?? []).map((rule) => rule.name);
  const guards = (spec.guards ?? []).map((rule) => rule.name);
  const labels = (spec.classification ?? []).map((rule) => rule.label);
  check.unique([...path, 'access'], access, 'name', 'name');
  check.unique([...path, 'guards'], guards, 'name', 'name');
  check.unique([...path, 'classification'], labels, 'label', 'label');
  check.unique(
    [...path, 'analyzers'],
    (spec.analyzers ?? []).map((one) => one.name),
    'name',
    'name',
  );
  check.unique(
    [...path, 'identity', 'providers'],
    (spec.identity?.providers ?? []).map((one) => one.name),
    'name',
    'name',
  );
  guards.forEach((name, at) => {
    if (access.includes(name))
      check.fault(
        [...path, 'guards', at, 'name'],
        `"${name}" is the name of an access rule too: receipts could not tell them apart`,
      );
  });
  labels.forEach((label, at) => {
    if (access.includes(label) || guards.includes(label)) {
      check.fault(
        [...path, 'classification', at, 'label'],
        `"${label}" is the name of another rule too: receipts could not tell them apart`,
      );
    }
  });
}

function checkSpec(check: Checker, spec: PolicySpecResource, cluster: boolean): void {
  const path = ['spec'];
  checkSelector(check, [...path, 'selector'], spec.selector);
  checkSelector(check, [...path, 'namespaceSelector'], spec.namespaceSelector);
  checkUpstream(check, [...path, 'upstream'], spec.upstream, cluster);
  if (spec.tls?.certificate !== undefined)
    check.oneOf([...path, 'tls', 'certificate'], spec.tls.certificate, ['issuer', 'secretName']);
  spec.identity?.providers?.forEach((one, at) => checkProvider(check, [...path, 'identity', 'providers', at], one));
  spec.access?.forEach((rule, at) => checkAccess(check, [...path, 'access', at], rule, spec));
  spec.guards?.forEach((rule, at) => checkGuard(check, [...path, 'guards', at], rule, spec));
  spec.classification?.forEach((rule, at) => checkLabel(check, [...path, 'classification', at], rule, spec));
  spec.responseLimits?.forEach((limit, at) => checkResponseLimit(check, [...path, 'responseLimits', at], limit, spec));
  spec.analyzers?.forEach((one, at) => {
    checkUrl(check, [...path, 'analyzers', at, 'url'], one.url, 'allowed');
    check.duration([...path, 'analyzers', at, 'timeout'], one.timeout, { most: 60_000 });
  });
  const providers = (spec.identity?.providers ?? []).map((one) => one.name);
  spec.approvals?.approvers?.forEach((one, at) =>
    checkSubject(check, [...path, 'approvals', 'approvers', at], one, { forms: approverForms, providers }),
  );
  check.duration([...path, 'approvals', 'timeout'], spec.approvals?.timeout, { least: 1000, most: 24 * 3_600_000 });
  const limits = [...path, 'requestLimits'];
  check.size([...limits, 'maxBodyBytes'], spec.requestLimits?.maxBodyBytes, mostBody);
  check.duration([...limits, 'bodyTimeout'], spec.requestLimits?.bodyTimeout);
  check.duration([...limits, 'upstreamIdle'], spec.requestLimits?.upstreamIdle);
  checkNames(check, path, spec);
}

/** Everything that is wrong with a policy whose shape is right. */
export function checkRules(resource: PolicyResource, options: RuleOptions): readonly DocumentFault[] {
  const check = new Checker(options);
  const cluster = resource.kind === 'ClusterInferencePolicy';
  if (cluster && resource.metadata.namespace !== undefined) {
    check.fault(
      ['metadata', 'namespace'],
      'a ClusterInferencePolicy has no namespace: remove it, or use namespaceSelector',
    );
  }
  if (!cluster && resource.spec.namespaceSelector !== undefined) {
    check.fault(
      ['spec', 'namespaceSelector'],
      'is for a ClusterInferencePolicy: this policy governs its own namespace',
    );
  }
  if (resource.metadata.namespace === 'cluster') {
    check.fault(
      ['metadata', 'namespace'],
      'the namespace "cluster" cannot have policies: its name stands for the platform in rules',
    );
  }
  checkSpec(check, resource.spec, cluster);
  return check.faults;
}
