import { request } from 'node:https';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { silentLogger, systemClock } from '../../base/index.ts';
import { createAuthority, createAuthorityPair, createKeyRequest } from '../../pki/index.ts';
import type { TlsMaterial } from '../../pki/index.ts';
import { createDecisionServer } from './decision-server.ts';
import type { DecisionServer } from './decision-server.ts';
import type { Bearer } from './prover.ts';
import { createRecorderProof } from './recorder-proof.ts';

// Whose address goes on record: the console says it, and is believed by its certificate alone.

const shown: Bearer[] = [];
let server: DecisionServer;
let [ca, recorder, sidecar, stranger] = ['', undefined, undefined, undefined] as [
  string,
  ...(TlsMaterial | undefined)[],
];
beforeAll(async () => {
  const pair = await createAuthorityPair(systemClock);
  const other = await createAuthorityPair(systemClock);
  const [own, theirs] = [pair, other].map((current) =>
    createAuthority({ state: { current, since: Date.now() }, clock: systemClock }),
  );
  if (own === undefined || theirs === undefined) throw new Error('two authorities');
  const serving = async (by: typeof own, ...dnsNames: string[]): Promise<TlsMaterial> => {
    const { key, csr } = createKeyRequest();
    return { key, cert: await by.sign({ purpose: 'server', csr, dnsNames }) };
  };
  ca = pair.cert;
  recorder = await serving(own, 'sidegate-recorder.sidegate-system.svc');
  stranger = await serving(theirs, 'sidegate-recorder.sidegate-system.svc');
  const { key, csr } = createKeyRequest();
  sidecar = { key, cert: await own.sign({ purpose: 'client', csr, uri: 'spiffe://cluster.local/ns/ml/sa/x/uid/1' }) };
  server = await createDecisionServer({
    host: '127.0.0.1',
    port: 0,
    material: await serving(own, 'localhost'),
    recorder: createRecorderProof({ bundle: () => ca, namespace: 'sidegate-system', clock: systemClock }),
    decider: {
      prove(_, bearer) {
        shown.push(bearer);
        return Promise.resolve('not_allowed');
      },
    },
    clock: systemClock,
    logger: silentLogger,
    more: [
      {
        ownLimit: true,
        routes: ({ url }, { from, recorder: proven }) =>
          Promise.resolve(
            url === '/who' ? { status: 200, body: { from, recorder: proven }, result: 'viewed' } : undefined,
          ),
      },
    ],
  });
});
afterAll(() => server.close());

const ask = (path: string, own: TlsMaterial | undefined, address: string | undefined): Promise<string> =>
  new Promise((done, failed) => {
    const headers = {
      authorization: 'Bearer a-token',
      ...(address !== undefined && { 'x-sidegate-address': address }),
    };
    const asked = {
      host: '127.0.0.1',
      servername: 'localhost',
      port: server.port,
      path,
      ca,
      ...own,
      agent: false,
      headers,
    };
    const call = request(asked, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => done(text));
    });
    call.on('error', failed);
    call.end();
  });
/** Who asks, as other routes are told; a decision is asked for, too. */
const seen = async (own: TlsMaterial | undefined, address?: string): Promise<unknown> => {
  await ask('/v1/namespaces/ml/approvals/a-1/decision', own, address);
  return JSON.parse(await ask('/who', own, address));
};

describe('a request through the console', () => {
  test.each<[string | undefined, string]>([
    ['203.0.113.9', '203.0.113.9'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['2001:DB9:0::1', '2001:db9::1'],
    [undefined, '127.0.0.1'],
    ['203.0.113.9, 198.51.100.1', '127.0.0.1'],
    ['ana', '127.0.0.1'],
  ])('that says %s comes from %s', async (address, from) => {
    expect(await seen(recorder, address)).toEqual({ from, recorder: true });
    expect(shown.at(-1)).toEqual({ token: 'a-token', from, through: 'console' });
  });

  test('is no request of anybody else who says an address', async () => {
    const nobody = { from: '127.0.0.1', recorder: false };
    expect(await seen(undefined, '203.0.113.9')).toEqual(nobody);
    expect(await seen(sidecar, '203.0.113.9')).toEqual(nobody);
    expect(await seen(stranger, '203.0.113.9')).toEqual(nobody);
    expect(shown.slice(-3)).toEqual(Array.from({ length: 3 }, () => ({ token: 'a-token', from: '127.0.0.1' })));
  });

  test('is known by the new authority after a rotation', async () => {
    const next = await createAuthorityPair(systemClock);
    const own = createAuthority({ state: { current: next, since: Date.now() }, clock: systemClock });
    const { key, csr } = createKeyRequest();
    const cert = await own.sign({ purpose: 'server', csr, dnsNames: ['sidegate-recorder.sidegate-system.svc'] });
    const before = ca;
    ca = `${before}\n${next.cert}`;
    const { key: of, csr: request2 } = createKeyRequest();
    server.renew({ key: of, cert: await own.sign({ purpose: 'server', csr: request2, dnsNames: ['localhost'] }) });
    expect(await seen({ key, cert }, '203.0.113.9')).toEqual({ from: '203.0.113.9', recorder: true });
    expect(await seen(recorder, '203.0.113.9')).toEqual({ from: '203.0.113.9', recorder: true });
  });
});
