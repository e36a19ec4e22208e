import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { reasons } from '../../../pkg/core/index.ts';
import { answerChat, chunk } from '../../support/scripted-model.ts';
import { until } from '../../support/wait.ts';
import type { Answer, World } from '../../support/world.ts';
import { basePolicy, startWorld } from '../../support/world.ts';

// Generated answers through the whole sidecar: whatever the model sends, the caller gets frames or JSON that can be read, nothing of the card in
// them, and an end: the model's own, or an error of a known code behind which nothing comes.

const runs = Number(process.env['FUZZ_RUNS'] ?? 200);
const path = '/v1/chat/completions';
const ask = { model: 'llama-3-8b', messages: [{ role: 'user', content: 'hello' }] };
const card = '4111111111111111';

let world: World;
beforeAll(async () => {
  world = await startWorld({
    policy: (issuer) =>
      basePolicy(
        issuer,
        `  classification:
  - { label: confidential, detectors: [CreditCard, Email], fields: ["**.ssn"], visibleTo: [], otherwise: Mask }
`,
      ),
  });
});
afterAll(() => world.close());
afterEach(async () => {
  world.model.script = answerChat('hello');
  expect((await world.post(path, ask)).status).toBe(200);
  await until(() => world.sidecar.live === 0);
});

/** An error of ours: never that the sidecar itself failed. */
function expectKnown(code: string | undefined): void {
  expect(reasons).toHaveProperty(code ?? 'none');
  expect(code).not.toBe('internal_error');
}
const codeOf = (text: string): string | undefined => /"code":"(\w+)"/.exec(text)?.[1];

const text = fc.constantFrom(
  ...[
    ' 4111',
    ' 1111',
    ' 11111111',
    ' 4111 1111 1111 111',
    ` ${card}`,
    ' ana@exam',
    'ple.com',
    ' so ',
    '"',
    '\\',
    '\n',
    'é😀',
  ],
  ...['{"ssn": ', '{"a": "', '"}', '[', '', '\u200b', '\ud83d', 'x'.repeat(2_000)],
);
const frame = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(text, fc.nat(1)).map(([content, index]) => chunk({ content }, null, index)) },
  {
    weight: 2,
    arbitrary: text.map((args) => chunk({ tool_calls: [{ index: 0, function: { name: 'f', arguments: args } }] })),
  },
  text.map((piece) => chunk({ reasoning: piece, refusal: piece, x: { [piece]: piece } })),
  fc.constantFrom('stop', 'length', 'zz').map((finish) => chunk({}, finish)),
  fc.constantFrom(
    ...[
      'data: [DONE]\n\n',
      ': ping\n\n',
      'data: {}\n\n',
      'data:\n\n',
      '\n\n',
      'data: null\n\n',
      'data: {"choices":[]}\n\n',
    ],
    ...['data: {"choices":[{"index":0,"delta":{"content":"a"}},{"index":0}]}\n\n', 'retry: 5\n\n', `id: ${card}\n\n`],
    `event: error\ndata: {"error":{"message":"${card}"}}\n\n`,
    `data: {"usage":{"prompt_tokens":1,"completion_tokens":2},"choices":[]}\n\n`,
  ),
);
const fault = fc.tuple(
  fc.nat(),
  fc.nat(3),
  fc.oneof(
    fc.constantFrom('\r', '\n', '\r\n', '\ufeff', '\0', '"', '{', 'data: ', ':', '}'),
    fc.string({ maxLength: 3 }),
  ),
);
const stream = fc
  .tuple(fc.array(frame, { maxLength: 14 }), fc.option(fault, { freq: 2 }), fc.boolean())
  .map(([frames, put, ends]): { readonly sent: string; readonly faulty: boolean } => {
    const all = frames.join('') + (ends ? `${chunk({}, 'stop')}data: [DONE]\n\n` : '');
    if (put === null) return { sent: all, faulty: false };
    const at = put[0] % (all.length + 1);
    return { sent: all.slice(0, at) + put[2] + all.slice(at + put[1]), faulty: true };
  });

/** What a client joins of the content, choice by choice. */
function contents(frames: readonly string[]): string[] {
  const joined: string[] = [];
  for (const data of frames) {
    const { choices } = JSON.parse(data) as { choices?: { index?: number; delta?: { content?: string } }[] };
    for (const { index = 0, delta } of choices ?? []) joined[index] = (joined[index] ?? '') + (delta?.content ?? '');
  }
  return joined;
}

