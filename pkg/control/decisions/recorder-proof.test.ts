import { X509Certificate, webcrypto } from 'node:crypto';
import 'reflect-metadata';
import x509 from '@peculiar/x509';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { createAuthority, createAuthorityPair, createKeyRequest } from '../../pki/index.ts';
import type { Authority } from '../../pki/index.ts';
import { createRecorderProof } from './recorder-proof.ts';

const clock = fakeClock({ now: Date.now() });
const name = 'sidegate-recorder.sidegate-system.svc';
let own: Authority;
let other: Authority;
const bundles = { pem: '' };
beforeAll(async () => {
  const [a, b] = [await createAuthorityPair(clock), await createAuthorityPair(clock)];
  own = createAuthority({ state: { current: a, since: clock.now() }, clock });
  other = createAuthority({ state: { current: b, since: clock.now() }, clock });
  bundles.pem = a.cert;
});
const server = async (by: Authority, ...dnsNames: string[]): Promise<X509Certificate> =>
  new X509Certificate(await by.sign({ purpose: 'server', csr: createKeyRequest().csr, dnsNames }));
const client = async (uri: string): Promise<X509Certificate> =>
  new X509Certificate(await own.sign({ purpose: 'client', csr: createKeyRequest().csr, uri }));
const proof = createRecorderProof({ bundle: () => bundles.pem, namespace: 'sidegate-system', clock });

/** Key and signature. */
const ecdsa = (namedCurve: string) => ({ name: 'ECDSA', hash: 'SHA-256', namedCurve });

describe('a connection is the recorder’s', () => {
  test('by the certificate with which it serves', async () => {
    expect(proof.proves(await server(own, name, 'sidegate-recorder.sidegate-system'))).toBe(true);
  });

  test.each<[string, () => Promise<X509Certificate>]>([
    ['another Service of its namespace', () => server(own, 'sidegate-controller.sidegate-system.svc')],
    ['a Service of that name in another namespace', () => server(own, 'sidegate-recorder.ml.svc')],
    ['a name that begins so', () => server(own, `${name}.example.com`)],
    ['another authority', () => server(other, name)],
    ['a sidecar', () => client('spiffe://cluster.local/ns/sidegate-system/sa/sidegate-recorder/uid/1')],
  ])('not by that of %s', async (_what, made) => {
    expect(proof.proves(await made())).toBe(false);
  });

  test.each<[string, webcrypto.RsaHashedKeyGenParams | webcrypto.EcKeyGenParams, boolean]>([
    [
      'RSA',
      { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2_048, publicExponent: new Uint8Array([1, 0, 1]) },
      true,
    ],
    ['another key on the same curve', ecdsa('P-256'), true],
    ['a key on another curve, with no extension at all', ecdsa('P-384'), false],
  ])('not by one that somebody signed with %s in our authority’s name', async (_what, algorithm, extended) => {
    const made: unknown = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const keys = made as webcrypto.CryptoKeyPair;
    const issuer = new X509Certificate(bundles.pem).subject.replaceAll('\n', ', ');
    const extensions = [
      new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }]),
      new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1']),
    ];
    const signingAlgorithm: Algorithm = algorithm;
    const certificate = await x509.X509CertificateGenerator.create(
      {
        ...{ subject: 'CN=x', issuer, signingKey: keys.privateKey, publicKey: keys.publicKey, signingAlgorithm },
        notBefore: new Date(clock.now() - 60_000),
        notAfter: new Date(clock.now() + 600_000),
        extensions: extended ? extensions : [],
      },
      webcrypto,
    );
    expect(proof.proves(new X509Certificate(certificate.toString('pem')))).toBe(false);
  });

  test('not when its time is over, nor when its authority counts no more', async () => {
    const certificate = await server(own, name);
    const late = createRecorderProof({
      bundle: () => bundles.pem,
      namespace: 'sidegate-system',
      clock: { now: () => clock.now() + 400 * 86_400_000 },
    });
    expect(late.proves(certificate)).toBe(false);
    const before = bundles.pem;
    bundles.pem = other.state().current.cert;
    expect(proof.proves(certificate)).toBe(false);
    bundles.pem = before;
    expect(proof.proves(certificate)).toBe(true);
  });
});
