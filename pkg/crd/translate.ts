import { dirname, isAbsolute, join } from 'node:path';
import type {
  AccessRule,
  AnalyzerSpec,
  ApprovalSpec,
  ClassificationRule,
  CredentialUse,
  GuardRule,
  HostedSpec,
  Joining,
  LabelSelector,
  MatchSpec,
  Policy,
  PolicySpec,
  ProviderSpec,
  Replacement,
  ResponseLimit,
  RouteSpec,
  SecretRef,
  ServiceSpec,
  SubjectSpec,
  UpstreamSpec,
} from '../core/index.ts';
import { parseDuration, parseSize } from './quantity.ts';
import type {
  AccessRuleResource,
  ApproverResource,
  ClassificationResource,
  GrpcServiceResource,
  GuardResource,
  PolicyResource,
  PolicySpecResource,
  ProviderResource,
  ReplacementResource,
  ResponseLimitResource,
  RouteResource,
  SelectorResource,
  SubjectResource,
  UpstreamResource,
} from './schema.ts';

/**
 * A checked resource -> the policy model of core: durations in milliseconds, sizes in bytes, paths as the process sees them.
 * Fields that take part in combining stay unset when they are; only what belongs to one entry alone gets its default here.
 */

const defaultPatternLength = 256;
const defaultKeep = 4;
const defaultClockSkewMs = 30_000;
const defaultAnalyzerTimeoutMs = 300;

function milliseconds(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDuration(text);
}

function bytes(value: string | number | undefined): number | undefined {
  return value === undefined ? undefined : parseSize(value);
}

function selectorOf(selector: SelectorResource | undefined): LabelSelector {
  return {
    matchLabels: { ...selector?.matchLabels },
    matchExpressions: (selector?.matchExpressions ?? []).map(({ key, operator, values }) => ({
      key,
      operator,
      values: values ?? [],
    })),
  };
}

function subjectOf(subject: SubjectResource): SubjectSpec {
  return {
    anyone: subject.anyone === true,
    authenticated: subject.authenticated === true,
    group: subject.group,
    subject: subject.subject,
    scope: subject.scope,
    provider: subject.provider,
  };
}

function approverOf(approver: ApproverResource): ApprovalSpec['approvers'][number] {
  const { kubernetesGroup, kubernetesUser, ...subject } = approver;
  return { ...subjectOf(subject), kubernetesGroup, kubernetesUser };
}

/** Relative paths in a policy file are taken from the file's own folder. */
type Locate = (path: string) => string;

function fileRef(path: string | undefined, locate: Locate): SecretRef | undefined {
  return path === undefined ? undefined : { kind: 'File', path: locate(path) };
}

/** Where what a policy names is to be found. */
interface Origin {
  readonly locate: Locate;
  /** Of its Secrets; undefined: Sidegate's own. */
  readonly namespace: string | undefined;
}

interface NamedSecret {
  readonly name: string;
  readonly key: string;
}

function secretRef(ref: NamedSecret | undefined, { namespace }: Origin): SecretRef | undefined {
  return ref === undefined ? undefined : { kind: 'Secret', namespace, name: ref.name, key: ref.key };
}

/** Authorities: a Secret in a cluster, a file beside a sidecar on its own. */
function authoritiesOf(
  from: { readonly caSecretRef?: NamedSecret; readonly caFile?: string },
  origin: Origin,
): SecretRef | undefined {
  return secretRef(from.caSecretRef, origin) ?? fileRef(from.caFile, origin.locate);
}

/** @throws TypeError what the schema demands was not asked of it */
function missing(within: string, field: string): never {
  throw new TypeError(`${within} has no ${field}`);
}

function upstreamOf(upstream: UpstreamResource, origin: Origin): UpstreamSpec {
  const { credential } = upstream;
  const source = secretRef(credential?.secretRef, origin) ?? fileRef(credential?.file, origin.locate);
  return {
    ports: (upstream.ports ?? []).map((port) => ({
      containerPort: port.containerPort,
      protocol: port.protocol ?? 'Auto',
      caSecretRef: authoritiesOf(port, origin),
      serverName: port.serverName,
    })),
    hosted: upstream.hosted === undefined ? undefined : hostedOf(upstream.hosted),
    credential:
      source === undefined || credential === undefined ? undefined : { source, use: credentialUse(credential) },
  };
}

