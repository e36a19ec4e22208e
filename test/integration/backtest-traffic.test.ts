import { beforeAll, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BacktestReport } from '../../pkg/cli/backtest/report.ts';
import { entryText } from '../../pkg/record/index.ts';
import { answerChat, streamChat } from '../support/scripted-model.ts';
import type { Script } from '../support/scripted-model.ts';
import { sidegateCommand } from '../support/sidegate-command.ts';
import { basePolicy, startWorld } from '../support/world.ts';
import type { CallOptions } from '../support/world.ts';

// What a sidecar recorded, tested against the policy that was in force: nothing would be otherwise, whatever was asked. And what it recorded under another
// one, tested against the next: what that did when the same was asked again.

const policyOf = (issuer: string): string =>
  basePolicy(
    issuer,
    `    limits: { maxOutputTokens: 500 }
  - { name: no-gpt, effect: Deny, subjects: [{ group: ml-eng }], models: ["gpt-*"] }
  - { name: health, effect: Allow, subjects: [{ anyone: true }], operations: [Health] }
  requestLimits: { maxBodyBytes: 64Ki }
  guards:
  - { name: falcon, direction: Request, match: { words: [falcon] }, action: Block }
  - { name: kite, direction: Request, match: { words: [kite] }, action: RequireApproval }
  - { name: mail, direction: Request, match: { detectors: [Email] }, action: Mask }
  - { name: owl, direction: Request, match: { words: [owl] }, action: Flag }
  - { name: raven, direction: Response, match: { words: [raven] }, action: Block }
  classification:
  - { label: cards, detectors: [CreditCard], otherwise: Mask, inRequests: Mask, replacement: { style: Partial, keep: 4 } }
  - { label: hidden, words: [sparrow], otherwise: Block, visibleTo: [{ group: ml-eng }] }
  - { label: ssn, fields: ["**.ssn"], otherwise: Mask }
`,
  );

const chat = '/v1/chat/completions';
const ask = (content: unknown, more: object = {}): object => ({
  model: 'llama-3-8b',
  messages: [{ role: 'user', content }],
  ...more,
});
const tool = {
  role: 'assistant',
  content: null,
  tool_calls: [
    {
      id: 'c1',
      type: 'function',
      function: { name: 'look', arguments: '{"ssn":"078-05-1120","who":"bob@corp.example"}' },
    },
  ],
};
const card = '4111 1111 1111 1111';
const answerTool: Script = answerChat('', {
  message: tool,
  finish_reason: 'tool_calls',
});

