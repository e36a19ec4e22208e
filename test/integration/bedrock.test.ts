import { createHash, createHmac } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  BedrockRuntimeClient,
  ConverseCommand,
  CountTokensCommand,
  ConverseStreamCommand,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
} from '@aws-sdk/client-bedrock-runtime';
import type { BedrockRuntimeClientConfig, Message } from '@aws-sdk/client-bedrock-runtime';
import { recognise } from '../../pkg/dialect/index.ts';
import type { SeenRequest } from '../support/scripted-model.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld, withoutChance } from '../support/world.ts';

// AWS's own client, unchanged but for the endpoint, its credential (a bearer token) and who it trusts, through the whole sidecar.

const card = '4111 1111 1111 1111';
const text = `Pay ${card} or write to ana.maria@example.com today.`;
const masked = 'Pay [confidential] or write to [confidential] today.';
const modelId = 'anthropic.claude-sonnet-4-20250514-v1:0';
const messages: Message[] = [{ role: 'user', content: [{ text: 'hello' }] }];
const usage = { inputTokens: 3, outputTokens: 4, totalTokens: 7 };
const policyWith = (issuer: string, upstream: string): string =>
  basePolicy(
    issuer,
    `    limits: { maxOutputTokens: 64 }
  - { name: closed, effect: Deny, subjects: [{ group: ml-eng }], models: [secret] }
  classification:
  - { label: confidential, detectors: [CreditCard, Email], visibleTo: [], otherwise: Mask }
  guards:
  - { name: project, direction: Request, match: { words: [falcon] }, action: Block }
${upstream}`,
  );

/** AWS's handler of requests, with an authority of its own. */
const trusting = (ca: string): NonNullable<BedrockRuntimeClientConfig['requestHandler']> => ({
  handle: (sent: {
    readonly protocol: string;
    readonly hostname: string;
    readonly port?: number;
    readonly path: string;
    readonly method: string;
    readonly headers: Record<string, string>;
    readonly body?: string | Uint8Array;
  }) =>
    new Promise((resolve, reject) => {
      const { hostname, port, path, method, headers, body } = sent;
      const asked = httpsRequest({ host: hostname, port, path, method, headers, ca }, (response) =>
        resolve({ response: { statusCode: response.statusCode, headers: response.headers, body: response } } as never),
      );
      asked.on('error', reject);
      asked.end(body);
    }),
});

let world: World;
let client: BedrockRuntimeClient;
beforeAll(async () => {
  world = await startWorld({ policy: (issuer) => policyWith(issuer, '') });
  client = new BedrockRuntimeClient({
    region: 'eu-central-1',
    endpoint: world.url,
    token: { token: await world.token() },
    authSchemePreference: ['httpBearerAuth'],
    maxAttempts: 1,
    requestHandler: trusting(world.ca),
  });
});
afterAll(async () => {
  client.destroy();
  await world.close();
});

const pieces = (whole: string, size: number): string[] =>
  Array.from({ length: Math.ceil(whole.length / size) }, (_, at) => whole.slice(at * size, (at + 1) * size));
const answers =
  (body: unknown, status = 200) =>
  (response: ServerResponse): void => {
    response.statusCode = status;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(body));
  };
const streams =
  (...parts: string[]) =>
  (response: ServerResponse): void => {
    response.setHeader('content-type', 'application/vnd.amazon.eventstream');
    for (const part of parts) response.write(Buffer.from(part, 'latin1'));
    response.end();
  };
const framingOf = (kind: string): { frame(data: string, event?: string): string } =>
  recognise('POST', `/model/m/${kind}`).streams[0]!;
const event = (name: string, body: object): string => framingOf('converse-stream').frame(JSON.stringify(body), name);
const chunk = (body: object): string => framingOf('invoke-with-response-stream').frame(JSON.stringify(body));
const sentBody = (): unknown => JSON.parse(world.model.seen.at(-1)?.body ?? '');
const delta = (contentBlockIndex: number, piece: object): string =>
  event('contentBlockDelta', { contentBlockIndex, delta: piece, p: 'abcde' });

async function joined(): Promise<{ text: string; input: string; last: object | undefined }> {
  let said = '';
  let input = '';
  let last: object | undefined;
  const answer = await client.send(new ConverseStreamCommand({ modelId, messages }));
  for await (const one of answer.stream ?? []) {
    last = one;
    said += one.contentBlockDelta?.delta?.text ?? '';
    input += one.contentBlockDelta?.delta?.toolUse?.input ?? '';
  }
  return { text: said, input, last };
}

