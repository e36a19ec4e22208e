import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { startIssuer } from '../support/issuer.ts';
import type { Issuer } from '../support/issuer.ts';
import { answerChat } from '../support/scripted-model.ts';
import type { Script } from '../support/scripted-model.ts';
import { until } from '../support/wait.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

/** What goes to an endpoint of somebody else's: its own credential in each of the ways, its own names, and nothing of the caller's. */
const path = '/v1/chat/completions';
const ask = { model: 'support', messages: [{ role: 'user', content: 'hello' }] };

const answers =
  (body: unknown): Script =>
  (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  };
const streams =
  (text: string): Script =>
  (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(text);
  };

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

  test('that the model refuses are fetched anew', async () => {
    const { model, post } = await start(oauth, 'model-gateway');
    await until(async () => (await post(path, ask)).status === 200);
    const before = issuer.requests.token;
    const revoked = model.seen[0]?.headers['authorization'];
    const answer = model.script;
    model.script = (response, request) =>
      request.headers['authorization'] === revoked ? response.writeHead(401).end() : answer(response, request);
    expect(await post(path, ask)).toMatchObject({ status: 502 });
    await until(async () => (await post(path, ask)).status === 200);
    expect(issuer.requests.token).toBe(before + 1);
    expect(model.seen.at(-1)?.headers['authorization']).not.toBe(revoked);
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

  test.each([
    [
      'Azure',
      '/openai/deployments/NAME/chat/completions',
      '?api-version=2026-02-01',
      { model: 'NAME', messages: ask.messages },
    ],
    ['Azure, whose body says none', '/openai/deployments/NAME/chat/completions', '', { messages: ask.messages }],
    ['Azure’s embeddings', '/openai/deployments/NAME/embeddings', '', { input: 'a cat', model: 'NAME' }],
    ['KServe v1', '/v1/models/NAME:predict', '', { instances: ['a'] }],
    [
      'KServe v2',
      '/v2/models/NAME/infer',
      '',
      { model_name: 'NAME', inputs: [{ name: 'a', datatype: 'BYTES', shape: [1], data: ['a'] }] },
    ],
    [
      'a version of KServe v2',
      '/v2/models/NAME/versions/2/infer',
      '',
      { inputs: [{ name: 'a', datatype: 'BYTES', shape: [1], data: ['a'] }] },
    ],
    ['Triton', '/v2/models/NAME/generate', '', { text_input: 'a' }],
  ])('is a name in the path of %s, and in the body beside it', async (_name, at, query, body) => {
    const { model, post, record } = await start(', models: [{ name: support, as: "large-2" }] }');
    const named = (as: string): string => JSON.stringify(body).replaceAll('NAME', as);
    await post(at.replace('NAME', 'support') + query, JSON.parse(named('support')));
    expect(model.seen.map((one) => [one.path, one.body])).toEqual([
      [at.replace('NAME', 'large-2') + query, named('large-2')],
    ]);
    await post(at.replace('NAME', 'other') + query, JSON.parse(named('other')));
    expect(model.seen[1]).toMatchObject({ path: at.replace('NAME', 'other') + query, body: named('other') });
    const known = (await record()).filter((one) => one['type'] === 'start').map((one) => one['model']);
    expect(known).toEqual(['support', 'other']);
  });

  test.each([
    ['OpenAI', path, ask, { object: 'chat.completion', model: 'MODEL', choices: [] }],
    [
      'Responses',
      '/v1/responses',
      { model: 'support', input: 'a' },
      { id: 'r', object: 'response', status: 'completed', model: 'MODEL', output: [] },
    ],
    [
      'Anthropic',
      '/v1/messages',
      { ...ask, max_tokens: 9 },
      { id: 'm', type: 'message', role: 'assistant', model: 'MODEL', content: [], stop_reason: 'end_turn' },
    ],
    [
      'Ollama',
      '/api/chat',
      { ...ask, stream: false },
      { model: 'MODEL', message: { role: 'assistant', content: 'a' }, done: true },
    ],
    ['KServe', '/v2/models/support/generate', { text_input: 'a' }, { model_name: 'MODEL', text_output: 'a' }],
    [
      'Gemini',
      '/v1beta/models/support:generateContent',
      { contents: [{ parts: [{ text: 'a' }] }] },
      { candidates: [], modelVersion: 'MODEL' },
    ],
  ])('comes back from %s as its caller called it', async (_name, at, body, answer) => {
    const { model, post } = await start(', models: [{ name: support, as: "large-2" }] }');
    const say = (name: string): string => JSON.stringify(answer).replaceAll('MODEL', name);
    for (const [said, heard] of [
      ['large-2', 'support'],
      ['large-2-2026', 'large-2-2026'],
    ] as const) {
      model.script = answers(JSON.parse(say(said)));
      const got = await post(at, body);
      expect([got.status, got.text]).toEqual([200, say(heard)]);
    }
  });

  test('comes back so in a header', async () => {
    const { model, call } = await start(', models: [{ name: support, as: "large-2" }] }');
    const heard = async (said: string): Promise<string | null> => {
      model.script = (response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'openai-model': said });
        response.end(JSON.stringify({ object: 'chat.completion', model: said, choices: [] }));
      };
      const headers = { 'content-type': 'application/json' };
      const answer = await call('POST', path, { body: JSON.stringify(ask), headers });
      return String(answer.headers['openai-model']);
    };
    expect(await heard('large-2')).toBe('support');
    expect(await heard('large-2-2026')).toBe('large-2-2026');
  });

  test('comes back so in each event of a stream', async () => {
    const { model, post } = await start(', models: [{ name: support, as: "large-2" }] }');
    const chunk = (name: string, content: string): string =>
      `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', model: name, choices: [{ index: 0, delta: { content } }] })}\n\n`;
    const all = (name: string): string =>
      `${['a', ' b', ' c', ' d'].map((one) => chunk(name, one)).join('')}data: [DONE]\n\n`;
    model.script = streams(all('large-2'));
    expect((await post(path, { ...ask, stream: true })).text).toBe(all('support'));
    // Of who asked by that name nothing changes.
    expect((await post(path, { ...ask, model: 'large-2', stream: true })).text).toBe(all('large-2'));
  });

  test('stands in lists as its callers know it, where they may use it', async () => {
    const own = await start(', models: [{ name: support, as: "large-2" }, { name: board, as: "large-3" }] }');
    const rule = '    operations: [Chat, Completions, Embeddings, ListModels]\n';
    const yaml = basePolicy(
      own.issuer.url,
      '  upstream: { hosted: { url: "https://models.test", models: [{ name: support, as: "large-2" }, { name: board, as: "large-3" }] } }\n',
    );
    await own.setPolicy(yaml.replace(rule, `${rule}    models: [support, small]\n`));
    const entry = (id: string): object => ({ id, object: 'model' });
    own.model.script = answers({ object: 'list', data: ['large-2', 'large-3', 'small', 'tiny'].map(entry) });
    const list = await own.call('GET', '/v1/models');
    expect(JSON.parse(list.text)).toEqual({ object: 'list', data: ['support', 'small'].map(entry) });
    // Anthropic's pages name their ends as well, as where another page goes on from.
    const page = (data: string[], first: unknown, last: unknown): object => ({
      ...{ data: data.map(entry), has_more: true, first_id: first, last_id: last },
    });
    for (const [names, seen, first, last] of [
      [['tiny', 'large-2', 'small', 'large-3'], ['support', 'small'], 'large-2', 'small'],
      [['small', 'tiny'], ['small'], 'small', 'small'],
      [['tiny', 'large-3'], [], null, null],
    ] as const) {
      own.model.script = answers(page([...names], names[0], names.at(-1)));
      expect(JSON.parse((await own.call('GET', '/v1/models')).text)).toEqual(page([...seen], first, last));
    }
    own.model.script = answers({ ...page(['small'], 'tiny', { id: 'tiny' }) });
    expect((await own.call('GET', '/v1/models')).text).not.toContain('tiny');
    own.model.seen.length = 0;
    own.model.script = answers(entry('large-2'));
    expect(JSON.parse((await own.call('GET', '/v1/models/support')).text)).toEqual(entry('support'));
    expect(own.model.seen.map((one) => one.path)).toEqual(['/v1/models/large-2']);
    expect((await own.call('GET', '/v1/models/large-2')).status).toBe(403);
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

  test('is not named in the path or query of a route that nobody knows', async () => {
    const names =
      '  upstream: { hosted: { url: "https://models.test", models: [{ name: support, as: "large-2" }] } }\n';
    const open = '  - { name: other, effect: Allow, subjects: [{ group: ml-eng }], operations: [Other] }\n';
    const { model, call, setPolicy, issuer: own } = await start(' }');
    await setPolicy(basePolicy(own.url, open + names));
    const ask = async (target: string): Promise<unknown> => {
      const { status, text } = await call('POST', target, {
        body: '{}',
        headers: { 'content-type': 'application/json' },
      });
      return status === 200 ? 200 : text;
    };
    for (const target of [
      '/openai/deployments/support/other',
      '/x/support',
      '/x/supp%6Frt:tune',
      '/x?model=support',
      '/x?a=1;deployment[]=support',
    ])
      expect([target, await ask(target)]).toEqual([target, expect.stringContaining('upstream_unsupported')]);
    for (const target of ['/x/supporter', '/x?a=support', '/x?model=other'])
      expect([target, await ask(target)]).toEqual([target, 200]);
    expect(model.seen).toHaveLength(3);
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
