import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '../base/index.ts';
import type { ClientCertificateSpec, CompiledProvider, IdentityVerifier, SecretRef } from '../core/index.ts';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { FakeClock } from '../../test/support/fake-clock.ts';
import { createAuthority, serverAuth } from '../../test/support/issuer-certificates.ts';
import type { Authority, CertificateOptions } from '../../test/support/issuer-certificates.ts';
import { createIdentityVerifier } from './index.ts';
import { until } from '../../test/support/wait.ts';

let clock: FakeClock;
let folder: string;
let caFile: string;
let authority: Authority;
let logged: string[];
const open: IdentityVerifier[] = [];

beforeEach(async () => {
  clock = fakeClock();
  logged = [];
  folder = await mkdtemp(join(tmpdir(), 'sidegate-identity-'));
  caFile = join(folder, 'ca.pem');
  authority = createAuthority('corp', clock.now());
  await writeFile(caFile, authority.pem);
});
afterEach(async () => {
  for (const verifier of open.splice(0)) verifier.close();
  await rm(folder, { recursive: true });
});

const file = (path: string): SecretRef => ({ kind: 'File', path });

function provider(spec: Partial<ClientCertificateSpec> = {}, more: Partial<CompiledProvider> = {}): CompiledProvider {
  return {
    id: 'ml/support/mesh',
    oidc: undefined,
    serviceAccount: undefined,
    clientCertificate: { ca: file(caFile), subjectFrom: 'Auto', groupsFrom: 'OrganizationalUnit', ...spec },
    kubernetesUser: undefined,
    ...more,
  };
}

function make(
  providers: readonly CompiledProvider[] = [provider()],
  secret?: (ref: SecretRef) => string | undefined,
): IdentityVerifier {
  const logger = createLogger({ clock, level: 'debug', write: (line) => void logged.push(line) });
  const verifier = createIdentityVerifier({ clock, logger, ...(secret !== undefined && { secret }) })(providers);
  open.push(verifier);
  return verifier;
}

const invalid = { kind: 'refused', reason: 'token_invalid' };
const expired = { kind: 'refused', reason: 'token_expired' };
const present = (verifier: IdentityVerifier, certificate: Uint8Array): unknown =>
  verifier.verify({ token: undefined, certificate });
const subject = (text: string): unknown =>
  expect.objectContaining({ kind: 'proven', identity: expect.objectContaining({ subject: text }) });
const why = (): unknown => (JSON.parse(logged.at(-1) ?? '{}') as { why?: unknown }).why;
const day = 86_400_000;
const spiffe = 'spiffe://corp.example/ns/ml/sa/batch';

