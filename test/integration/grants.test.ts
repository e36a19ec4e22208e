import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Grant } from '../../pkg/core/index.ts';
import { createApprovalDesk } from '../support/approval-desk.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { createGrantList } from '../support/grant-list.ts';
import type { GrantList } from '../support/grant-list.ts';
import { answerChat, chunk } from '../support/scripted-model.ts';
import { until } from '../support/wait.ts';
import { basePolicy, startWorld } from '../support/world.ts';
import type { Answer, World } from '../support/world.ts';

// Access for a time: an Allow rule that ends at its second, whoever is away.

let world: World;
let grants: GrantList;
const desk = createApprovalDesk();
const policy = (issuer: string): string => `${basePolicy(issuer)}
  - { name: not-secret, effect: Deny, subjects: [{ authenticated: true }], models: ['secret-*'] }
  guards:
  - { name: project, direction: Request, match: { words: [falcon] }, action: RequireApproval }
  approvals: { approvers: [{ kubernetesGroup: leads }] }
`;
beforeEach(async () => {
  grants = createGrantList();
  world = await startWorld({ policy, grants, approvals: desk.gate });
  world.model.script = answerChat('fine');
});
afterEach(() => world.close());

const grant = (more: Partial<Grant> = {}): Grant => ({
  name: 'on-call',
  uid: 'u-1',
  issuer: world.issuer.url,
  subject: 'eve',
  operations: ['Chat'],
  models: ['llama-*'],
  from: 0,
  until: Date.now() + 60_000,
  ...more,
});
const eve = (): Promise<string> => world.token({ sub: 'eve', groups: ['nobody'] });
async function ask(more: Record<string, unknown> = {}, options: Parameters<World['post']>[2] = {}): Promise<Answer> {
  const body = { model: 'llama-3-8b', messages: [{ role: 'user', content: 'hi' }], ...more };
  return world.post('/v1/chat/completions', body, { token: await eve(), ...options });
}

test('without one: refused; with one: allowed, and named in receipt and record; taken away: refused', async () => {
  expect((await ask()).status).toBe(403);
  grants.set(grant());
  const allowed = await ask();
  expect([allowed.status, allowed.headers['sidegate-receipt']]).toEqual([
    200,
    expect.stringContaining('rules="grant/on-call=allowed"'),
  ]);
  grants.set();
  expect((await ask()).status).toBe(403);
  expect(world.model.seen).toHaveLength(1);
});

test.each([
  ['another caller', { subject: 'bob' }],
  ['another issuer', { issuer: 'https://elsewhere.example.com' }],
  ['another operation', { operations: ['Embeddings'] as const }],
  ['another model', { models: ['mistral-*'] }],
  ['not yet', { from: Date.now() + 60_000 }],
  ['no longer', { until: Date.now() - 1 }],
])('%s: nothing is opened', async (_, more) => {
  grants.set(grant(more));
  expect((await ask()).status).toBe(403);
  expect(world.model.seen).toEqual([]);
});

test('it opens nothing that a rule denies, no prompt of token ids, and names no other route', async () => {
  grants.set(grant({ models: ['*'], operations: ['Chat', 'Completions'] }));
  const denied = await ask({ model: 'secret-1' });
  expect([denied.status, denied.text]).toEqual([403, expect.stringContaining('rule_denied')]);
  const tokens = await world.post(
    '/v1/completions',
    { model: 'llama-3-8b', prompt: [1, 2, 3, 4, 5, 6, 7, 8, 9] },
    { token: await eve() },
  );
  expect([tokens.status, tokens.text]).toEqual([400, expect.stringContaining('token_input_uninspectable')]);
  expect((await world.call('GET', '/v1/models', { token: await eve() })).status).toBe(403);
});

test('where the platform has access rules, it opens no more than they do', async () => {
  await world.setPolicy(`${policy(world.issuer.url)}
---
apiVersion: sidegate.dev/v1alpha1
kind: ClusterInferencePolicy
metadata: { name: floor }
spec:
  access:
  - { name: engineers, effect: Allow, subjects: [{ group: ml-eng, provider: cluster/floor/corp }], operations: [Chat] }
  identity:
    providers:
    - name: corp
      oidc: { issuer: "${world.issuer.url}", audiences: [inference], groupsClaim: groups, allowInsecureLoopback: true }
`);
  grants.set(grant());
  expect((await ask()).status).toBe(403);
});

test('nobody has confirmed it for an hour: it holds no longer, since it may have been revoked', async () => {
  grants.set(grant());
  grants.age = 3_600_001;
  expect((await ask()).status).toBe(403);
  grants.age = 3_600_000;
  expect((await ask()).status).toBe(200);
});

describe('what rests on it ends with it', () => {
  const endless = (): void => {
    world.model.script = (response) => {
      response.setHeader('content-type', 'text/event-stream');
      const timer = setInterval(() => response.write(chunk({ content: 'word ' })), 20);
      response.on('close', () => clearInterval(timer));
    };
  };

  test('a stream ends within a second of the second, by the wall clock, and an own rule’s does not', async () => {
    const clock = fakeClock({ now: Date.now() });
    await world.close();
    world = await startWorld({ policy, grants, approvals: desk.gate, clock });
    endless();
    grants.set(grant({ until: clock.now() + 1_500 }));
    let heard = '';
    const answer = ask({ stream: true }, { onChunk: (text) => (heard += text) });
    await until(() => heard.includes('word'));
    clock.advance(1_499);
    const before = heard.length;
    await until(() => heard.length > before, 'more of the stream');
    expect(heard).not.toContain('grant_ended');
    clock.advance(1_000);
    const granted = await answer;
    expect([granted.status, granted.text]).toEqual([200, expect.stringContaining('"code":"grant_ended"')]);
    expect(granted.text).not.toContain('[DONE]');
    await until(() => world.model.seen[0]?.aborted === true);
    expect((await world.record()).at(-1)).toMatchObject({ type: 'end', code: 'grant_ended' });
  });

  test('revoked in mid-stream; who is allowed by a rule goes on', async () => {
    endless();
    grants.set(grant());
    let own = '';
    const gone = new AbortController();
    const ana = world
      .post(
        '/v1/chat/completions',
        { model: 'llama-3-8b', stream: true, messages: [{ role: 'user', content: 'hi' }] },
        { onChunk: (text) => (own += text), signal: gone.signal },
      )
      .catch(() => undefined);
    let heard = '';
    const granted = ask({ stream: true }, { onChunk: (text) => (heard += text) });
    await until(() => own.includes('word') && heard.includes('word'));
    grants.set();
    expect((await granted).text).toContain('"code":"grant_ended"');
    const so = own.length;
    await until(() => own.length > so + 200);
    gone.abort();
    await ana;
  });

  test('a request that waits for people', async () => {
    grants.set(grant());
    const answer = ask({ messages: [{ role: 'user', content: 'falcon' }] });
    await until(() => desk.cases.length > 0);
    grants.set();
    const refused = await answer;
    expect([refused.status, refused.text]).toEqual([403, expect.stringContaining('grant_ended')]);
    desk.decide('Approve');
    expect(world.model.seen).toEqual([]);
  });
});
