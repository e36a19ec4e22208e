import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLogger, systemClock } from '../base/index.ts';
import type { CompiledProvider, IdentityResult, IdentityVerifier } from '../core/index.ts';
import { startIssuer } from '../../test/support/issuer.ts';
import type { Issuer } from '../../test/support/issuer.ts';
import { createIdentityVerifier } from './index.ts';

let issuer: Issuer;
let verifier: IdentityVerifier;

const start = async (algorithm: 'ES256' | 'RS256' | 'EdDSA'): Promise<void> => {
  issuer = await startIssuer({ algorithm, users: [{ name: 'ana', groups: ['ml-eng'] }] });
  const provider: CompiledProvider = {
    id: 'ml/support/corp',
    oidc: {
      issuer: issuer.url,
      audiences: ['inference'],
      groupsClaim: 'groups',
      scopesClaim: undefined,
      subjectClaim: 'sub',
      clockSkewMs: 30_000,
      jwksUri: undefined,
      caFile: undefined,
      algorithms: [],
      allowInsecureLoopback: true,
    },
    serviceAccount: undefined,
    clientCertificate: undefined,
    kubernetesUser: undefined,
  };
  verifier = createIdentityVerifier({ clock: systemClock, logger: silentLogger })([provider]);
};
beforeEach(() => start('ES256'));
afterEach(async () => {
  verifier.close();
  await issuer.close();
});
const ask = async (token: string): Promise<IdentityResult> => await verifier.verify({ token, certificate: undefined });

describe('with a certified OpenID provider', () => {
  test('a user who got a token over HTTP is proven with their groups', async () => {
    expect(await ask(await issuer.fetchToken('ana'))).toMatchObject({
      kind: 'proven',
      identity: { subject: 'ana', groups: ['ml-eng'], issuer: issuer.url },
    });
  });

  test.each(['RS256', 'EdDSA'] as const)('so is one whose token is signed with %s', async (algorithm) => {
    verifier.close();
    await issuer.close();
    await start(algorithm);
    expect(await ask(await issuer.token({ sub: 'bob', groups: ['ops'], scope: 'chat' }))).toMatchObject({
      kind: 'proven',
      identity: { subject: 'bob', groups: ['ops'], scopes: ['chat'] },
    });
  });

  test('wrong audience and expired are refused', async () => {
    expect(await ask(await issuer.token({ aud: 'billing' }))).toEqual({ kind: 'refused', reason: 'token_invalid' });
    expect(await ask(await issuer.token({ expiresIn: -60 }))).toEqual({ kind: 'refused', reason: 'token_expired' });
  });

  test('a rotation is followed at once, and an outage survived', async () => {
    const before = await issuer.token();
    expect(await ask(before)).toMatchObject({ kind: 'proven' });
    issuer.rotateKeys({ keepOld: false });
    const after = await issuer.token();
    expect(await ask(after)).toMatchObject({ kind: 'proven' });
    expect(await ask(before)).toEqual({ kind: 'refused', reason: 'token_invalid' });
    const later = await issuer.token({ sub: 'cy' });
    await issuer.stop();
    expect(await ask(later)).toMatchObject({ kind: 'proven', identity: { subject: 'cy' } });
    await issuer.resume();
    expect(issuer.requests).toEqual({ discovery: 2, keys: 2, token: 0 });
  });
});
