import { afterEach, expect, jest, test } from '@jest/globals';
import { X509Certificate, createPrivateKey, verify } from 'node:crypto';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { cpuMs } from '../../../test/support/cost.ts';
import { parseJson } from '../../base/index.ts';
import { createAuthority, createAuthorityPair, createKeyRequest } from '../../pki/index.ts';
import { signPoint } from '../../record/index.ts';
import type { LogEntry } from '../../record/index.ts';
import { createSigners } from './signers.ts';

const source = 'spiffe://cluster.local/ns/ml/sa/default/pod/uid-1';
const chain = '3f2b'.repeat(8);

afterEach(() => void jest.restoreAllMocks());

async function setup() {
  const clock = fakeClock();
  const made = async () => {
    const authority = createAuthority({
      state: { current: await createAuthorityPair(clock), since: clock.now() },
      clock,
    });
    const { key, csr } = createKeyRequest();
    return {
      authority,
      key: createPrivateKey(key),
      cert: await authority.sign({ purpose: 'client', csr, uri: source }),
    };
  };
  const own = await made();
  const entries: LogEntry[] = [];
  let bundle = own.authority.bundle();
  const signers = createSigners({
    store: { allOf: () => Promise.resolve([]), latest: () => 0 },
    committer: {
      add: ({ entry }) => Promise.resolve(void entries.push(entry)),
    },
    bundle: () => bundle,
    clock,
  });
  const lineOf = ({ key, cert }: Pick<typeof own, 'key' | 'cert'>, sequence: number) =>
    parseJson(JSON.stringify(signPoint(chain, { sequence, hash: 'a'.repeat(64) }, key, cert)));
  const judge = async (line: ReturnType<typeof lineOf>): Promise<string> => {
    const signature = signers.read(line);
    return signature === undefined ? 'unread' : signers.judge(signature, clock.now(), source);
  };
  return { clock, own, made, signers, entries, lineOf, judge, setBundle: (pem: string) => void (bundle = pem) };
}

test('of many signatures of one certificate, its issuer’s signature is verified once', async () => {
  const { own, lineOf, judge } = await setup();
  const issuer = jest.spyOn(X509Certificate.prototype, 'verify');
  const lines = Array.from({ length: 100 }, (_, at) => lineOf(own, at + 1));
  for (const line of lines) expect(await judge(line)).toBe('good');
  expect(issuer).toHaveBeenCalledTimes(1);
});

test('a signature costs little more than to verify it', async () => {
  const { own, lineOf, signers, clock } = await setup();
  const lines = Array.from({ length: 200 }, (_, at) => lineOf(own, at + 1));
  const { publicKey } = new X509Certificate(own.cert);
  const signature = Buffer.from(lines[0]?.get('value')?.string ?? '', 'base64');
  const bare = (): void => {
    for (const _ of lines) verify('sha256', Buffer.from('x'), { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature);
  };
  const whole = (): void => {
    for (const line of lines) {
      const read = signers.read(line);
      // Nothing of it waits where the certificate is known.
      if (read !== undefined) void signers.judge(read, clock.now(), source);
    }
  };
  const first = signers.read(lines[0]!);
  expect(await signers.judge(first!, clock.now(), source)).toBe('good');
  const [least, most] = [cpuMs(bare, 7), cpuMs(whole, 7)];
  expect(most / least).toBeLessThan(3);
});

test('what is known of a certificate does not make it count: it ends, and so does what it has signed', async () => {
  const { own, lineOf, judge, clock } = await setup();
  expect(await judge(lineOf(own, 1))).toBe('good');
  const { validToDate } = new X509Certificate(own.cert);
  clock.advance(validToDate.getTime() - clock.now());
  expect(await judge(lineOf(own, 2))).toBe('false');
});

test('a certificate of no authority that counts is false until its authority does, and the log says so first', async () => {
  const { own, made, lineOf, judge, entries, setBundle } = await setup();
  const other = await made();
  expect(await judge(lineOf(own, 1))).toBe('good');
  expect(await judge(lineOf(other, 2))).toBe('false');
  setBundle(other.authority.bundle());
  expect(await judge(lineOf(other, 3))).toBe('good');
  expect(entries.map(({ type }) => type)).toEqual(['authorities', 'authorities']);
});

test('a signature that another key has made is not read, though its certificate is known', async () => {
  const { own, made, lineOf, judge } = await setup();
  const other = await made();
  expect(await judge(lineOf(own, 1))).toBe('good');
  expect(await judge(lineOf({ key: other.key, cert: own.cert }, 2))).toBe('unread');
});
