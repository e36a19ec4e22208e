import { execFileSync } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import type { AddressInfo } from 'node:net';
import forge from 'node-forge';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createLogger, silentLogger } from '../base/index.ts';
import type { Clock, Timer } from '../base/index.ts';
import { certificateFacts } from './certificate-facts.ts';
import { PkiError } from './pki-error.ts';
import { readPkcs12 } from './pkcs12.ts';
import { ensureSelfSigned, keepSelfSigned } from './self-signed.ts';
import { watchTlsFiles } from './tls-files.ts';
import type { TlsMaterialSource } from './tls-files.ts';
import { pause, until } from '../../test/support/wait.ts';

const day = 86_400_000;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-pki-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Node's generator: forge's own takes seconds. */
let rsa: forge.pki.rsa.KeyPair | undefined;
function rsaKeys(): forge.pki.rsa.KeyPair {
  if (rsa !== undefined) return rsa;
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  rsa = {
    publicKey: forge.pki.publicKeyFromPem(publicKey.export({ format: 'pem', type: 'spki' }).toString()),
    privateKey: forge.pki.privateKeyFromPem(privateKey.export({ format: 'pem', type: 'pkcs1' }).toString()),
  };
  return rsa;
}

/** A clock that stands until it is moved; `tick` runs what repeats once. */
function fakeClock(): Clock & { time: number; tick(): Promise<void> } {
  const repeated = new Set<() => void>();
  return {
    time: Date.now(),
    now() {
      return this.time;
    },
    monotonic: () => 0,
    after: (): Timer => ({ cancel: () => undefined }),
    every(_ms, run) {
      repeated.add(run);
      return { cancel: () => repeated.delete(run) };
    },
    async tick() {
      for (const run of repeated) run();
      await pause(10);
    },
  };
}

const text = (name: string): string => readFileSync(join(folder, name), 'utf8');

