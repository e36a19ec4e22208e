import type { AllowSpec, Certainty } from './certainty.ts';
import type { Operation } from './operation.ts';

/**
 * The policy model: what an InferencePolicy or ClusterInferencePolicy says, with durations in milliseconds and sizes
 * in bytes. `undefined` means unset: nothing here has a default, because unset fields take no part in combining.
 * The profile fills the gaps afterwards. pkg/crd translates resources into this; docs/policy.md describes each field.
 */
export interface Policy {
  readonly kind: 'InferencePolicy' | 'ClusterInferencePolicy';
  readonly uid: string;
  readonly name: string;
  /** Undefined for a ClusterInferencePolicy. */
  readonly namespace: string | undefined;
  readonly generation: number;
  /** Epoch milliseconds: where values have no order, the cluster's wins, then the oldest policy's, then by name. */
  readonly createdAt: number;
  readonly spec: PolicySpec;
}

export interface PolicySpec {
  readonly selector: LabelSelector;
  readonly namespaceSelector: LabelSelector | undefined;
  readonly mode: 'Enforce' | 'Observe';
  readonly profile: Profile | undefined;
  readonly upstream: UpstreamSpec | undefined;
  readonly tls: TlsSpec | undefined;
  readonly providers: readonly ProviderSpec[];
  readonly access: readonly AccessRule[];
  readonly guards: readonly GuardRule[];
  readonly classification: readonly ClassificationRule[];
  readonly approvals: ApprovalSpec | undefined;
  readonly responseLimits: readonly ResponseLimit[];
  readonly audit: AuditSpec | undefined;
  readonly analyzers: readonly AnalyzerSpec[];
  readonly onUnknown: 'Deny' | 'Buffer' | undefined;
  readonly requestLimits: RequestLimits | undefined;
  /** What helpers in the pod may do without proving who they are. Undefined, also in what older controllers send: nothing. */
  readonly loopback: readonly LoopbackSpec[] | undefined;
  /** Services of gRPC that no dialect knows. Undefined, also in what older controllers send: none. */
  readonly grpcServices?: readonly ServiceSpec[] | undefined;
  /** Routes that no dialect knows. Undefined, also in what older controllers send: none. */
  readonly routes?: readonly RouteSpec[] | undefined;
  /** Which pages may call from a browser. Undefined, also in what older controllers send: this policy does not speak of it. */
  readonly cors?: CorsSpec | undefined;
  /** How long sidecars decide by a policy that no controller confirms. A ClusterInferencePolicy's alone. */
  readonly maxPolicyAgeMs: number | undefined;
}

export type Profile = 'Strict' | 'Standard' | 'Relaxed';

/** As in Kubernetes: all of it must hold; an empty selector matches everything. */
export interface LabelSelector {
  readonly matchLabels: Readonly<Record<string, string>>;
  readonly matchExpressions: readonly {
    readonly key: string;
    readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
    readonly values: readonly string[];
  }[];
}

export interface UpstreamSpec {
  readonly ports: readonly {
    readonly containerPort: number;
    readonly protocol: 'Auto' | 'HTTP1' | 'H2C' | 'TLS';
    readonly caSecretRef: SecretRef | undefined;
    readonly serverName: string | undefined;
  }[];
  readonly hosted: HostedSpec | undefined;
  readonly credential: CredentialSpec | undefined;
}

export interface HostedSpec {
  readonly url: string;
  /** `http://HOST:PORT` of a proxy that it is reached through. */
  readonly proxy?: string;
  /** What models are called there, by the name by which callers and rules know them. */
  readonly models?: readonly { readonly name: string; readonly as: string }[];
  /** What the endpoint is told of who calls; nothing else of it leaves. */
  readonly identityHeaders?: readonly { readonly header: string; readonly value: IdentityField }[];
}

export type IdentityField = 'Subject' | 'Groups' | 'Issuer' | 'Provider';

/** The key that the model wants, and how it is shown. */
export interface CredentialSpec {
  readonly source: SecretRef;
  readonly use: CredentialUse;
}

export type CredentialUse =
  | HeaderUse
  /** As a parameter of the query. */
  | { readonly kind: 'Query'; readonly parameter: string }
  /** The source holds `ID:SECRET` or `ID:SECRET:SESSION-TOKEN`, and signs each request (AWS Signature Version 4). */
  | { readonly kind: 'SigV4'; readonly region: string; readonly service: string }
  /** The source holds a client's secret, for which the token endpoint gives tokens for a time (RFC 6749 section 4.4). */
  | {
      readonly kind: 'OAuth';
      readonly tokenUrl: string;
      readonly clientId: string;
      readonly scopes: readonly string[];
      readonly audience: string | undefined;
      readonly shown: HeaderUse;
    };

