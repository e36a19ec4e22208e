export { credentialHeaders, takeCredentials } from './credentials.ts';
export { createHttpGet, ProviderFault } from './http-get.ts';
export type { HttpGet, HttpGetRequest, ProviderFaultCode } from './http-get.ts';
export type { KeySetTimes } from './key-set.ts';
export type { ClusterIssuer } from './token-provider.ts';
export { createIdentityVerifier } from './verifier.ts';
export type { IdentityCaches, IdentityOptions } from './verifier.ts';
export { createTokenWitness } from './token-witness.ts';
export type { TokenProof, TokenWitness, TokenWitnessOptions } from './token-witness.ts';
export { openSamlVerifier } from './load-saml.ts';
export { nameIdFormats } from './saml/names.ts';
export type { NameIdFormat } from './saml/names.ts';
export { ownClaims } from './saml/person.ts';
export { SamlFault } from './saml/saml-fault.ts';
export type { SamlFaultCode } from './saml/saml-fault.ts';
export type { ProvenPerson, SamlIdp, SamlVerifier } from './saml/saml-verifier.ts';
export { maxTokenLength } from './compact-token.ts';
export { namedCaller, namedIssuer } from './token-issuer.ts';
export { signToken } from './tokens/sign-token.ts';
export {
  afterTokenKeyStep,
  createTokenKey,
  dueTokenKeyStep,
  readTokenKeys,
  tokenKeySet,
  tokenKeyTiming,
  writeTokenKeys,
} from './tokens/token-keys.ts';
export type { TokenKeyState, TokenKeyTiming } from './tokens/token-keys.ts';
