import { describe, expect, test } from '@jest/globals';
import type { CompiledProvider } from '../core/index.ts';
import { provesTheSame } from './same-provider.ts';

const [first, second] = [
  { kty: 'EC', kid: '1', x: 'a' },
  { kty: 'EC', kid: '2', x: 'b' },
];
const set = (...keys: readonly object[]): string => JSON.stringify({ keys });
const none = { oidc: undefined, serviceAccount: undefined, clientCertificate: undefined, kubernetesUser: undefined };
const people = (keys: string | undefined, audience = 'inference'): CompiledProvider => ({
  ...none,
  id: 'ml/p/okta',
  sidegate: { idp: 'okta', audiences: [audience], issuer: 'https://s/saml/okta', ...(keys !== undefined && { keys }) },
});
const workloads = (keys: string | undefined): CompiledProvider => ({
  ...none,
  id: 'ml/p/workloads',
  serviceAccount: {
    issuer: 'https://kubernetes',
    audiences: ['inference'],
    jwksUri: undefined,
    ca: undefined,
    allowInsecureLoopback: false,
    ...(keys !== undefined && { keys }),
  },
});

describe.each([
  ['Sidegate’s own tokens', people],
  ['the tokens of the cluster', workloads],
])('a provider of %s', (_name, provider) => {
  test.each([
    ['that is the same', set(first), set(first), true],
    ['with one more key', set(first), set(second, first), true],
    ['whose key is written in another order', set(first), set({ x: 'a', kid: '1', kty: 'EC' }), true],
    ['that lost a key', set(first, second), set(second), false],
    ['whose key is another one of the same name', set(first), set({ ...first, x: 'c' }), false],
    ['that lost its keys', set(first), undefined, false],
    ['whose keys are not fetched any more', undefined, set(first), false],
    ['whose keys cannot be read', set(first), 'no keys', false],
    ['whose keys are no list', set(first), '{"keys":{}}', false],
  ])('%s', (_what, before, after, same) => {
    expect(provesTheSame(provider(before), provider(after))).toBe(same);
  });
});

test('a provider that says something else, or is not there, proves others', () => {
  expect(provesTheSame(people(set(first)), people(set(first, second), 'other'))).toBe(false);
  expect(
    provesTheSame(people(set(first)), { ...people(set(first)), kubernetesUser: { claim: 'email', prefix: '' } }),
  ).toBe(false);
  expect(provesTheSame(people(set(first)), undefined)).toBe(false);
  expect(provesTheSame(undefined, undefined)).toBe(false);
});