export interface HeaderUse {
  readonly kind: 'Header';
  /** Lower case; default `authorization`. */
  readonly header: string;
  /** Default `Bearer ` for authorization, empty for others. */
  readonly prefix: string;
}

/** Where a secret stands: a Secret in the cluster, or a file beside a sidecar that runs on its own. */
export type SecretRef =
  | {
      readonly kind: 'Secret';
      /** The policy's own; undefined for a ClusterInferencePolicy: Sidegate's own. */
      readonly namespace: string | undefined;
      readonly name: string;
      readonly key: string;
    }
  | { readonly kind: 'File'; readonly path: string };

export interface TlsSpec {
  /** `Required`: TLS, client certificate asked for and used when it comes. `Mutual`: it must come. `Optional`: plain HTTP too. */
  readonly inbound: 'Required' | 'Mutual' | 'Optional' | undefined;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3' | undefined;
  readonly certificate: { readonly issuer: 'Sidegate' } | { readonly secretName: string } | undefined;
}

export interface ProviderSpec {
  /** As the policy spells it; unique in the policy. */
  readonly name: string;
  readonly oidc: OidcSpec | undefined;
  readonly serviceAccount: ServiceAccountSpec | undefined;
  readonly clientCertificate: ClientCertificateSpec | undefined;
  /** Undefined, also in what older controllers send: not of this kind. */
  readonly sidegate?: SidegateSpec | undefined;
  readonly kubernetesUser: { readonly claim: string; readonly prefix: string } | undefined;
}

export interface OidcSpec {
  readonly issuer: string;
  readonly audiences: readonly string[];
  /** Path of names joined by dots; a claim whose own name has dots is tried first. Default `groups`. */
  readonly groupsClaim: string;
  /** Default `scope` (space-separated, RFC 8693) and `scp` (array). */
  readonly scopesClaim: string | undefined;
  /** Default `sub`. */
  readonly subjectClaim: string;
  /** Allowed clock difference; default 30 s. */
  readonly clockSkewMs: number;
  /** Where the key set stands when discovery is not to be used. */
  readonly jwksUri: string | undefined;
  /** Authorities (PEM) that are trusted for the issuer's TLS, beside the public roots. */
  readonly ca: SecretRef | undefined;
  /** Subset of RS256…EdDSA; default all asymmetric ones. */
  readonly algorithms: readonly string[];
  /** Plain http to the issuer, loopback hosts only: demos and tests. Default false. */
  readonly allowInsecureLoopback: boolean;
}

export interface ServiceAccountSpec {
  /** Default the cluster's own issuer; needed where the sidecar runs outside of a cluster. */
  readonly issuer: string | undefined;
  readonly audiences: readonly string[];
  readonly jwksUri: string | undefined;
  readonly ca: SecretRef | undefined;
  readonly allowInsecureLoopback: boolean;
  /** The issuer's keys themselves, a JWK set as JSON: nothing is fetched. The controller gives those of the cluster's own issuer. */
  readonly keys?: string;
}

/** Short tokens that Sidegate's own controller gives for SAML assertions (docs/identity.md). */
export interface SidegateSpec {
  /** Name of the SAML identity provider in the chart's values. */
  readonly idp: string;
  readonly audiences: readonly string[];
  /** `iss` of its tokens. The controller gives it, with the keys; without both nobody is proven. */
  readonly issuer?: string;
  /** A JWK set as JSON. */
  readonly keys?: string;
}

export interface ClientCertificateSpec {
  /** PEM of the authorities whose certificates count for this provider. */
  readonly ca: SecretRef;
  /** What becomes the subject: the first SPIFFE URI, the first DNS name, or the subject's common name. Default `Auto`: in that order. */
  readonly subjectFrom: 'Auto' | 'SpiffeUri' | 'DnsName' | 'CommonName';
  /** Where groups come from; default `OrganizationalUnit`. */
  readonly groupsFrom: 'OrganizationalUnit' | 'Organization' | 'None';
}

/** Exactly one of group, subject, scope or anyone; `provider` narrows it to one provider. */
export interface SubjectSpec {
  readonly anyone: boolean;
  /** Any proven caller of this policy's providers. */
  readonly authenticated: boolean;
  readonly group: string | undefined;
  readonly subject: string | undefined;
  readonly scope: string | undefined;
  /** Name in the same policy, `cluster/POLICY/NAME`, or `cluster/NAME` for every cluster policy's provider of that name. */
  readonly provider: string | undefined;
}

