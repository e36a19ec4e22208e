import { expect, test } from '@jest/globals';
import { mayBeSameUser, namingOf } from './naming.ts';
import { oidc, provider } from './testing/policies.ts';
import type { CompiledProvider } from './snapshot.ts';

const by = (more: Partial<CompiledProvider>): string | undefined => {
  const { name: _name, ...others } = provider('corp');
  return namingOf({ id: 'ml/p/corp', ...others, oidc: undefined, ...more });
};
const spec = (more: object) => oidc('https://idp.example.com', 'inference', more);

test.each<[string, Partial<CompiledProvider>, string | undefined]>([
  ['sub, of one audience', { oidc: spec({}) }, 'sub for inference'],
  ['sub, of one that is named twice', { oidc: spec({ audiences: ['a', 'a'] }) }, 'sub for a'],
  ['sub, which may be another for each audience', { oidc: spec({ audiences: ['a', 'b'] }) }, undefined],
  ['a claim, whatever the audience', { oidc: spec({ audiences: ['a', 'b'], subjectClaim: 'oid' }) }, 'claim oid'],
  [
    'service accounts',
    {
      serviceAccount: {
        issuer: undefined,
        audiences: ['a', 'b'],
        jwksUri: undefined,
        ca: undefined,
        allowInsecureLoopback: false,
      },
    },
    'service account',
  ],
  ['assertions', { sidegate: { idp: 'okta', audiences: ['a', 'b'] } }, 'assertion'],
  ['neither', {}, undefined],
])('names by %s', (_what, more, naming) => {
  expect(by(more)).toBe(naming);
});

test.each([
  ['without case', 'Ana@x', 'ana@X', true],
  ['behind a prefix', 'oidc:ana@x', 'ana@x', true],
  ['behind a prefix that ends in another sign', 'oidc_ana@x', 'ana@x', true],
  ['behind a prefix each', 'oidc:ana@x', 'https://idp.example.com#ana@x', true],
  ['behind a prefix each, of which one ends in another sign', 'corp.ana@x', 'https://idp.example.com#ANA@x', true],
  ['with a sign of its own behind a prefix each', 'oidc:auth0|5f7c', 'https://idp.example.com#auth0|5f7c', true],
  ['behind letters', 'mariana@x', 'ana@x', false],
  ['of two people behind one prefix', 'oidc:ana@x', 'oidc:bob@x', false],
  ['of two people behind a prefix each', 'oidc:mariana@x', 'https://idp.example.com#ana@x', false],
  ['of two people of one family', 'a.smith@x', 'b.smith@x', false],
  ['of a workload', 'system:serviceaccount:ml:ana', 'ana', false],
  ['of a workload and behind a prefix', 'system:serviceaccount:ml:ana', 'oidc:ana', false],
  ['of workloads of two namespaces', 'system:serviceaccount:ml:ana', 'system:serviceaccount:web:ana', false],
  ['of Kubernetes behind a prefix', 'oidc:system:ana', 'system:ana', true],
  ['that is empty', 'oidc:', '', false],
  ['with nothing behind a prefix', 'oidc:', 'corp:', false],
])('a name %s', (_what, one, other, may) => {
  expect(mayBeSameUser(one, other)).toBe(may);
  expect(mayBeSameUser(other, one)).toBe(may);
});
