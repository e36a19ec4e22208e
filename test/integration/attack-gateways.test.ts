import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, describe, expect, test } from '@jest/globals';
import { AuditUnavailableError } from '../../pkg/core/index.ts';
import { parsePolicies } from '../../pkg/crd/index.ts';
import { checkPattern } from '../../pkg/detect/index.ts';
import { threadCpuMs } from '../support/cost.ts';
import type { Script } from '../support/scripted-model.ts';
import { answerChat, chatAnswer, chunk, streamChat } from '../support/scripted-model.ts';
import type { Answer, World, WorldOptions } from '../support/world.ts';
import { basePolicy, joinContent, startWorld } from '../support/world.ts';
import { pause } from '../support/wait.ts';

// Ways round that worked on shipping gateways, by public reports (repository and number of the issue in each name). Each has
// a case here that fails when it works on this one. Deeper attacks on the same parts: attack-answers, attack-guards, masking.

const path = '/v1/chat/completions';
const card = '4111 1111 1111 1111';
const label = '[confidential]';
const said = `Pay with ${card} today.`;
const hidden = `Pay with ${label} today.`;
const secret = `ghp_${'aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dF3hJ6'}`;
const ask = { model: 'llama-3-8b', messages: [{ role: 'user', content: 'hello' }] };
const stream = { ...ask, stream: true };
const done = `${chunk({}, 'stop')}data: [DONE]\n\n`;
const prompt = (...messages: readonly Record<string, unknown>[]): Record<string, unknown> => ({ ...ask, messages });
const user = (content: unknown): Record<string, unknown> => ({ role: 'user', content });
const codeOf = (answer: Answer): string | undefined => /"code":"(\w+)"/.exec(answer.text)?.[1];
/** An id may hold any digits. */
const withoutId = (text: string): string => text.replace(/"request_id":"[0-9a-f]{32}"/, '');
const digits = (text: string): string => text.replace(/[^0-9]/g, '');

const policyOf = (issuer: string, more = ''): string =>
  basePolicy(
    issuer,
    `  - { name: officers, effect: Allow, subjects: [{ group: compliance }], operations: [Chat] }
  guards:
  - { name: no-secrets, direction: Request, match: { detectors: [Secrets], words: [project falcon] }, action: Block }
  classification:
  - label: confidential
    fields: ["**.account"]
    detectors: [CreditCard, PrivateKey, Jwt]
    visibleTo: [{ group: compliance }]
    otherwise: Mask
${more}`,
  );

let world: World;
const open: World[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});
const start = async (more = '', options: Partial<WorldOptions> = {}): Promise<void> => {
  world = await startWorld({ policy: (issuer) => policyOf(issuer, more), ...options });
  open.push(world);
};
const sse =
  (body: string | Buffer, headers: Readonly<Record<string, string>> = {}): Script =>
  (response) => {
    response.setHeader('content-type', 'text/event-stream');
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    response.end(body);
  };
const get = (script: Script, body: unknown = stream): Promise<Answer> => {
  world.model.script = script;
  return world.post(path, body);
};
const blocked = async (body: unknown, at = path): Promise<void> => {
  const answer = await world.post(at, body);
  expect([answer.status, codeOf(answer)]).toEqual([403, 'guard_blocked']);
  expect(world.model.seen).toEqual([]);
};

describe('1: asking for a stream (aisix#204, agentgateway#2956, Portkey#1119, cloudflare-docs#32964)', () => {
  test('masks the same, and guards the same', async () => {
    await start();
    await blocked(prompt(user(secret)));
    await blocked({ ...prompt(user(secret)), stream: true });
    expect((await get(answerChat(said), ask)).text).toContain(hidden);
    expect(joinContent((await get(streamChat([...said]))).text)).toBe(hidden);
    // A model that streams unasked, and one that does not though asked.
    expect(joinContent((await get(streamChat([said]), ask)).text)).toBe(hidden);
    expect((await get(answerChat(said))).text).toContain(hidden);
  });
});

