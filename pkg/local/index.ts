export { fileCredentialSource } from './file-credential-source.ts';
export type { FileCredentialOptions } from './file-credential-source.ts';
export { filePolicySource } from './file-policy-source.ts';
export type { FileFault, FilePolicyOptions, FilePolicySource } from './file-policy-source.ts';
export { noApprovals } from './no-approvals.ts';
