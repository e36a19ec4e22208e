import { afterEach, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { until } from '../../../test/support/wait.ts';
import { silentLogger, systemClock } from '../../base/index.ts';
import { ensureSelfSigned } from '../../pki/index.ts';
import { createAuditServer } from './server.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** @param good Tokens that are good. */
async function newServer(good: ReadonlySet<string>) {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-server-'));
  closing.push(() => rmSync(folder, { recursive: true }));
  const files = await ensureSelfSigned(folder, ['localhost'], systemClock);
  const read = (file: string): string => readFileSync(file, 'utf8');
  const clock = fakeClock();
  const person = { issuer: 'https://idp.test', subject: 'eve', mayRead: () => true };
  const server = await createAuditServer({
    host: '127.0.0.1',
    port: 0,
    serving: {
      current: () => ({ cert: read(files.certFile), key: read(files.keyFile) }),
      subscribe: () => () => undefined,
    },
    store: {
      search: () => Promise.resolve({ sessions: [{ session: 'a'.repeat(32) }], cursors: ['1.1'], cursor: undefined }),
      async *sessionLines() {
        for (;;) {
          await new Promise((resolve) => setImmediate(resolve));
          yield 'x'.repeat(60_000);
        }
      },
    } as never,
    committer: { add: () => Promise.resolve(), settled: () => Promise.resolve() } as never,
    authorizer: {
      knows: () => true,
      authenticate: (token: { reveal(): string }) => {
        const name = token.reveal();
        if (!good.has(name)) return Promise.resolve(undefined);
        return Promise.resolve({ username: name, groups: [], ...(name === 'person' && { person }) });
      },
      mayRead: () => Promise.resolve(true),
    } as never,
    clock,
    logger: silentLogger,
    isController: () => false,
  });
  closing.push(() => server.close());
  return { server, clock, ca: read(files.caFile) };
}

test('an export ends with the token of a person, and goes on with the right of an account of Kubernetes', async () => {
  const good = new Set(['person', 'account']);
  const { server, clock, ca } = await newServer(good);
  const run = (token: string) => {
    const state = { bytes: 0, ended: false };
    const sent = httpsRequest(
      {
        ...{ host: 'localhost', port: server.port, path: '/v1/export', method: 'POST', ca },
        headers: { authorization: `Bearer ${token}` },
      },
      (answer) => {
        answer.on('data', (part: Buffer) => (state.bytes += part.length));
        answer.on('error', () => undefined).on('close', () => (state.ended = true));
      },
    );
    closing.push(() => sent.destroy());
    sent.on('error', () => undefined).end('{}');
    return state;
  };
  const [ofPerson, ofAccount] = [run('person'), run('account')];
  await until(() => ofPerson.bytes > 0 && ofAccount.bytes > 0, 'both answers');
  good.clear();
  await clock.advanceAsync(29_000);
  const before = ofPerson.bytes;
  await until(() => ofPerson.bytes > before, 'more of it');
  expect(ofPerson.ended).toBe(false);
  await clock.advanceAsync(1_001);
  await until(() => ofPerson.ended, 'the end of it');
  const then = ofAccount.bytes;
  await until(() => ofAccount.bytes > then + 1_000_000, 'more of the other');
  expect(ofAccount.ended).toBe(false);
});

test.each(['Bearer', 'bearer'])('a token comes behind %s', async (scheme) => {
  const { server, ca } = await newServer(new Set(['account']));
  const status = await new Promise((resolve, reject) => {
    const at = { host: 'localhost', port: server.port, path: '/v1/none', ca };
    const sent = httpsRequest({ ...at, headers: { authorization: `${scheme} account` } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    sent.on('error', reject).end();
  });
  expect(status).toBe(404);
});

test('an export is sent in chunks alone, whose last one tells that it is whole', async () => {
  const { server, ca } = await newServer(new Set(['account']));
  const ask = async (version: string): Promise<string> => {
    const socket = connect({ host: '127.0.0.1', port: server.port, servername: 'localhost', ca });
    closing.push(() => socket.destroy());
    let text = '';
    socket.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    socket.write(
      `POST /v1/export HTTP/${version}\r\nhost: localhost\r\nauthorization: Bearer account\r\ncontent-length: 2\r\n\r\n{}`,
    );
    await until(() => text.includes('\r\n\r\n'), 'an answer');
    socket.destroy();
    return text;
  };
  expect(await ask('1.1')).toMatch(/^HTTP\/1\.1 200 [^]*transfer-encoding: chunked/i);
  const refused = await ask('1.0');
  expect(refused).toMatch(/^HTTP\/1\.1 505 /);
  expect(refused).toContain('"code":"http_version"');
});
