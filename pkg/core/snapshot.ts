import type { TermsByDetector } from './detector-terms.ts';
import type { Identity, ProviderId } from './identity.ts';
import type { Operation } from './operation.ts';
import type {
  Action,
  AnalyzerSpec,
  ApprovalSpec,
  ClientCertificateSpec,
  CorsSpec,
  FileTerms,
  MatchSpec,
  OidcSpec,
  Profile,
  RateLimits,
  RecordedContent,
  Replacement,
  RouteSpec,
  ServiceAccountSpec,
  ServiceSpec,
  SidegateSpec,
  UpstreamSpec,
} from './policy.ts';
import type { ReasonCode } from './reasons.ts';

/** `POLICY/RULE` for people, headers and records, e.g. `support-llm/engineers-chat`; `cluster/POLICY/RULE` for the platform's. */
export type RuleId = string;

export interface SourceRef {
  readonly kind: 'InferencePolicy' | 'ClusterInferencePolicy';
  readonly uid: string;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly generation: number;
}

/** What all policies of a pod say of approvals. */
export interface CombinedApprovals extends ApprovalSpec {
  /** A ClusterInferencePolicy names the approvers. */
  readonly byPlatform: boolean;
}

/** A provider, qualified. */
export interface CompiledProvider {
  readonly id: ProviderId;
  readonly oidc: OidcSpec | undefined;
  readonly serviceAccount: ServiceAccountSpec | undefined;
  readonly clientCertificate: ClientCertificateSpec | undefined;
  readonly sidegate?: SidegateSpec | undefined;
  readonly kubernetesUser: { readonly claim: string; readonly prefix: string } | undefined;
}

/** What lost when several policies were combined, or cannot act: shown in status and by `explain`. */
export interface PolicyNotice {
  readonly policy: string;
  readonly field: string;
  readonly message: string;
  /** Label of the policy whose value stands instead; absent where none does. */
  readonly by?: string;
}

/**
 * What a scanner looks for and what it puts in place: one per guard, and per classification label of a policy. `index` is
 * its position in {@link Snapshot.scanRules}; selections of rules are bit sets over it. Index order: rules whose replacement
 * shows less first (Label and Constant, Hash, Partial), then policy order; of findings with one extent the first rule's
 * replacement stands.
 */
export interface ScanRule {
  readonly index: number;
  readonly id: RuleId;
  /** Stands in `[…]` where the style is Label. */
  readonly label: string;
  readonly on: 'Request' | 'Response';
  /** What it does in what `on` names. */
  readonly action: Action;
  /** Of a label, which is `on` answers: what it does in requests. Undefined: they are not read for it. */
  readonly inRequests?: Action;
  /** False: its policy observes; what it finds is recorded as what it would have done. */
  readonly enforce: boolean;
  readonly match: MatchSpec;
  /** How certain findings of `match.detectors` must be, and which are allowed. Absent: of all of them what holds where no policy says. */
  readonly terms?: TermsByDetector;
  readonly fields: readonly string[];
  readonly replacement: Replacement;
}

/** A set of {@link ScanRule} by index: `selection[index] === 1`. Equal sets of one snapshot are one object. */
export type RuleSelection = Uint8Array;

/**
 * Everything that a pod enforces, compiled from all policies that select it. Immutable; a request keeps the one that it began with.
 */
export interface Snapshot {
  /** Counts up with each change that this process has seen. */
  readonly revision: number;
  /** SHA-256 over the canonical sources, hex. */
  readonly hash: string;
  /** As `hash`, without the keys of issuers, which come and go without an edit: what waits for people is asked under this. */
  readonly terms: string;
  readonly sources: readonly SourceRef[];
  /** Shortest truthful name of what is enforced, for the receipt: `support-llm@7` joined by `+`. */
  readonly generation: string;
  /** False when every policy observes: nothing is refused or altered by policy. */
  readonly enforcing: boolean;
  readonly notices: readonly PolicyNotice[];
  readonly providers: readonly CompiledProvider[];
  readonly tls: {
    readonly inbound: 'Required' | 'Mutual' | 'Optional';
    readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
    /** Where every policy observes: what `inbound` would be if they did not. */
    readonly observedInbound?: 'Required' | 'Mutual' | 'Optional';
  };
  readonly upstream: UpstreamSpec | undefined;
  readonly scanRules: readonly ScanRule[];
  readonly onUnknown: 'Deny' | 'Buffer';
  readonly audit: {
    readonly content: RecordedContent;
    /** With Full and Sealed: the key to seal to. */
    readonly sealTo?: string;
    readonly onFailure: 'Deny' | 'Allow';
  };
  /** What fills in where no policy says anything. */
  readonly profile: Profile;
  readonly approvals: CombinedApprovals | undefined;
  readonly analyzers: readonly AnalyzerSpec[];
  /** Services of gRPC that policies describe, each once. */
  readonly grpcServices: readonly ServiceSpec[];
  /** Routes that policies describe, each path once. */
  readonly routes: readonly RouteSpec[];
  readonly requestLimits: {
    readonly maxBodyBytes: number;
    readonly bodyTimeoutMs: number;
    readonly upstreamIdleMs: number;
  };
  /** Which pages may call from a browser. Absent: nothing is said to browsers. */
  readonly cors?: CorsSpec;
  /** Without a word from a controller for so long, everything is denied (`policy_expired`). A sidecar on its own has no controller. */
  readonly maxPolicyAgeMs: number;
  /** For requests that come by the listener of a helper, where `access` only denies by default. */
  readonly loopback: readonly LoopbackRule[];
  /** Decides whether a caller may do an operation on a model. */
  access(request: AccessRequest): AccessDecision;
  /** As `access`, with a grant that covers the request as one more Allow rule of the namespace. */
  accessGranted(request: AccessRequest, grant: RuleId): AccessDecision;
  /** Whether any rule could allow this caller the operation on some model: false is final before the model is known. */
  couldAllow(caller: Identity | undefined, operation: Operation): boolean;
  /** Which request rules apply to a caller. The same object for the same outcome, so that it can key a cache. */
  requestPlan(caller: Identity | undefined): RequestPlan;
  /** What a caller may see and how the answer may leave. The same object for the same outcome. */
  responsePlan(caller: Identity | undefined): ResponsePlan;
}