describe('the self-signed certificate', () => {
  test('is one that TLS clients accept for its names, by its authority', async () => {
    const clock = fakeClock();
    const made = await ensureSelfSigned(folder, ['localhost', '127.0.0.1', '::1', 'llama.ml.svc'], clock);
    expect(made.renewed).toBe(true);
    const server = createServer({ cert: text('cert.pem'), key: text('key.pem') }, (socket) => socket.end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    for (const servername of ['localhost', 'llama.ml.svc', '127.0.0.1']) {
      const options = {
        port,
        host: '127.0.0.1',
        ca: text('ca.pem'),
        ...(servername === '127.0.0.1' ? {} : { servername }),
      };
      const authorized = await new Promise((resolve, reject) => {
        const socket = connect(options, () => {
          resolve(socket.authorized);
          socket.destroy();
        }).on('error', reject);
      });
      expect(authorized).toBe(true);
    }
    server.close();
  });

  test('says what it is: P-256, no authority, names of their kinds', async () => {
    const clock = fakeClock();
    await ensureSelfSigned(folder, ['a.example', '10.0.0.1', '2001:db8::1'], clock, day);
    const facts = certificateFacts(text('cert.pem'));
    expect(facts).toMatchObject({
      subject: 'CN=a.example',
      dnsNames: ['a.example'],
      ipAddresses: ['10.0.0.1', '2001:db8::1'],
      uris: [],
      isAuthority: false,
    });
    expect(facts.notAfter - clock.time).toBeGreaterThan(day - 1001);
    expect(facts.notAfter - clock.time).toBeLessThanOrEqual(day);
    expect(facts.fingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect(new X509Certificate(text('cert.pem')).publicKey.asymmetricKeyDetails).toMatchObject({
      namedCurve: 'prime256v1',
    });
    const authority = certificateFacts(text('ca.pem'));
    expect(authority.isAuthority).toBe(true);
    expect(authority.notAfter - clock.time).toBeGreaterThan(3650 * day);
    expect(facts.issuer).toBe(authority.subject);
  });

  test('is a chain that OpenSSL accepts for a server, strictly, and whose links name each other', async () => {
    await ensureSelfSigned(folder, ['a.example', '2001:db8::1'], fakeClock());
    const openssl = (...args: string[]): string =>
      execFileSync('openssl', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    const verify = ['verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', 'ca.pem'];
    expect(openssl(...verify, '-verify_hostname', 'a.example', 'cert.pem')).toContain('cert.pem: OK');
    expect(openssl(...verify, '-verify_ip', '2001:db8::1', 'cert.pem')).toContain('cert.pem: OK');
    expect(() => openssl(...verify, '-verify_hostname', 'b.example', 'cert.pem')).toThrow(/hostname mismatch/i);
    const leaf = openssl('x509', '-in', 'cert.pem', '-noout', '-text');
    const authority = openssl('x509', '-in', 'ca.pem', '-noout', '-text');
    const identifier = (printed: string, of: string): string | undefined =>
      new RegExp(`${of} Key Identifier:\\s*(?:keyid:)?([0-9A-F:]+)`).exec(printed)?.[1];
    expect(identifier(leaf, 'Authority')).toMatch(/^[0-9A-F:]{59}$/);
    expect(identifier(leaf, 'Authority')).toBe(identifier(authority, 'Subject'));
    expect(authority).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
    expect(authority).toMatch(/Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
    expect(leaf).toMatch(/Key Usage: critical\s+Digital Signature\n/);
    expect(leaf).toMatch(/Extended Key Usage:\s+TLS Web Server Authentication\n/);
    expect(leaf).toMatch(/Serial Number:\s+[4-7][0-9a-f](?::[0-9a-f]{2}){15}\n/);
  });

  test('brings its library into memory only when something is issued', async () => {
    const loaded = (): string =>
      execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    const script = `
      import { createRequire } from 'node:module';
      import { systemClock } from ${JSON.stringify(join(import.meta.dirname, '../base/index.ts'))};
      import { ensureSelfSigned } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))};
      await ensureSelfSigned(${JSON.stringify(folder)}, ['a'], systemClock);
      const { cache } = createRequire('/');
      process.stdout.write(String(Object.keys(cache).filter((path) => path.includes('peculiar')).length > 0));`;
    expect(loaded()).toBe('true');
    expect(loaded()).toBe('false');
  });

  test('is in files that only their owner reads', async () => {
    await ensureSelfSigned(folder, ['a'], fakeClock());
    for (const name of ['ca.pem', 'ca-key.pem', 'cert.pem', 'key.pem'])
      expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
  });

  test('stays as it is until two thirds of its life, and then is issued again by the same authority', async () => {
    const clock = fakeClock();
    const first = await ensureSelfSigned(folder, ['a'], clock, 30 * day);
    const authority = text('ca.pem');
    const before = text('cert.pem');
    clock.time = first.renewAt - 1000;
    expect((await ensureSelfSigned(folder, ['a'], clock, 30 * day)).renewed).toBe(false);
    expect(text('cert.pem')).toBe(before);
    clock.time = first.renewAt + 1000;
    const second = await ensureSelfSigned(folder, ['a'], clock, 30 * day);
    expect(second.renewed).toBe(true);
    expect(second.renewAt).toBeGreaterThan(first.renewAt + 19 * day);
    expect(text('ca.pem')).toBe(authority);
    expect(new X509Certificate(text('cert.pem')).verify(new X509Certificate(authority).publicKey)).toBe(true);
  });

  test.each([
    ['other names', () => undefined, ['b']],
    ['a missing key', (at: string) => rmSync(join(at, 'key.pem')), ['a']],
    ['a broken certificate', (at: string) => writeFileSync(join(at, 'cert.pem'), 'x'), ['a']],
    [
      'a key of another',
      (at: string) =>
        writeFileSync(
          join(at, 'key.pem'),
          generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'pem', type: 'pkcs8' }),
        ),
      ['a'],
    ],
  ])('is issued again for %s', async (_name, spoil, names) => {
    const clock = fakeClock();
    await ensureSelfSigned(folder, ['a'], clock);
    const authority = text('ca.pem');
    spoil(folder);
    expect((await ensureSelfSigned(folder, names, clock)).renewed).toBe(true);
    expect(text('ca.pem')).toBe(authority);
    expect(certificateFacts(text('cert.pem')).dnsNames).toEqual(names);
  });

  test('is kept for names that are written in other ways', async () => {
    const clock = fakeClock();
    await ensureSelfSigned(folder, ['a', '2001:DB8::1'], clock);
    expect((await ensureSelfSigned(folder, ['2001:db8:0:0::1', 'a'], clock)).renewed).toBe(false);
  });

  test('a broken authority is made anew, with its leaf', async () => {
    const clock = fakeClock();
    await ensureSelfSigned(folder, ['a'], clock);
    writeFileSync(join(folder, 'ca-key.pem'), 'x');
    expect((await ensureSelfSigned(folder, ['a'], clock)).renewed).toBe(true);
    expect(new X509Certificate(text('cert.pem')).verify(new X509Certificate(text('ca.pem')).publicKey)).toBe(true);
  });

  test('is renewed by itself when it is due by the wall clock, and a failure is logged', async () => {
    const clock = fakeClock();
    const made = await ensureSelfSigned(folder, ['a'], clock);
    const before = text('cert.pem');
    const lines: string[] = [];
    const logger = createLogger({ clock, level: 'info', write: (line) => lines.push(line) });
    const keeper = keepSelfSigned({ folder, names: ['a'], clock, logger });
    await clock.tick();
    expect(text('cert.pem')).toBe(before);
    clock.time = made.renewAt + 1;
    await clock.tick();
    await until(() => lines.join().includes('Issued a new self-signed certificate'));
    expect(text('cert.pem')).not.toBe(before);
    rmSync(join(folder, 'cert.pem'));
    mkdirSync(join(folder, 'cert.pem.new'));
    await clock.tick();
    await until(() => lines.join().includes('Cannot renew'));
    // And it tries again.
    rmSync(join(folder, 'cert.pem.new'), { recursive: true });
    await clock.tick();
    await until(() => lines.length === 3);
    expect(certificateFacts(text('cert.pem')).dnsNames).toEqual(['a']);
    expect(lines.join()).not.toContain('PRIVATE');
    keeper.close();
  });
});

describe('certificate facts', () => {
  test('a name that pretends to be several is one name (CVE-2021-44532)', () => {
    const keys = rsaKeys();
    const made = forge.pki.createCertificate();
    made.publicKey = keys.publicKey;
    made.serialNumber = '01';
    made.validity.notAfter = new Date(Date.now() + day);
    made.setSubject([{ name: 'commonName', value: 'x' }]);
    made.setIssuer([{ name: 'commonName', value: 'x' }]);
    made.setExtensions([
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'a.example, DNS:admin.example' },
          { type: 2, value: '"b", URI:\\' },
          { type: 6, value: 'spiffe://d/ns/x' },
          { type: 7, ip: '10.0.0.1' },
          { type: 1, value: 'mail@example' },
        ],
      },
    ]);
    made.sign(keys.privateKey, forge.md.sha256.create());
    expect(certificateFacts(forge.pki.certificateToPem(made))).toMatchObject({
      dnsNames: ['a.example, DNS:admin.example', '"b", URI:\\'],
      uris: ['spiffe://d/ns/x'],
      ipAddresses: ['10.0.0.1'],
    });
  });

  test('what is no certificate is an error with a code', () => {
    expect(() => certificateFacts('nonsense')).toThrow(expect.objectContaining({ code: 'certificate_invalid' }));
  });
});