function hostedOf({ url, proxy, models, identityHeaders }: NonNullable<UpstreamResource['hosted']>): HostedSpec {
  return {
    url,
    ...(proxy !== undefined && { proxy }),
    ...(models !== undefined && { models }),
    ...(identityHeaders !== undefined && {
      identityHeaders: identityHeaders.map(({ header, value }) => ({ header: header.toLowerCase(), value })),
    }),
  };
}

function credentialUse(credential: NonNullable<UpstreamResource['credential']>): CredentialUse {
  const { query, sigV4, oauth } = credential;
  if (query !== undefined) return { kind: 'Query', parameter: query };
  if (sigV4 !== undefined) return { kind: 'SigV4', region: sigV4.region, service: sigV4.service };
  const header = (credential.header ?? 'authorization').toLowerCase();
  const prefix = credential.prefix ?? (header === 'authorization' ? 'Bearer ' : '');
  const shown = { kind: 'Header', header, prefix } as const;
  if (oauth === undefined) return shown;
  const { tokenUrl, clientId, scopes = [], audience } = oauth;
  return { kind: 'OAuth', tokenUrl, clientId, scopes, audience, shown };
}

function certificateOf(tls: NonNullable<PolicySpecResource['tls']>): NonNullable<PolicySpec['tls']>['certificate'] {
  const { certificate } = tls;
  if (certificate === undefined) return undefined;
  return certificate.secretName === undefined ? { issuer: 'Sidegate' } : { secretName: certificate.secretName };
}

function providerOf(provider: ProviderResource, origin: Origin): ProviderSpec {
  const { oidc, serviceAccount, clientCertificate, sidegate, kubernetesUser } = provider;
  return {
    name: provider.name,
    oidc:
      oidc === undefined
        ? undefined
        : {
            issuer: oidc.issuer,
            audiences: oidc.audiences,
            groupsClaim: oidc.groupsClaim ?? 'groups',
            scopesClaim: oidc.scopesClaim,
            subjectClaim: oidc.subjectClaim ?? 'sub',
            clockSkewMs: milliseconds(oidc.clockSkew) ?? defaultClockSkewMs,
            jwksUri: oidc.jwksUri,
            ca: authoritiesOf(oidc, origin),
            algorithms: oidc.algorithms ?? [],
            allowInsecureLoopback: oidc.allowInsecureLoopback ?? false,
          },
    serviceAccount:
      serviceAccount === undefined
        ? undefined
        : {
            issuer: serviceAccount.issuer,
            audiences: serviceAccount.audiences,
            jwksUri: serviceAccount.jwksUri,
            ca: authoritiesOf(serviceAccount, origin),
            allowInsecureLoopback: serviceAccount.allowInsecureLoopback ?? false,
          },
    clientCertificate:
      clientCertificate === undefined
        ? undefined
        : {
            ca: authoritiesOf(clientCertificate, origin) ?? missing('clientCertificate', 'caSecretRef'),
            subjectFrom: clientCertificate.subjectFrom ?? 'Auto',
            groupsFrom: clientCertificate.groupsFrom ?? 'OrganizationalUnit',
          },
    ...(sidegate !== undefined && { sidegate: { idp: sidegate.idp, audiences: sidegate.audiences } }),
    kubernetesUser:
      kubernetesUser === undefined ? undefined : { claim: kubernetesUser.claim, prefix: kubernetesUser.prefix ?? '' },
  };
}

function accessOf(rule: AccessRuleResource): AccessRule {
  return {
    name: rule.name,
    effect: rule.effect,
    subjects: rule.subjects.map(subjectOf),
    operations: rule.operations ?? [],
    models: rule.models ?? [],
    scopes: rule.scopes ?? [],
    tokenInput: rule.tokenInput,
    files:
      rule.files === undefined
        ? undefined
        : { types: rule.files.types, maxBytes: bytes(rule.files.maxBytes), hosts: rule.files.hosts },
    limits:
      rule.limits === undefined
        ? undefined
        : {
            requestsPerMinute: rule.limits.requestsPerMinute,
            tokensPerMinute: rule.limits.tokensPerMinute,
            maxOutputTokens: rule.limits.maxOutputTokens,
            concurrentRequests: rule.limits.concurrentRequests,
            scope: rule.limits.scope,
            failureMode: rule.limits.failureMode,
          },
  };
}

