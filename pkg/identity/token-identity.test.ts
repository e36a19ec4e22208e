import { expect, test } from '@jest/globals';
import type { CompiledProvider } from '../core/index.ts';
import type { Claims } from './compact-token.ts';
import { oidcIdentity } from './token-identity.ts';

const provider: CompiledProvider = {
  id: 'ml/p/people',
  oidc: undefined,
  serviceAccount: undefined,
  clientCertificate: undefined,
  sidegate: { idp: 'okta', issuer: 'https://sg/saml/okta', audiences: ['inference'] },
  kubernetesUser: undefined,
};
const subOf = (claims: Claims, knownBy?: string): string | undefined =>
  oidcIdentity(
    provider,
    {
      issuer: 'https://sg/saml/okta',
      groupsClaim: 'groups',
      scopesClaim: undefined,
      subjectClaim: 'sub',
      ...(knownBy !== undefined && { knownBy }),
    },
    claims,
    0,
  ).sub;

test('who is known by another claim beside the subject has it, where it is a name', () => {
  expect(subOf({ sub: 'ana@x', saml_name_id: 'P-1' }, 'saml_name_id')).toBe('P-1');
  for (const saml_name_id of ['', 'a\nb', 7, null, ['P-1'], 'x'.repeat(1_025)])
    expect(subOf({ sub: 'ana@x', saml_name_id }, 'saml_name_id')).toBeUndefined();
  expect(subOf({ sub: 'ana@x' }, 'saml_name_id')).toBeUndefined();
});

test('what an issuer of its own calls so says nothing', () => {
  expect(subOf({ sub: 'ana@x', saml_name_id: 'P-1' })).toBeUndefined();
});
