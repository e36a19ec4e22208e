// For the rest of pkg/control.
export { createBrowserLogin } from './browser-login.ts';
export { createLoginCodes } from './login-codes.ts';
export { createRevocations } from './revocations.ts';
export type { Revocations } from './revocations.ts';
export { createTokenExchange } from './token-exchange.ts';
export { createTokenGiver } from './token-giver.ts';
export { issuerOf, withTokenIssuer } from './token-issuer.ts';
export type { TokenIssuerKeys } from './token-issuer.ts';
export { startTokenKeyKeeper } from './token-key-keeper.ts';
export type { TokenKeyKeeper } from './token-key-keeper.ts';
export { createTokenRoutes } from './token-routes.ts';
export { createUsedAssertions } from './used-assertions.ts';
export type { UsedAssertions } from './used-assertions.ts';
