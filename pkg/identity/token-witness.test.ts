import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { createLogger } from '../base/index.ts';
import type { CompiledProvider, OidcSpec } from '../core/index.ts';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { FakeClock } from '../../test/support/fake-clock.ts';
import { signedToken, signingKey, startKeyServer } from '../../test/support/issuer-keys.ts';
import type { KeyServer } from '../../test/support/issuer-keys.ts';
import { until } from '../../test/support/wait.ts';
import { createTokenWitness } from './index.ts';
import type { TokenWitness } from './index.ts';

const es = signingKey('ES256', 'es-1');
const other = signingKey('ES256', 'es-2');

let server: KeyServer;
let clock: FakeClock;
let logged: string[];
let witness: TokenWitness;
let computed: ReturnType<typeof jest.spyOn>;
beforeEach(async () => {
  clock = fakeClock();
  logged = [];
  server = await startKeyServer();
  server.publish(es);
  witness = createTokenWitness({
    clock,
    logger: createLogger({ clock, level: 'debug', write: (line) => void logged.push(line) }),
  });
  computed = jest.spyOn(globalThis.crypto.subtle, 'verify');
});
afterEach(async () => {
  computed.mockRestore();
  await server.close();
});
const signatures = (): number => computed.mock.calls.length;

const at = (id: string, spec: Partial<OidcSpec> = {}, more: Partial<CompiledProvider> = {}): CompiledProvider => ({
  id,
  oidc: {
    issuer: server.issuer,
    audiences: ['inference'],
    groupsClaim: 'groups',
    scopesClaim: undefined,
    subjectClaim: 'sub',
    clockSkewMs: 30_000,
    jwksUri: undefined,
    ca: undefined,
    algorithms: [],
    allowInsecureLoopback: true,
    ...spec,
  },
  serviceAccount: undefined,
  clientCertificate: undefined,
  kubernetesUser: undefined,
  ...more,
});
const claims = (more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> => ({
  iss: server.issuer,
  aud: 'inference',
  sub: 'ana',
  exp: clock.now() / 1_000 + 600,
  ...more,
});
const many = Array.from({ length: 600 }, (_, n) => `ns-${n}/p/corp`);
const ids = ({ identities }: { identities: readonly { provider: string }[] }) => identities.map((who) => who.provider);

describe('of one issuer and its keys', () => {
  test('one signature is computed, however many namespaces take it, and each says who it is', async () => {
    const providers = many.map((id, n) => at(id, { subjectClaim: n === 0 ? 'email' : 'sub' }));
    const token = signedToken(es, claims({ email: 'ana@example.com' }));
    const lists = providers.map((one) => [one]);
    const proofs = await Promise.all(lists.map((list) => witness.prove(token, list)));
    expect(proofs.flatMap(ids)).toEqual(many);
    expect(proofs.slice(0, 2).map((proof) => proof.identities[0]?.subject)).toEqual(['ana@example.com', 'ana']);
    expect(signatures()).toBe(1);
    for (const list of lists) expect(witness.recall(token, list)).toMatchObject({ identities: [{}] });
    expect(witness.knows(token)).toBe(true);
    expect(signatures()).toBe(1);
    expect(server.requests).toEqual({ discovery: 1, keys: 1 });
  });

  test('a made-up token costs one signature in some seconds', async () => {
    const providers = many.map((id) => at(id));
    const made = signedToken({ ...other, kid: 'es-1' }, claims());
    for (const one of providers) expect(ids(await witness.prove(made, [one]))).toEqual([]);
    expect(signatures()).toBe(1);
    clock.advance(5_000);
    await witness.prove(made, providers);
    expect(signatures()).toBe(2);
    expect(logged.join('')).not.toContain(made.split('.')[2]);
  });

  test('another audience, and other algorithms, are another matter', async () => {
    const token = signedToken(es, claims());
    const [yes, no, never] = [
      at('a/p/corp'),
      at('b/p/corp', { audiences: ['else'] }),
      at('c/p/corp', { algorithms: ['RS256'] }),
    ];
    expect(ids(await witness.prove(token, [yes, no, never]))).toEqual(['a/p/corp']);
    expect(ids(witness.recall(token, [no, never, yes]) ?? { identities: [] })).toEqual(['a/p/corp']);
    expect(signatures()).toBe(1);
  });
});

test('keys of another source prove nothing by what was proven', async () => {
  const token = signedToken(es, claims());
  const own = JSON.stringify({ keys: [{ ...other.jwk, kid: 'es-1' }] });
  const tenant = at('evil/p/corp', { jwksUri: `${server.issuer}/elsewhere` });
  const inline: CompiledProvider = {
    ...at('evil/p/own'),
    oidc: undefined,
    sidegate: { idp: 'x', issuer: server.issuer, keys: own, audiences: ['inference'] },
  };
  expect(ids(await witness.prove(token, [at('a/p/corp')]))).toEqual(['a/p/corp']);
  expect(witness.recall(token, [tenant])).toBeUndefined();
  expect(witness.recall(token, [inline])).toBeUndefined();
  expect(ids(await witness.prove(token, [inline]))).toEqual([]);
  expect(ids(witness.recall(token, [inline, at('a/p/corp')]) ?? { identities: [] })).toEqual(['a/p/corp']);
});

test('nothing of a token is read that proved nothing', async () => {
  for (const token of ['x', 'x'.repeat(20_000), signedToken(other, claims())]) {
    const known = witness.recall(token, [at('a/p/corp')]);
    expect(known === undefined || known.identities.length === 0).toBe(true);
    expect(witness.knows(token)).toBe(false);
  }
  expect([signatures(), logged, server.requests]).toEqual([0, [], { discovery: 0, keys: 0 }]);
});

test.each([
  ['expired', { exp: 1 }],
  ['not yet valid', { nbf: 1e11 }],
  ['bound to a certificate', { cnf: { 'x5t#S256': 'x' } }],
  ['without an end', { exp: undefined }],
])('a token that is %s proves nobody', async (_what, more) => {
  expect(await witness.prove(signedToken(es, claims(more)), [at('a/p/corp')])).toEqual({
    identities: [],
    unavailable: false,
  });
});

test('what was proven ends with the token, and with its key', async () => {
  const [provider] = [at('a/p/corp')];
  const token = signedToken(es, claims({ exp: clock.now() / 1_000 + 60 }));
  await witness.prove(token, [provider]);
  clock.advance(89_000);
  expect(ids(witness.recall(token, [provider]) ?? { identities: [] })).toEqual(['a/p/corp']);
  clock.advance(1_000);
  expect(witness.recall(token, [provider])?.identities).toEqual([]);

  const longer = signedToken(es, claims({ exp: clock.now() / 1_000 + 3_600 }));
  await witness.prove(longer, [provider]);
  server.publish(other);
  // The next regular refresh of the keys, before what was proven is looked at again.
  clock.advance(210_000);
  await until(() => witness.recall(longer, [provider]) === undefined, 'its key is gone');
  expect(ids(await witness.prove(longer, [provider]))).toEqual([]);
});

test('an issuer that is away is said to be so, and asked again', async () => {
  server.stop();
  const token = signedToken(es, claims());
  expect(await witness.prove(token, [at('a/p/corp')])).toEqual({ identities: [], unavailable: true });
  server.resume();
  await until(async () => {
    clock.advance(10_000);
    return ids(await witness.prove(token, [at('a/p/corp')])).length === 1;
  }, 'it answers again');
});
