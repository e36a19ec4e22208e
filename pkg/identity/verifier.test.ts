import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { createLogger } from '../base/index.ts';
import type { Logger } from '../base/index.ts';
import type { CompiledProvider, IdentityResult, IdentityVerifier, OidcSpec } from '../core/index.ts';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { FakeClock } from '../../test/support/fake-clock.ts';
import {
  hmacToken,
  part,
  signatureOf,
  signedToken,
  signingKey,
  startKeyServer,
} from '../../test/support/issuer-keys.ts';
import type { KeyServer, SigningKey } from '../../test/support/issuer-keys.ts';
import { createIdentityVerifier } from './index.ts';
import type { IdentityOptions } from './index.ts';
import { until } from '../../test/support/wait.ts';

const es = signingKey('ES256', 'es-1');
const rsa = signingKey('RS256', 'rsa-1');

let server: KeyServer;
let clock: FakeClock;
let logged: string[];
let logger: Logger;
const open: IdentityVerifier[] = [];

beforeEach(async () => {
  clock = fakeClock();
  logged = [];
  logger = createLogger({ clock, level: 'debug', write: (line) => void logged.push(line) });
  server = await startKeyServer();
  server.publish(es, rsa);
});
afterEach(async () => {
  for (const verifier of open.splice(0)) verifier.close();
  await server.close();
});

function oidc(spec: Partial<OidcSpec> = {}, more: Partial<CompiledProvider> = {}): CompiledProvider {
  return {
    id: 'ml/support/corp',
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
  };
}

function workloads(issuer: string | undefined): CompiledProvider {
  return {
    id: 'ml/support/workloads',
    oidc: undefined,
    serviceAccount: {
      issuer,
      audiences: ['inference'],
      jwksUri: undefined,
      ca: undefined,
      allowInsecureLoopback: true,
    },
    clientCertificate: undefined,
    kubernetesUser: undefined,
  };
}

function make(
  providers: readonly CompiledProvider[] = [oidc()],
  options: Partial<IdentityOptions> = {},
): IdentityVerifier {
  const verifier = createIdentityVerifier({ clock, logger, ...options })(providers);
  open.push(verifier);
  return verifier;
}

