import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLogger, systemClock } from '../base/index.ts';
import type { CompiledProvider, IdentityResult, IdentityVerifier, OidcSpec, SecretRef } from '../core/index.ts';
import { oidc } from '../core/testing/policies.ts';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { createAuthority, serverAuth } from '../../test/support/issuer-certificates.ts';
import { startIssuer } from '../../test/support/issuer.ts';
import type { Issuer } from '../../test/support/issuer.ts';
import { createIdentityVerifier } from './index.ts';

let issuer: Issuer;
let verifier: IdentityVerifier;

const providerOf = (more: Partial<OidcSpec> = {}): CompiledProvider => ({
  id: 'ml/support/corp',
  oidc: oidc(issuer.url, 'inference', { allowInsecureLoopback: true, ...more }),
  serviceAccount: undefined,
  clientCertificate: undefined,
  kubernetesUser: undefined,
});
const start = async (algorithm: 'ES256' | 'RS256' | 'EdDSA'): Promise<void> => {
  issuer = await startIssuer({ algorithm, users: [{ name: 'ana', groups: ['ml-eng'] }] });
  verifier = createIdentityVerifier({ clock: systemClock, logger: silentLogger })([providerOf()]);
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

describe('behind an authority of its own', () => {
  const ca = { kind: 'Secret', namespace: 'ml', name: 'idp-ca', key: 'ca.crt' } as const;
  const pemOf = (name: string) => {
    const authority = createAuthority(name, systemClock.now());
    return { authority, pem: authority.pem };
  };

  test('a user is proven once the Secret with it is there, over TLS, and by no other authority', async () => {
    verifier.close();
    await issuer.close();
    const { authority, pem } = pemOf('private');
    const leaf = authority.issue({ usages: [serverAuth], dnsNames: ['localhost'] });
    issuer = await startIssuer({ tls: { cert: leaf.pem, key: leaf.keyPem } });
    expect(issuer.url).toMatch(/^https:/);
    const clock = fakeClock();
    clock.step(Date.now() - clock.now());
    let secret: string | undefined;
    const options = { clock, logger: silentLogger, secret: (ref: SecretRef) => (ref === ca ? secret : undefined) };
    verifier = createIdentityVerifier(options)([providerOf({ allowInsecureLoopback: false, ca })]);
    const token = await issuer.token({ sub: 'ana' });
    const unavailable = { kind: 'refused', reason: 'identity_unavailable' };
    expect(await ask(token)).toEqual(unavailable);
    secret = pemOf('another').pem;
    await clock.advanceAsync(3_000);
    expect(await ask(token)).toEqual(unavailable);
    expect(issuer.requests.keys).toBe(0);
    secret = pem;
    await clock.advanceAsync(3_000);
    expect(await ask(token)).toMatchObject({ kind: 'proven', identity: { subject: 'ana', issuer: issuer.url } });
  });

  test('without naming it, its issuer is not believed', async () => {
    verifier.close();
    await issuer.close();
    const leaf = pemOf('private').authority.issue({ usages: [serverAuth], dnsNames: ['localhost'] });
    issuer = await startIssuer({ tls: { cert: leaf.pem, key: leaf.keyPem } });
    verifier = createIdentityVerifier({ clock: systemClock, logger: silentLogger })([
      providerOf({ allowInsecureLoopback: false }),
    ]);
    expect(await ask(await issuer.token())).toEqual({ kind: 'refused', reason: 'identity_unavailable' });
    expect(issuer.requests).toMatchObject({ discovery: 0, keys: 0 });
  });
});