describe('a model by its ARN', () => {
  const arn = 'arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.anthropic.claude-3:0';
  const secret = 'arn:aws:bedrock:eu-central-1::foundation-model/secret';

  test('is called by its own name, and goes on by its ARN', async () => {
    world.model.script = answers({
      output: { message: { role: 'assistant', content: [{ text }] } },
      ...{ stopReason: 'end_turn', usage },
    });
    const answer = await client.send(new ConverseCommand({ modelId: arn, messages }));
    expect(answer.output?.message?.content).toEqual([{ text: masked }]);
    expect(world.model.seen.at(-1)?.path).toBe(`/model/${encodeURIComponent(arn)}/converse`);
    const starts = (await world.record()).filter((one) => one['type'] === 'start');
    expect(starts.at(-1)).toMatchObject({ dialect: 'bedrock', model: 'eu.anthropic.claude-3:0' });
  });

  test('is closed by a rule that names the model', async () => {
    const before = world.model.seen.length;
    await expect(client.send(new ConverseCommand({ modelId: secret, messages }))).rejects.toMatchObject({
      $metadata: { httpStatusCode: 403 },
    });
    expect(world.model.seen).toHaveLength(before);
  });
});

test('tokens are counted, and what is counted is guarded', async () => {
  world.model.script = answers({ inputTokens: 7 });
  const counting = (content: string): CountTokensCommand =>
    new CountTokensCommand({
      modelId,
      input: { converse: { messages: [{ role: 'user', content: [{ text: content }] }] } },
    });
  expect(await client.send(counting('hello'))).toMatchObject({ inputTokens: 7 });
  expect(sentBody()).toEqual({ input: { converse: { messages } } });
  const before = world.model.seen.length;
  await expect(client.send(counting('project falcon'))).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } });
  const body = new TextEncoder().encode(JSON.stringify({ prompt: 'hi' }));
  const invoked = new CountTokensCommand({ modelId, input: { invokeModel: { body } } });
  await expect(client.send(invoked)).rejects.toMatchObject({ $metadata: { httpStatusCode: 400 } });
  expect(world.model.seen).toHaveLength(before);
});

describe("another vendor's body at invoke", () => {
  const llama = 'us.meta.llama3-1-70b-instruct-v1:0';
  const invoked = { modelId: llama, contentType: 'application/json', accept: 'application/json' };

  test('is masked and limited', async () => {
    world.model.script = answers({ generation: text, prompt_token_count: 3, stop_reason: 'stop' });
    const body = JSON.stringify({ prompt: 'hello' });
    const answer = await client.send(new InvokeModelCommand({ ...invoked, body }));
    expect(JSON.parse(answer.body.transformToString())).toMatchObject({ generation: masked });
    expect(sentBody()).toEqual({ prompt: 'hello', max_gen_len: 64 });
  });

  test.each([1, 500])('is masked in chunks of %i characters', async (size) => {
    world.model.script = streams(
      ...pieces(text, size).map((generation) => chunk({ generation, stop_reason: null })),
      chunk({ generation: '', stop_reason: 'stop' }),
    );
    const body = JSON.stringify({ prompt: 'hello' });
    const answer = await client.send(new InvokeModelWithResponseStreamCommand({ ...invoked, body }));
    let said = '';
    for await (const one of answer.body ?? [])
      said += (JSON.parse(Buffer.from(one.chunk?.bytes ?? []).toString()) as { generation: string }).generation;
    expect(said).toBe(masked);
  });
});

