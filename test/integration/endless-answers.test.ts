import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// Where no field is known by which a request limits its answer, a rule that limits output does not let it by.

const limited = '    limits: { maxOutputTokens: 5 }\n';
const described = `  routes:
  - { path: /stories, operation: Completions, request: { texts: [$.prompt] }, response: { texts: [$.story] } }
  - { path: /vectors, operation: Embeddings, request: { texts: [$.prompt] }, response: { texts: [$.story] } }
`;
const tensor = { name: 'a', datatype: 'BYTES', shape: [1], data: ['hello'] };
const asks: readonly (readonly [string, object])[] = [
  ['/v1/models/m:predict', { instances: ['hello'] }],
  ['/v2/models/m/infer', { inputs: [tensor] }],
  ['/v2/models/m/generate', { text_input: 'hello' }],
  ['/v2/models/m/generate_stream', { text_input: 'hello' }],
  ['/stories', { prompt: 'hello' }],
];

let world: World;
beforeAll(async () => {
  world = await startWorld({ policy: (issuer) => basePolicy(issuer, limited + described) });
  world.model.script = (response) => {
    response.setHeader('content-type', 'application/json');
    response.end('{}');
  };
});
afterAll(() => world.close());

const reached = async (path: string, body: object): Promise<boolean> => {
  const before = world.model.seen.length;
  const { status, text } = await world.post(path, body);
  const got = world.model.seen.length > before;
  if (!got) expect([status, text]).toEqual([400, expect.stringContaining('More output tokens')]);
  return got;
};

describe('where a rule limits output', () => {
  test.each(asks)('%s is refused', async (path, body) => {
    expect(await reached(path, body)).toBe(false);
  });

  test('what writes nothing passes, and so does what can be limited', async () => {
    expect(await reached('/vectors', { prompt: 'hello' })).toBe(true);
    expect(await reached('/v1/chat/completions', { model: 'm', messages: [{ role: 'user', content: 'a' }] })).toBe(
      true,
    );
    expect(world.model.seen.at(-1)?.body).toContain('"max_tokens":5');
  });
});

describe('where none does', () => {
  beforeAll(() => world.setPolicy(basePolicy(world.issuer.url, described)));

  test.each(asks)('%s passes', async (path, body) => {
    expect(await reached(path, body)).toBe(true);
  });
});