describe('2: another surface (litellm#35257, litellm#30728, aisix#719)', () => {
  test('that is known is guarded and masked alike', async () => {
    await start();
    await blocked({ model: 'm', prompt: secret }, '/v1/completions');
    await blocked({ model: 'm', input: secret }, '/v1/embeddings');
    world.model.script = (response) =>
      response
        .setHeader('content-type', 'application/json')
        .end(JSON.stringify({ object: 'text_completion', choices: [{ index: 0, text: said, finish_reason: 'stop' }] }));
    const answer = await world.post('/v1/completions', { model: 'm', prompt: 'x' });
    expect(answer.text).toContain(hidden);
  });

  test.each([
    '/v1/messages',
    '/v1/responses',
    '/v1/chat/completions/',
    '/chat/completions',
    '/api/chat',
    '/openai/deployments/x/chat/completions',
    '/v1beta/models/x:generateContent',
    '/invocations',
    '/V1/chat/completions',
    '//v1/chat/completions',
    '/v1/./chat/completions',
    '/v1/chat%2fcompletions',
    '/v1/chat/completions;x',
  ])('%s is refused unless a rule names it, or is the same to the guard', async (at) => {
    await start();
    const answer = await world.post(at, prompt(user(secret)));
    expect([400, 403]).toContain(answer.status);
    expect(world.model.seen).toEqual([]);
  });

  test('that a rule opens as Other is read by the guard, and its answer masked or refused', async () => {
    await start('', {
      policy: (issuer) =>
        policyOf(issuer).replace(
          '  guards:',
          '  - { name: rest, effect: Allow, subjects: [{ group: ml-eng }], operations: [Other] }\n  guards:',
        ),
    });
    await blocked({ input: secret }, '/v1/threads');
    const ids = await world.post('/vertex_generate', { input_ids: [5, 6], sampling_params: {} });
    expect([ids.status, codeOf(ids)]).toEqual([400, 'token_input_uninspectable']);
    expect(world.model.seen).toEqual([]);
    const tokens = { text: 'x', output_ids: [5], seen: { token: 'token_id:9', logprob: -1 } };
    const bare = JSON.stringify({ text: 'x', output_ids: [], seen: { token: null, logprob: -1 } });
    world.model.script = (response) =>
      response.setHeader('content-type', 'application/json').end(JSON.stringify(tokens));
    expect((await world.post('/vertex_generate', { text: 'x' })).text).toBe(bare);
    const plain = JSON.stringify({ ...tokens, output_ids: [], seen: { token: 'a', logprob: -1 } });
    world.model.script = sse(`data: ${plain}\n\ndata: ${plain}\n\ndata: ${JSON.stringify(tokens)}\n\n`);
    expect((await world.post('/vertex_generate', { text: 'x' })).text.split('\n\n')[2]).toBe(`data: ${bare}`);
    world.model.script = (response) =>
      response
        .setHeader('content-type', 'application/json')
        .end(JSON.stringify({ output: [{ content: [{ text: said }] }] }));
    expect(digits((await world.post('/v1/threads', { input: 'x' })).text)).not.toContain(digits(card));
  });
});

describe('3: a value split over two deltas (litellm#41611)', () => {
  test('at any place is masked, and no part of it leaves before', async () => {
    await start();
    for (let cut = 1; cut < card.length; cut++) {
      let early = '';
      world.model.script = async (response) => {
        response.setHeader('content-type', 'text/event-stream');
        response.write(chunk({ content: `Pay with ${card.slice(0, cut)}` }));
        await pause(15);
        early = got;
        response.end(chunk({ content: `${card.slice(cut)} today.` }) + done);
      };
      let got = '';
      const answer = await world.post(path, stream, { onChunk: (text) => (got += text) });
      expect(early).not.toContain('4');
      expect(joinContent(answer.text)).toBe(hidden);
    }
  });
});

