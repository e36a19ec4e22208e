export { mayFetch, mayPass, mayStandWithin } from './files.ts';
export { plainModelName } from './model-name.ts';
export { isBelieved, isSameUser, mayBeSameUser, namingOf, namingOfSubject, prefixOf } from './naming.ts';
export type {
  ApprovalAsk,
  ApprovalDecision,
  ApprovalGate,
  ApprovalPhase,
  ApprovalProblem,
  ApprovalState,
  ApprovalTicket,
  Requester,
} from './approval.ts';
export { mostHoldingRules, requesterOf } from './approval.ts';
export type {
  AuditEvent,
  FoundKind,
  ProcessEvent,
  RuleAct,
  ChangedThing,
  ChangeEvent,
  SessionApproval,
  SessionEnd,
  RecordedText,
  SessionSegment,
  SessionTexts,
  SessionStart,
  SignatureEvent,
  TracePoint,
} from './audit.ts';
export { changedThings, mostFoundKinds } from './audit.ts';
export { allowSets, certainties, defaultCertainty, findingReasons, saidOfNamed } from './certainty.ts';
export type { AllowSet, AllowSpec, Certainty, FindingReason, Said } from './certainty.ts';
export { defaultTerms } from './detector-terms.ts';
export type { DetectorTerms, TermsByDetector } from './detector-terms.ts';
export { canonical, sha256 } from './canonical.ts';
export { credentialFault, credentialLength } from './credential.ts';
export {
  approverIsCaller,
  approverIsUser,
  decisionOf,
  isAsker,
  isTellable,
  peopleWho,
  phaseAt,
  approvedMeanwhile,
  changedDecision,
  recordedDecision,
  workloadsOf,
} from './decision.ts';
export type { ApproverEntry, Asker, Undecided, Vote } from './decision.ts';
export { decisionStatuses, longestVoter, readChoice, tokenVote, voteFault } from './decide.ts';
export type { Choice, DecisionFault, TokenVote } from './decide.ts';
export { DescriptorError } from './descriptor-set.ts';
export type { DescribedField, DescribedMethod, DescriptorSet } from './descriptor-set.ts';
export { areRead, descriptorsOf, serviceFaults } from './described-service.ts';
export type { ServiceFault } from './described-service.ts';
export { detectorClasses, detectorNames, expandDetector, finders } from './detector-names.ts';
export type { DetectorName } from './detector-names.ts';
export { compileGrant, grantCovers, grantRule, maxGrantAgeMs } from './grant.ts';
export type { CompiledGrant, Grant, GrantSource } from './grant.ts';
export { kubernetesName } from './identity.ts';
export type { Identity, PresentedCredentials, ProviderId } from './identity.ts';
export { operations } from './operation.ts';
export type { Operation } from './operation.ts';
export { isSealedTo } from './policy.ts';
export type {
  AccessRule,
  Action,
  AnalyzerSpec,
  ApprovalSpec,
  AuditSpec,
  BodySpec,
  CertaintyOf,
  ClassificationRule,
  ClientCertificateSpec,
  GuardRule,
  Joining,
  LabelSelector,
  MatchSpec,
  MethodSpec,
  OidcSpec,
  PatternSpec,
  Policy,
  PolicySpec,
  Profile,
  ProviderSpec,
  FileTerms,
  RateLimits,
  RecordedContent,
  Replacement,
  RequestLimits,
  ResponseLimit,
  RouteSpec,
  SecretRef,
  ServiceAccountSpec,
  ServiceSpec,
  SidegateSpec,
  SubjectSpec,
  TextPaths,
  TlsSpec,
  CredentialSpec,
  CredentialUse,
  HeaderUse,
  HostedSpec,
  IdentityField,
  UpstreamSpec,
} from './policy.ts';
export { AuditUnavailableError } from './ports.ts';
export type {
  AuditSink,
  CredentialSource,
  IdentityResult,
  IdentityVerifier,
  IdentityVerifierFactory,
  LimitStore,
  PolicySource,
  SharedBucket,
  SharedGrant,
} from './ports.ts';
export { compileRevocations, readRevocation } from './revocation.ts';
export type { Revocation, RevocationSet, RevocationSource } from './revocation.ts';
export { RefusedError, reasons } from './reasons.ts';
export type { ReasonCode } from './reasons.ts';
export type {
  AccessDecision,
  AccessRequest,
  CompiledProvider,
  GuardOutcome,
  MatchedRule,
  LoopbackRule,
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
export { combination } from './combination.ts';
export type { CombinationRow, CombinedField } from './combination.ts';
export { compileSnapshot, noPolicy } from './compile.ts';
export type { CompileOptions } from './compile.ts';
export { expireSnapshot } from './expire.ts';
export { explain, withProfile } from './explain.ts';
export type { ExplainedAccessRule, ExplainedGuard, ExplainedLabel, Explanation } from './explain.ts';
export { PolicyError } from './policy-error.ts';
export type { PolicyErrorCode } from './policy-error.ts';
export { defaultProfile, profiles } from './profiles.ts';
export type { ProfileDefaults } from './profiles.ts';
export { leastPod, selectorMatches, selectorText, selects } from './selector.ts';
export type { PodFacts } from './selector.ts';
export type { EffectiveValue } from './settings.ts';
