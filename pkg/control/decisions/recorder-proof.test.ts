import { X509Certificate } from 'node:crypto';
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