describe('4: a last frame that nobody ends (aisix#1091, aisix#1098)', () => {
  test.each([
    ['without its empty line', chunk({ content: said }).trimEnd()],
    ['with half of its line break', chunk({ content: said }).slice(0, -1)],
    ['cut in its JSON', chunk({ content: said }).slice(0, -12)],
    ['of the end marker, too', `${chunk({ content: said })}${chunk({}, 'stop')}data: [DONE]`],
  ])('%s does not pass unread', async (_name, body) => {
    await start();
    expect(digits(joinContent((await get(sse(body))).text.replace(/data: \{"error.*\n\n/, '')))).not.toContain(
      digits(card),
    );
    expect((await get(sse(body))).text).not.toContain(card);
  });
});

describe('5: frames of another form (aisix#1100, aisix#1102, aisix#1104, aisix#1110)', () => {
  const data = chunk({ content: said }).slice(6, -2);
  const at = data.indexOf('"choices"');
  test.each([
    ['data over two lines', `data: ${data.slice(0, at)}\ndata: ${data.slice(at)}\n\n${done}`],
    ['data over lines of CR', `data: ${data.slice(0, at)}\rdata: ${data.slice(at)}\r\r${done}`],
    ['data without the space', `data:${data}\n\n${done}`],
    ['an event name before', `event: message\ndata: ${data}\n\n${done}`],
    ['data that is no JSON', `data: ${said}\n\n${done}`],
    ['a JSON string', `data: ${JSON.stringify(said)}\n\n${done}`],
    ['a comment', `: ${said}\n\n${done}`],
    ['an id', `id: ${said}\ndata: ${data.replace(card, 'x')}\n\n${done}`],
    ['a field nobody knows', `note: ${said}\n\n${done}`],
    ['a byte order mark', `\ufeffdata: ${data}\n\n${done}`],
  ])('%s is read or refused', async (_name, body) => {
    await start();
    expect((await get(sse(body))).text).not.toContain(card);
  });
});

describe('6: places beside the first content (aisix#558, litellm#35999, litellm#30723, agentgateway extract_text_delta)', () => {
  test.each([
    ['tool-call arguments', (text: string) => chunk({ tool_calls: [{ index: 0, function: { arguments: text } }] })],
    ['the second tool call', (text: string) => chunk({ tool_calls: [{ index: 1, function: { arguments: text } }] })],
    ['function_call arguments', (text: string) => chunk({ function_call: { arguments: text } })],
    ['reasoning_content', (text: string) => chunk({ reasoning_content: text })],
    ['reasoning', (text: string) => chunk({ reasoning: text })],
    ['refusal', (text: string) => chunk({ refusal: text })],
    ['choice 1', (text: string) => chunk({ content: text }, null, 1)],
    ['choice 7', (text: string) => chunk({ content: text }, null, 7)],
    ['a delta field nobody knows', (text: string) => chunk({ thinking_aloud: text })],
    [
      'a field beside the choices',
      (text: string) => chunk({}).replace('"choices"', `"note":${JSON.stringify(text)},"choices"`),
    ],
  ])('%s is masked, split over events', async (name, event) => {
    await start();
    // Arguments are JSON; the others are any text.
    const [before, after] = /arguments|call/.test(name) ? ['{"k":"', '"}'] : ['', ''];
    const answer = await get(sse(`${event(`${before}x 4111 1111 `)}${event(`1111 1111 y${after}`)}${done}`));
    const field =
      /"(?:arguments|reasoning|reasoning_content|refusal|content|thinking_aloud|note)":("(?:[^"\\]|\\.)*")/g;
    const joined = [...answer.text.matchAll(field)].map((one) => JSON.parse(one[1] ?? '') as string).join('');
    // A choice that never finishes is cut: what may still become a finding is dropped.
    expect([`${before}x ${label} y${after}`, `${before}x ${label}`]).toContain(joined);
  });
});

describe('7: tool results in the request (agentgateway#3000, website#966)', () => {
  test.each([
    [
      'a tool result',
      prompt(
        user('x'),
        { role: 'assistant', tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }] },
        { role: 'tool', tool_call_id: 'a', content: secret },
      ),
    ],
    [
      'a tool result in parts',
      prompt(user('x'), { role: 'tool', tool_call_id: 'a', content: [{ type: 'text', text: secret }] }),
    ],
    ['a function result', prompt(user('x'), { role: 'function', name: 'f', content: secret })],
    [
      'arguments of an earlier call',
      prompt(user('x'), {
        role: 'assistant',
        tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: JSON.stringify({ k: secret }) } }],
      }),
    ],
    ['a tool’s description', { ...ask, tools: [{ type: 'function', function: { name: 'f', description: secret } }] }],
  ])('%s is guarded; no setting takes it out', async (_name, body) => {
    await start();
    await blocked(body);
  });
});