export interface AccessRule {
  readonly name: string;
  readonly effect: 'Allow' | 'Deny';
  readonly subjects: readonly SubjectSpec[];
  /** Empty: all but Admin and Other, which must be named; of a Deny, all. */
  readonly operations: readonly Operation[];
  /**
   * Globs with `*`; empty: all. Does not restrict operations that name no model. A Chat, Completions or Embeddings request
   * that leaves its model out could get any: an Allow must then have `*`, and a Deny holds.
   */
  readonly models: readonly string[];
  /** All of these scopes must be present. */
  readonly scopes: readonly string[];
  readonly tokenInput: 'Allow' | 'Deny' | undefined;
  /** Files that pass unread. Undefined: none. */
  readonly files?: FileTerms | undefined;
  readonly limits: RateLimits | undefined;
}

/** Which files pass unread. */
export interface FileTerms {
  /** Media types in lower case; `*` stands for any type or subtype. */
  readonly types: readonly string[];
  /** Undefined: as large as what they come in. */
  readonly maxBytes: number | undefined;
  /** Hosts from which the model's server may fetch what a request names by its URL: names in lower case, `*.` before one for all below it. Absent: none. */
  readonly hosts?: readonly string[] | undefined;
}

export interface RateLimits {
  readonly requestsPerMinute: number | undefined;
  readonly tokensPerMinute: number | undefined;
  readonly maxOutputTokens: number | undefined;
  readonly concurrentRequests: number | undefined;
  /** Where requests and tokens are counted: in each pod by itself, or over all pods that enforce the rule. Default `Pod`. */
  readonly scope: 'Pod' | 'Policy' | undefined;
  /** What holds while the shared count of scope `Policy` cannot be asked: refuse, or count in each pod. Default `Deny`. */
  readonly failureMode: 'Deny' | 'PerPod' | undefined;
}

/** At least one of them; any hit is a match. */
export interface MatchSpec {
  readonly detectors: readonly string[];
  /** RE2 syntax. */
  readonly patterns: readonly PatternSpec[];
  /** Compared as a reader would: case, spacing, look-alikes and invisible characters do not matter. */
  readonly words: readonly string[];
  /** From where on its detectors count. Undefined, also in what older controllers send: from `Likely` on. */
  readonly certainty?: Certainty | undefined;
  /** Exceptions for some detectors, or classes of them; each is named once. Undefined: none. */
  readonly certaintyOf?: readonly CertaintyOf[] | undefined;
  /** What its detectors may find. Undefined: nothing. */
  readonly allow?: AllowSpec | undefined;
  /** Of guards on requests: a body of so many bytes or more. Undefined: its size does not matter. */
  readonly minBytes?: number;
}

export interface CertaintyOf {
  readonly detector: string;
  readonly certainty: Certainty;
}

export interface PatternSpec {
  readonly pattern: string;
  /** Longest match in code points; longer strings are by definition none. Default 256, at most 4,096. */
  readonly maxLength: number;
}

export type Action = 'Block' | 'Mask' | 'RequireApproval' | 'Flag';

export interface GuardRule {
  readonly name: string;
  readonly on: 'Request' | 'Response';
  /** Empty: every caller. */
  readonly subjects: readonly SubjectSpec[];
  readonly match: MatchSpec;
  readonly action: Action;
  readonly replacement: Replacement | undefined;
}

export interface ClassificationRule {
  /** public, internal, confidential, restricted, or the operator's own. */
  readonly label: string;
  /** Field paths: `$.customer.account_number`, `**.ssn`, `$.items[*].card`. */
  readonly fields: readonly string[];
  readonly match: MatchSpec;
  readonly visibleTo: readonly SubjectSpec[];
  readonly otherwise: 'Mask' | 'Block' | 'RequireApproval';
  /** What happens to requests of all others that hold it. Undefined, also in what older controllers send: they are not read for it. */
  readonly inRequests?: 'Mask' | 'Block' | 'RequireApproval' | undefined;
  readonly replacement: Replacement | undefined;
}

/**
 * What stands in place of a finding.
 * Label: `[confidential]`. Partial: four stars and the last `keep` letters and digits (`****1111`).
 * Hash: `[confidential:1f3a…]`, keyed, equal for equal values within a policy's key. Constant: the given text.
 */
export type Replacement =
  | { readonly style: 'Label' }
  | { readonly style: 'Partial'; readonly keep: number }
  | { readonly style: 'Hash' }
  | { readonly style: 'Constant'; readonly text: string };