describe('proving a caller by client certificate', () => {
  test('whoever hides the certificate of another in their own is nobody', () => {
    const ana = authority.issue({ subject: [['CN', 'ana']] });
    const verifier = make();
    expect(present(verifier, ana.der)).toEqual(subject('ana'));
    const thief = createAuthority('stranger', clock.now()).issue({ hidden: `\n${ana.pem}\n` });
    expect(present(verifier, thief.der)).toEqual(invalid);
    expect(why()).toBe('not_a_certificate');
  });

  test('the identity says who, by whom, in which groups and until when, without a promise', async () => {
    const { der } = authority.issue({
      subject: [
        ['CN', 'ana'],
        ['OU', 'ml-eng'],
        ['OU', 'on-call'],
        ['O', 'Corp'],
      ],
    });
    const verifier = make([provider({}, { kubernetesUser: { claim: 'cn', prefix: 'cert:' } })]);
    const first = present(verifier, der);
    expect(first).toEqual({
      kind: 'proven',
      identity: {
        provider: 'ml/support/mesh',
        issuer: 'CN=corp',
        subject: 'ana',
        groups: ['ml-eng', 'on-call'],
        scopes: [],
        expiresAt: clock.now() + day,
        kubernetesUser: 'cert:ana',
      },
    });
    expect(present(verifier, der)).toBe(first);
  });

  test.each<[string, string, CertificateOptions, string | undefined]>([
    ['sub', 'the chosen subject', { uris: [spiffe], subject: [['CN', 'ana']] }, `cert:${spiffe}`],
    ['cn', 'the common name', { uris: [spiffe], subject: [['CN', 'ana']] }, 'cert:ana'],
    ['cn', 'not known without a common name', { uris: [spiffe], subject: [['O', 'corp']] }, undefined],
    [
      'cn',
      'not known of two',
      {
        uris: [spiffe],
        subject: [
          ['CN', 'ana'],
          ['CN', 'bob'],
        ],
      },
      undefined,
    ],
    ['cn', 'not known where the name would forge lines', { uris: [spiffe], subject: [['CN', 'ana\nx']] }, undefined],
    ['email', 'not known by a claim that no certificate has', { subject: [['CN', 'ana']] }, undefined],
  ])('who they are to Kubernetes by %s is %s', (claim, _what, options, expected) => {
    const verifier = make([provider({}, { kubernetesUser: { claim, prefix: 'cert:' } })]);
    expect(present(verifier, authority.issue(options).der)).toMatchObject({
      kind: 'proven',
      identity: { kubernetesUser: expected },
    });
  });

  test('no certificate says a name that is Kubernetes’ own', () => {
    const verifier = make([provider({}, { kubernetesUser: { claim: 'cn', prefix: '' } })]);
    const { der } = authority.issue({ subject: [['CN', 'system:serviceaccount:ml:batch']] });
    expect(present(verifier, der)).toMatchObject({ kind: 'proven', identity: { kubernetesUser: undefined } });
  });

  const names: CertificateOptions = {
    subject: [
      ['CN', 'ana'],
      ['OU', 'u'],
      ['O', 'o'],
    ],
    uris: [spiffe],
    dnsNames: ['a.example', 'b.example'],
  };
  test.each([
    ['Auto', names, spiffe],
    ['Auto', { subject: [['CN', 'ana']], dnsNames: ['a.example'] }, 'a.example'],
    ['Auto', { subject: [['CN', 'ana']] }, 'ana'],
    ['Auto', { subject: [['CN', 'ana']], uris: ['https://a.example'] }, 'ana'],
    ['SpiffeUri', names, spiffe],
    ['DnsName', names, 'a.example'],
    ['CommonName', names, 'ana'],
  ] as const)('subjectFrom %s of %j is %s', async (subjectFrom, options, expected) => {
    const { der } = authority.issue(options);
    expect(present(make([provider({ subjectFrom })]), der)).toEqual(subject(expected));
  });

  test.each([
    ['OrganizationalUnit', ['u']],
    ['Organization', ['o']],
    ['None', []],
  ] as const)('groupsFrom %s is %j', async (groupsFrom, groups) => {
    const { der } = authority.issue(names);
    expect(present(make([provider({ groupsFrom })]), der)).toMatchObject({ identity: { groups } });
  });

  test('an intermediate authority counts when it stands in the file itself, and only then', async () => {
    const intermediate = authority.intermediate('team');
    const { der } = intermediate.issue({ subject: [['CN', 'ana']] });
    expect(present(make(), der)).toEqual(invalid);
    await writeFile(caFile, `${authority.pem}\n${intermediate.pem}`);
    expect(present(make(), der)).toEqual(subject('ana'));
  });

  test.each(['before', 'after'])(
    'a renewed authority counts from the start of one certificate to the end of the other, the new one %s the old',
    async (where) => {
      const { der } = authority.issue({ notAfter: new Date(clock.now() + 30 * day) });
      const validity = (from: number, to: number) => ({
        notBefore: new Date(clock.now() + from * day),
        notAfter: new Date(clock.now() + to * day),
      });
      const [older, newer] = [authority.renewed(validity(-20, 2)), authority.renewed(validity(1, 20))];
      await writeFile(caFile, where === 'before' ? `${newer}${older}` : `${older}${newer}`);
      const verifier = make();
      expect(present(verifier, der)).toMatchObject({ kind: 'proven', identity: { expiresAt: clock.now() + 2 * day } });
      const end = clock.now() + 20 * day;
      clock.advance(3 * day);
      expect(present(verifier, der)).toMatchObject({ kind: 'proven', identity: { expiresAt: end } });
      clock.advance(18 * day);
      expect(present(verifier, der)).toEqual(expired);
    },
  );

  test('the provider whose authority signed it proves it', async () => {
    const other = createAuthority('other', clock.now());
    const otherFile = join(folder, 'other.pem');
    await writeFile(otherFile, other.pem);
    const { der } = other.issue();
    const verifier = make([provider(), provider({ ca: file(otherFile) }, { id: 'ml/support/other' })]);
    expect(present(verifier, der)).toMatchObject({ kind: 'proven', identity: { provider: 'ml/support/other' } });
  });
});

