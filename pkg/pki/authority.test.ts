import { createPublicKey, generateKeyPairSync, sign, X509Certificate } from 'node:crypto';
import 'reflect-metadata';
import x509 from '@peculiar/x509';
import { describe, expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { element, tags } from './der.ts';
import {
  afterStep,
  bundleOf,
  certificateFacts,
  checkLeaf,
  createAuthority,
  createAuthorityPair,
  createKeyRequest,
  dueStep,
  leafLifeMs,
  provenKey,
  readAuthority,
  readBundle,
  writeAuthority,
} from './index.ts';
import type { Authority, AuthorityState } from './index.ts';

const hour = 3_600_000;
const uri = 'spiffe://cluster.local/ns/ml/sa/llama/pod/9f3c';

async function made(lifeMs?: number): Promise<{ authority: Authority; clock: ReturnType<typeof fakeClock> }> {
  const clock = fakeClock();
  const current = await createAuthorityPair(clock, lifeMs);
  return { authority: createAuthority({ state: { current, since: clock.now() }, clock }), clock };
}

const pemOf = (der: Uint8Array): string =>
  `-----BEGIN CERTIFICATE REQUEST-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
const derOf = (pem: string): Buffer => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');

describe('a certificate request', () => {
  test('proves its key, to us and to another reader', async () => {
    const { key, csr } = createKeyRequest();
    const proven = provenKey(csr).export({ format: 'pem', type: 'spki' });
    expect(proven).toBe(createPublicKey(key).export({ format: 'pem', type: 'spki' }));
    const other = new x509.Pkcs10CertificateRequest(csr);
    expect(await other.verify()).toBe(true);
    expect(other.subject).toBe('');
    expect(other.extensions).toEqual([]);
  });

  test('is refused when any byte of it is changed or missing', () => {
    const der = derOf(createKeyRequest().csr);
    for (let at = 0; at < der.length; at++) {
      const changed = Buffer.from(der);
      changed[at]! ^= 1;
      expect(() => provenKey(pemOf(changed))).toThrow(expect.objectContaining({ code: 'request_invalid' }));
      expect(() => provenKey(pemOf(der.subarray(0, at)))).toThrow(expect.objectContaining({ code: 'request_invalid' }));
    }
    expect(() => provenKey(pemOf(Buffer.concat([der, Buffer.from([0])])))).toThrow(/request/);
  });

  test("is refused for somebody else's key", () => {
    const theirs = derOf(createKeyRequest().csr);
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const content = theirs.subarray(theirs[1]! >= 0x80 ? 3 : 2);
    const size = 2 + content[1]! + (content[1]! >= 0x80 ? 1 + content[2]! - content[1]! : 0);
    const signed = content.subarray(0, size);
    const forged = element(
      tags.sequence,
      signed,
      element(tags.sequence, Buffer.from('06082a8648ce3d040302', 'hex')),
      element(tags.bitString, Buffer.from([0]), sign('sha256', signed, privateKey)),
    );
    expect(() => provenKey(pemOf(forged))).toThrow('the certificate request does not prove its key');
  });

  test.each(['P-384', 'RSA'])('is refused for a key of kind %s', async (kind) => {
    const algorithm =
      kind === 'RSA'
        ? { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', publicExponent: new Uint8Array([1, 0, 1]), modulusLength: 2048 }
        : { name: 'ECDSA', namedCurve: kind, hash: 'SHA-256' };
    const keys = (await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as CryptoKeyPair;
    const csr = await x509.Pkcs10CertificateRequestGenerator.create({
      name: 'CN=x',
      keys,
      signingAlgorithm: algorithm,
    });
    expect(() => provenKey(csr.toString('pem'))).toThrow(expect.objectContaining({ code: 'request_invalid' }));
  });

  test.each(['', 'x', '-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----', 'A'.repeat(100_000)])(
    'is refused when it is none (%#)',
    (text) => expect(() => provenKey(text)).toThrow(expect.objectContaining({ code: 'request_invalid' })),
  );
});

describe('a certificate that the authority signs', () => {
  /** A request that asks for everything. */
  async function greedy(): Promise<string> {
    const keys = (await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
      'sign',
      'verify',
    ])) as CryptoKeyPair;
    const csr = await x509.Pkcs10CertificateRequestGenerator.create({
      name: 'CN=sidegate-controller.sidegate-system.svc, O=system:masters',
      keys,
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      extensions: [
        new x509.BasicConstraintsExtension(true, 3, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
        new x509.SubjectAlternativeNameExtension([
          { type: 'dns', value: 'sidegate-controller.sidegate-system.svc' },
          { type: 'url', value: 'spiffe://cluster.local/ns/ml/sa/other/pod/1' },
        ]),
      ],
    });
    return csr.toString('pem');
  }

  test('has nothing of what the request asks for', async () => {
    const { authority, clock } = await made();
    const pem = await authority.sign({ purpose: 'client', csr: await greedy(), uri });
    const leaf = new X509Certificate(pem);
    expect(leaf.subject ?? '').not.toMatch(/./);
    expect(leaf.ca).toBe(false);
    expect(leaf.subjectAltName).toBe(`URI:${uri}`);
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    expect(new x509.X509Certificate(pem).getExtension(x509.KeyUsagesExtension)?.usages).toBe(
      x509.KeyUsageFlags.digitalSignature,
    );
    expect(checkLeaf(leaf, readBundle(authority.bundle()), 'client', clock.now()).uris).toEqual([uri]);
  });

  test('is for one purpose only, both ways', async () => {
    const { authority, clock } = await made();
    const { csr } = createKeyRequest();
    const client = new X509Certificate(await authority.sign({ purpose: 'client', csr, uri }));
    const server = new X509Certificate(
      await authority.sign({ purpose: 'server', csr, dnsNames: ['llama.ml.svc', 'llama.ml'] }),
    );
    const bundle = readBundle(authority.bundle());
    expect(checkLeaf(server, bundle, 'server', clock.now()).dnsNames).toEqual(['llama.ml.svc', 'llama.ml']);
    expect(() => checkLeaf(server, bundle, 'client', clock.now())).toThrow(/not for a client/);
    expect(() => checkLeaf(client, bundle, 'server', clock.now())).toThrow(/not for a server/);
  });

  test('lives 24 h from now, begins a little before, and has a serial of its own', async () => {
    const { authority, clock } = await made();
    const { csr } = createKeyRequest();
    const facts = certificateFacts(await authority.sign({ purpose: 'client', csr, uri }));
    expect(facts.notAfter - clock.now()).toBe(leafLifeMs);
    expect(clock.now() - facts.notBefore).toBe(5 * 60_000);
    const serials = new Set([facts.serial]);
    for (let n = 0; n < 50; n++)
      serials.add(certificateFacts(await authority.sign({ purpose: 'client', csr, uri })).serial);
    expect(serials.size).toBe(51);
    expect([...serials].every((serial) => serial.length === 32)).toBe(true);
  });

  test('never outlives its authority, and none is signed after that', async () => {
    const { authority, clock } = await made(30 * hour);
    const { csr } = createKeyRequest();
    const end = certificateFacts(authority.bundle()).notAfter;
    clock.advance(29 * hour);
    expect(certificateFacts(await authority.sign({ purpose: 'client', csr, uri })).notAfter).toBe(end);
    clock.advance(hour);
    await expect(authority.sign({ purpose: 'client', csr, uri })).rejects.toMatchObject({ code: 'authority_expired' });
  });

  test.each(['https://x/', 'spiffe://a', 'spiffe://a/b,URI:spiffe://a/c', 'spiffe://a/b c', 'spiffe://a/"', ''])(
    'is not signed for the name %p',
    async (name) => {
      const { authority } = await made();
      const { csr } = createKeyRequest();
      await expect(authority.sign({ purpose: 'client', csr, uri: name })).rejects.toMatchObject({
        code: 'names_invalid',
      });
    },
  );

  test.each([[[]], [['*.ml.svc']], [['a b']], [['10.0.0.1']], [['UPPER.svc']], [['x'.repeat(64)]], [['a..b']]])(
    'is not signed for the server names %p',
    async (dnsNames) => {
      const { authority } = await made();
      const { csr } = createKeyRequest();
      await expect(authority.sign({ purpose: 'server', csr, dnsNames })).rejects.toMatchObject({
        code: 'names_invalid',
      });
    },
  );

  test('does not count before and after its time, nor from another authority with the same name', async () => {
    const { authority, clock } = await made();
    const other = await made();
    const { csr } = createKeyRequest();
    const leaf = new X509Certificate(await authority.sign({ purpose: 'client', csr, uri }));
    const bundle = readBundle(authority.bundle());
    expect(() => checkLeaf(leaf, bundle, 'client', clock.now() - hour)).toThrow(/time/);
    expect(() => checkLeaf(leaf, bundle, 'client', clock.now() + leafLifeMs)).toThrow(/time/);
    expect(() => checkLeaf(leaf, readBundle(other.authority.bundle()), 'client', clock.now())).toThrow(/no authority/);
    expect(() => checkLeaf(bundle[0]!, bundle, 'client', clock.now())).toThrow(/it is an authority/);
  });
});

describe('rotation', () => {
  const step = async (
    state: AuthorityState | undefined,
    clock: ReturnType<typeof fakeClock>,
    asked = false,
  ): Promise<AuthorityState | undefined> => {
    const due = dueStep(state, clock.now(), undefined, asked);
    if (due === undefined) return state;
    const fresh = due === 'create' || due === 'publish' ? await createAuthorityPair(clock) : undefined;
    return afterStep(state, due, clock.now(), fresh);
  };

  test('over three years, whoever keeps up trusts every leaf at every hour of its life', async () => {
    const clock = fakeClock();
    let state = await step(undefined, clock);
    const authority = createAuthority({ state: state!, clock });
    const { csr } = createKeyRequest();
    const leaves: { leaf: X509Certificate; until: number }[] = [];
    const steps: string[] = [];
    /** A reader that learns what is published a day late. */
    const bundles: string[] = [];
    for (let hours = 0; hours < 3 * 365 * 24; hours += 12) {
      const due = dueStep(state, clock.now());
      if (due !== undefined) steps.push(due);
      state = await step(state, clock);
      authority.replace(state!);
      bundles.push(authority.bundle());
      const late = readBundle(bundles[Math.max(0, bundles.length - 3)]!);
      if (due !== undefined || hours % 240 === 0) {
        const leaf = new X509Certificate(await authority.sign({ purpose: 'client', csr, uri }));
        leaves.push({ leaf, until: leaf.validToDate.getTime() });
      }
      for (const { leaf, until } of leaves.splice(0)) {
        if (clock.now() >= until) continue;
        checkLeaf(leaf, late, 'client', clock.now());
        checkLeaf(leaf, readBundle(authority.bundle()), 'client', clock.now());
        leaves.push({ leaf, until });
      }
      clock.advance(12 * hour);
    }
    expect(steps.slice(0, 6)).toEqual(['publish', 'switch', 'drop', 'publish', 'switch', 'drop']);
  });

  test('waits where the clock goes back, and takes no step twice', async () => {
    const clock = fakeClock();
    const first = await step(undefined, clock);
    expect(await step(first, clock)).toBe(first);
    const published = await step(first, clock, true);
    expect(published?.next).toBeDefined();
    expect(bundleOf(published!)).toContain(published!.next!.cert.trim());
    clock.step(-1000 * hour);
    expect(dueStep(published, clock.now())).toBeUndefined();
    clock.step(1000 * hour + 48 * hour);
    const switched = await step(published, clock, true);
    expect(switched?.current).toBe(published?.next);
    expect(switched?.previous).toBe(first?.current.cert);
    expect(dueStep(switched, clock.now(), undefined, true)).toBeUndefined();
    expect(() => afterStep(switched, 'switch', clock.now())).toThrow(RangeError);
  });

  test('is kept as text and read back; what is no good is refused and never replaced', async () => {
    const clock = fakeClock();
    const published = await step(await step(undefined, clock), clock, true);
    const data = writeAuthority(published!);
    const back = readAuthority(data);
    expect(writeAuthority(back)).toEqual(data);
    expect(JSON.stringify(back)).not.toContain('PRIVATE');
    const other = writeAuthority((await step(undefined, clock))!);
    for (const bad of [
      {},
      { ...data, 'ca.key': '' },
      { ...data, 'ca.key': other['ca.key']! },
      { ...data, 'ca.crt': data['ca.crt']!.slice(0, 200) },
      { ...data, 'next.key': undefined as unknown as string },
      { ...data, since: 'yesterday' },
      { ...data, 'previous.crt': other['ca.crt']! },
    ])
      expect(() => readAuthority(bad)).toThrow(expect.objectContaining({ code: 'authority_invalid' }));
  });
});

describe('a bundle', () => {
  test.each(['', 'no certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'])(
    'is refused when it holds none (%#)',
    (pem) => expect(() => readBundle(pem)).toThrow(expect.objectContaining({ code: 'certificate_invalid' })),
  );
  test('is refused when a leaf is among it', async () => {
    const { authority } = await made();
    const leaf = await authority.sign({ purpose: 'client', csr: createKeyRequest().csr, uri });
    expect(() => readBundle(authority.bundle() + leaf)).toThrow(/no authority/);
  });
});
