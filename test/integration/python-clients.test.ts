import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sayOnEveryApi } from '../support/every-api.ts';
import { elements, saying, startGrpcModel, textsOf } from '../support/grpc-model.ts';
import type { GrpcModel, Message } from '../support/grpc-model.ts';
import { findPython, runPythonClient } from '../support/python-environments.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// Python's own clients, unchanged but for the base URL and the authority that they trust, through the whole sidecar.

const card = '4111 1111 1111 1111';
const text = `Pay ${card} or write to ana.maria@example.com today.`;
const masked = 'Pay [confidential] or write to [confidential] today.';
const tool = { note: masked };
/** Interpreters start and import for long beside other tests. */
const patience = 240_000;

test('each of them has one version, and comes from a registry', () => {
  const lines = readFileSync(join(import.meta.dirname, '../clients/requirements.txt'), 'utf8')
    .trim()
    .split('\n');
  const packages = lines.filter((line) => !line.startsWith('#'));
  expect(packages.filter((line) => !/^[A-Za-z0-9_.-]+==[A-Za-z0-9.]+$/.test(line))).toEqual([]);
  for (const name of ['openai', 'anthropic', 'langchain-openai', 'litellm', 'tritonclient'])
    expect(packages.filter((line) => line.startsWith(`${name}==`))).toHaveLength(1);
});