function matchOf(match: GuardResource['match'] | ClassificationResource): MatchSpec {
  const maxLength = match.patternMaxLength ?? defaultPatternLength;
  return {
    detectors: match.detectors ?? [],
    patterns: (match.patterns ?? []).map((pattern) => ({ pattern, maxLength })),
    words: match.words ?? [],
    // Fields that nobody wrote stay away: policies that older sidecars know hash to what they did.
    ...(match.certainty !== undefined && { certainty: match.certainty }),
    ...(match.certaintyOf !== undefined && { certaintyOf: match.certaintyOf }),
    ...(match.allow !== undefined && { allow: { sets: match.allow.sets ?? [], values: match.allow.values ?? [] } }),
  };
}

function sizeOf({ minBytes }: GuardResource['match']): Pick<MatchSpec, 'minBytes'> {
  const bytes = minBytes === undefined ? undefined : parseSize(minBytes);
  return bytes === undefined ? {} : { minBytes: bytes };
}

function replacementOf(replacement: ReplacementResource | undefined): Replacement | undefined {
  switch (replacement?.style) {
    case undefined:
      return undefined;
    case 'Partial':
      return { style: 'Partial', keep: replacement?.keep ?? defaultKeep };
    case 'Constant':
      return { style: 'Constant', text: replacement?.text ?? '' };
    case 'Hash':
      return { style: 'Hash' };
    default:
      return { style: 'Label' };
  }
}

function guardOf(guard: GuardResource): GuardRule {
  return {
    name: guard.name,
    on: guard.direction,
    subjects: (guard.subjects ?? []).map(subjectOf),
    match: { ...matchOf(guard.match), ...sizeOf(guard.match) },
    action: guard.action,
    replacement: replacementOf(guard.replacement),
  };
}

function classificationOf(rule: ClassificationResource): ClassificationRule {
  return {
    label: rule.label,
    fields: rule.fields ?? [],
    match: matchOf(rule),
    visibleTo: (rule.visibleTo ?? []).map(subjectOf),
    otherwise: rule.otherwise,
    ...(rule.inRequests !== undefined && { inRequests: rule.inRequests }),
    replacement: replacementOf(rule.replacement),
  };
}

function responseLimitOf(limit: ResponseLimitResource): ResponseLimit {
  return {
    subjects: limit.subjects.map(subjectOf),
    maxBytes: bytes(limit.maxBytes),
    maxDurationMs: milliseconds(limit.maxDuration),
    minDurationMs: milliseconds(limit.minDuration),
    padToMultipleOf: limit.padToMultipleOf,
    cadenceMs: milliseconds(limit.cadence?.every),
  };
}

function analyzerOf(one: NonNullable<PolicySpecResource['analyzers']>[number]): AnalyzerSpec {
  return {
    name: one.name,
    url: one.url,
    timeoutMs: milliseconds(one.timeout) ?? defaultAnalyzerTimeoutMs,
    failureMode: one.failureMode ?? 'Deny',
  };
}

/** What a policy's service says, before it is held against its descriptor set. */
export function grpcServiceOf({ service, descriptorSet, methods }: GrpcServiceResource): ServiceSpec {
  return {
    service,
    descriptorSet,
    methods: methods.map(({ name, operation = 'Other', model, request, response }) => ({
      name,
      operation,
      model,
      request: { texts: request?.texts ?? [], values: request?.values ?? [] },
      response: {
        texts: response?.texts ?? [],
        values: response?.values ?? [],
        ...joiningOf(response),
      },
    })),
  };
}

const joiningOf = (response: Partial<Joining> | undefined): Joining => ({
  messages: response?.messages ?? 'Joined',
  elements: response?.elements,
});

