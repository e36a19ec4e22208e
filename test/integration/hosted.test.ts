import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { startIssuer } from '../support/issuer.ts';
import type { Issuer } from '../support/issuer.ts';
import { answerChat } from '../support/scripted-model.ts';
import { until } from '../support/wait.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

/** What goes to an endpoint of somebody else's: its own credential in each of the ways, its own names, and nothing of the caller's. */
const path = '/v1/chat/completions';
const ask = { model: 'support', messages: [{ role: 'user', content: 'hello' }] };

let issuer: Issuer;
beforeAll(async () => {
  issuer = await startIssuer({ users: [{ name: 'model-gateway', groups: ['models'] }] });
});
afterAll(() => issuer.close());

let world: World | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
});

async function start(upstream: string, credential?: string): Promise<World> {
  world = await startWorld({
    policy: (url) => basePolicy(url, `  upstream: { hosted: { url: "https://models.test"${upstream} }\n`),
    ...(credential !== undefined && { credential }),
  });
  return world;
}

describe('a key in the query', () => {
  const key = 'AIzaSy-the-key-0123456789';

  test('reaches the model in place of a caller’s own, and comes back to nobody', async () => {
    const { model, post } = await start(' }, credential: { file: credential, query: key }', key);
    model.script = answerChat(`you sent ${key} to me`);
    const answer = await post(path, ask);
    expect(answer).toMatchObject({ status: 200 });
    expect(model.seen.map((one) => one.path)).toEqual([`${path}?key=${key}`]);
    expect(model.seen[0]?.headers['authorization']).toBeUndefined();
    expect(answer.text).toContain('you sent [credential] to me');
    expect(answer.text).not.toContain(key);
  });

  test('takes the place of one that a caller sends on a route that nobody knows', async () => {
    const { model, call, setPolicy, issuer: own } = await start(' }', key);
    const open = '  - { name: other, effect: Allow, subjects: [{ group: ml-eng }], operations: [Other] }\n';
    const upstream =
      '  upstream: { hosted: { url: "https://models.test" }, credential: { file: credential, query: key } }\n';
    await setPolicy(basePolicy(own.url, open + upstream));
    await call('POST', '/v1beta/x?k%65y=mine&a=1', { body: '{}', headers: { 'content-type': 'application/json' } });
    expect(model.seen.map((one) => one.path)).toEqual([`/v1beta/x?a=1&key=${key}`]);
  });
});

describe('requests that are signed', () => {
  const secret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
  const sigV4 = ' }, credential: { file: credential, sigV4: { region: eu-central-1, service: bedrock } }';

  test('carry no secret; one that comes back is masked', async () => {
    const { model, post } = await start(sigV4, `AKIDEXAMPLE:${secret}:the+session+token`);
    model.script = answerChat(`${secret} and the+session+token`);
    const answer = await post(path, ask, { headers: { 'x-amz-date': 'mine' } });
    expect(answer.text).toContain('[credential] and [credential]');
    const headers = model.seen[0]?.headers ?? {};
    expect(headers['authorization']).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-central-1\/bedrock\/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature=[0-9a-f]{64}$/,
    );
    expect(headers['x-amz-date']).toMatch(/^\d{8}T\d{6}Z$/);
    expect(headers['x-amz-security-token']).toBe('the+session+token');
    expect(JSON.stringify(headers)).not.toContain(secret);
  });

  test('by a key that is none are refused', async () => {
    const { model, post } = await start(sigV4, 'no access key');
    expect(await post(path, ask)).toMatchObject({ status: 503 });
    expect(model.seen).toEqual([]);
  });

  test('cover bodies that no dialect reads, too', async () => {
    const { model, call, setPolicy, issuer: own } = await start(sigV4, `AKIDEXAMPLE:${secret}`);
    const open = '  - { name: other, effect: Allow, subjects: [{ group: ml-eng }], operations: [Other] }\n';
    await setPolicy(basePolicy(own.url, `${open}  upstream: { hosted: { url: "https://models.test"${sigV4} }\n`));
    await call('POST', '/upload?key=1', { body: 'bytes', headers: { 'content-type': 'application/x-bytes' } });
    expect(model.seen.map((one) => [one.path, one.body])).toEqual([['/upload?key=1', 'bytes']]);
    expect(model.seen[0]?.headers['x-amz-content-sha256']).toBe(createHash('sha256').update('bytes').digest('hex'));
  });
});

describe('tokens of a token endpoint', () => {
  let oauth: string;
  beforeAll(() => {
    oauth = ` }, credential: { file: credential, oauth: { tokenUrl: "${issuer.url}/token", clientId: model-gateway } }`;
  });

  test('go to the model in place of the secret, and come back to nobody', async () => {
    const { model, post } = await start(oauth, 'model-gateway');
    await until(async () => (await post(path, ask)).status === 200);
    const token = String(model.seen[0]?.headers['authorization']).replace(/^Bearer /, '');
    expect(token).toMatch(/^ey[\w-]+\.[\w-]+\.[\w-]+$/);
    model.script = answerChat(`your token is ${token}`);
    const { text } = await post(path, ask);
    expect(text).toContain('your token is [credential]');
    expect(text).not.toContain(token);
  });

  test('that are not given let nothing through', async () => {
    const { model, post } = await start(oauth, 'not the secret');
    const before = issuer.requests.token;
    expect(await post(path, ask)).toMatchObject({ status: 503 });
    await until(() => issuer.requests.token > before);
    const answer = await post(path, ask);
    expect(JSON.parse(answer.text)).toMatchObject({ error: { code: 'credential_unavailable' } });
    expect(model.seen).toEqual([]);
  });
});

