import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

const chat = { model: 'llama-3-8b', messages: [{ role: 'user', content: 'hello' }] };

describe('who may do what', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({
      policy: (issuer) =>
        basePolicy(
          issuer,
          `  - name: only-small
    effect: Allow
    subjects: [{ group: interns }]
    operations: [Chat]
    models: ["llama-3-*"]
  - name: never-this-one
    effect: Deny
    subjects: [{ group: ml-eng }]
    operations: [Chat, Completions, Embeddings]
    models: ["secret-*"]
  - name: no-big
    effect: Deny
    subjects: [{ group: guests }]
    models: ["big-*"]
  - name: no-bots
    effect: Deny
    subjects: [{ group: bots }]
    models: ["*"]
  - name: probes
    effect: Allow
    subjects: [{ anyone: true }]
    operations: [Health]
`,
        ),
    });
  });
  afterAll(() => world.close());
  afterEach(() => {
    world.model.seen.length = 0;
  });

  const refusals: readonly (readonly [string, () => Promise<{ status: number; text: string }>, number, string])[] = [
    ['no token', () => world.post('/v1/chat/completions', chat, { token: null }), 401, 'token_missing'],
    [
      'a token for another audience',
      async () => world.post('/v1/chat/completions', chat, { token: await world.token({ aud: 'billing' }) }),
      401,
      'token_invalid',
    ],
    [
      'an expired token',
      async () => world.post('/v1/chat/completions', chat, { token: await world.token({ expiresIn: -600 }) }),
      401,
      'token_expired',
    ],
    [
      'no token at all, only words',
      () => world.post('/v1/chat/completions', chat, { token: 'abc' }),
      401,
      'token_invalid',
    ],
    [
      'a group that no rule names',
      async () => world.post('/v1/chat/completions', chat, { token: await world.token({ groups: ['sales'] }) }),
      403,
      'access_denied',
    ],
    [
      'a group that a rule keeps from other models, and none allows',
      async () => world.post('/v1/chat/completions', chat, { token: await world.token({ groups: ['guests'] }) }),
      403,
      'access_denied',
    ],
    [
      'a group that a rule keeps from every model',
      async () => world.post('/v1/chat/completions', chat, { token: await world.token({ groups: ['bots'] }) }),
      403,
      'rule_denied',
    ],
    [
      'a model that a rule denies',
      () => world.post('/v1/chat/completions', { ...chat, model: 'secret-1' }),
      403,
      'rule_denied',
    ],
    [
      'a model outside of the glob',
      async () =>
        world.post(
          '/v1/chat/completions',
          { ...chat, model: 'gpt-4' },
          { token: await world.token({ groups: ['interns'] }) },
        ),
      403,
      'access_denied',
    ],
    [
      'an operation outside of the rule',
      async () =>
        world.post(
          '/v1/embeddings',
          { model: 'llama-3-8b', input: 'x' },
          { token: await world.token({ groups: ['interns'] }) },
        ),
      403,
      'access_denied',
    ],
    ['an unknown route', () => world.post('/v1/unknown', {}), 403, 'access_denied'],
    ['a management route', () => world.post('/v1/load_lora_adapter', { lora_name: 'x' }), 403, 'access_denied'],
    ['metrics, which nobody opened', () => world.call('GET', '/metrics', { token: null }), 401, 'token_missing'],
    [
      'two different credentials',
      () => world.post('/v1/chat/completions', chat, { headers: { 'x-api-key': 'another' } }),
      400,
      'conflicting_credentials',
    ],
    ['a path with an encoded slash', () => world.post('/v1%2fchat/completions', chat), 400, 'invalid_path'],
    ['a path with dot segments', () => world.post('/v1/x/../chat/completions', chat), 400, 'invalid_path'],
    [
      'JSON with a key twice',
      () => world.post('/v1/chat/completions', '{"model":"llama-3-8b","model":"secret-1","messages":[]}'),
      400,
      'invalid_json',
    ],
    ['JSON that is cut off', () => world.post('/v1/chat/completions', '{"model":"llama-3-8b"'), 400, 'invalid_json'],
    ['a body that is no object', () => world.post('/v1/chat/completions', '[]'), 400, 'invalid_request'],
    [
      'messages that are no list',
      () => world.post('/v1/chat/completions', { model: 'llama-3-8b', messages: 'x' }),
      400,
      'invalid_request',
    ],
    [
      'a body in another encoding',
      () =>
        world.call('POST', '/v1/chat/completions', {
          body: Buffer.from([0x7b, 0xff, 0x7d]),
          headers: { 'content-type': 'application/json' },
        }),
      400,
      'invalid_encoding',
    ],
    [
      'a body that is not JSON',
      () =>
        world.call('POST', '/v1/chat/completions', {
          body: 'a=b',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
        }),
      415,
      'unsupported_media_type',
    ],
  ];

  test.each(refusals)('%s is refused with a clear error and the model sees nothing', async (_, ask, status, code) => {
    const answer = await ask();
    expect([answer.status, (JSON.parse(answer.text) as { error: { code: string } }).error.code]).toEqual([
      status,
      code,
    ]);
    expect(world.model.seen).toEqual([]);
  });

  test.each(['/v1/unknown/', '/v1/models/'])(
    'of a stranger’s long path under %s the record has the first 256 characters',
    async (under) => {
      const path = under + 'a'.repeat(8_000);
      const answer = await world.call('GET', path, { token: null });
      expect([answer.status, world.model.seen]).toEqual([401, []]);
      const start = (await world.record()).find((event) => event['session'] === answer.headers['x-request-id']);
      expect(start?.['path']).toBe(`${path.slice(0, 256)}…`);
    },
  );

  test('an allowed request reaches the model with the path and body that came', async () => {
    const answer = await world.post('/v1/chat/completions', chat);
    expect(answer.status).toBe(200);
    expect(world.model.seen).toMatchObject([
      { method: 'POST', path: '/v1/chat/completions', body: JSON.stringify(chat) },
    ]);
  });

  test('anyone may do what a rule opens to anyone', async () => {
    expect((await world.call('GET', '/health', { token: null })).status).toBe(200);
  });

  test('the caller’s credential, cookies and hop-by-hop headers never reach the model', async () => {
    await world.post('/v1/chat/completions', chat, {
      headers: {
        cookie: 'session=1',
        'x-api-key': await world.token(),
        'proxy-authorization': 'Basic x',
        'x-forwarded-for': '1.2.3.4',
      },
      token: null,
    });
    const headers = world.model.seen[0]?.headers ?? {};
    for (const name of ['authorization', 'cookie', 'x-api-key', 'proxy-authorization', 'x-forwarded-for'])
      expect(headers[name]).toBeUndefined();
  });

  test('a list of models names only those that the caller may use', async () => {
    world.model.script = (response) => {
      response.setHeader('content-type', 'application/json');
      response.end(
        '{"object":"list","data":[{"id":"secret-1","object":"model"}, {"id":"llama-3-8b","object":"model"},{"id":"secret-2","object":"model"}]}',
      );
    };
    const answer = await world.call('GET', '/v1/models');
    expect((JSON.parse(answer.text) as { data: { id: string }[] }).data.map((one) => one.id)).toEqual(['llama-3-8b']);
  });

  test('of a model server that lists them twice, both lists name only those', async () => {
    world.model.script = (response) => {
      response.setHeader('content-type', 'application/json');
      response.end(
        '{"models":[{"name":"llama-3-8b","model":"llama-3-8b"},{"name":"secret-1","model":"secret-1"}],"object":"list","data":[{"id":"secret-1","object":"model"},{"id":"secret-2"}, {"id":"llama-3-8b","object":"model"}]}',
      );
    };
    const answer = await world.call('GET', '/v1/models');
    expect(answer.text).not.toContain('secret');
    const { models, data } = JSON.parse(answer.text) as { models: { name: string }[]; data: { id: string }[] };
    expect([models.map((one) => one.name), data.map((one) => one.id)]).toEqual([['llama-3-8b'], ['llama-3-8b']]);
  });

  test.each([
    ['in the query', '/v1/chat/completions?model=gpt-4o', {}, 'query'],
    ['in the query, escaped', '/v1/chat/completions?%6dodel=gpt-4o', { stream: true }, 'query'],
    ['in a list', '/v1/chat/completions', { model: 'llama-3-none,gpt-4o', fastest_response: true }, 'fastest_response'],
    ['of a router', '/v1/chat/completions', { router_settings_override: {} }, 'router_settings_override'],
  ])('another model %s is refused, and no model sees it', async (_, path, more, param) => {
    const answer = await world.post(path, { ...chat, ...more });
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text)).toMatchObject({ error: { code: 'invalid_request', param } });
    expect(world.model.seen).toEqual([]);
  });

  test('every refusal is an OpenAI error with a request id, and is counted', async () => {
    const answer = await world.post('/v1/chat/completions', chat, { token: null });
    expect(JSON.parse(answer.text)).toMatchObject({
      error: { code: 'token_missing', request_id: answer.headers['x-request-id'] },
    });
    expect(answer.headers['www-authenticate']).toContain('Bearer');
    expect(await world.metrics()).toMatch(
      /sidegate_requests_total\{operation="Chat",code="token_missing",decision="refused"\} [1-9]/,
    );
  });
});

describe('rules that open something to anyone', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({
      policy: (issuer) =>
        basePolicy(
          issuer,
          '  - { name: open-models, effect: Allow, subjects: [{ anyone: true }], operations: [Chat], models: ["open-*"] }\n',
        ),
    });
  });
  afterAll(() => world.close());

  test('hold for the models that they name, and for no other', async () => {
    expect((await world.post('/v1/chat/completions', { ...chat, model: 'open-1' }, { token: null })).status).toBe(200);
    expect((await world.post('/v1/chat/completions', chat, { token: null })).status).toBe(401);
  });

  test('do not make the sidecar read the body of a stranger’s request to anything else', async () => {
    const answer = await world.call('POST', '/v1/embeddings', { token: null, body: 'x'.repeat(1_000_000) });
    expect(answer.status).toBe(401);
    expect(await world.metrics()).toMatch(/sidegate_received_bytes_total (\d{1,4})\n/);
  });
});
