export type { AuditEvent, ProcessEvent, RuleAct, SessionEnd, SessionSegment, SessionStart } from './audit.ts';
export { detectorClasses, detectorNames, expandDetector } from './detector-names.ts';
export type { DetectorName } from './detector-names.ts';
export type { Identity, PresentedCredentials, ProviderId } from './identity.ts';
export { operations } from './operation.ts';
export type { Operation } from './operation.ts';
export type {
  AccessRule,
  Action,
  AnalyzerSpec,
  ApprovalSpec,
  AuditSpec,
  ClassificationRule,
  ClientCertificateSpec,
  GuardRule,
  LabelSelector,
  MatchSpec,
  OidcSpec,
  PatternSpec,
  Policy,
  PolicySpec,
  Profile,
  ProviderSpec,
  RateLimits,
  Replacement,
  RequestLimits,
  ResponseLimit,
  SecretRef,
  ServiceAccountSpec,
  SubjectSpec,
  TlsSpec,
  UpstreamSpec,
} from './policy.ts';
export { AuditUnavailableError } from './ports.ts';
export type {
  ApprovalGate,
  AuditSink,
  CredentialSource,
  IdentityResult,
  IdentityVerifier,
  IdentityVerifierFactory,
  PolicySource,
} from './ports.ts';
export { RefusedError, reasons } from './reasons.ts';
export type { ReasonCode } from './reasons.ts';
export type {
  AccessDecision,
  AccessRequest,
  CompiledProvider,
  GuardOutcome,
  MatchedRule,
  PolicyNotice,
  Refusal,
  RequestPlan,
  ResponsePlan,
  ResponsePlanLimits,
  RuleId,
  RuleSelection,
  ScanRule,
  Snapshot,
  SourceRef,
} from './snapshot.ts';