/** What a helper in the pod may do without an identity. */
export interface LoopbackRule {
  readonly id: RuleId;
  /** The uid that the helper alone has in its pod. */
  readonly runAsUser: number;
  readonly operations: ReadonlySet<Operation>;
}

export interface AccessRequest {
  /** Undefined: nobody was proven. */
  readonly caller: Identity | undefined;
  readonly operation: Operation;
  /** As the request spells it; undefined where the operation names none. */
  readonly model: string | undefined;
}

/** An Allow rule that matched, with its limits in force. */
export interface MatchedRule {
  readonly id: RuleId;
  readonly limits: RateLimits | undefined;
  readonly tokenInput: boolean;
}

/** `observed` lists what policies in Observe mode would have refused: recorded, never enforced. */
export type AccessDecision =
  | {
      readonly kind: 'allow';
      /** In policy order: the first whose limits have budget left is charged. Empty when only Observe let it through. */
      readonly rules: readonly MatchedRule[];
      /**
       * Cluster policies that must allow as well, each with its matching rules in policy order: of each, the first with budget
       * left is charged too, so that a namespace's rules never widen the platform's budget. Absent: none. The limits of
       * `rules` are already no wider than these.
       */
      readonly ceilings?: readonly (readonly MatchedRule[])[];
      /** Allow rules of observing policies that matched, with their limits: counted and recorded, never enforced. Absent: none. */
      readonly observedRules?: readonly MatchedRule[];
      /** True only when an enforcing rule, or every observing policy's own rules, really allow this caller: the model's credential may be used. */
      readonly credential: boolean;
      readonly observed: readonly Refusal[];
      /** Files that pass unread, of each policy that allows: one of each must fit. Absent: none pass. */
      readonly files?: readonly (readonly FileTerms[])[];
      /** The same of policies that say anything of files: what stands within the JSON of a request must fit one of each. Absent: none says anything. */
      readonly within?: readonly (readonly FileTerms[])[];
    }
  | { readonly kind: 'deny'; readonly refusal: Refusal; readonly observed: readonly Refusal[] };

export interface Refusal {
  readonly reason: ReasonCode;
  /** The rule that refused; `default` where nothing allowed. */
  readonly rule: RuleId | 'default';
}

export interface GuardOutcome {
  readonly rule: RuleId;
  readonly action: Action;
  /** False: its policy observes; record only. */
  readonly enforce: boolean;
}

export interface RequestPlan {
  /** Request rules that apply, by index into scanRules. */
  readonly selection: RuleSelection;
  /** Aligned with scanRules; undefined where the rule does not apply. */
  readonly outcomes: readonly (GuardOutcome | undefined)[];
  /** Whether any enforced request rule applies: then prompts of token ids cannot be inspected. */
  readonly inspects: boolean;
}

export interface ResponsePlan {
  /** Response rules whose findings this caller may not see and whose policies enforce: masked. */
  readonly mask: RuleSelection;
  /** Enforced, end the answer. */
  readonly block: RuleSelection;
  /** Enforced, need an approver. */
  readonly approve: RuleSelection;
  /** Recorded only: Flag rules, and all rules of observing policies. */
  readonly flag: RuleSelection;
  /** mask | block | approve | flag: what must be scanned. */
  readonly scan: RuleSelection;
  /**
   * What nobody may see, whoever the caller is: the Mask and Block guards, on requests and answers, every guard that names
   * detectors, whatever it does, and every classification of all policies, observing ones too. Records, and what approvers are
   * shown, are masked by it.
   */
  readonly record: RuleSelection;
  /** True where another plan hides nothing that this one shows: live streams end on a swap when this is false. */
  coveredBy(next: ResponsePlan): boolean;
  readonly limits: ResponsePlanLimits;
}

/** The strictest of all response limits that apply; undefined: none. */
export interface ResponsePlanLimits {
  readonly maxBytes: number | undefined;
  readonly maxDurationMs: number | undefined;
  readonly minDurationMs: number | undefined;
  readonly padToMultipleOf: number | undefined;
  readonly cadenceMs: number | undefined;
}
