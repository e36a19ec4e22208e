import { CodedError } from '../../base/index.ts';

/** Why an assertion proves nothing: closed, for the log and for tests. Whoever presented it learns `invalid_grant` and no more. */
export type SamlFaultCode =
  | 'too_large'
  | 'not_xml'
  | 'ambiguous'
  | 'shape'
  | 'encrypted'
  | 'algorithm'
  | 'ecdsa'
  | 'issuer'
  | 'keys_unknown'
  | 'signature'
  | 'status'
  | 'audience'
  | 'recipient'
  | 'in_response_to'
  | 'expired'
  | 'not_yet_valid'
  | 'too_long_lived'
  | 'conditions'
  | 'subject'
  | 'attributes'
  | 'metadata'
  | 'metadata_entity'
  | 'metadata_expired'
  | 'metadata_keys';

const wording: Readonly<Record<SamlFaultCode, string>> = {
  too_large: 'the document is larger than allowed',
  not_xml: 'the document is not well-formed XML in UTF-8',
  ambiguous: 'the document has what could be read in two ways: comments, CDATA, declarations, entities',
  shape: 'the document is not one assertion, or one response with one, signed where SAML signs it',
  encrypted: 'what the assertion says is encrypted, which is not taken: switch encryption off at the identity provider',
  ecdsa: 'the signature is by ECDSA, which is not taken: have the identity provider sign with RSA-SHA256',
  algorithm: 'the signature uses an algorithm or a transform that is not allowed',
  issuer: 'no identity provider of this name is known',
  keys_unknown: 'the keys of the identity provider are not known, or too old',
  signature: 'the signature does not fit any key of the identity provider',
  status: 'the response does not say success',
  audience: 'the assertion is meant for others',
  recipient: 'the assertion is to be brought elsewhere',
  in_response_to: 'the assertion does not answer the request that was made',
  expired: 'the assertion has expired',
  not_yet_valid: 'the assertion is not valid yet',
  too_long_lived: 'the assertion is valid for longer than assertions are remembered',
  conditions: 'the assertion has conditions that are not understood',
  subject: 'the assertion names no subject',
  attributes: 'an attribute is missing or has the wrong shape',
  metadata: 'the document is no metadata of an identity provider, or its dates are none',
  metadata_entity: 'the metadata does not have the configured entityId, or has it twice',
  metadata_expired: 'the metadata is valid no longer (validUntil)',
  metadata_keys:
    'the metadata has no certificate to verify signatures with that is taken: of an RSA key of 2,048 bits or more, 16 at most',
};

/** Holds no part of the document. */
export class SamlFault extends CodedError<SamlFaultCode> {
  constructor(code: SamlFaultCode, options?: { readonly cause?: unknown }) {
    super(code, wording[code], options);
    this.name = 'SamlFault';
  }
}