const throughTheSidecar = (interpreter: string): void => {
  let world: World;
  let rpc: GrpcModel;
  /** Prompts that were answered with 503 once. */
  let busy: number;
  beforeAll(async () => {
    rpc = await startGrpcModel();
    world = await startWorld({
      rpcUrl: rpc.url,
      policy: (issuer) =>
        basePolicy(
          issuer,
          `  classification:
  - { label: confidential, detectors: [CreditCard, Email], visibleTo: [], otherwise: Mask }
  guards:
  - { name: project, direction: Request, match: { words: [falcon] }, action: Block }
`,
        ),
    });
    busy = 0;
    world.model.script = (response, request) => {
      if (request.path.startsWith('/v2/models/')) return triton(response, request.path);
      if (request.body.includes('"busy"') && busy++ === 0) {
        response.writeHead(503, { 'content-type': 'application/json', 'retry-after': '1' });
        response.end('{"error":{"message":"loading","type":"unavailable"}}');
        return;
      }
      sayOnEveryApi(text, response, request);
    };
    rpc.infer = (_call, answer) => answer(null, saying('', spoken(text)));
    rpc.stream = (call) => {
      call.on('data', (request: Message) => {
        for (const [at, piece] of [
          'Pay 4111 11',
          '11 1111 1111 or write to ana.',
          'maria@example.com today.',
        ].entries())
          call.write({
            infer_response: {
              ...spoken(piece),
              id: request['id'],
              parameters: { triton_final_response: { bool_param: at === 2 } },
            },
          });
      });
      call.on('end', () => call.end());
    };
  });
  afterAll(async () => {
    await world.close();
    rpc.close();
  });

  const scores = Buffer.from(new Float32Array([1.5, -2, 0.25]).buffer);
  const spoken = (said: string): Message => ({
    model_name: 'm',
    outputs: [
      { name: 'text', datatype: 'BYTES', shape: [1] },
      { name: 'score', datatype: 'FP32', shape: [3] },
    ],
    raw_output_contents: [elements(said), scores],
  });
  /** Triton's REST: tensors behind the JSON where the request wants them so. */
  function triton(response: Parameters<typeof sayOnEveryApi>[1], path: string): void {
    const seen = world.model.seen.at(-1);
    if (!path.endsWith('/infer')) {
      response.setHeader('content-type', 'application/json');
      response.end(path.endsWith('/ready') ? '' : JSON.stringify({ name: 'm', versions: ['1'], platform: 'p' }));
      return;
    }
    const length = Number(seen?.headers['inference-header-content-length'] ?? seen?.bytes.length);
    const asked = seen?.bytes.toString('utf8', 0, length) ?? '';
    // Without a list of outputs the client says of all at once that they are to be binary.
    const binary = /"binary_data(_output)?": ?true/.test(asked);
    const bytes = elements(text);
    const tensor = (name: string, datatype: string, size: number, shape: number, values: unknown): object => ({
      ...{ name, datatype, shape: [shape] },
      ...(binary ? { parameters: { binary_data_size: size } } : { data: values }),
    });
    const outputs = [
      tensor('text', 'BYTES', bytes.length, 1, [text]),
      tensor('score', 'FP32', scores.length, 3, [1.5, -2, 0.25]),
    ];
    const head = Buffer.from(JSON.stringify({ model_name: 'm', model_version: '1', outputs }));
    if (binary) response.setHeader('inference-header-content-length', String(head.length));
    response.setHeader('content-type', binary ? 'application/octet-stream' : 'application/json');
    response.end(binary ? Buffer.concat([head, bytes, scores]) : head);
  }

  const run = async (name: string): Promise<Readonly<Record<string, unknown>>> =>
    runPythonClient(interpreter, name, world, [world.url, await world.token()]);
  /** How often each prompt came to the model. */
  const prompts = (word: string): number => world.model.seen.filter(({ body }) => body.includes(word)).length;

  test(
    'openai',
    async () => {
      expect(await run('openai')).toEqual({
        ...{ chat: masked, stream: masked, tool, toolStream: tool, embedding: [0.5, -1], models: ['m'] },
        ...{ response: masked, responseStream: masked, responseEnd: masked, retried: masked },
        refused: ['PermissionDeniedError', 403, 'guard_blocked'],
        stranger: ['AuthenticationError', 401, 'token_invalid'],
      });
      // What passes is tried again, what is final is not.
      expect([prompts('busy'), prompts('falcon')]).toEqual([2, 0]);
      const refused = (await world.record()).filter((one) => one['code'] === 'guard_blocked');
      expect(refused).toHaveLength(1);
    },
    patience,
  );

  test(
    'anthropic',
    async () => {
      busy = 0;
      const before = prompts('busy');
      expect(await run('anthropic')).toEqual({
        ...{ message: masked, stream: masked, end: 'end_turn', tool: [tool], count: 7, retried: masked },
        refused: ['PermissionDeniedError', 403, 'permission_error', 'guard_blocked'],
        stranger: ['AuthenticationError', 401, 'authentication_error', 'token_invalid'],
      });
      expect([prompts('busy') - before, prompts('falcon')]).toEqual([2, 0]);
    },
    patience,
  );

  test(
    'langchain-openai',
    async () => {
      expect(await run('langchain')).toEqual({
        ...{ chat: masked, stream: masked, tool: [tool], toolStream: [tool], embedding: [0.5, -1] },
        refused: ['OpenAIPermissionDeniedError', 403, 'guard_blocked'],
      });
    },
    patience,
  );

  test(
    'litellm',
    async () => {
      const said = { chat: masked, stream: masked };
      expect(await run('litellm')).toEqual({
        openai: { ...said, refused: [expect.any(String), 403, true] },
        anthropic: { ...said, refused: [expect.any(String), 403, true] },
        ollama: { ...said, refused: [expect.any(String), 403, true] },
        ...{ tool, embedding: [0.5, -1] },
      });
      expect(prompts('falcon')).toBe(0);
    },
    patience,
  );

  test(
    'ollama, cohere, google-genai and huggingface-hub',
    async () => {
      const said = { chat: masked, stream: masked };
      expect(await run('others')).toEqual({
        ollama: { ...said, refused: ['ResponseError', 403] },
        cohere: { ...said, refused: ['ForbiddenError', 403] },
        gemini: { ...said, refused: ['ClientError', 403] },
        huggingface: { ...said, refused: [expect.any(String), 403] },
        tgi: { chat: masked },
      });
      expect(prompts('falcon')).toBe(0);
    },
    patience,
  );

  test(
    'tritonclient',
    async () => {
      const answer = [masked, [1.5, -2, 0.25]];
      const out = await runPythonClient(interpreter, 'triton', world, [String(world.port), await world.token()]);
      expect(out).toEqual({
        ...{ binary: answer, json: answer, async: answer, metadata: 'm', ready: true },
        refused: ['403', expect.any(String)],
        unload: ['403', expect.objectContaining({ code: 'access_denied' })],
        ...{ rpc: answer, rpcReady: true, rpcMetadata: 'm', rpcStream: masked },
        rpcRefused: ['StatusCode.PERMISSION_DENIED', expect.any(String)],
        rpcUnload: ['StatusCode.PERMISSION_DENIED', expect.any(String)],
        rpcStreamRefused: ['A guard refused the content of this request.'],
      });
      expect(prompts('falcon')).toBe(0);
      // Numbers of the prompts went on as they were.
      const seen = rpc.seen.filter(({ method }) => method === 'ModelInfer').at(-1)?.request[
        'raw_input_contents'
      ] as Buffer[];
      expect([textsOf(seen[0] ?? Buffer.alloc(0)), seen[1]]).toEqual([['hello'], scores]);
    },
    patience,
  );
};

const python = findPython('clients');
if (python !== undefined) describe('through the sidecar', () => throughTheSidecar(python));