describe('refusing client certificates', () => {
  interface Case {
    readonly name: string;
    readonly why: string;
    readonly options?: CertificateOptions;
    readonly spec?: Partial<ClientCertificateSpec>;
  }
  const cases: readonly Case[] = [
    { name: 'for servers only', why: 'not_for_clients', options: { usages: [serverAuth] } },
    { name: 'without extended key usage', why: 'not_for_clients', options: { usages: [] } },
    { name: 'for any usage', why: 'not_for_clients', options: { usages: ['2.5.29.37.0'] } },
    { name: 'an authority itself', why: 'not_for_clients', options: { ca: true } },
    { name: 'an RSA key of 1,024 bits', why: 'weak', options: { rsaBits: 1_024 } },
    { name: 'a SHA-1 signature', why: 'weak', options: { digest: 'sha1' } },
    {
      name: 'two SPIFFE URIs',
      why: 'name',
      options: { uris: [spiffe, `${spiffe}2`] },
      spec: { subjectFrom: 'SpiffeUri' },
    },
    { name: 'two SPIFFE URIs, by Auto', why: 'name', options: { uris: [spiffe, `${spiffe}2`] } },
    { name: 'a SPIFFE URI beside another URI', why: 'name', options: { uris: [spiffe, 'https://a.example'] } },
    { name: 'no URI where one is asked for', why: 'name', spec: { subjectFrom: 'SpiffeUri' } },
    {
      name: 'a URI that is not SPIFFE',
      why: 'name',
      options: { uris: ['https://a.example/x'] },
      spec: { subjectFrom: 'SpiffeUri' },
    },
    { name: 'SPIFFE in capitals', why: 'name', options: { uris: ['SPIFFE://corp.example/a'] } },
    { name: 'SPIFFE with a trust domain in capitals', why: 'name', options: { uris: ['spiffe://Corp/a'] } },
    { name: 'SPIFFE without path', why: 'name', options: { uris: ['spiffe://corp.example'] } },
    { name: 'SPIFFE with dots for a segment', why: 'name', options: { uris: ['spiffe://corp.example/ns/../sa'] } },
    { name: 'SPIFFE with an empty segment', why: 'name', options: { uris: ['spiffe://corp.example/ns//sa'] } },
    { name: 'SPIFFE with a slash at the end', why: 'name', options: { uris: ['spiffe://corp.example/ns/'] } },
    { name: 'SPIFFE with a query', why: 'name', options: { uris: ['spiffe://corp.example/ns?x=1'] } },
    { name: 'SPIFFE with user or port', why: 'name', options: { uris: ['spiffe://u@corp.example:1/ns'] } },
    { name: 'SPIFFE with percent encoding', why: 'name', options: { uris: ['spiffe://corp.example/%6es'] } },
    {
      name: 'a DNS name that pretends to be two names (CVE-2021-44532)',
      why: 'name',
      options: { dnsNames: ['a.example, URI:spiffe://corp.example/admin'] },
    },
    { name: 'no DNS name where one is asked for', why: 'name', spec: { subjectFrom: 'DnsName' } },
    {
      name: 'two common names',
      why: 'name',
      options: {
        subject: [
          ['CN', 'ana'],
          ['CN', 'root'],
        ],
      },
    },
    { name: 'no common name', why: 'name', options: { subject: [['O', 'Corp']] } },
    { name: 'a common name with a line feed', why: 'name', options: { subject: [['CN', 'ana\nOU=admins']] } },
    {
      name: 'a unit with NUL',
      why: 'name',
      options: {
        subject: [
          ['CN', 'ana'],
          ['OU', 'ops\0'],
        ],
      },
    },
  ];

  test.each(cases)('$name', async (one) => {
    const { der } = authority.issue(one.options);
    expect(present(make([provider(one.spec)]), der)).toEqual(invalid);
    expect(why()).toBe(one.why);
  });

  test('another authority of the same name', async () => {
    const impostor = createAuthority('corp', clock.now());
    const { der } = impostor.issue();
    expect(present(make(), der)).toEqual(invalid);
    expect(why()).toBe('unknown_authority');
  });

  test('bytes that are no certificate', () => {
    expect(present(make(), Buffer.from('30030201', 'hex'))).toEqual(invalid);
    expect(why()).toBe('not_a_certificate');
  });

  test('bytes changed after signing', async () => {
    const { der } = authority.issue({ subject: [['CN', 'ana']] });
    const at = Buffer.from(der).indexOf('ana');
    const changed = Buffer.from(der);
    changed.write('bob', at);
    expect(present(make(), changed)).toEqual(invalid);
  });

  test('before its time and after it, by the clock, also from memory', async () => {
    const { der } = authority.issue({
      notBefore: new Date(clock.now() + 1_000),
      notAfter: new Date(clock.now() + 3_000),
    });
    const verifier = make();
    expect(present(verifier, der)).toEqual(invalid);
    clock.advance(1_000);
    expect(present(verifier, der)).toEqual(subject('client'));
    clock.advance(2_000);
    expect(present(verifier, der)).toEqual(subject('client'));
    clock.advance(1);
    expect(present(verifier, der)).toEqual(expired);
  });

  test('when the authority itself has expired', async () => {
    const { der } = authority.issue({ notAfter: new Date(clock.now() + 9_000 * day) });
    const verifier = make();
    clock.step(4_000 * day);
    expect(present(verifier, der)).toEqual(expired);
  });
});