export interface ApprovalSpec {
  readonly approvers: readonly (SubjectSpec & {
    readonly kubernetesGroup: string | undefined;
    readonly kubernetesUser: string | undefined;
  })[];
  readonly required: number | undefined;
  readonly timeoutMs: number | undefined;
  /** Longest grant on pods of this policy. */
  readonly maxGrantMs: number | undefined;
}

export interface ResponseLimit {
  readonly subjects: readonly SubjectSpec[];
  readonly maxBytes: number | undefined;
  readonly maxDurationMs: number | undefined;
  readonly minDurationMs: number | undefined;
  readonly padToMultipleOf: number | undefined;
  readonly cadenceMs: number | undefined;
}

/**
 * How much text of sessions the record has. None: none. Sealed: all of it, sealed, and nothing of it in clear. Masked: in clear, without what nobody may
 * see. Full: that, and beside it, sealed, what was masked.
 */
export type RecordedContent = 'None' | 'Sealed' | 'Masked' | 'Full';

/** Of these a policy names the key that texts are sealed to. */
export const isSealedTo = (content: RecordedContent | undefined): boolean => content === 'Full' || content === 'Sealed';

export interface AuditSpec {
  readonly content: RecordedContent | undefined;
  /** Of Full and Sealed, and only there: base64 of an X25519 public key's SubjectPublicKeyInfo. */
  readonly sealTo?: string | undefined;
  readonly onFailure: 'Deny' | 'Allow' | undefined;
}

export interface AnalyzerSpec {
  readonly name: string;
  readonly url: string;
  readonly timeoutMs: number;
  readonly failureMode: 'Deny' | 'Allow';
}

/** Of one helper container, known by the uid that it alone has in its pod. */
export interface LoopbackSpec {
  readonly runAsUser: number;
  readonly operations: readonly Operation[];
}

export interface RequestLimits {
  /** Decoded body; default 8 MiB. */
  readonly maxBodyBytes: number | undefined;
  /** Default 30 s from first byte to the end of the body. */
  readonly bodyTimeoutMs: number | undefined;
  /** Default 10 min without a byte from the model. */
  readonly upstreamIdleMs: number | undefined;
}

/** Pages of which other origins may call from a browser (Fetch standard, section 3.2). */
export interface CorsSpec {
  /** As browsers serialise them; empty: none. */
  readonly origins: readonly string[];
  /** How long a browser may keep what a preflight was told. Undefined: the browser's own default. */
  readonly maxAgeMs: number | undefined;
}

/** A service of gRPC, as the policy describes it. */
export interface ServiceSpec {
  /** `package.Service` */
  readonly service: string;
  /** Base64 of a google.protobuf.FileDescriptorSet that has it, and all that it imports. */
  readonly descriptorSet: string;
  /** Others are refused. */
  readonly methods: readonly MethodSpec[];
}

export interface MethodSpec {
  readonly name: string;
  readonly operation: Operation;
  /** Field of the request that names the model: names joined by dots. Undefined: none does. */
  readonly model: string | undefined;
  readonly request: TextPaths;
  readonly response: TextPaths & Joining;
}

/** Where texts stand: names of fields joined by dots. Every other string and all other bytes are refused. */
export interface TextPaths {
  /** Texts: of a stream, clients join what its messages bring. */
  readonly texts: readonly string[];
  /** Names, identifiers, words of the protocol: each is read by itself. */
  readonly values: readonly string[];
}

export interface Joining {
  /** Whether texts go on from one message of a stream to the next, each message has its own, or each says all of a text so far. */
  readonly messages: 'Joined' | 'Separate' | 'Growing';
  /**
   * What the elements of a list are on the way to a text: `Joined`, pieces of one; `Position`, texts of their own, told by where they stand; `.name`, the
   * same, told by a field of theirs. Undefined: nobody says, so that where texts go on over messages only lists pass whose elements can be joined in
   * one way.
   */
  readonly elements?: string | undefined;
}

/** A route of HTTP, as the policy describes it. */
export interface RouteSpec {
  /** All of the path, in its canonical spelling. */
  readonly path: string;
  /** The handshake of a WebSocket; else `POST`. */
  readonly webSocket: boolean;
  readonly operation: Operation;
  /** Where a request names the model, such as `$.model`. Undefined: nowhere. */
  readonly model: string | undefined;
  readonly request: BodySpec;
  readonly response: BodySpec & Joining;
}

/** Paths of JSON such as `$.turns[*].content`. */
export interface BodySpec extends TextPaths {
  /** Of a request what it must be; an answer may be JSON all the same. */
  readonly format: 'JSON' | 'Text';
  /** What strings are that are not listed. */
  readonly others: 'Texts' | 'Refused';
}
