import { describe, expect, test } from '@jest/globals';
import { governedSet } from '../../../test/support/governed-set.ts';
import { grantFact } from './grant-fact.ts';
import type { GrantFact } from './grant-fact.ts';
import { grantTerms } from './grant-terms.ts';

const grantOf = (issuer: string, subject = 'ana'): GrantFact =>
  grantFact({
    metadata: { namespace: 'ml', name: 'g', uid: 'u' },
    spec: {
      issuer,
      subject,
      operations: ['Chat'],
      models: ['*'],
      expiresAt: '2026-11-26T12:00:00Z',
      requestedBy: 'kim',
    },
  } as never);
const userOf = (fact: GrantFact, claims: readonly (string | undefined)[]): unknown => {
  const terms = grantTerms(
    fact,
    claims.map((certificateClaim) => governedSet('ml', { certificateClaim })),
  );
  return terms.kind === 'terms' ? terms.kubernetesUser : terms.reason;
};

describe('who the caller of a grant is to Kubernetes, so that no Kubernetes user decides on access of their own', () => {
  test.each<[string, GrantFact, readonly (string | undefined)[], string | undefined]>([
    ['a token’s subject', grantOf('https://corp.example.com'), ['sub'], 'corp:ana'],
    ['a certificate’s subject', grantOf('CN=callers'), ['sub'], 'cert:ana'],
    ['not known by a common name', grantOf('CN=callers'), ['cn'], undefined],
    ['not known where the provider says nothing', grantOf('CN=callers'), [undefined], undefined],
    ['not known where policies differ', grantOf('CN=callers'), ['sub', 'cn'], undefined],
    ['not known of an issuer that no provider has', grantOf('https://other.example.com'), ['sub'], undefined],
  ])('%s', (_what, fact, claims, user) => {
    expect(userOf(fact, claims)).toBe(user);
  });
});

test('of an issuer that only the namespace names nothing is believed where the platform names the approvers', () => {
  const fact = grantOf('https://corp.example.com');
  for (const byPlatform of [false, true]) {
    const terms = grantTerms(fact, [governedSet('ml', { byPlatform })]);
    expect(terms).toMatchObject({ kind: 'terms', kubernetesUser: byPlatform ? undefined : 'corp:ana' });
  }
});

test('for which client the subject of a grant is nobody can say, so that a plain sub tells nobody apart', () => {
  expect(grantTerms(grantOf('https://corp.example.com'), [governedSet('ml', {})])).toMatchObject({ naming: undefined });
});
