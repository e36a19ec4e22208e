// The record as it is written and proven: lines in a chain of hashes, the file that holds them, its verification.
export { auditFile } from './audit-file.ts';
export type { AuditFile, AuditFileOptions } from './audit-file.ts';
export { AuditChain, auditDigest, chainStart, readAuditLine, zeroHash } from './audit-line.ts';
export type { AuditRecord, ChainHead, Digest } from './audit-line.ts';
export { AuditVerifier, auditFiles, readAuditLog, verifyAuditLog } from './audit-verify.ts';
export type { AuditFault, AuditVerdict, AuditVerifyOptions } from './audit-verify.ts';