describe('what an endpoint is told', () => {
  test('are its own names of models, by which no rule and no record knows them', async () => {
    const models = ', models: [{ name: support, as: "large-2026-08-06" }] }';
    const { model, post, record } = await start(models);
    expect(await post(path, ask)).toMatchObject({ status: 200 });
    expect(JSON.parse(model.seen[0]?.body ?? '')).toEqual({ ...ask, model: 'large-2026-08-06' });
    expect(await post(path, { ...ask, model: 'other' })).toMatchObject({ status: 200 });
    expect(JSON.parse(model.seen[1]?.body ?? '')).toMatchObject({ model: 'other' });
    const named = (await record()).filter((one) => one['type'] === 'start').map((one) => one['model']);
    expect(named).toEqual(['support', 'other']);
  });

  test('is not a name that stands in the path, whatever the body says beside it', async () => {
    const { model, post } = await start(', models: [{ name: support, as: "large" }] }');
    const answer = await post('/openai/deployments/support/chat/completions?api-version=2026-02-01', ask);
    expect([answer.status, JSON.parse(answer.text)]).toMatchObject([502, { error: { code: 'upstream_unsupported' } }]);
    expect(model.seen).toEqual([]);
  });

  test('is not a name that stands in the path, which nobody rewrites', async () => {
    const { model, call } = await start(', models: [{ name: support, as: "large" }] }');
    const answer = await call('GET', '/v1/models/support');
    expect([answer.status, JSON.parse(answer.text)]).toMatchObject([502, { error: { code: 'upstream_unsupported' } }]);
    expect(model.seen).toEqual([]);
  });

  test('is a name in a path that can be written anew, and wherever the body says it again', async () => {
    const { model, post, call, record } = await start(', models: [{ name: support, as: "gemini-2.5-pro" }] }');
    const content = { parts: [{ text: 'hello' }] };
    await post('/v1beta/models/support:generateContent', { contents: [content] });
    await post('/v1beta/models/support:batchEmbedContents', { requests: [{ model: 'models/support', content }] });
    await call('GET', '/v1beta/models/support');
    await post('/v1beta/models/other:generateContent', { contents: [content] });
    expect(model.seen.map((one) => one.path)).toEqual([
      '/v1beta/models/gemini-2.5-pro:generateContent',
      '/v1beta/models/gemini-2.5-pro:batchEmbedContents',
      '/v1beta/models/gemini-2.5-pro',
      '/v1beta/models/other:generateContent',
    ]);
    expect(JSON.parse(model.seen[1]?.body ?? '')).toEqual({ requests: [{ model: 'models/gemini-2.5-pro', content }] });
    const named = (await record()).filter((one) => one['type'] === 'start').map((one) => one['model']);
    expect(named).toEqual(['support', 'support', 'support', 'other']);
  });

  test.each(['idempotency-key', 'x-request-id'])('has each caller’s %s apart, the same in each try', async (name) => {
    const { model, post, token } = await start(' }');
    const [ana, bob] = [await token({ sub: 'ana' }), await token({ sub: 'bob' })];
    for (const [bearer, value] of [
      [ana, 'order-1'],
      [ana, 'order-1'],
      [bob, 'order-1'],
      [ana, 'order-2'],
    ] as const)
      await post(path, ask, { token: bearer, headers: { [name]: value, baggage: 'user=ana' } });
    const [first, again, others, second] = model.seen.map(({ headers }) => headers[name]);
    expect(first).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(again).toBe(first);
    expect(new Set([first, others, second]).size).toBe(3);
    for (const { headers } of model.seen) expect(headers).not.toHaveProperty('baggage');
  });

  test('is of its caller what the policy says, and nothing that a caller says', async () => {
    const told =
      ', identityHeaders: [{ header: X-User, value: Subject }, { header: X-Groups, value: Groups }, { header: x-from, value: Provider }] }';
    const { model, post, token } = await start(told);
    const bearer = await token({ sub: 'zoë %1', groups: ['ml-eng', 'a,b'] });
    await post(path, ask, { token: bearer, headers: { 'x-user': 'root', 'x-groups': 'admin' } });
    expect(model.seen[0]?.headers).toMatchObject({
      'x-user': 'zo%C3%AB%20%251',
      'x-groups': 'ml-eng,a%2Cb',
      'x-from': 'ml/test/corp',
    });
    expect(model.seen[0]?.headers['authorization']).toBeUndefined();
  });
});