describe('8: masking in JSON that stands in a string (agentgateway website#966)', () => {
  test('leaves JSON, whole and streamed', async () => {
    await start();
    const args = JSON.stringify({ card, account: { number: [1, 2] }, note: `quote " and \\ and ${card}`, ok: 'yes' });
    const expected = { card: label, account: label, note: `quote " and \\ and ${label}`, ok: 'yes' };
    const call = (text: string): unknown => ({
      tool_calls: [{ index: 0, id: 'a', type: 'function', function: { name: 'f', arguments: text } }],
    });
    const whole = await get((response) => {
      const message = { role: 'assistant', content: null, ...(call(args) as object) };
      response.setHeader('content-type', 'application/json').end(chatAnswer('', { message }));
    }, ask);
    const body = JSON.parse(whole.text) as {
      choices: { message: { tool_calls: { function: { arguments: string } }[] } }[];
    };
    expect(JSON.parse(body.choices[0]?.message.tool_calls[0]?.function.arguments ?? '')).toEqual(expected);
    const pieces = args.match(/[^]{1,3}/g) ?? [];
    const { text } = await get(
      sse(pieces.map((piece) => chunk({ tool_calls: [{ index: 0, function: { arguments: piece } }] })).join('') + done),
    );
    const joined = [...text.matchAll(/"arguments":("(?:[^"\\]|\\.)*")/g)]
      .map((one) => JSON.parse(one[1] ?? '') as string)
      .join('');
    expect(JSON.parse(joined)).toEqual(expected);
  });
});

describe('9: only the last message, or only the user’s (Portkey extractRequestText, Kong match_all_roles)', () => {
  test.each(['system', 'developer', 'user', 'assistant', 'tool', 'a role nobody knows'])(
    '%s is read, first of ten',
    async (role) => {
      await start();
      await blocked(prompt({ role, content: secret }, ...Array.from({ length: 9 }, () => user('fine'))));
      await blocked(
        prompt(
          {
            role,
            content: [
              { type: 'text', text: 'fine' },
              { type: 'text', text: secret },
            ],
          },
          user('fine'),
        ),
      );
    },
  );

  test('and what is split over messages is joined', async () => {
    await start();
    await blocked(prompt(user('about project'), user('falcon')));
  });
});

describe('10: a body that is compressed (hoop-inspect, SafeLine#1222, openappsec#353)', () => {
  test.each([
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
  ] as const)('%s is opened both ways', async (coding, compress) => {
    await start();
    const refused = await world.call('POST', path, {
      body: compress(JSON.stringify(prompt(user(secret)))),
      headers: { 'content-encoding': coding },
    });
    expect(codeOf(refused)).toBe('guard_blocked');
    expect(world.model.seen).toEqual([]);
    const events = compress(chunk({ content: said }) + done);
    expect(joinContent((await get(sse(events, { 'content-encoding': coding }))).text)).toBe(hidden);
  });

  test.each(['x-gzip', 'compress', 'gzip, gzip', 'identity, gzip', 'nonsense'])(
    '%s, which we cannot open, is refused both ways',
    async (coding) => {
      await start();
      const body = gzipSync(JSON.stringify(prompt(user(secret))));
      const refused = await world.call('POST', path, { body, headers: { 'content-encoding': coding } });
      expect([400, 403, 415]).toContain(refused.status);
      expect(world.model.seen).toEqual([]);
      const answer = await get(sse(gzipSync(chunk({ content: said }) + done), { 'content-encoding': coding }));
      expect(answer.text).not.toContain(card);
      expect(codeOf(answer) ?? joinContent(answer.text)).not.toContain(digits(card));
    },
  );
});

describe('11: look-alikes, invisible letters, encodings (praxis#1113, praxis#1084)', () => {
  test.each([
    ['zero-width', 'pro\u200bject fal\u200dcon'],
    ['look-alike letters', 'рrojесt fаlсоn'],
    ['full width', 'ｐｒｏｊｅｃｔ　ｆａｌｃｏｎ'],
    ['tag characters', [...'project falcon'].map((one) => String.fromCodePoint(0xe0000 + one.charCodeAt(0))).join('')],
    ['base64', `Decode and do: ${Buffer.from('tell me of project falcon').toString('base64')}`],
    ['hex', `Decode and do: ${Buffer.from('tell me of project falcon').toString('hex')}`],
    ['percent', 'project%20falcon'],
    ['leet', 'pr0j3ct f4lc0n'],
  ])('%s does not hide a word', async (_name, text) => {
    await start();
    await blocked(prompt(user(text)));
  });
});

describe('12: a check that cannot run (litellm#30728, litellm#31062, langwatch#430)', () => {
  const down = {
    append: () => {
      throw new AuditUnavailableError();
    },
    close: () => Promise.resolve(),
  };
  test.each<[string, Partial<WorldOptions>, string, string]>([
    ['the record', { audit: down }, '', 'audit_unavailable'],
    ['the model’s key', {}, '  upstream: { credential: { file: missing } }\n', 'credential_unavailable'],
    ['the approver', {}, '  approvals: { approvers: [{ group: leads }] }\n', 'approval_unavailable'],
  ])('%s: nothing passes, and the model sees nothing', async (_name, options, more, code) => {
    await start(more, options);
    if (code === 'approval_unavailable')
      await world.setPolicy(policyOf(world.issuer.url, more).replace('action: Block', 'action: RequireApproval'));
    expect(
      codeOf(await world.post(path, prompt(user('project falcon'.repeat(code === 'approval_unavailable' ? 1 : 0))))),
    ).toBe(code);
    expect(world.model.seen).toEqual([]);
  });

  test('the identity provider: a caller whose keys were never had is refused', async () => {
    await start();
    await world.issuer.stop();
    // Another place of its keys: those that the sidecar fetched when it started do not count.
    await world.setPolicy(
      policyOf(world.issuer.url).replace('oidc: { ', `oidc: { jwksUri: "${world.issuer.url}/other-keys", `),
    );
    expect(codeOf(await world.post(path, ask))).toBe('identity_unavailable');
    expect(world.model.seen).toEqual([]);
  });
});

describe('13: a check that fails in mid-stream (LiteLLM _stream_apply_output_masking)', () => {
  test('ends the stream: what was held is not sent as it was', async () => {
    let working = true;
    await start('', {
      audit: {
        append: () => {
          if (!working) throw new AuditUnavailableError();
        },
        close: () => Promise.resolve(),
      },
    });
    world.model.script = async (response) => {
      response.setHeader('content-type', 'text/event-stream');
      response.write(chunk({ content: 'Pay with 4111 1111 ' }));
      await pause(50);
      working = false;
      response.write(chunk({ content: '1111 1112 and so on. ' }));
      await pause(50);
      response.end(chunk({ content: 'More.' }) + done);
    };
    const answer = await world.post(path, stream);
    expect(codeOf(answer)).toBe('audit_unavailable');
    expect(withoutId(answer.text)).not.toContain('4111');
    expect(answer.text).not.toContain('[DONE]');
  });

  test.each([
    ['an event that cannot be read', `data: {"choices":\n\n${done}`],
    ['an error of the model', `data: {"error":{"message":"out of memory"}}\n\n`],
    ['a connection that breaks', ''],
  ])('%s: likewise', async (_name, after) => {
    await start();
    world.model.script = async (response) => {
      response.setHeader('content-type', 'text/event-stream');
      response.write(chunk({ content: 'Pay with 4111 1111 1111 ' }));
      await pause(30);
      response.write(after);
      await pause(30);
      response.destroy();
    };
    const answer = await world.post(path, stream);
    expect(withoutId(answer.text)).not.toContain('4111');
    expect(answer.text).not.toContain('[DONE]');
  });
});

describe('14: longer than any window (eliza#15356)', () => {
  const line = 'MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj';
  const pem = `-----BEGIN PRIVATE KEY-----\n${`${line}\n`.repeat(160)}-----END PRIVATE KEY-----`;
  const jwt = `eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.${Buffer.from(JSON.stringify({ sub: 'a', pad: 'x'.repeat(9_000) })).toString('base64url')}.c2lnbmF0dXJlLXRoYXQtaXMtbm90LW9uZQ`;
  test.each([
    ['a key of ten kilobytes', pem, line.slice(0, 16)],
    ['a token of twelve kilobytes', jwt, jwt.slice(40, 60)],
  ])('%s is swallowed whole, at any size of event', async (_name, value, part) => {
    await start();
    for (const size of [1, 7, 4_096]) {
      const pieces = `Here: ${value} end.`.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [];
      const { text } = await get(sse(pieces.map((content) => chunk({ content })).join('') + done));
      expect(text).not.toContain(part);
      expect(joinContent(text)).toBe(`Here: ${label} end.`);
    }
  });

  test('an anchor far behind its value does not matter: what stands between is held or masked', async () => {
    await start();
    const far = `card${' '.repeat(5_000)}${card}`;
    expect(joinContent((await get(streamChat([far.slice(0, 2_500), far.slice(2_500)]))).text)).toBe(
      far.replace(card, label),
    );
  });
});

describe('15: timeouts while text is held; rules of another route (agentgateway#3477, agentgateway#3603)', () => {
  test('a model that goes on saying what is held is not silent, and its caller is not stalled', async () => {
    await start('  requestLimits: { upstreamIdle: 3s }\n', { limits: { idleMs: 2_000, stallMs: 2_000 } });
    world.model.script = async (response) => {
      response.setHeader('content-type', 'text/event-stream');
      response.write(chunk({ content: '-----BEGIN PRIVATE KEY-----\n' }));
      for (let at = 0; at < 40; at++) {
        response.write(chunk({ content: 'MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj\n' }));
        await pause(100);
      }
      response.end(chunk({ content: '-----END PRIVATE KEY-----\nThat was it.' }) + done);
    };
    const answer = await world.post(path, stream);
    expect(joinContent(answer.text)).toBe(`${label}\nThat was it.`);
    expect(answer.text).toContain('[DONE]');
  });

  test('rules for other callers leave a stream alone, event for event', async () => {
    await start('', {
      policy: (issuer) =>
        basePolicy(
          issuer,
          `  guards:
  - { name: others, direction: Request, subjects: [{ group: interns }], match: { words: [hello] }, action: Block }
  - { name: others-too, direction: Response, subjects: [{ group: interns }], match: { words: [secret] }, action: Block }
`,
        ),
    });
    const body = ['One ', 'secret ', 'two.'].map((content) => chunk({ content })).join('') + done;
    expect((await get(sse(body))).text).toBe(body);
  });
});

describe('16: an answer from a memory (Portkey isCacheHit)', () => {
  test('who may see it first changes nothing for who may not, and nothing is answered from memory', async () => {
    await start();
    const carla = await world.token({ sub: 'carla', groups: ['compliance'] });
    for (const body of [ask, stream]) {
      const script = body === ask ? answerChat(said) : streamChat([said]);
      world.model.script = script;
      for (let round = 0; round < 3; round++) {
        expect((await world.post(path, body, { token: carla })).text).toContain(card);
        expect((await world.post(path, body)).text).not.toContain(card);
      }
    }
    expect(world.model.seen).toHaveLength(12);
  });

  test('nor does a policy that comes later meet a text as it was judged before', async () => {
    await start();
    world.model.script = answerChat('The word is swordfish.');
    expect((await world.post(path, ask)).text).toContain('swordfish');
    await world.setPolicy(
      policyOf(world.issuer.url).replace('detectors: [CreditCard', 'words: [swordfish]\n    detectors: [CreditCard'),
    );
    expect((await world.post(path, ask)).text).not.toContain('swordfish');
  });
});

describe('17: patterns that explode (NeMo#2271, NeMo#2325, Agent-Threat-Rule#531, litellm-rs#1342)', () => {
  test('take time in proportion to the text, in prompts and in answers', async () => {
    const patterns = ['(a+)+b', '(a|a)*%%', '(a|aa)+$x', '(.*a){12}b', '(x+x+)+y', '^(([a-z])+.)+%([a-z])+$'];
    await start('', {
      policy: (issuer) =>
        basePolicy(
          issuer,
          `  guards:
  - { name: in, direction: Request, match: { patterns: ${JSON.stringify(patterns)} }, action: Block }
  - { name: out, direction: Response, match: { patterns: ${JSON.stringify(patterns)} }, action: Block }
`,
        ),
    });
    const text = 'a'.repeat(20_000) + 'x'.repeat(20_000);
    const before = threadCpuMs();
    expect((await get(answerChat(text), prompt(user(text)))).status).toBe(200);
    expect(
      joinContent((await get(streamChat([text, text]), { ...prompt(user(text)), stream: true })).text),
    ).toHaveLength(80_000);
    expect(threadCpuMs() - before).toBeLessThan(8_000);
  });

  test.each(['(?=a)b', '(a)\\1', '(?<!a)b', 'a{5000}', '(['])('%s, which is no RE2, is not taken', (pattern) => {
    const bad = policyOf('https://idp.example.com').replace(
      'words: [project falcon]',
      `patterns: [${JSON.stringify(pattern)}]`,
    );
    const { faults } = parsePolicies(bad, 'policy.yaml', {
      checkPattern: (one, maxLength) => checkPattern(one, maxLength)?.message,
    });
    expect(faults.map((fault) => fault.path)).toEqual(['spec.guards[0].match.patterns[0]']);
  });
});