const seconds = (): number => clock.now() / 1_000;
const claims = (more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> => ({
  iss: server.issuer,
  aud: 'inference',
  sub: 'ana',
  exp: seconds() + 600,
  iat: seconds(),
  groups: ['ml-eng'],
  ...more,
});
const ask = async (verifier: IdentityVerifier, token: string, certificate?: Uint8Array): Promise<IdentityResult> =>
  await verifier.verify({ token, certificate });
const invalid = { kind: 'refused', reason: 'token_invalid' };
const expired = { kind: 'refused', reason: 'token_expired' };
const unavailable = { kind: 'refused', reason: 'identity_unavailable' };
const proven = (subject = 'ana'): unknown =>
  expect.objectContaining({ kind: 'proven', identity: expect.objectContaining({ subject }) });
/** Why the log says the last token was refused. */
const why = (): unknown =>
  (JSON.parse(logged.findLast((line) => line.includes('a token was refused')) ?? '{}') as { why?: unknown }).why;

describe('proving a caller by token', () => {
  test.each(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'])(
    '%s signatures are accepted, from keys that anybody else made',
    async (alg) => {
      const key = signingKey(alg, 'one');
      server.publish(key);
      expect(await ask(make(), signedToken(key, claims()))).toEqual(proven());
    },
  );

  test('the identity says who, from where, in which groups, with which scopes and until when', async () => {
    const token = signedToken(es, claims({ scope: 'read write', scp: ['admin', 'read'], email: 'ana@example.com' }));
    const verifier = make([oidc({}, { kubernetesUser: { claim: 'email', prefix: 'oidc:' } })]);
    expect(await ask(verifier, token)).toEqual({
      kind: 'proven',
      identity: {
        provider: 'ml/support/corp',
        issuer: server.issuer,
        subject: 'ana',
        groups: ['ml-eng'],
        scopes: ['read', 'write', 'admin'],
        expiresAt: clock.now() + 600_000,
        kubernetesUser: 'oidc:ana@example.com',
        naming: 'sub for inference',
      },
    });
  });

  test('nothing presented is absent, at once and without a request', () => {
    const verifier = make([]);
    expect(verifier.verify({ token: undefined, certificate: undefined })).toEqual({ kind: 'absent' });
    expect(server.requests).toEqual({ discovery: 0, keys: 0 });
  });

  test('a key set whose address is given is read without discovery', async () => {
    const verifier = make([oidc({ jwksUri: `${server.issuer}/keys` })]);
    expect(await ask(verifier, signedToken(es, claims()))).toEqual(proven());
    expect(server.requests.discovery).toBe(0);
  });

  test.each(['JWT', 'jwt', 'at+jwt', 'application/at+jwt', undefined])('a token of type %s counts', async (typ) => {
    expect(await ask(make(), signedToken(es, claims(), { typ }))).toEqual(proven());
  });

  test('a token without key id is tried against every key that fits its algorithm', async () => {
    const bare = signingKey('ES256', undefined);
    server.publish(es, bare);
    expect(await ask(make(), signedToken(bare, claims()))).toEqual(proven());
  });

  test('a provider that lists algorithms takes no other', async () => {
    const verifier = make([oidc({ algorithms: ['RS256', 'HS256', 'none'] })]);
    expect(await ask(verifier, signedToken(rsa, claims()))).toEqual(proven());
    expect(await ask(verifier, signedToken(es, claims()))).toEqual(invalid);
    expect(why()).toBe('algorithm');
  });

  test('of several providers of one issuer the one that the audience names proves', async () => {
    const verifier = make([oidc(), oidc({ audiences: ['batch'], groupsClaim: 'roles' }, { id: 'ml/support/batch' })]);
    const result = await ask(verifier, signedToken(es, claims({ aud: ['x', 'batch'], roles: 'night' })));
    expect(result).toMatchObject({ kind: 'proven', identity: { provider: 'ml/support/batch', groups: ['night'] } });
  });

  test('a provider that cannot read the token leaves it to the next of the same audience', async () => {
    const verifier = make([oidc({ subjectClaim: 'upn' }), oidc({}, { id: 'ml/support/second' })]);
    const token = signedToken(es, claims());
    const first = await ask(verifier, token);
    expect(first).toMatchObject({ kind: 'proven', identity: { provider: 'ml/support/second' } });
    expect(verifier.verify({ token, certificate: undefined })).toBe(first);
  });
});

describe('refusing forged tokens, with nothing of them in the log', () => {
  interface Forgery {
    readonly name: string;
    readonly why: string;
    readonly token: () => string;
  }
  /** A token of es-1 with any signature. */
  const withSignature = (signature: Buffer): string =>
    `${part({ alg: 'ES256', kid: 'es-1' })}.${part(claims())}.${signature.toString('base64url')}`;
  const cut = (signature: string, bytes: number): string =>
    Buffer.from(signature, 'base64url').subarray(0, -bytes).toString('base64url');
  const other = signingKey('ES256', 'es-1');
  const forgeries: readonly Forgery[] = [
    {
      name: 'alg none without signature',
      why: 'not_a_token',
      token: () => `${part({ alg: 'none' })}.${part(claims())}.`,
    },
    { name: 'alg none with a signature', why: 'algorithm', token: () => signedToken(es, claims(), { alg: 'none' }) },
    { name: 'alg nOnE', why: 'algorithm', token: () => signedToken(es, claims(), { alg: 'nOnE' }) },
    { name: 'no alg', why: 'algorithm', token: () => signedToken(es, claims(), { alg: undefined }) },
    {
      name: 'HS256 keyed by the public key as PEM (CVE-2015-9235)',
      why: 'algorithm',
      token: () => hmacToken(rsa.publicKey.export({ type: 'spki', format: 'pem' }), claims(), { kid: 'rsa-1' }),
    },
    {
      name: 'HS256 keyed by the public key as JWK',
      why: 'algorithm',
      token: () => hmacToken(JSON.stringify(rsa.jwk), claims(), { kid: 'rsa-1' }),
    },
    {
      name: 'the algorithm of another key',
      why: 'key_unknown',
      token: () => signedToken(rsa, claims(), { kid: 'es-1' }),
    },
    {
      name: 'PS256 with a key that says RS256',
      why: 'key_unknown',
      token: () => {
        const input = `${part({ alg: 'PS256', kid: 'rsa-1' })}.${part(claims())}`;
        return `${input}.${signatureOf(rsa, input, 'PS256').toString('base64url')}`;
      },
    },
    { name: 'a key of the attacker with the same kid', why: 'signature', token: () => signedToken(other, claims()) },
    {
      name: 'a kid that is a path',
      why: 'key_unknown',
      token: () => signedToken(es, claims(), { kid: '../../dev/null' }),
    },
    {
      name: 'a kid that is SQL',
      why: 'key_unknown',
      token: () => signedToken(es, claims(), { kid: "x' UNION SELECT 'k" }),
    },
    { name: 'a kid that is no string', why: 'not_a_token', token: () => signedToken(es, claims(), { kid: ['es-1'] }) },
    {
      name: 'a key in the header (jwk)',
      why: 'signature',
      token: () => signedToken(other, claims(), { jwk: other.jwk }),
    },
    {
      name: 'the address of a key set in the header (jku, x5u)',
      why: 'key_unknown',
      token: () =>
        signedToken(other, claims(), { kid: 'theirs', jku: `${server.issuer}/theirs`, x5u: `${server.issuer}/t` }),
    },
    { name: 'crit', why: 'extension', token: () => signedToken(es, claims(), { crit: ['exp'], exp: 1 }) },
    { name: 'an empty crit', why: 'extension', token: () => signedToken(es, claims(), { crit: [] }) },
    { name: 'b64 false', why: 'extension', token: () => signedToken(es, claims(), { b64: false, crit: ['b64'] }) },
    { name: 'b64 false without crit', why: 'extension', token: () => signedToken(es, claims(), { b64: false }) },
    { name: 'a logout token', why: 'type', token: () => signedToken(es, claims(), { typ: 'logout+jwt' }) },
    { name: 'a DPoP proof', why: 'type', token: () => signedToken(es, claims(), { typ: 'dpop+jwt' }) },
    { name: 'a type that is no string', why: 'type', token: () => signedToken(es, claims(), { typ: 7 }) },
    {
      name: 'a truncated signature',
      why: 'signature',
      token: () => signedToken(es, claims()).replace(/[^.]+$/, (whole) => cut(whole, 2)),
    },
    {
      name: 'r and s zero (CVE-2022-21449)',
      why: 'signature',
      token: () => withSignature(Buffer.alloc(64)),
    },
    {
      name: 'a DER signature in place of r and s',
      why: 'signature',
      token: () => withSignature(Buffer.from('3006020100020100', 'hex')),
    },
    { name: 'no signature', why: 'not_a_token', token: () => signedToken(es, claims()).replace(/[^.]+$/, '') },
    {
      name: 'a payload changed after signing',
      why: 'signature',
      token: () => {
        const [header, , signature] = signedToken(es, claims()).split('.');
        return `${header}.${part(claims({ sub: 'root' }))}.${signature}`;
      },
    },
    {
      name: 'a claim twice',
      why: 'ambiguous',
      token: () => signedToken(es, JSON.stringify(claims()).replace('{', '{"sub":"root",')),
    },
    {
      name: 'a claim twice, once escaped',
      why: 'ambiguous',
      token: () => signedToken(es, JSON.stringify(claims()).replace('{', '{"\\u0073ub":"root",')),
    },
    {
      name: 'a header member twice',
      why: 'ambiguous',
      token: () => signedToken(es, claims(), '{"alg":"none","alg":"ES256","kid":"es-1"}'),
    },
    {
      name: 'a lone surrogate',
      why: 'ambiguous',
      token: () => signedToken(es, JSON.stringify(claims()).replace('ana', 'an\\ud800a')),
    },
    {
      name: 'broken UTF-8',
      why: 'ambiguous',
      token: () => {
        const bytes = Buffer.concat([Buffer.from('{"sub":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]);
        const input = `${part({ alg: 'ES256', kid: 'es-1' })}.${bytes.toString('base64url')}`;
        return `${input}.${signatureOf(es, input).toString('base64url')}`;
      },
    },
    {
      name: 'a byte order mark',
      why: 'not_a_token',
      token: () => signedToken(es, `\ufeff${JSON.stringify(claims())}`),
    },
    { name: 'a payload that is an array', why: 'not_a_token', token: () => signedToken(es, '["sub","ana"]') },
    { name: 'a payload nested 5,000 deep', why: 'not_a_token', token: () => signedToken(es, '['.repeat(5_000)) },
    { name: 'padding', why: 'not_a_token', token: () => `${signedToken(es, claims())}==` },
    {
      name: 'standard base64 in place of base64url',
      why: 'not_a_token',
      token: () => `${signedToken(es, claims()).slice(0, -2)}+/`,
    },
    {
      name: 'stray bits behind the last character',
      why: 'ambiguous',
      token: () => {
        // 64 bytes are 86 characters, and the last one has four bits to spare.
        const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
        const token = signedToken(es, claims());
        return token.slice(0, -1) + alphabet[alphabet.indexOf(token.at(-1)!) + 1]!;
      },
    },
    { name: 'four parts', why: 'not_a_token', token: () => `${signedToken(es, claims())}.e30` },
    { name: 'five parts: encrypted', why: 'encrypted', token: () => 'e30.e30.e30.e30.e30' },
    { name: 'enc in the header', why: 'encrypted', token: () => signedToken(es, claims(), { enc: 'A256GCM' }) },
    { name: 'zip in the header', why: 'encrypted', token: () => signedToken(es, claims(), { zip: 'DEF' }) },
    { name: 'an API key', why: 'not_a_token', token: () => 'sk-proj-1234567890' },
    { name: 'nothing at all', why: 'not_a_token', token: () => '' },
    { name: 'dots', why: 'not_a_token', token: () => '..' },
    { name: 'another issuer', why: 'issuer', token: () => signedToken(es, claims({ iss: 'https://evil.example' })) },
    {
      name: 'the issuer with a slash more',
      why: 'issuer',
      token: () => signedToken(es, claims({ iss: `${server.issuer}/` })),
    },
    { name: 'the issuer in an array', why: 'issuer', token: () => signedToken(es, claims({ iss: [server.issuer] })) },
    { name: 'no issuer', why: 'issuer', token: () => signedToken(es, claims({ iss: undefined })) },
    { name: 'another audience', why: 'audience', token: () => signedToken(es, claims({ aud: 'billing' })) },
    {
      name: 'an audience that begins alike',
      why: 'audience',
      token: () => signedToken(es, claims({ aud: 'inference2' })),
    },
    {
      name: 'an audience in other letters (Cyrillic е)',
      why: 'audience',
      token: () => signedToken(es, claims({ aud: 'infеrence' })),
    },
    { name: 'an audience in capitals', why: 'audience', token: () => signedToken(es, claims({ aud: 'Inference' })) },
    {
      name: 'audiences inside an array of arrays',
      why: 'audience',
      token: () => signedToken(es, claims({ aud: [['inference']] })),
    },
    { name: 'no audience', why: 'audience', token: () => signedToken(es, claims({ aud: undefined })) },
    { name: 'no subject', why: 'claims', token: () => signedToken(es, claims({ sub: undefined })) },
    { name: 'an empty subject', why: 'claims', token: () => signedToken(es, claims({ sub: '' })) },
    { name: 'a subject that is a number', why: 'claims', token: () => signedToken(es, claims({ sub: 7 })) },
    { name: 'a subject with a line feed', why: 'claims', token: () => signedToken(es, claims({ sub: 'ana\nadmin' })) },
    { name: 'a subject with NUL', why: 'claims', token: () => signedToken(es, claims({ sub: 'ana\0' })) },
    {
      name: 'groups that are no names',
      why: 'claims',
      token: () => signedToken(es, claims({ groups: ['ml-eng', 7] })),
    },
    {
      name: 'groups in an object',
      why: 'claims',
      token: () => signedToken(es, claims({ groups: { 'ml-eng': true } })),
    },
    {
      name: 'groups that stand elsewhere',
      why: 'claims',
      token: () => signedToken(es, claims({ groups: undefined, _claim_names: { groups: 'src1' } })),
    },
    {
      name: 'groups that are only said to be',
      why: 'claims',
      token: () => signedToken(es, claims({ groups: undefined, hasgroups: true })),
    },
    { name: 'no expiry', why: 'claims', token: () => signedToken(es, claims({ exp: undefined })) },
    { name: 'an expiry in text', why: 'claims', token: () => signedToken(es, claims({ exp: '9999999999' })) },
    {
      name: 'an expiry beyond time',
      why: 'claims',
      token: () => signedToken(es, JSON.stringify(claims()).replace(/"exp":[0-9.]+/, '"exp":1e999')),
    },
    {
      name: 'a DPoP-bound token as a bearer token',
      why: 'binding',
      token: () => signedToken(es, claims({ cnf: { jkt: 'x' } })),
    },
  ];

  test.each(forgeries)('$name', async (forgery) => {
    const token = forgery.token();
    expect(await ask(make(), token)).toEqual(invalid);
    expect(why()).toBe(forgery.why);
    const lines = logged.join('\n');
    for (const piece of token.split('.').filter((one) => one.length > 6)) expect(lines).not.toContain(piece);
    expect(lines).not.toContain('ana');
  });

  test('the table is not refused for a reason of its own: the same token, unforged, is accepted', async () => {
    expect(await ask(make(), signedToken(es, claims()))).toEqual(proven());
  });

  test('a good token with any one character changed, left out or doubled is refused', async () => {
    const verifier = make();
    const token = signedToken(es, claims());
    const changed = [...token].flatMap((char, at) => [
      token.slice(0, at) + (char === 'A' ? 'B' : 'A') + token.slice(at + 1),
      token.slice(0, at) + token.slice(at + 1),
      token.slice(0, at) + char + token.slice(at),
    ]);
    const results = await Promise.all(changed.map((one) => ask(verifier, one)));
    expect(new Set(results)).toEqual(new Set([invalid]));
    expect(await ask(verifier, token)).toEqual(proven());
  });

  test('a token of 16 KiB is read, and one character more is not', async () => {
    const fill = (length: number): string => {
      // Three characters of text are four of base64url, so the length is met within three by the text alone.
      const bare = signedToken(es, claims({ fill: '' })).length;
      return signedToken(es, claims({ fill: 'x'.repeat(Math.floor(((length - bare) * 3) / 4)) }));
    };
    const verifier = make();
    const fits = fill(16_384);
    expect(fits.length).toBeGreaterThan(16_380);
    expect(await ask(verifier, fits)).toEqual(proven());
    const over = fill(16_388);
    expect(over.length).toBeGreaterThan(16_384);
    expect(verifier.verify({ token: over, certificate: undefined })).toEqual(invalid);
  });

  test('names are compared code unit by code unit, and Unicode in them is kept as it is', async () => {
    const result = await ask(
      make(),
      signedToken(es, claims({ sub: 'zoë', groups: ['Ingénieurs', 'Inge\u0301nieurs', '💡'] })),
    );
    expect(result).toMatchObject({
      kind: 'proven',
      identity: { subject: 'zoë', groups: ['Ingénieurs', 'Inge\u0301nieurs', '💡'] },
    });
  });
});

describe('keys that prove nothing though the issuer publishes them', () => {
  const cases: readonly { readonly name: string; readonly reason?: string; readonly publish: () => SigningKey }[] = [
    { name: 'an RSA key of 1,024 bits', publish: () => signingKey('RS256', 'k', { bits: 1_024 }) },
    { name: 'a key for encryption', publish: () => withJwk(signingKey('ES256', 'k'), { use: 'enc' }) },
    {
      name: 'a key whose operations do not include verify',
      publish: () => withJwk(signingKey('ES256', 'k'), { key_ops: ['deriveKey'] }),
    },
    { name: 'a key of another algorithm', publish: () => withJwk(signingKey('RS256', 'k'), { alg: 'RS512' }) },
    { name: 'a key of an unknown algorithm', publish: () => withJwk(signingKey('RS256', 'k'), { alg: 'RSA-OAEP' }) },
    { name: 'a private key', publish: () => withJwk(signingKey('ES256', 'k'), { d: 'AAAA' }) },
    {
      name: 'a point off its curve',
      reason: 'signature',
      publish: () => withJwk(signingKey('ES256', 'k'), { y: 'AAAA' }),
    },
    {
      name: 'a curve that the algorithm does not use',
      publish: () => withJwk(signingKey('ES256', 'k'), { crv: 'P-384' }),
    },
  ];
  function withJwk(key: SigningKey, more: object): SigningKey {
    return { ...key, jwk: { ...key.jwk, ...more } };
  }

  test.each(cases)('$name', async ({ publish, reason = 'key_unknown' }) => {
    const key = publish();
    server.publish(key);
    expect(await ask(make(), signedToken(key, claims()))).toEqual(invalid);
    expect(why()).toBe(reason);
  });

  test('one bad member spoils none of the others', async () => {
    server.answerWith('keys', (response) =>
      response.end(JSON.stringify({ keys: [7, null, { kty: 'oct', k: 'AA' }, { kty: 'AKP' }, es.jwk] })),
    );
    expect(await ask(make(), signedToken(es, claims()))).toEqual(proven());
  });

  test('a symmetric key in the set does not make HMAC possible', async () => {
    server.answerWith('keys', (response) =>
      response.end(JSON.stringify({ keys: [{ kty: 'oct', kid: 'h', alg: 'HS256', k: part('secret') }] })),
    );
    expect(await ask(make(), hmacToken('secret', claims(), { kid: 'h' }))).toEqual(invalid);
  });
});

describe('time', () => {
  const skew = 30;
  test.each([
    { name: 'just before the end and the skew', more: { exp: -skew + 0.001 }, result: 'proven' },
    { name: 'at the end and the skew', more: { exp: -skew }, result: 'token_expired' },
    { name: 'long expired', more: { exp: -86_400 }, result: 'token_expired' },
    { name: 'not before, within the skew', more: { nbf: skew }, result: 'proven' },
    { name: 'not before, past the skew', more: { nbf: skew + 0.001 }, result: 'token_invalid' },
    { name: 'issued in the future, within the skew', more: { iat: skew }, result: 'proven' },
    { name: 'issued in the far future', more: { iat: 3_600 }, result: 'token_invalid' },
  ])('$name: $result', async ({ more, result }) => {
    const absolute = Object.fromEntries(Object.entries(more).map(([name, at]) => [name, seconds() + (at as number)]));
    const outcome = await ask(make(), signedToken(es, claims(absolute)));
    expect(outcome.kind === 'refused' ? outcome.reason : outcome.kind).toBe(result);
  });

  test('no skew at all is possible', async () => {
    const verifier = make([oidc({ clockSkewMs: 0 })]);
    expect(await ask(verifier, signedToken(es, claims({ exp: seconds() })))).toEqual(expired);
    expect(await ask(verifier, signedToken(es, claims({ exp: seconds() + 0.001 })))).toEqual(proven());
  });

  test('who is expired is told so only when the token was genuine', async () => {
    const forged = signedToken(signingKey('ES256', 'es-1'), claims({ exp: seconds() - 3_600 }));
    expect(await ask(make(), forged)).toEqual(invalid);
  });
});

describe('remembering proven tokens', () => {
  test('the second time the answer is there at once, the same object, and no key is asked for', async () => {
    const verifier = make();
    const token = signedToken(es, claims());
    const first = await ask(verifier, token);
    expect(verifier.verify({ token, certificate: undefined })).toBe(first);
    expect(server.requests).toEqual({ discovery: 1, keys: 1 });
  });

  test('never past its expiry: then it is judged again, and refused when the skew is over too', async () => {
    const verifier = make();
    const token = signedToken(es, claims({ exp: seconds() + 10 }));
    expect(await ask(verifier, token)).toEqual(proven());
    clock.advance(9_999);
    expect(verifier.verify({ token, certificate: undefined })).toEqual(proven());
    clock.advance(1);
    const again = verifier.verify({ token, certificate: undefined });
    expect(again).toBeInstanceOf(Promise);
    expect(await again).toEqual(proven());
    clock.advance(30_000);
    expect(await ask(verifier, token)).toEqual(expired);
  });

  test('not longer than five minutes, whatever it says of itself and whatever the wall clock does', async () => {
    const verifier = make();
    const token = signedToken(es, claims({ exp: seconds() + 86_400 }));
    await ask(verifier, token);
    clock.advance(299_000);
    clock.step(-3_600_000);
    expect(verifier.verify({ token, certificate: undefined })).toEqual(proven());
    clock.advance(1_000);
    expect(verifier.verify({ token, certificate: undefined })).toBeInstanceOf(Promise);
  });

  test('a clock that is set forward ends it', async () => {
    const verifier = make();
    const token = signedToken(es, claims());
    await ask(verifier, token);
    clock.step(3_600_000);
    expect(await ask(verifier, token)).toEqual(expired);
  });

  test('requests that bring one token at once are one judgement', async () => {
    const verifier = make();
    const token = signedToken(es, claims());
    const [first, ...others] = await Promise.all(Array.from({ length: 50 }, () => ask(verifier, token)));
    expect(first).toEqual(proven());
    for (const other of others) expect(other).toBe(first);
    expect(server.requests).toEqual({ discovery: 1, keys: 1 });
  });

  test('a verifier made for a new policy remembers no token but needs no key again', async () => {
    const factory = createIdentityVerifier({ clock, logger });
    const before = factory([oidc()]);
    const token = signedToken(es, claims());
    await ask(before, token);
    before.close();
    server.stop();
    const after = factory([oidc({ audiences: ['other'] })]);
    const same = factory([oidc()]);
    open.push(after, same);
    expect(await ask(after, token)).toEqual(invalid);
    expect(same.verify({ token, certificate: undefined })).toBeInstanceOf(Promise);
    expect(await ask(same, token)).toEqual(proven());
    expect(server.requests).toEqual({ discovery: 1, keys: 1 });
  });

  test('of two verifiers of one issuer the one that stays goes on refreshing', async () => {
    const factory = createIdentityVerifier({ clock, logger });
    const [leaving, staying] = [factory([oidc()]), factory([oidc()])];
    open.push(staying);
    await ask(leaving, signedToken(es, claims()));
    leaving.close();
    clock.advance(300_000);
    await until(() => server.requests.keys === 2);
  });

  test('a verifier that is closed leaves nothing running but the memory of its keys', async () => {
    const factory = createIdentityVerifier({ clock, logger });
    const verifier = factory([oidc()]);
    await ask(verifier, signedToken(es, claims()));
    verifier.close();
    expect(clock.pending).toBe(1);
    clock.advance(600_000);
    expect(clock.pending).toBe(0);
    expect(server.requests.keys).toBe(1);
  });

  test('a refusal is remembered for five seconds and no longer', async () => {
    const verifier = make();
    const token = signedToken(signingKey('ES256', 'es-1'), claims());
    expect(await ask(verifier, token)).toEqual(invalid);
    expect(verifier.verify({ token, certificate: undefined })).toEqual(invalid);
    clock.advance(5_000);
    expect(verifier.verify({ token, certificate: undefined })).toBeInstanceOf(Promise);
  });

  test('a token that is not valid yet is believed in the moment that it is', async () => {
    const verifier = make();
    const token = signedToken(es, claims({ nbf: seconds() + 31 }));
    expect(await ask(verifier, token)).toEqual(invalid);
    clock.advance(1_000);
    expect(await ask(verifier, token)).toEqual(proven());
  });

  test('a full memory forgets the token that nobody used', async () => {
    const verifier = make([oidc()], { caches: { tokens: 2 } });
    const [used, idle, third] = ['used', 'idle', 'third'].map((sub) => signedToken(es, claims({ sub })));
    await ask(verifier, used!);
    await ask(verifier, idle!);
    await verifier.verify({ token: used, certificate: undefined });
    await ask(verifier, third!);
    expect(verifier.verify({ token: used, certificate: undefined })).toEqual(proven('used'));
    expect(verifier.verify({ token: third, certificate: undefined })).toEqual(proven('third'));
    expect(verifier.verify({ token: idle, certificate: undefined })).toBeInstanceOf(Promise);
  });
});

describe('rotation', () => {
  test('a new key is found by the first token that names it', async () => {
    const verifier = make();
    await ask(verifier, signedToken(es, claims()));
    const next = signingKey('ES256', 'es-2');
    server.publish(es, next);
    expect(await ask(verifier, signedToken(next, claims()))).toEqual(proven());
    expect(server.requests.keys).toBe(2);
  });

  test('a new key without id is found by the first token that it signed', async () => {
    const [before, after] = [signingKey('ES256', undefined), signingKey('ES256', undefined)];
    server.publish(before);
    const verifier = make();
    expect(await ask(verifier, signedToken(before, claims()))).toEqual(proven());
    server.publish(after);
    expect(await ask(verifier, signedToken(after, claims()))).toEqual(proven());
    expect(await ask(verifier, signedToken(before, claims()))).toEqual(invalid);
  });

  test('a key that is withdrawn ends the tokens that it proved, at the next refresh', async () => {
    const verifier = make();
    const [withdrawn, kept] = [signedToken(es, claims()), signedToken(rsa, claims())];
    await ask(verifier, withdrawn);
    await ask(verifier, kept);
    server.publish(rsa);
    expect(verifier.verify({ token: withdrawn, certificate: undefined })).toEqual(proven());
    // Any new key brings the refresh forward; the regular one comes after five minutes.
    await ask(verifier, signedToken(signingKey('ES256', 'new'), claims()));
    expect(await ask(verifier, withdrawn)).toEqual(invalid);
    expect(verifier.verify({ token: kept, certificate: undefined })).toEqual(proven());
  });

  test('keys are refreshed every five minutes without anybody asking', async () => {
    const verifier = make();
    const token = signedToken(es, claims({ exp: seconds() + 3_600 }));
    await ask(verifier, token);
    server.publish(rsa);
    clock.advance(300_000);
    await until(() => server.requests.keys === 2);
    await until(async () => (await ask(verifier, token)).kind === 'refused');
    clock.advance(300_000);
    await until(() => server.requests.keys === 3);
  });

  test('key material that changes under the same id replaces the old', async () => {
    const verifier = make();
    await ask(verifier, signedToken(es, claims()));
    const again = signingKey('ES256', 'es-1');
    server.publish(again);
    clock.advance(300_000);
    await until(() => server.requests.keys === 2);
    await until(
      async () => (await ask(verifier, signedToken(again, claims({ jti: `${Math.random()}` })))).kind === 'proven',
    );
    expect(await ask(verifier, signedToken(es, claims({ jti: 'new' })))).toEqual(invalid);
  });

  test('a flood of made-up key ids costs the issuer one request per cooldown', async () => {
    const verifier = make();
    await ask(verifier, signedToken(es, claims()));
    const attacker = signingKey('ES256', 'x');
    const flood = (round: number): Promise<IdentityResult[]> =>
      Promise.all(
        Array.from({ length: 200 }, (_, at) =>
          ask(verifier, signedToken(attacker, claims(), { kid: `made-up-${round}-${at}` })),
        ),
      );
    for (const result of await flood(1)) expect(result).toEqual(invalid);
    expect(server.requests).toEqual({ discovery: 2, keys: 2 });
    clock.advance(29_999);
    await flood(2);
    expect(server.requests).toEqual({ discovery: 2, keys: 2 });
    clock.advance(1);
    await flood(3);
    expect(server.requests).toEqual({ discovery: 3, keys: 3 });
    // And who is proven stays so meanwhile.
    expect(await ask(verifier, signedToken(es, claims()))).toEqual(proven());
  });

  test('one made-up key id that keeps coming costs less than that: it is known to be absent', async () => {
    const verifier = make();
    await ask(verifier, signedToken(es, claims()));
    const lost = signingKey('ES256', 'lost');
    for (let round = 0; round < 4; round++) {
      await ask(verifier, signedToken(lost, claims({ jti: round })));
      clock.advance(15_000);
    }
    expect(server.requests.keys).toBe(2);
  });

  test('an algorithm that a known key does not fit causes no request', async () => {
    const verifier = make();
    await ask(verifier, signedToken(es, claims()));
    await ask(verifier, signedToken(rsa, claims(), { kid: 'es-1' }));
    expect(server.requests.keys).toBe(1);
  });

  test('a key that is withdrawn while a signature is computed proves nothing', async () => {
    let release: (() => void) | undefined;
    let keys: readonly SigningKey[] = [es];
    const fetch: IdentityOptions['fetch'] = async () => {
      if (keys.length === 0) await new Promise<void>((resolve) => (release = resolve));
      return Buffer.from(JSON.stringify({ keys: keys.map((key) => key.jwk) }));
    };
    const verifier = make([oidc({ jwksUri: `${server.issuer}/keys` })], { fetch });
    await ask(verifier, signedToken(es, claims()));
    keys = [];
    const refresh = ask(verifier, signedToken(signingKey('ES256', 'new'), claims()));
    const late = ask(verifier, signedToken(es, claims({ jti: 'late' })));
    // The signature takes a thread and a turn of the event loop; the answer that withdraws its key is here before.
    release?.();
    expect(await late).toEqual(invalid);
    expect(why()).toBe('key_unknown');
    expect(await refresh).toEqual(invalid);
  });
});

describe('an issuer that is down', () => {
  test('known keys go on proving and unknown ones are refused', async () => {
    const verifier = make();
    await ask(verifier, signedToken(es, claims()));
    server.stop();
    expect(await ask(verifier, signedToken(es, claims({ jti: 'later' })))).toEqual(proven());
    expect(await ask(verifier, signedToken(signingKey('ES256', 'new'), claims()))).toEqual(invalid);
  });

  test('keys that were never had: unavailable, until they are', async () => {
    server.stop();
    const verifier = make();
    const token = signedToken(es, claims());
    expect(await ask(verifier, token)).toEqual(unavailable);
    expect(await ask(verifier, token)).toEqual(unavailable);
    server.resume();
    clock.advance(2_000);
    await until(async () => (await ask(verifier, token)).kind === 'proven');
  });

  test('last good keys are used for a day, and not a moment longer', async () => {
    const verifier = make();
    const token = (): string => signedToken(es, claims({ jti: `${clock.now()}` }));
    await ask(verifier, token());
    server.stop();
    for (let hour = 0; hour < 23; hour++) await clock.advanceAsync(3_600_000);
    expect(await ask(verifier, token())).toEqual(proven());
    await clock.advanceAsync(3_600_000 - 1);
    expect(await ask(verifier, token())).toEqual(proven());
    clock.advance(1);
    expect(await ask(verifier, token())).toEqual(unavailable);
  });

  test('an issuer that keeps failing is asked ever less often', async () => {
    server.answerWith('discovery', (response) => response.writeHead(500).end());
    const failures = (): number => logged.filter((line) => line.includes('could not be refreshed')).length;
    make();
    await until(() => server.requests.discovery === 1);
    for (const [waitMs, requests] of [
      [2_000, 2],
      [4_000, 3],
      [8_000, 4],
    ] as const) {
      // The request that failed is over, and the only timer is the one for the next.
      await until(() => failures() === requests - 1 && clock.pending === 1);
      clock.advance(waitMs - 1);
      expect(server.requests.discovery).toBe(requests - 1);
      clock.advance(1);
      await until(() => server.requests.discovery === requests);
    }
  });

  interface BadAnswer {
    readonly name: string;
    readonly what: 'discovery' | 'keys';
    readonly status?: number;
    readonly body: () => string;
    /** What the log says. */
    readonly fault: string;
  }
  const answers: readonly BadAnswer[] = [
    { name: 'a redirect', what: 'discovery', status: 302, body: () => '', fault: 'redirect' },
    { name: 'a redirect of the key set', what: 'keys', status: 307, body: () => '', fault: 'redirect' },
    {
      name: 'another issuer in the metadata',
      what: 'discovery',
      body: () => JSON.stringify({ issuer: `${server.issuer}/`, jwks_uri: `${server.issuer}/keys` }),
      fault: 'issuer_mismatch',
    },
    {
      name: 'metadata without key set',
      what: 'discovery',
      body: () => JSON.stringify({ issuer: server.issuer }),
      fault: 'shape',
    },
    { name: 'HTML', what: 'keys', body: () => '<html>', fault: 'not_json' },
    { name: 'an array', what: 'keys', body: () => '[]', fault: 'shape' },
    { name: 'keys that are no array', what: 'keys', body: () => '{"keys":{}}', fault: 'shape' },
    { name: 'members twice', what: 'keys', body: () => '{"keys":[],"keys":[]}', fault: 'not_json' },
    { name: 'an endless answer', what: 'keys', body: () => `{"keys":["${'x'.repeat(600_000)}"]}`, fault: 'too_large' },
    { name: 'an error', what: 'keys', status: 503, body: () => '{"keys":[]}', fault: 'status' },
    { name: 'a status near 200', what: 'keys', status: 203, body: () => '{"keys":[]}', fault: 'status' },
  ];
  test.each(answers)('$name is no answer', async ({ what, status, body, fault }) => {
    server.answerWith(what, (response) => {
      response.writeHead(status ?? 200, { location: '/keys' }).end(body());
    });
    expect(await ask(make(), signedToken(es, claims()))).toEqual(unavailable);
    expect(logged.join('\n')).toContain(`"error":"${fault}: `);
  });

  test('an answer that is cut short is no answer', async () => {
    server.answerWith('keys', (response) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('{"keys":[]}');
      response.destroy();
    });
    expect(await ask(make(), signedToken(es, claims()))).toEqual(unavailable);
  });

  test('an answer that does not come is given up after five seconds', async () => {
    server.answerWith('keys', () => undefined);
    const result = ask(make(), signedToken(es, claims()));
    await until(() => server.requests.keys === 1);
    clock.advance(5_000);
    expect(await result).toEqual(unavailable);
  });

  test('an issuer that withdraws all keys proves nobody', async () => {
    const verifier = make();
    await ask(verifier, signedToken(es, claims()));
    server.publish();
    clock.advance(300_000);
    await until(
      async () => (await ask(verifier, signedToken(es, claims({ jti: `${Math.random()}` })))).kind === 'refused',
    );
    expect(await ask(verifier, signedToken(es, claims({ jti: 'last' })))).toEqual(invalid);
  });
});

describe('where keys may come from', () => {
  const asked: string[] = [];
  const fetch = (documents: Readonly<Record<string, unknown>>): IdentityOptions['fetch'] => {
    asked.length = 0;
    return ({ url }) => {
      asked.push(url.href);
      return Promise.resolve(Buffer.from(JSON.stringify(documents[url.href] ?? {})));
    };
  };
  test.each([
    { name: 'plain http', issuer: 'http://idp.example.com' },
    { name: 'plain http to a host that looks like loopback', issuer: 'http://127.0.0.1.example.com' },
    { name: 'a URL with credentials', issuer: 'https://user:pass@idp.example.com' },
    { name: 'a URL with a query', issuer: 'https://idp.example.com?tenant=1' },
    { name: 'another scheme', issuer: 'file:///etc/keys' },
    { name: 'no URL', issuer: 'idp' },
  ])('$name is never asked', async ({ issuer }) => {
    const verifier = make([oidc({ issuer })], { fetch: fetch({})! });
    expect(await ask(verifier, signedToken(es, claims({ iss: issuer })))).toEqual(unavailable);
    expect(asked).toEqual([]);
  });

  test('loopback over plain http needs leave', async () => {
    const verifier = make([oidc({ allowInsecureLoopback: false })]);
    expect(await ask(verifier, signedToken(es, claims()))).toEqual(unavailable);
    expect(server.requests.discovery).toBe(0);
  });

  test('metadata over https may not lead to keys over plain http', async () => {
    const issuer = 'https://idp.example.com/tenant/';
    const discovery = 'https://idp.example.com/tenant/.well-known/openid-configuration';
    const documents = { [discovery]: { issuer, jwks_uri: 'http://idp.example.com/keys' } };
    const verifier = make([oidc({ issuer })], { fetch: fetch(documents)! });
    expect(await ask(verifier, signedToken(es, claims({ iss: issuer })))).toEqual(unavailable);
    expect(new Set(asked)).toEqual(new Set([discovery]));
  });
});

describe('groups, scopes and subjects', () => {
  test.each([
    { name: 'an array', path: 'groups', more: { groups: ['a', 'b'] }, groups: ['a', 'b'] },
    { name: 'one string', path: 'groups', more: { groups: 'a b' }, groups: ['a b'] },
    { name: 'absent', path: 'groups', more: { groups: undefined }, groups: [] },
    { name: 'null', path: 'groups', more: { groups: null }, groups: [] },
    {
      name: 'nested, as Keycloak has them',
      path: 'realm_access.roles',
      more: { realm_access: { roles: ['a'] } },
      groups: ['a'],
    },
    {
      name: 'under a name that is a URL',
      path: 'https://example.com/groups',
      more: { 'https://example.com/groups': ['a'] },
      groups: ['a'],
    },
    {
      name: 'under a name with dots rather than nested',
      path: 'realm.roles',
      more: { 'realm.roles': ['own'], realm: { roles: ['nested'] } },
      groups: ['own'],
    },
    {
      name: 'nested in a claim whose name is a URL',
      path: 'https://example.com/app.roles',
      more: { 'https://example.com/app': { roles: ['a'] } },
      groups: ['a'],
    },
    { name: 'a name that only JavaScript objects have', path: '__proto__.constructor', more: {}, groups: [] },
  ])('groups: $name', async ({ path, more, groups }) => {
    expect(await ask(make([oidc({ groupsClaim: path })]), signedToken(es, claims(more)))).toMatchObject({
      kind: 'proven',
      identity: { groups },
    });
  });

  test.each([
    { name: 'scope, by spaces', more: { scope: 'a  b' }, path: undefined, scopes: ['a', 'b'] },
    { name: 'scp as an array', more: { scp: ['a', 'b'] }, path: undefined, scopes: ['a', 'b'] },
    { name: 'scp as a string', more: { scp: 'a b' }, path: undefined, scopes: ['a', 'b'] },
    { name: 'a claim of its own', more: { scope: 'no', perms: { list: ['a'] } }, path: 'perms.list', scopes: ['a'] },
  ])('scopes: $name', async ({ more, path, scopes }) => {
    expect(await ask(make([oidc({ scopesClaim: path })]), signedToken(es, claims(more)))).toMatchObject({
      kind: 'proven',
      identity: { scopes },
    });
  });

  test('whom the policy names by another claim has the sub of their token too, by which the issuer takes them back', async () => {
    const provider = oidc({ subjectClaim: 'email' });
    const email = 'ana@example.com';
    expect(await ask(make([provider]), signedToken(es, claims({ email })))).toMatchObject({
      identity: { subject: email, sub: 'ana' },
    });
    for (const sub of [undefined, 7, 'a\nb'])
      expect(await ask(make([provider]), signedToken(es, claims({ email, sub })))).toEqual(
        expect.objectContaining({ identity: expect.not.objectContaining({ sub: expect.anything() }) }),
      );
    expect(await ask(make([oidc()]), signedToken(es, claims()))).not.toMatchObject({ identity: { sub: 'ana' } });
  });

  // Pairwise subjects (OpenID Connect Core section 8.1) are of a client.
  test.each([
    [{}, 'sub for inference'],
    [{ azp: 'inference' }, 'sub for inference'],
    [{ azp: 'cli' }, 'sub for inference by cli'],
    [{ client_id: 'cli' }, 'sub for inference by cli'],
    [{ cid: 'cli' }, 'sub for inference by cli'],
    [{ appid: 'cli' }, 'sub for inference by cli'],
    [{ azp: 'web', client_id: 'cli' }, 'sub for inference by web'],
    [{ azp: 7 }, 'sub for inference by ?'],
    [{ azp: '' }, 'sub for inference by ?'],
  ])('two people are told apart by sub within one client alone: %j', async (more, naming) => {
    expect(await ask(make(), signedToken(es, claims(more)))).toMatchObject({ identity: { naming } });
    expect(
      await ask(make([oidc({ subjectClaim: 'oid' })]), signedToken(es, claims({ ...more, oid: 'o' }))),
    ).toMatchObject({ identity: { naming: 'claim oid' } });
  });

  test('an address that the issuer calls unverified is nobody', async () => {
    const provider = oidc({ subjectClaim: 'email' }, { kubernetesUser: { claim: 'email', prefix: '' } });
    const email = 'ana@example.com';
    expect(await ask(make([provider]), signedToken(es, claims({ email })))).toEqual(proven(email));
    expect(await ask(make([provider]), signedToken(es, claims({ email, email_verified: true })))).toEqual(
      proven(email),
    );
    expect(await ask(make([provider]), signedToken(es, claims({ email, email_verified: false })))).toEqual(invalid);
    expect(await ask(make([provider]), signedToken(es, claims({ email, email_verified: 'true' })))).toEqual(invalid);
    const bySubject = oidc({}, { kubernetesUser: { claim: 'email', prefix: '' } });
    expect(await ask(make([bySubject]), signedToken(es, claims({ email, email_verified: false })))).toMatchObject({
      identity: { subject: 'ana', kubernetesUser: undefined },
    });
  });

  test.each([
    ['', 'system:serviceaccount:ml:batch'],
    ['', 'system:admin'],
    ['system:', 'admin'],
    ['sys', 'tem:admin'],
  ])('no claim says a name that is Kubernetes’ own: %s%s', async (prefix, name) => {
    const provider = oidc({}, { kubernetesUser: { claim: 'preferred_username', prefix } });
    expect(await ask(make([provider]), signedToken(es, claims({ preferred_username: name })))).toMatchObject({
      identity: { subject: 'ana', kubernetesUser: undefined },
    });
  });
});

describe('Kubernetes service accounts', () => {
  const bound = { namespace: 'ml', serviceaccount: { name: 'batch', uid: 'u' }, pod: { name: 'p', uid: 'u' } };
  const account = (more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> => ({
    ...claims({ groups: undefined }),
    aud: ['inference'],
    sub: 'system:serviceaccount:ml:batch',
    'kubernetes.io': bound,
    ...more,
  });
  const token = (more?: Readonly<Record<string, unknown>>): string =>
    signedToken(rsa, account(more), { typ: undefined });

  test('are who Kubernetes says they are', async () => {
    expect(await ask(make([workloads(server.issuer)]), token())).toEqual({
      kind: 'proven',
      identity: {
        provider: 'ml/support/workloads',
        issuer: server.issuer,
        subject: 'system:serviceaccount:ml:batch',
        groups: ['system:serviceaccounts', 'system:serviceaccounts:ml', 'system:authenticated'],
        scopes: [],
        expiresAt: clock.now() + 600_000,
        kubernetesUser: 'system:serviceaccount:ml:batch',
        naming: 'service account',
      },
    });
  });

  test.each([
    { name: 'a subject of another namespace', more: { sub: 'system:serviceaccount:kube-system:batch' } },
    { name: 'a subject of another account', more: { sub: 'system:serviceaccount:ml:admin' } },
    { name: 'no kubernetes.io claim', more: { 'kubernetes.io': undefined } },
    { name: 'an array for it', more: { 'kubernetes.io': [] } },
    { name: 'no account', more: { 'kubernetes.io': { namespace: 'ml' } } },
    {
      name: 'a colon in the namespace',
      more: {
        sub: 'system:serviceaccount:ml:x:batch',
        'kubernetes.io': { namespace: 'ml:x', serviceaccount: { name: 'batch' } },
      },
    },
  ])('refused: $name', async ({ more }) => {
    expect(await ask(make([workloads(server.issuer)]), token(more))).toEqual(invalid);
    expect(why()).toBe('claims');
  });

  test('groups that the token itself brings do not count', async () => {
    const result = await ask(make([workloads(server.issuer)]), token({ groups: ['system:masters'] }));
    expect(result).toMatchObject({
      kind: 'proven',
      identity: { groups: expect.not.arrayContaining(['system:masters']) },
    });
  });

  test("without an issuer of its own, the cluster's is used", async () => {
    const verifier = make([workloads(undefined)], { cluster: { issuer: server.issuer } });
    expect(await ask(verifier, token())).toMatchObject({ kind: 'proven' });
  });

  test('without any issuer nobody is proven, and the log says why', async () => {
    expect(await ask(make([workloads(undefined)]), token())).toEqual(invalid);
    expect(logged.join()).toContain('service accounts need an issuer');
  });
});

describe('tokens bound to a certificate (RFC 8705)', () => {
  const certificate = Buffer.from(generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' }));
  const token = (): string =>
    signedToken(es, claims({ cnf: { 'x5t#S256': createHash('sha256').update(certificate).digest('base64url') } }));

  test('count only with it, the first time and from memory', async () => {
    const verifier = make();
    const bound = token();
    expect(await ask(verifier, bound)).toEqual(invalid);
    expect(await ask(verifier, bound, certificate)).toEqual(proven());
    expect(verifier.verify({ token: bound, certificate })).toEqual(proven());
    expect(verifier.verify({ token: bound, certificate: undefined })).toEqual(invalid);
    expect(verifier.verify({ token: bound, certificate: certificate.subarray(1) })).toEqual(invalid);
  });

  test('are refused when they are bound to anything else besides', async () => {
    const thumbprint = createHash('sha256').update(certificate).digest('base64url');
    for (const cnf of [{ 'x5t#S256': thumbprint, jkt: 'y' }, { 'x5t#S256': 7 }, {}, 'x', null]) {
      expect(await ask(make(), signedToken(es, claims({ cnf })), certificate)).toEqual(invalid);
      expect(why()).toBe('binding');
    }
  });
});