describe('Converse', () => {
  test('is masked, limited and recorded', async () => {
    world.model.script = answers({
      output: {
        message: {
          role: 'assistant',
          content: [{ text }, { toolUse: { toolUseId: 't', name: 'pay', input: { card } } }],
        },
      },
      ...{ stopReason: 'tool_use', usage, metrics: { latencyMs: 1 } },
    });
    const answer = await client.send(new ConverseCommand({ modelId, messages }));
    const content = answer.output?.message?.content;
    expect(content?.[0]?.text).toBe(masked);
    expect(content?.[1]?.toolUse?.input).toEqual({ card: '[confidential]' });
    expect(sentBody()).toMatchObject({ inferenceConfig: { maxTokens: 64 } });
    expect(decodeURIComponent(world.model.seen.at(-1)?.path ?? '')).toBe(`/model/${modelId}/converse`);
    expect(world.model.seen.at(-1)?.headers['authorization']).toBeUndefined();
    const record = await world.record();
    expect(withoutChance(JSON.stringify(record))).not.toContain('4111');
    expect(record.findLast((one) => one['dialect'] === 'bedrock')).toMatchObject({ operation: 'Chat', model: modelId });
  });

  test.each([1, 3, 500])('is masked in events of %i characters', async (size) => {
    world.model.script = streams(
      event('messageStart', { role: 'assistant' }),
      ...pieces(text, size).map((piece) => delta(0, { text: piece })),
      event('contentBlockStop', { contentBlockIndex: 0 }),
      event('contentBlockStart', { contentBlockIndex: 1, start: { toolUse: { toolUseId: 't', name: 'pay' } } }),
      ...pieces(JSON.stringify({ card }), size).map((piece) => delta(1, { toolUse: { input: piece } })),
      event('messageStop', { stopReason: 'tool_use' }),
      event('metadata', { usage, metrics: { latencyMs: 1 } }),
    );
    const answer = await joined();
    expect(answer).toMatchObject({ text: masked, last: { metadata: { usage } } });
    expect(JSON.parse(answer.input)).toEqual({ card: '[confidential]' });
  });

  test('that is refused is an exception of the client', async () => {
    const falcon: Message[] = [{ role: 'user', content: [{ text: 'project falcon' }] }];
    await expect(client.send(new ConverseCommand({ modelId, messages: falcon }))).rejects.toMatchObject({
      ...{ name: 'guard_blocked', $metadata: { httpStatusCode: 403 } },
    });
    await expect(client.send(new ConverseStreamCommand({ modelId: 'secret', messages }))).rejects.toMatchObject({
      $metadata: { httpStatusCode: 403 },
    });
  });

  test.each([
    ['that the model breaks off', event('throttlingException', { message: 'slow' }), 'ThrottlingException', 'slow'],
    ['that cannot be read', event('newEvent', {}), 'ModelStreamErrorException', 'cannot be inspected'],
    ['whose message is damaged', `${event('messageStop', {}).slice(0, -1)}x`, 'ModelStreamErrorException', 'inspected'],
  ])('%s is an exception of the client, whatever came before', async (_, rest, name, message) => {
    world.model.script = streams(event('messageStart', { role: 'assistant' }), delta(0, { text: 'Well. ' }), rest);
    await expect(joined()).rejects.toMatchObject({ name, message: expect.stringContaining(message) });
  });
});

describe("Anthropic's messages by invoke", () => {
  const ask = {
    anthropic_version: 'bedrock-2023-05-31',
    max_tokens: 50,
    messages: [{ role: 'user', content: 'hello' }],
  };
  const invoke = { modelId, contentType: 'application/json', body: JSON.stringify(ask) };

  test('are masked and limited', async () => {
    const said = { type: 'message', role: 'assistant', content: [{ type: 'text', text }], stop_reason: 'end_turn' };
    world.model.script = answers(said);
    const answer = await client.send(new InvokeModelCommand(invoke));
    expect(JSON.parse(answer.body.transformToString())).toEqual({ ...said, content: [{ type: 'text', text: masked }] });
    expect(sentBody()).toEqual(ask);
    const { max_tokens: _, ...unlimited } = ask;
    await client.send(new InvokeModelCommand({ ...invoke, body: JSON.stringify(unlimited) }));
    expect(sentBody()).toEqual({ ...ask, max_tokens: 64 });
  });

  test.each([1, 3, 500])('are masked in chunks of %i characters', async (size) => {
    world.model.script = streams(
      chunk({ type: 'message_start', message: { type: 'message', role: 'assistant', content: [] } }),
      chunk({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }),
      ...pieces(text, size).map((piece) =>
        chunk({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: piece } }),
      ),
      chunk({ type: 'content_block_stop', index: 0 }),
      chunk({ type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 4 } }),
      chunk({ type: 'message_stop', 'amazon-bedrock-invocationMetrics': { inputTokenCount: 3 } }),
    );
    const answer = await client.send(new InvokeModelWithResponseStreamCommand(invoke));
    let said = '';
    for await (const { chunk: one } of answer.body ?? []) {
      const body = JSON.parse(Buffer.from(one?.bytes ?? []).toString('utf8')) as { delta?: { text?: string } };
      said += body.delta?.text ?? '';
    }
    expect(said).toBe(masked);
  });

  test('that name a guardrail in a header are refused, since it does not go on, and Converse has a field for it', async () => {
    const seen = world.model.seen.length;
    for (const guard of [{ guardrailIdentifier: 'g1', guardrailVersion: '1' }, { guardrailVersion: '1' }])
      await expect(client.send(new InvokeModelCommand({ ...invoke, ...guard }))).rejects.toMatchObject({
        $metadata: { httpStatusCode: 400 },
      });
    const headers = { 'X-Amzn-Bedrock-GuardrailIdentifier': 'g1' };
    const { text } = await world.post(`/model/${modelId}/invoke`, JSON.parse(invoke.body) as object, { headers });
    expect(JSON.parse(text)).toMatchObject({ code: 'invalid_request', param: 'x-amzn-bedrock-guardrailidentifier' });
    expect(world.model.seen).toHaveLength(seen);
    world.model.script = answers({ type: 'message', content: [], stop_reason: 'end_turn' });
    await client.send(new InvokeModelCommand({ ...invoke, trace: 'ENABLED' }));
    expect(Object.keys(world.model.seen.at(-1)?.headers ?? {}).filter((name) => name.startsWith('x-amzn'))).toEqual([]);
    world.model.script = answers({ output: { message: { role: 'assistant', content: [] } }, stopReason: 'end_turn' });
    const guardrailConfig = { guardrailIdentifier: 'g1', guardrailVersion: '1' };
    await client.send(new ConverseCommand({ modelId, messages, guardrailConfig }));
    expect(sentBody()).toMatchObject({ guardrailConfig });
  });

  test('are the only bodies that are taken', async () => {
    const seen = world.model.seen.length;
    const body = JSON.stringify({ inputText: 'hello' });
    await expect(client.send(new InvokeModelCommand({ ...invoke, body }))).rejects.toMatchObject({
      $metadata: { httpStatusCode: 400 },
    });
    expect(world.model.seen).toHaveLength(seen);
  });
});

