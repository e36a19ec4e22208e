import { CodedError } from '../base/index.ts';

/** Why a token proves nothing: closed, for the log and for tests. Callers only ever learn `token_invalid` or `token_expired`. */
export type TokenFaultCode =
  | 'too_large'
  | 'not_a_token'
  | 'encrypted'
  | 'ambiguous'
  | 'type'
  | 'extension'
  | 'algorithm'
  | 'issuer'
  | 'audience'
  | 'key_unknown'
  | 'signature'
  | 'expired'
  | 'not_yet_valid'
  | 'claims'
  | 'binding';

const wording: Readonly<Record<TokenFaultCode, string>> = {
  too_large: 'the token is larger than allowed',
  not_a_token: 'the credential is not a signed token in compact form',
  encrypted: 'encrypted tokens are not accepted',
  ambiguous: 'header or payload could be read in two ways',
  type: 'the token is of a type that does not prove callers',
  extension: 'the token needs an extension that is not understood',
  algorithm: 'the signature algorithm is not allowed',
  issuer: 'no provider names this issuer',
  audience: 'the token is meant for others',
  key_unknown: 'no key of the issuer fits',
  signature: 'the signature does not fit',
  expired: 'the token has expired',
  not_yet_valid: 'the token is not valid yet',
  claims: 'a claim is missing or has the wrong shape',
  binding: 'the token is bound to a key that was not proven',
};

/** Holds no part of the token. */
export class TokenFault extends CodedError<TokenFaultCode> {
  constructor(code: TokenFaultCode, options?: { readonly cause?: unknown }) {
    super(code, wording[code], options);
    this.name = 'TokenFault';
  }
}