function routeOf({ path, webSocket, operation, model, request, response }: RouteResource): RouteSpec {
  const body = (one: RouteResource['request'] | RouteResource['response']): RouteSpec['request'] => ({
    format: one?.format ?? 'JSON',
    texts: one?.texts ?? [],
    values: one?.values ?? [],
    others: one?.others ?? 'Texts',
  });
  return {
    path,
    webSocket: webSocket === true,
    operation: operation ?? 'Other',
    model,
    request: body(request),
    response: { ...body(response), ...joiningOf(response) },
  };
}

/** As a browser spells it: without the scheme's own port (WHATWG URL section 4.1). */
function originOf(origin: string): string {
  const own = origin.startsWith('https:') ? ':443' : ':80';
  return origin.endsWith(own) ? origin.slice(0, -own.length) : origin;
}

function approvalsOf(approvals: NonNullable<PolicySpecResource['approvals']>): ApprovalSpec {
  return {
    approvers: (approvals.approvers ?? []).map(approverOf),
    required: approvals.required,
    timeoutMs: milliseconds(approvals.timeout),
    maxGrantMs: milliseconds(approvals.maxGrant),
  };
}

function specOf(spec: PolicySpecResource, origin: Origin): PolicySpec {
  const { upstream, tls, approvals, audit, requestLimits } = spec;
  return {
    selector: selectorOf(spec.selector),
    namespaceSelector: spec.namespaceSelector === undefined ? undefined : selectorOf(spec.namespaceSelector),
    mode: spec.mode ?? 'Enforce',
    profile: spec.profile,
    upstream: upstream === undefined ? undefined : upstreamOf(upstream, origin),
    tls:
      tls === undefined
        ? undefined
        : { inbound: tls.inbound, minVersion: tls.minVersion, certificate: certificateOf(tls) },
    providers: (spec.identity?.providers ?? []).map((one) => providerOf(one, origin)),
    access: (spec.access ?? []).map(accessOf),
    guards: (spec.guards ?? []).map(guardOf),
    classification: (spec.classification ?? []).map(classificationOf),
    approvals: approvals === undefined ? undefined : approvalsOf(approvals),
    responseLimits: (spec.responseLimits ?? []).map(responseLimitOf),
    audit:
      audit === undefined ? undefined : { content: audit.content, sealTo: audit.sealTo, onFailure: audit.onFailure },
    analyzers: (spec.analyzers ?? []).map(analyzerOf),
    onUnknown: spec.onUnknown,
    requestLimits:
      requestLimits === undefined
        ? undefined
        : {
            maxBodyBytes: bytes(requestLimits.maxBodyBytes),
            bodyTimeoutMs: milliseconds(requestLimits.bodyTimeout),
            upstreamIdleMs: milliseconds(requestLimits.upstreamIdle),
          },
    loopback: spec.loopback,
    ...(spec.cors !== undefined && {
      cors: { origins: spec.cors.origins.map(originOf), maxAgeMs: milliseconds(spec.cors.maxAge) },
    }),
    ...(spec.routes !== undefined && { routes: spec.routes.map(routeOf) }),
    ...(spec.grpcServices !== undefined && { grpcServices: spec.grpcServices.map(grpcServiceOf) }),
    maxPolicyAgeMs: milliseconds(spec.maxPolicyAge),
  };
}

/** @param file where the resource was read: relative paths in it are taken from that folder. */
export function toPolicy({ kind, metadata, spec }: PolicyResource, file: string): Policy {
  const namespace = kind === 'InferencePolicy' ? (metadata.namespace ?? 'default') : undefined;
  const created = metadata.creationTimestamp === undefined ? 0 : Date.parse(metadata.creationTimestamp);
  return {
    kind,
    uid: metadata.uid ?? [kind, namespace ?? '', metadata.name].join('/'),
    name: metadata.name,
    namespace,
    generation: metadata.generation ?? 1,
    createdAt: Number.isNaN(created) ? 0 : created,
    spec: specOf(spec, { namespace, locate: (path) => (isAbsolute(path) ? path : join(dirname(file), path)) }),
  };
}