const secret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';

/** What AWS computes of a request that came (Signature Version 4): each segment of the path is encoded once more. */
function authorizationOf({ path, headers, body }: SeenRequest, key: string): string {
  const names = ['content-type', 'host', 'x-amz-content-sha256', 'x-amz-date'];
  const [, scope = ''] = /Credential=AKIDEXAMPLE\/([^,]*)/.exec(String(headers['authorization'])) ?? [];
  const sha = (data: string): string => createHash('sha256').update(data).digest('hex');
  const canonical = [
    ...['POST', path.split('/').map(encodeURIComponent).join('/'), ''],
    ...names.map((name) => `${name}:${String(headers[name])}`),
    ...['', names.join(';'), sha(body)],
  ].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, sha(canonical)].join('\n');
  const hmac = (by: string | Buffer, data: string): Buffer => createHmac('sha256', by).update(data).digest();
  const signing = scope.split('/').reduce<string | Buffer>((by, part) => hmac(by, part), `AWS4${key}`);
  const signature = hmac(signing, toSign).toString('hex');
  return `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
}

test.each([
  ['jamba', 'ai21.jamba-1-5-mini-v1:0'],
  // The name by which its callers know it is nobody's.
  ['amazon.nova-of-ours', 'us.ai21.jamba-1-5-mini-v1:0'],
  ['jamba', 'arn:aws:bedrock:us-east-1::foundation-model/ai21.jamba-1-5-mini-v1:0'],
])('%s is read as what the endpoint calls it: %s', async (name, as) => {
  const upstream = `  upstream: { hosted: { url: "https://models.test", models: [{ name: "${name}", as: "${as}" }] } }\n`;
  const hosted = await startWorld({ policy: (issuer) => policyWith(issuer, upstream) });
  try {
    hosted.model.script = answers({
      choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }],
    });
    const body = { messages: [{ role: 'user', content: 'hello' }] };
    // A body of Nova's, which Jamba would take for its own and not be limited by.
    const novas = { ...body, schemaVersion: 'messages-v1' };
    expect([(await hosted.post(`/model/${name}/invoke`, novas)).status, hosted.model.seen.length]).toEqual([400, 0]);
    const answer = await hosted.post(`/model/${name}/invoke`, body);
    expect([answer.status, answer.text.includes(masked)]).toEqual([200, true]);
    expect(JSON.parse(hosted.model.seen[0]?.body ?? '')).toEqual({ ...body, max_tokens: 64 });
  } finally {
    await hosted.close();
  }
});

test('an endpoint gets its own name of the model, and a signature over what is sent', async () => {
  const signed =
    '  upstream: { hosted: { url: "https://models.test", models: [{ name: claude, as: "eu.anthropic.claude-v1:0" }] }, ' +
    'credential: { file: credential, sigV4: { region: eu-central-1, service: bedrock } } }\n';
  const hosted = await startWorld({
    policy: (issuer) => policyWith(issuer, signed),
    credential: `AKIDEXAMPLE:${secret}`,
  });
  try {
    hosted.model.script = answers({
      output: { message: { role: 'assistant', content: [{ text }] } },
      stopReason: 'end_turn',
    });
    const answer = await hosted.post('/model/claude/converse', { messages });
    expect([answer.status, answer.text.includes(masked)]).toEqual([200, true]);
    const [seen] = hosted.model.seen;
    expect(seen?.path).toBe('/model/eu.anthropic.claude-v1%3A0/converse');
    expect(seen?.headers['authorization']).toBe(authorizationOf(seen!, secret));
    const named = (await hosted.record()).filter((one) => one['type'] === 'start').map((one) => one['model']);
    expect(named).toEqual(['claude']);
  } finally {
    await hosted.close();
  }
});