/** What is asked, and what the model answers. */
const traffic: readonly (readonly [
  what: string,
  path: string,
  body: object | string,
  script?: Script | undefined,
  more?: CallOptions,
])[] = [
  ['a question', chat, ask('hello')],
  ['a word that is refused', chat, ask('about falcon')],
  [
    'a word that is refused, over two messages',
    chat,
    {
      ...ask('fal'),
      messages: [
        { role: 'user', content: 'fal' },
        { role: 'user', content: 'con' },
      ],
    },
  ],
  ['a word that waits for nobody', chat, ask('a kite')],
  ['a word that is flagged', chat, ask('an owl')],
  ['an address that is masked', chat, ask('write to ana@corp.example')],
  [
    'two addresses, and a word of the system',
    chat,
    {
      ...ask('x'),
      messages: [
        { role: 'system', content: 'be ana@corp.example' },
        { role: 'user', content: 'not bob@corp.example' },
      ],
    },
  ],
  ['a card that is masked', chat, ask(`card ${card}`)],
  ['a card in the answer', chat, ask('which card'), answerChat(`it is ${card}`)],
  [
    'a card in a stream',
    chat,
    ask('which card', { stream: true }),
    streamChat(['it is 4111 11', '11 1111 1111', ' of mine']),
  ],
  ['a word that ends a stream', chat, ask('say', { stream: true }), streamChat(['the ra', 'ven is', ' here'])],
  ['a word that ends an answer', chat, ask('say'), answerChat('the raven is here')],
  ['a word that this caller may see', chat, ask('say'), answerChat('the sparrow')],
  ['a field in arguments of a tool', chat, ask('look'), answerTool],
  [
    'such arguments in a request',
    chat,
    {
      ...ask('x'),
      messages: [{ role: 'user', content: 'look' }, tool, { role: 'tool', tool_call_id: 'c1', content: 'ok' }],
    },
  ],
  ['a field in JSON', chat, ask('json'), answerChat('{"ssn":"078-05-1120","name":"bob"}')],
  [
    'texts in parts',
    chat,
    ask([
      { type: 'text', text: 'one' },
      { type: 'text', text: 'to eve@corp.example' },
    ]),
  ],
  ['a picture', chat, ask([{ type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } }])],
  ['several answers', chat, ask('two', { n: 2 }), answerChat('one', { index: 0 })],
  ['too many tokens', chat, ask('hello', { max_tokens: 501 })],
  ['a model that is denied', chat, ask('hello', { model: 'gpt-4' })],
  ['no model', chat, { messages: [{ role: 'user', content: 'hello' }] }],
  ['a long body', chat, ask('x'.repeat(70_000))],
  ['a longer text', chat, ask(`${'word '.repeat(9_000)}`)],
  ['no JSON', chat, '{"model":'],
  ['an empty question', chat, ask('')],
  ['a query with an address', `${chat}?who=ana@corp.example`, ask('hello')],
  ['a query with a refused word', `${chat}?what=falcon`, ask('hello')],
  ['nobody', chat, ask('hello'), undefined, { token: null }],
  ['a token that is none', chat, ask('hello'), undefined, { token: 'x.y.z' }],
  ['completions', '/v1/completions', { model: 'llama-3-8b', prompt: ['one', 'to ana@corp.example'] }],
  ['token ids', '/v1/completions', { model: 'llama-3-8b', prompt: [1, 2, 3] }],
  ['embeddings', '/v1/embeddings', { model: 'llama-3-8b', input: ['one', 'about falcon'] }],
  ['embeddings of what passes', '/v1/embeddings', { model: 'llama-3-8b', input: ['one', 'two'] }],
  ['responses', '/v1/responses', { model: 'llama-3-8b', input: 'to ana@corp.example', instructions: 'owl' }],
  [
    'messages of Anthropic',
    '/v1/messages',
    { model: 'llama-3-8b', max_tokens: 5, messages: [{ role: 'user', content: 'card 4111 1111 1111 1111' }] },
  ],
  ['a path that nobody knows', '/v1/what', { what: 'falcon' }],
  [
    'a server that fails',
    chat,
    ask('hello'),
    (response) => response.writeHead(500, { 'content-type': 'application/json' }).end('{"error":{"message":"no"}}'),
  ],
  [
    'an answer that is no JSON',
    chat,
    ask('hello'),
    (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"choices"'),
  ],
  [
    'an answer that breaks off',
    chat,
    ask('hello', { stream: true }),
    (response) => {
      response.setHeader('content-type', 'text/event-stream');
      response.write('data: {"choices":[{"index":0,"delta":{"content":"it is 4111 1111"}}]}\n\n');
      setTimeout(() => response.destroy(), 20);
    },
  ],
];
const reads = ['/health', '/v1/models', '/metrics', '/'];

interface Line {
  readonly session: string;
  readonly type: string;
  readonly outcome: string;
  readonly code: string | null;
  readonly rules: readonly { readonly act: string }[];
}
interface Recorded {
  readonly issuer: string;
  readonly lines: readonly string[];
  /** What was asked, by the ids of sessions. */
  readonly whats: ReadonlyMap<string, string>;
  /** By what was asked. */
  readonly ends: ReadonlyMap<string, Line>;
}

/** All of it, asked of a sidecar with this policy. */
async function recordedBy(policy: (issuer: string) => string): Promise<Recorded> {
  const world = await startWorld({ policy });
  try {
    for (const [, path, body, script = answerChat('hello'), more = {}] of traffic) {
      world.model.script = script;
      await world.post(path, body, more).catch(() => undefined);
    }
    world.model.script = (response) => {
      response.setHeader('content-type', 'application/json');
      response.end('{"object":"list","data":[]}');
    };
    for (const token of [undefined, null])
      for (const path of reads) await world.call('GET', path, token === null ? { token } : {}).catch(() => undefined);
    await world.record();
    const lines = readFileSync(join(world.folder, 'audit.jsonl'), 'utf8')
      .split('\n')
      .filter((line) => line !== '');
    const parsed = lines.map((line) => JSON.parse(line) as Line);
    const names = [...traffic.map(([what]) => what), ...reads, ...reads.map((path) => `${path}, nobody`)];
    const starts = parsed.filter(({ type }) => type === 'start');
    expect(starts).toHaveLength(names.length);
    const whats = new Map(starts.map(({ session }, at) => [session, names[at] ?? '']));
    const ends = parsed.filter(({ type }) => type === 'end').map((end) => [whats.get(end.session) ?? '', end] as const);
    return { issuer: world.issuer.url, lines, whats, ends: new Map(ends) };
  } finally {
    await world.close();
  }
}