describe('the file of authorities', () => {
  test('is read again when it changes, and what the old one proved is judged anew', async () => {
    const { der } = authority.issue();
    const verifier = make();
    expect(present(verifier, der)).toEqual(subject('client'));
    await writeFile(caFile, createAuthority('next', clock.now()).pem);
    await reload(() => present(verifier, der), invalid);
  });

  test('keeps its last good authorities when it goes bad, and says so', async () => {
    const { der } = authority.issue();
    const verifier = make();
    await writeFile(caFile, 'not PEM');
    const complaints = (): number => logged.filter((line) => line.includes('could not be read')).length;
    await reload(() => complaints() > 0, true);
    await rm(caFile);
    const before = complaints();
    await reload(() => complaints() > before, true);
    expect(present(verifier, der)).toEqual(subject('client'));
  });

  test('proves nobody while it was never read: unavailable', async () => {
    const { der } = authority.issue();
    const missing = join(folder, 'missing.pem');
    const verifier = make([provider({ ca: file(missing) })]);
    expect(present(verifier, der)).toEqual({ kind: 'refused', reason: 'identity_unavailable' });
    await writeFile(missing, authority.pem);
    await reload(() => present(verifier, der), subject('client'));
  });

  test('with a leaf in it makes no authority of the leaf', async () => {
    const leaf = authority.issue();
    await writeFile(caFile, leaf.pem);
    expect(present(make(), leaf.der)).toEqual({ kind: 'refused', reason: 'identity_unavailable' });
  });

  test('is what the handshake is told to ask for: the authorities of all providers, and no leaf', async () => {
    const second = join(folder, 'second.pem');
    const other = createAuthority('other', clock.now());
    await writeFile(second, authority.issue().pem + other.pem);
    const verifier = make([provider(), provider({ ca: file(second) }, { id: 'b' }), provider({}, { id: 'c' })]);
    const subjects = (): unknown =>
      verifier
        .clientAuthorities()
        ?.split(/(?<=-----END CERTIFICATE-----\n)/)
        .map((pem) => new X509Certificate(pem).subject);
    expect(subjects()).toEqual(['CN=corp', 'CN=other']);
    await writeFile(second, createAuthority('next', clock.now()).pem);
    await reload(subjects, ['CN=corp', 'CN=next']);
    expect(make([]).clientAuthorities()).toBeUndefined();
    expect(make([provider({ ca: file(join(folder, 'missing.pem')) })]).clientAuthorities()).toBeUndefined();
  });

  test('leaves no timer behind', () => {
    const verifier = make();
    expect(clock.pending).toBe(1);
    verifier.close();
    expect(clock.pending).toBe(0);
  });
});

