import { expect, test } from '@jest/globals';
import { isBelieved, mayBeSameUser, namingOf, namingOfSubject } from './naming.ts';
import { oidc, provider } from './testing/policies.ts';
import type { CompiledProvider } from './snapshot.ts';

const compiled = (more: Partial<CompiledProvider>): CompiledProvider => {
  const { name: _name, ...others } = provider('corp');
  return { id: 'ml/p/corp', ...others, oidc: undefined, ...more };
};
const by = (more: Partial<CompiledProvider>, client?: string): string | undefined => namingOf(compiled(more), client);
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

// Pairwise subjects are of a client (OpenID Connect Core section 8.1): one person has another `sub` in the token of another client.
test('sub counts for one client alone, a claim that the policy names for all', () => {
  const sub = { oidc: spec({}) };
  expect(by(sub, 'cli')).toBe('sub for inference by cli');
  expect(by(sub, 'inference')).toBe('sub for inference');
  expect(by(sub, 'web')).not.toBe(by(sub, 'cli'));
  expect(by(sub, 'x'.repeat(1_024))?.length).toBeLessThanOrEqual(320);
  expect(by(sub, 'x'.repeat(1_024))).not.toBe(by(sub, 'x'.repeat(1_023)));
  expect(by({ oidc: spec({ subjectClaim: 'oid' }) }, 'cli')).toBe('claim oid');
});

test('for which client a sub is cannot be said without a token', () => {
  expect(namingOfSubject(compiled({ oidc: spec({}) }))).toBeUndefined();
  expect(namingOfSubject(compiled({ oidc: spec({ subjectClaim: 'oid' }) }))).toBe('claim oid');
  expect(namingOfSubject(compiled({ sidegate: { idp: 'okta', audiences: ['a'] } }))).toBe('assertion');
});

test('of a namespace’s own provider nothing is believed where the platform names the approvers', () => {
  const accounts = {
    issuer: 'https://k8s',
    audiences: ['a'],
    jwksUri: undefined,
    ca: undefined,
    allowInsecureLoopback: false,
  };
  const [own, platform] = [compiled({ oidc: spec({}) }), compiled({ id: 'cluster/p/corp', oidc: spec({}) })];
  expect([own, platform].map((one) => isBelieved({ byPlatform: true }, one))).toEqual([false, true]);
  expect([own, platform].map((one) => isBelieved({ byPlatform: false }, one))).toEqual([true, true]);
  // The API server's own keys are the platform's word, whoever names it as a provider.
  expect(isBelieved({ byPlatform: true }, compiled({ serviceAccount: accounts }))).toBe(false);
  expect(isBelieved({ byPlatform: true }, compiled({ serviceAccount: { ...accounts, keys: '{}' } }))).toBe(true);
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