async function tested(
  { lines }: Recorded,
  policy: string,
  was?: string,
): Promise<BacktestReport & { readonly code: number }> {
  const source = 'spiffe://c/ns/ml/sa/default/pod/1';
  const entry = { type: 'block', at: 1, source, chain: 'c', first: 1, last: 3, prev: '', hash: '' } as const;
  const block = { kind: 'entry', index: 0, text: entryText(entry), lines: `${lines.join('\n')}\n` };
  const files: Readonly<Record<string, string>> = {
    'log.jsonl': `${JSON.stringify(block)}\n`,
    'p.yaml': policy,
    'was.yaml': was ?? '',
  };
  const { code, out, err } = await sidegateCommand(
    [
      ...['policy', 'test', 'p.yaml', '--against', 'log.jsonl', '-o', 'json', '--examples', '99'],
      ...(was === undefined ? [] : ['--was', 'was.yaml']),
    ],
    { readFile: (path) => files[path] ?? '' },
  );
  expect(err).toBe('');
  return { ...(JSON.parse(out) as BacktestReport), code };
}

let enforced: Recorded;
beforeAll(async () => {
  enforced = await recordedBy(policyOf);
}, 180_000);

const none = { blocked: 0, held: 0, masked: 0, allowed: 0, unmasked: 0, otherwise: 0, unknown: 0 };

test('under the policies of then nothing would be otherwise', async () => {
  const policy = policyOf(enforced.issuer);
  const report = await tested(enforced, policy, policy);
  expect(report).toMatchObject({ code: 0, changes: none, looked: { unread: 0 } });
  expect(report.sessions).toBeGreaterThan(35);
  // Words and patterns may have been others.
  expect((await tested(enforced, policy)).changes).toEqual({ ...none, unknown: expect.any(Number) });
});

/** Codes of what policies decide by what is on record. */
const decided: readonly string[] = [
  ...['guard_blocked', 'response_blocked', 'approval_unavailable'],
  ...['rule_denied', 'access_denied', 'token_missing', 'body_too_large'],
];
/** What becomes of a session; undefined: of something that the record does not have, or that no policy decides. */
function fateOf({ outcome, code, rules }: Line): string | undefined {
  if (code !== null) return decided.includes(code) ? 'blocked' : undefined;
  if (outcome !== 'completed') return undefined;
  return rules.some(({ act }) => act === 'masked') ? 'masked' : 'allowed';
}
const observing = (issuer: string): string => policyOf(issuer).replace('mode: Enforce', 'mode: Observe');

test.each<[string, (issuer: string) => string, boolean]>([
  ['that looked at nothing', (issuer) => basePolicy(issuer), false],
  ['that observed', observing, true],
])('of what was recorded under a policy %s it says what the next one does', async (_, before, given) => {
  const then = await recordedBy(before);
  const report = await tested(then, policyOf(then.issuer), given ? before(then.issuer) : undefined);
  const would = new Map(report.examples.map(({ session, change }) => [then.whats.get(session), change]));
  const [said, did]: [[string, string][], [string, string][]] = [[], []];
  for (const [what, end] of enforced.ends) {
    const fate = fateOf(end);
    // Whoever was refused then, too, is no news.
    const was = then.ends.get(what);
    if (fate === undefined || was === undefined || fateOf(was) !== 'allowed') continue;
    did.push([what, fate]);
    said.push([what, would.get(what) ?? 'allowed']);
  }
  expect(said).toEqual(did);
  expect(did.filter(([, fate]) => fate !== 'allowed').length).toBeGreaterThan(15);
});