/** P-256 key and certificate, written by OpenSSL 3.0: PBES2 with AES-256, PRF and MAC of SHA-256; passphrase `pass`. */
const ecStore = readFileSync(join(import.meta.dirname, 'testdata/ec.p12'));

/** Signed once: forge takes seconds for it. */
let rsaCertificate: forge.pki.Certificate | undefined;
function signedCertificate(): forge.pki.Certificate {
  if (rsaCertificate !== undefined) return rsaCertificate;
  const keys = rsaKeys();
  const made = forge.pki.createCertificate();
  made.publicKey = keys.publicKey;
  made.serialNumber = '01';
  made.validity.notAfter = new Date(Date.now() + day);
  made.setSubject([{ name: 'commonName', value: 'rsa' }]);
  made.setIssuer([{ name: 'commonName', value: 'rsa' }]);
  made.sign(keys.privateKey, forge.md.sha256.create());
  rsaCertificate = made;
  return made;
}

function rsaStore(passphrase: string, count = 2_048): Buffer {
  const made = signedCertificate();
  const asn1 = forge.pkcs12.toPkcs12Asn1(rsaKeys().privateKey, [made], passphrase, { algorithm: 'aes256', count });
  return Buffer.from(forge.asn1.toDer(asn1).getBytes(), 'latin1');
}

