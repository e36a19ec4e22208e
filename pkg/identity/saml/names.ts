/** Names of SAML 2.0 (OASIS saml-core-2.0-os) and XML Signature 1.1. */
export const ns = {
  assertion: 'urn:oasis:names:tc:SAML:2.0:assertion',
  protocol: 'urn:oasis:names:tc:SAML:2.0:protocol',
  metadata: 'urn:oasis:names:tc:SAML:2.0:metadata',
  signature: 'http://www.w3.org/2000/09/xmldsig#',
} as const;

export const bearerMethod = 'urn:oasis:names:tc:SAML:2.0:cm:bearer';
export const successStatus = 'urn:oasis:names:tc:SAML:2.0:status:Success';
export const redirectBinding = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect';
export const postBinding = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST';

/** Kinds of names for people (saml-core section 8.3) that stay theirs. */
export const nameIdFormats = {
  Persistent: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
  EmailAddress: 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress',
  Unspecified: 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified',
} as const;

/** Another one at each login (saml-core section 8.3.8): it names nobody. */
export const transientFormat = 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient';

export type NameIdFormat = keyof typeof nameIdFormats;

export const defaultNameIdFormat: NameIdFormat = 'Persistent';
