import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Revocation } from '../../pkg/core/index.ts';
import { createApprovalDesk } from '../support/approval-desk.ts';
import { createRevocationList } from '../support/revocation-list.ts';
import type { RevocationList } from '../support/revocation-list.ts';
import { answerChat, chunk } from '../support/scripted-model.ts';
import { until } from '../support/wait.ts';
import { basePolicy, startWorld } from '../support/world.ts';
import type { Answer, World } from '../support/world.ts';

// Tokens that were taken back: refused whatever policy allows, also where they were believed a moment ago; what they began ends.

let world: World;
let revocations: RevocationList;
const desk = createApprovalDesk();
const policy = (issuer: string): string => `${basePolicy(issuer)}
  guards:
  - { name: project, direction: Request, match: { words: [falcon] }, action: RequireApproval }
  approvals: { approvers: [{ kubernetesGroup: leads }] }
`;
beforeEach(async () => {
  revocations = createRevocationList();
  world = await startWorld({ policy, revocations, approvals: desk.gate });
  world.model.script = answerChat('fine');
});
afterEach(() => world.close());

const revoke = (more: Partial<Revocation>): void =>
  revocations.set({ issuer: world.issuer.url, until: Date.now() + 60_000, ...more });
const tokenOf = (sub: string, jti: string): Promise<string> =>
  world.token({ sub, groups: ['ml-eng'], claims: { jti } });
function ask(
  token: string,
  more: Record<string, unknown> = {},
  options: Parameters<World['post']>[2] = {},
): Promise<Answer> {
  const body = { model: 'llama-3-8b', messages: [{ role: 'user', content: 'hi' }], ...more };
  return world.post('/v1/chat/completions', body, { token, ...options });
}
const status = async (token: string): Promise<number> => (await ask(token)).status;

test('one token, by its id: the same person’s other token goes on', async () => {
  const [lost, kept] = await Promise.all([tokenOf('ana', 'lost'), tokenOf('ana', 'kept')]);
  // Believed, and remembered as proven.
  expect([await status(lost), await status(kept)]).toEqual([200, 200]);
  revoke({ tokenId: 'lost' });
  const refused = await ask(lost);
  expect([refused.status, refused.headers['www-authenticate'], refused.text]).toEqual([
    401,
    expect.stringContaining('invalid_token'),
    expect.stringContaining('token_revoked'),
  ]);
  expect(await status(kept)).toBe(200);
  expect((await world.record()).filter(({ code }) => code === 'token_revoked')).toHaveLength(1);
  revocations.set();
  expect(await status(lost)).toBe(200);
});

test('everything of a subject, and of nobody else’s', async () => {
  const [ana, bob] = await Promise.all([tokenOf('ana', 'a'), tokenOf('bob', 'b')]);
  revoke({ subject: 'ana' });
  expect([await status(ana), await status(await tokenOf('ana', 'new')), await status(bob)]).toEqual([401, 401, 200]);
});

test.each([
  ['another issuer', { issuer: 'https://elsewhere.example.com', subject: 'ana' }],
  ['another subject', { subject: 'an' }],
  ['the subject as the id of a token', { tokenId: 'ana' }],
  ['the id of a token as a subject', { subject: 'a' }],
  ['one that is over', { subject: 'ana', until: Date.now() - 1 }],
])('%s: nothing is refused', async (_, more) => {
  revoke(more);
  expect(await status(await tokenOf('ana', 'a'))).toBe(200);
});

test('of two for the same, the longer one holds', async () => {
  const issuer = world.issuer.url;
  const [long, over] = [Date.now() + 60_000, Date.now() - 1];
  revocations.set({ issuer, subject: 'ana', until: long }, { issuer, subject: 'ana', until: over });
  expect(await status(await tokenOf('ana', 'a'))).toBe(401);
});

describe('what it began ends', () => {
  const endless = (): void => {
    world.model.script = (response) => {
      response.setHeader('content-type', 'text/event-stream');
      const timer = setInterval(() => response.write(chunk({ content: 'word ' })), 20);
      response.on('close', () => clearInterval(timer));
    };
  };

  test('a stream in its middle; another’s goes on', async () => {
    endless();
    const [ana, bob] = await Promise.all([tokenOf('ana', 'a'), tokenOf('bob', 'b')]);
    let [hers, his] = ['', ''];
    const gone = new AbortController();
    const stream = { stream: true };
    const other = ask(bob, stream, { onChunk: (text) => (his += text), signal: gone.signal }).catch(() => undefined);
    const answer = ask(ana, stream, { onChunk: (text) => (hers += text) });
    await until(() => hers.includes('word') && his.includes('word'));
    revoke({ tokenId: 'a' });
    const { status: began, text } = await answer;
    expect([began, text]).toEqual([200, expect.stringContaining('"code":"token_revoked"')]);
    expect(text).not.toContain('[DONE]');
    await until(() => world.model.seen.some(({ aborted }) => aborted));
    const so = his.length;
    await until(() => his.length > so + 200);
    const ends = () => world.recordSoFar().filter(({ type, code }) => type === 'end' && code === 'token_revoked');
    await until(() => ends().length === 1);
    gone.abort();
    await other;
  });

  test('a WebSocket, and no new one is opened', async () => {
    const model = createServer();
    let opened = 0;
    model.on('upgrade', (_request, socket) => {
      opened++;
      socket.on('error', () => undefined);
      socket.resume().on('end', () => socket.destroy());
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
    });
    await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve));
    const own = await startWorld({
      policy: (issuer) => basePolicy(issuer).replace('ListModels]', 'ListModels, Other]'),
      revocations,
      modelUrl: `http://127.0.0.1:${(model.address() as AddressInfo).port}`,
    });
    const token = await own.token({ sub: 'ana', groups: ['ml-eng'] });
    const dial = () => {
      const socket = connect({ host: '127.0.0.1', port: own.port, ca: own.ca, servername: 'localhost' });
      const state = { text: '', closed: false };
      socket.on('error', () => undefined);
      socket.on('close', () => (state.closed = true));
      socket.on('data', (piece: Buffer) => (state.text += piece.toString('latin1')));
      const head = ['GET /stream HTTP/1.1', 'Host: localhost', 'Connection: Upgrade', 'Upgrade: websocket'];
      const key = ['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='];
      socket.write(`${[...head, ...key, `Authorization: Bearer ${token}`].join('\r\n')}\r\n\r\n`);
      return state;
    };
    const first = dial();
    await until(() => first.text.includes('101 Switching'));
    revocations.set({ issuer: own.issuer.url, subject: 'ana', until: Date.now() + 60_000 });
    await until(() => first.closed);
    const second = dial();
    await until(() => second.text.includes('token_revoked'));
    expect(opened).toBe(1);
    await own.close();
    model.close();
  });

  test('a request that waits for people: an approval that comes later lets nothing through', async () => {
    const before = desk.cases.length;
    const answer = ask(await tokenOf('ana', 'a'), { messages: [{ role: 'user', content: 'falcon' }] });
    await until(() => desk.cases.length > before);
    revoke({ subject: 'ana' });
    const refused = await answer;
    expect([refused.status, refused.text]).toEqual([401, expect.stringContaining('token_revoked')]);
    desk.decide('Approve');
    expect(world.model.seen).toEqual([]);
  });
});

test('a policy that only observes refuses nobody, and records that it would have', async () => {
  await world.setPolicy(policy(world.issuer.url).replace('mode: Enforce', 'mode: Observe'));
  revoke({ subject: 'ana' });
  expect(await status(await tokenOf('ana', 'a'))).toBe(200);
  expect(JSON.stringify(await world.record())).toContain('token_revoked');
});