// Digits glued to a card make it none (docs/security.md).
const secret = /(?<!\d)4111[^0-9]{0,3}1111[^0-9]{0,3}1111[^0-9]{0,3}1111(?!\d)|ana@example\.com/;

function expectStream({ status, text: got, broken }: Answer, faulty: boolean): 'whole' | 'ended' | 'refused' {
  expect(broken).toBe(false);
  if (status !== 200) {
    expectKnown(codeOf(got));
    return 'refused';
  }
  expect(got === '' || got.endsWith('\n\n')).toBe(true);
  const datas = got.split('\n\n').flatMap((one) => {
    const lines = one.split('\n').filter((line) => line.startsWith('data:'));
    return lines.length === 0 ? [] : [lines.map((line) => line.slice('data: '.length)).join('\n')];
  });
  const json = datas.filter((data) => data !== '[DONE]' && data !== '');
  expect(contents(json).filter((joined) => secret.test(joined))).toEqual([]);
  // Where a fault may have glued two pieces together, one of them may stand in a frame of its own.
  if (!faulty) expect(got).not.toContain(card);
  const own = datas.findIndex((data) => data.includes('"request_id"'));
  if (own < 0) return 'whole';
  expectKnown(codeOf(datas[own] ?? ''));
  expect(own).toBe(datas.length - 1);
  return 'ended';
}

test('generated streams', async () => {
  const outcomes = { whole: 0, ended: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(
      stream,
      fc.array(fc.nat(), { maxLength: 5 }),
      fc.boolean(),
      async ({ sent, faulty }, cuts, breaks) => {
        world.model.script = async (response) => {
          response.setHeader('content-type', 'text/event-stream');
          const bytes = Buffer.from(sent);
          const at = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort(
            (a, b) => a - b,
          );
          for (const [index, to] of at.slice(1).entries()) {
            response.write(bytes.subarray(at[index], to));
            await new Promise((resolve) => setImmediate(resolve));
          }
          if (breaks) response.destroy();
          else response.end();
        };
        outcomes[expectStream(await world.post(path, { ...ask, stream: true }), faulty)]++;
      },
    ),
    { numRuns: runs },
  );
  expect([outcomes.whole > runs / 10, outcomes.ended > runs / 10]).toEqual([true, true]);
});

const key = fc.constantFrom(
  ...[
    'choices',
    'message',
    'content',
    'index',
    'finish_reason',
    'tool_calls',
    'function',
    'arguments',
    'logprobs',
    'token',
  ],
  ...['usage', 'prompt_tokens', 'error', 'code', 'data', 'embedding', 'ssn', 'zz', '__proto__', card],
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5 },
    fc.oneof(text, fc.integer(), fc.double(), fc.boolean(), fc.constant(null)),
    fc.array(tie('tree'), { maxLength: 3 }),
    fc.dictionary(key, tie('tree'), { maxKeys: 4 }),
  ),
}));
const answer = fc.oneof(
  tree,
  fc.record({
    choices: fc.array(
      fc.record({
        index: fc.nat(2),
        message: fc.oneof(fc.record({ content: text, zz: tree }), tree),
        finish_reason: text,
      }),
      { maxLength: 3 },
    ),
    usage: tree,
  }),
);

test('generated JSON', async () => {
  let [passed, refused] = [0, 0];
  await fc.assert(
    fc.asyncProperty(
      answer,
      fc.constantFrom(200, 200, 200, 400, 500),
      fc.option(fault, { freq: 4 }),
      async (value, status, put) => {
        const whole = JSON.stringify(value) ?? 'null';
        const at = (put?.[0] ?? 0) % (whole.length + 1);
        const sent = put === null ? whole : whole.slice(0, at) + put[2] + whole.slice(at + put[1]);
        world.model.script = (response) => {
          response.statusCode = status;
          response.setHeader('content-type', 'application/json').end(sent);
        };
        const got = await world.post(path, ask);
        expect(got.broken).toBe(false);
        // Nothing hides nothing.
        if (got.text !== '') expect(() => JSON.parse(got.text)).not.toThrow();
        const ours = got.text.includes('"request_id"');
        if (ours) {
          refused++;
          expect(got.status).toBe(502);
          expectKnown(codeOf(got.text));
          return;
        }
        passed++;
        expect(got.status).toBe(status);
        expect(got.text).not.toContain(card);
        expect(got.text).not.toContain('ana@example.com');
      },
    ),
    { numRuns: runs * 2 },
  );
  expect([passed > runs / 10, refused > runs / 10]).toEqual([true, true]);
});
