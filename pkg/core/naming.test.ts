import { expect, test } from '@jest/globals';
import { namingOf } from './naming.ts';
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
