export { takeCredentials } from './credentials.ts';
export { createHttpGet, ProviderFault } from './http-get.ts';
export type { HttpGet, HttpGetRequest, ProviderFaultCode } from './http-get.ts';
export type { KeySetTimes } from './key-set.ts';
export type { ClusterIssuer } from './token-provider.ts';
export { createIdentityVerifier } from './verifier.ts';
export type { IdentityCaches, IdentityOptions } from './verifier.ts';