/**
 * A file that says so many rounds for its MAC and for its key. Nothing is derived by those of the key, which would take longer than
 * the test may; the MAC is right where it has few.
 */
function storeOfRounds(macRounds: number, keyRounds: number): Buffer {
  const { pbkdf2 } = forge.pkcs5;
  forge.pkcs5.pbkdf2 = (() => '\0'.repeat(32)) as unknown as typeof pbkdf2;
  const { generateKey } = forge.pkcs12;
  forge.pkcs12.generateKey = (() => forge.util.createBuffer('\0'.repeat(20))) as unknown as typeof generateKey;
  const der = rsaStore('pass', keyRounds);
  Object.assign(forge.pkcs5, { pbkdf2 });
  Object.assign(forge.pkcs12, { generateKey });

  interface Tree {
    value: Tree[] & string;
  }
  const root = forge.asn1.fromDer(der.toString('latin1')) as unknown as Tree;
  const [digest, salt, rounds] = root.value[2]!.value;
  rounds!.value = forge.asn1.integerToDer(macRounds).getBytes() as Tree['value'];
  if (macRounds === 1) {
    const mac = forge.hmac.create();
    mac.start(forge.md.sha1.create(), generateKey('pass', forge.util.createBuffer(salt!.value), 3, 1, 20) as never);
    mac.update(root.value[1]!.value[1]!.value[0]!.value);
    digest!.value[1]!.value = mac.getMac().getBytes() as Tree['value'];
  }
  return Buffer.from(forge.asn1.toDer(root as unknown as forge.asn1.Asn1).getBytes(), 'latin1');
}

describe('PKCS#12', () => {
  test('RSA and P-256 stores give a pair that fits, leaf first, and the chain', async () => {
    for (const store of [rsaStore('pass'), ecStore]) {
      const { cert, key } = await readPkcs12(store, 'pass');
      expect(new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))).toBe(true);
    }
    const { cert } = await readPkcs12(ecStore, 'pass');
    expect(cert.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    expect(certificateFacts(cert).dnsNames).toEqual(['localhost']);
  });

  test.each([
    ['a wrong passphrase', () => ecStore, 'wrong', 'passphrase_wrong'],
    ['no PKCS#12', () => Buffer.from('nonsense'), 'pass', 'pkcs12_invalid'],
    ['a cut file', () => ecStore.subarray(0, 200), 'pass', 'pkcs12_invalid'],
    ['an empty file', () => Buffer.alloc(0), 'pass', 'pkcs12_invalid'],
    ['a MAC that takes hours', () => storeOfRounds(2_000_000_000, 1), 'wrong', 'pkcs12_invalid'],
    ['a key that takes as long', () => storeOfRounds(1, 2_000_000_000), 'pass', 'pkcs12_invalid'],
    ['a MAC and a key that take too long together', () => storeOfRounds(1, 100_000), 'pass', 'pkcs12_invalid'],
    ['a MAC without rounds', () => storeOfRounds(0, 1), 'pass', 'pkcs12_invalid'],
  ])('%s is an error with a code, without the passphrase', async (name, store, passphrase, code) => {
    const error = await readPkcs12(store(), passphrase).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(PkiError);
    expect(error).toMatchObject({ code });
    expect(/rounds/.test((error as Error).message)).toBe(name.includes('take'));
    expect((error as Error).message).not.toContain(passphrase === 'wrong' ? 'wrong' : 'nonsense');
  });
});

