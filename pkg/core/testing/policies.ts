import type {
  AccessRule,
  ClassificationRule,
  GuardRule,
  MatchSpec,
  OidcSpec,
  Policy,
  PolicySpec,
  ProviderSpec,
  SubjectSpec,
} from '../policy.ts';
import type { Identity } from '../identity.ts';

/** Builders for tests: everything unset that a test does not say. */

export const emptySpec: PolicySpec = {
  selector: { matchLabels: {}, matchExpressions: [] },
  namespaceSelector: undefined,
  mode: 'Enforce',
  profile: undefined,
  upstream: undefined,
  tls: undefined,
  providers: [],
  access: [],
  guards: [],
  classification: [],
  approvals: undefined,
  responseLimits: [],
  audit: undefined,
  analyzers: [],
  onUnknown: undefined,
  requestLimits: undefined,
  loopback: undefined,
  maxPolicyAgeMs: undefined,
};

export function oidc(issuer: string, audience = 'inference', more: Partial<OidcSpec> = {}): OidcSpec {
  return {
    issuer,
    audiences: [audience],
    groupsClaim: 'groups',
    scopesClaim: undefined,
    subjectClaim: 'sub',
    clockSkewMs: 30_000,
    jwksUri: undefined,
    ca: undefined,
    algorithms: [],
    allowInsecureLoopback: false,
    ...more,
  };
}

export function provider(name: string, more: Partial<ProviderSpec> = {}): ProviderSpec {
  return {
    name,
    oidc: oidc(`https://${name}.example.com`),
    serviceAccount: undefined,
    clientCertificate: undefined,
    kubernetesUser: undefined,
    ...more,
  };
}

/** A namespaced policy `ml/NAME` with the provider `NAME-idp`, unless told otherwise. */
export function policy(name: string, spec: Partial<PolicySpec> = {}, more: Partial<Policy> = {}): Policy {
  return {
    kind: 'InferencePolicy',
    uid: `uid-${name}`,
    name,
    namespace: 'ml',
    generation: 1,
    createdAt: 1000,
    spec: { ...emptySpec, providers: [provider(`${name}-idp`)], ...spec },
    ...more,
  };
}

export function clusterPolicy(name: string, spec: Partial<PolicySpec> = {}, more: Partial<Policy> = {}): Policy {
  return policy(name, spec, { kind: 'ClusterInferencePolicy', namespace: undefined, ...more });
}

export function subject(more: Partial<SubjectSpec>): SubjectSpec {
  return {
    anyone: false,
    authenticated: false,
    group: undefined,
    subject: undefined,
    scope: undefined,
    provider: undefined,
    ...more,
  };
}
export const anyone = subject({ anyone: true });
export const authenticated = subject({ authenticated: true });
export const group = (name: string, provider?: string): SubjectSpec => subject({ group: name, provider });

export function rule(name: string, effect: 'Allow' | 'Deny', more: Partial<AccessRule> = {}): AccessRule {
  return {
    name,
    effect,
    subjects: [anyone],
    operations: [],
    models: [],
    scopes: [],
    tokenInput: undefined,
    limits: undefined,
    ...more,
  };
}
export const allow = (name: string, more: Partial<AccessRule> = {}): AccessRule => rule(name, 'Allow', more);
export const deny = (name: string, more: Partial<AccessRule> = {}): AccessRule => rule(name, 'Deny', more);

export const limits = (more: Partial<NonNullable<AccessRule['limits']>>): NonNullable<AccessRule['limits']> => ({
  requestsPerMinute: undefined,
  tokensPerMinute: undefined,
  maxOutputTokens: undefined,
  scope: undefined,
  failureMode: undefined,
  concurrentRequests: undefined,
  ...more,
});

export const match = (...detectors: string[]): MatchSpec => ({ detectors, patterns: [], words: [] });

export function guard(name: string, more: Partial<GuardRule> = {}): GuardRule {
  return {
    name,
    on: 'Request',
    subjects: [],
    match: match('Secrets'),
    action: 'Block',
    replacement: undefined,
    ...more,
  };
}

export function label(name: string, more: Partial<ClassificationRule> = {}): ClassificationRule {
  return {
    label: name,
    fields: [],
    match: match('Email'),
    visibleTo: [],
    otherwise: 'Mask',
    replacement: undefined,
    ...more,
  };
}

export function caller(provider: string, more: Partial<Identity> = {}): Identity {
  return {
    provider,
    issuer: 'https://issuer.example.com',
    subject: 'ana',
    groups: [],
    scopes: [],
    expiresAt: undefined,
    kubernetesUser: undefined,
    ...more,
  };
}
