// The record as it is written and proven: lines in a chain of hashes, the file that holds them, the log that binds them all.
export { auditFile } from './audit-file.ts';
export type { AuditFile, AuditFileOptions } from './audit-file.ts';
export { AuditChain, auditDigest, chainStart, namedStart, placeOf, readAuditLine, zeroHash } from './audit-line.ts';
export type { AuditRecord, ChainHead, Digest } from './audit-line.ts';
export { AuditVerifier, auditFiles, readAuditLog, verifyAuditLog } from './audit-verify.ts';
export type { AuditFault, AuditVerdict, AuditVerifyOptions } from './audit-verify.ts';
export { isSignedHead, keyName, logKeyOf, readHead, readLogKeys, signHead } from './head.ts';
export type { LogKeys, SignedHead } from './head.ts';
export type { Head } from './head.ts';
export { createClockMarks } from './clock-marks.ts';
export type { ClockMarks } from './clock-marks.ts';
export { entryLeaf, entryText, entryType, inLogTime, isBlockEntry } from './log-entry.ts';
export {
  isDecision,
  isInPlace,
  isOfOlder,
  isSealed,
  isSealedType,
  sealBy,
  sealerOf,
  sealingOf,
} from './sealed-entry.ts';
export type { Sealing } from './sealed-entry.ts';
export type { Seal } from './sealed-entry.ts';
export type {
  AuthoritiesEntry,
  BlockEntry,
  ClockEntry,
  ConflictEntry,
  ConflictKind,
  DeletedEntry,
  HoldEntry,
  HoleEntry,
  LogEntry,
  ReadEntry,
  RetentionEntry,
  ShareEntry,
  ShipEntry,
  VanishedEntry,
} from './log-entry.ts';
export {
  consistencyProof,
  createFrontier,
  edgeOf,
  emptyRoot,
  inclusionProof,
  leafHash,
  nodeHash,
  provesConsistency,
  provesInclusion,
  treeRoot,
} from './merkle.ts';
export type { Frontier, NodeReader, TreeHash, TreeNode } from './merkle.ts';
export { countedLoss, gapOf, isUnknownGap } from './gap.ts';
export { createSignatureReader, signPoint } from './signature.ts';
export type { ReadSignature, SignatureReader } from './signature.ts';
export { createChainSigner } from './spool/signing.ts';
export type { ChainSigner, ChainSignerOptions } from './spool/signing.ts';
export { createRecordSender } from './spool/sender.ts';
export type { RecordSender, RecordSenderOptions, SenderEvent } from './spool/sender.ts';
export { boundSpool } from './spool/bounded.ts';
export type { BoundedSink } from './spool/bounded.ts';
export { openSpool, spooledChains } from './spool/spool.ts';
export type { Spool, SpoolOptions } from './spool/spool.ts';
export { createLogVerifier } from './verify-log.ts';
export { createSignerCheck } from './verify-signers.ts';
export type { SignatureLine, SignerCheck } from './verify-signers.ts';
export { createTimeOrder } from './time-order.ts';
export { createFindings } from './findings.ts';
export type { Findings } from './findings.ts';
export type { LogFault, LogFinding, LogVerdict, LostWithPod } from './log-verdict.ts';
export type { LogVerifier, LogVerifierOptions } from './verify-log.ts';
export { readReceipt } from './receipt.ts';
export type { Receipt } from './receipt.ts';
export { verifySession } from './verify-session.ts';
export type { SessionProof, SessionQuestion, SessionSource, SessionVerdict } from './verify-session.ts';
export { listOf, showSession } from './shown-block.ts';
export { lineType } from './line-type.ts';
export { canBeOf } from './deleted-blocks.ts';
export type { BeforeLine, DeletedBlock } from './deleted-blocks.ts';
export { createSessionCount } from './session-count.ts';
export type { SessionCount, SessionCounted } from './session-count.ts';