describe('watched files', () => {
  const open: TlsMaterialSource[] = [];
  afterEach(() => open.splice(0).forEach((one) => one.close()));

  async function watched(clock: Clock, faults: PkiError[] = []): Promise<TlsMaterialSource> {
    const source = await watchTlsFiles({
      certFile: join(folder, 'cert.pem'),
      keyFile: join(folder, 'key.pem'),
      caFile: join(folder, 'ca.pem'),
      clock,
      logger: silentLogger,
      onFault: (fault) => faults.push(fault),
    });
    open.push(source);
    return source;
  }

  test('a change by rename is seen, and told once to who listens', async () => {
    const clock = fakeClock();
    await ensureSelfSigned(folder, ['a'], clock);
    const source = await watched(clock);
    const told: string[] = [];
    const stop = source.subscribe((material) => told.push(material.cert));
    expect(source.current()).toMatchObject({ cert: text('cert.pem'), key: text('key.pem'), ca: text('ca.pem') });
    await clock.tick();
    expect(told).toEqual([]);
    await ensureSelfSigned(folder, ['b'], clock);
    await clock.tick();
    await clock.tick();
    expect(told).toEqual([text('cert.pem')]);
    expect(source.current().cert).toBe(text('cert.pem'));
    stop();
    await ensureSelfSigned(folder, ['c'], clock);
    await clock.tick();
    expect(told).toHaveLength(1);
  });

  test('the symlink swap of a Kubernetes volume is seen', async () => {
    const clock = fakeClock();
    for (const name of ['one', 'two']) {
      mkdirSync(join(folder, name));
      await ensureSelfSigned(join(folder, name), [name], clock);
    }
    symlinkSync('one', join(folder, '..data'));
    for (const name of ['cert.pem', 'key.pem', 'ca.pem']) symlinkSync(join('..data', name), join(folder, name));
    const source = await watched(clock);
    expect(certificateFacts(source.current().cert).dnsNames).toEqual(['one']);
    symlinkSync('two', join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
    await clock.tick();
    expect(certificateFacts(source.current().cert).dnsNames).toEqual(['two']);
  });

  const key = (): string =>
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  test.each([
    [
      'a half-written certificate',
      () => writeFileSync(join(folder, 'cert.pem'), text('cert.pem').slice(0, 100)),
      'certificate_invalid',
    ],
    ['a key that is none', () => writeFileSync(join(folder, 'key.pem'), 'x'), 'key_invalid'],
    ['a key of another', () => writeFileSync(join(folder, 'key.pem'), key()), 'key_mismatch'],
    ['a missing file', () => rmSync(join(folder, 'key.pem')), 'file_unreadable'],
  ])('%s is reported once, the last good pair kept, and the next good one taken', async (_name, spoil, code) => {
    const clock = fakeClock();
    await ensureSelfSigned(folder, ['a'], clock);
    const faults: PkiError[] = [];
    const source = await watched(clock, faults);
    const good = source.current();
    spoil();
    await clock.tick();
    await clock.tick();
    expect(source.current()).toBe(good);
    expect(faults.map((one) => one.code)).toEqual([code]);
    await ensureSelfSigned(folder, ['b'], clock);
    await clock.tick();
    expect(certificateFacts(source.current().cert).dnsNames).toEqual(['b']);
  });

  test('an expired certificate is not taken', async () => {
    const clock = fakeClock();
    const later = fakeClock();
    later.time += 400 * day;
    await ensureSelfSigned(folder, ['a'], later);
    const source = await watched(later);
    const standing = source.current();
    rmSync(join(folder, 'cert.pem'));
    await ensureSelfSigned(folder, ['b'], clock, day);
    await later.tick();
    expect(source.current()).toBe(standing);
  });

  test('files that cannot serve at the start are an error', async () => {
    await expect(watched(fakeClock())).rejects.toMatchObject({ code: 'file_unreadable' });
    const clock = fakeClock();
    await ensureSelfSigned(folder, ['a'], clock);
    clock.time += 400 * day;
    await expect(watched(clock)).rejects.toMatchObject({ code: 'certificate_expired' });
    await expect(watchTlsFiles({ clock, logger: silentLogger })).rejects.toMatchObject({ code: 'file_unreadable' });
  });

  test('a PKCS#12 file with its passphrase in another serves as well', async () => {
    writeFileSync(join(folder, 'store.p12'), rsaStore('secret'));
    writeFileSync(join(folder, 'pass'), 'secret\n');
    const source = await watchTlsFiles({
      pkcs12File: join(folder, 'store.p12'),
      passphraseFile: join(folder, 'pass'),
      clock: fakeClock(),
      logger: silentLogger,
    });
    open.push(source);
    expect(certificateFacts(source.current().cert).subject).toBe('CN=rsa');
  });
});