describe('a token and a certificate together', () => {
  test('the token decides, also when it is bad', async () => {
    const { der } = authority.issue();
    expect(make().verify({ token: 'not-a-token', certificate: der })).toEqual(invalid);
  });

  test('a certificate that no provider asks for says nothing', async () => {
    const { der } = authority.issue();
    expect(make([]).verify({ token: undefined, certificate: der })).toEqual({ kind: 'absent' });
  });
});

/** One reload, well before anything remembered runs out; it reads a real file, so it is waited for. */
async function reload(result: () => unknown, expected: unknown): Promise<void> {
  clock.advance(30_000);
  await until(() => {
    expect(result()).toEqual(expected);
    return true;
  }, 'the reload is taken');
}

describe('authorities in a Secret', () => {
  const ca = { kind: 'Secret', namespace: 'ml', name: 'callers-ca', key: 'ca.crt' } as const;
  const unavailable = { kind: 'refused', reason: 'identity_unavailable' };
  let held: string | undefined;
  const verifierOf = (): IdentityVerifier =>
    make([provider({ ca })], (ref) => (JSON.stringify(ref) === JSON.stringify(ca) ? held : undefined));

  test('prove from when it comes, with each change at once, and nobody once it is gone', () => {
    held = undefined;
    const verifier = verifierOf();
    const { der } = authority.issue();
    expect([present(verifier, der), verifier.clientAuthorities()]).toEqual([unavailable, undefined]);
    held = authority.pem;
    expect(present(verifier, der)).toEqual(subject('client'));
    expect(verifier.clientAuthorities()).toBe(authority.pem);
    held = createAuthority('next', clock.now()).pem;
    expect(present(verifier, der)).toEqual(invalid);
    held = authority.pem;
    expect(present(verifier, der)).toEqual(subject('client'));
    held = undefined;
    expect([present(verifier, der), verifier.clientAuthorities()]).toEqual([unavailable, undefined]);
  });

  test('that hold none leave the last good ones, and are told of once', () => {
    held = authority.pem;
    const verifier = verifierOf();
    const { der } = authority.issue();
    expect(present(verifier, der)).toEqual(subject('client'));
    held = 'not PEM';
    for (let n = 0; n < 3; n++) expect(present(verifier, der)).toEqual(subject('client'));
    const told = logged.filter((line) => line.includes('authorities could not be read'));
    expect(told).toHaveLength(1);
    expect(told[0]).toContain('Secret callers-ca, key ca.crt');
    held = authority.pem;
    expect(present(verifier, der)).toEqual(subject('client'));
  });
});
