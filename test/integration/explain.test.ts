import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { answerChat, streamChat } from '../support/scripted-model.ts';
import { sidegateCommand } from '../support/sidegate-command.ts';
import { basePolicy, startWorld } from '../support/world.ts';
import type { World } from '../support/world.ts';

/** What `policy explain` and `policy test` say of a request is what a sidecar with the same policy answers to it. */

const path = '/v1/chat/completions';
let world: World;
let hosted: World;
const inForce = new Map<World, string>();

beforeAll(async () => {
  world = await startWorld({ policy: basePolicy });
  hosted = await startWorld({ policy: basePolicy, hosted: true });
  for (const one of [world, hosted]) inForce.set(one, basePolicy(one.issuer.url));
});
afterAll(async () => {
  await world.close();
  await hosted.close();
});

interface Row {
  /** Of the spec, beside that of `basePolicy`. */
  readonly more?: string;
  readonly change?: (yaml: string) => string;
  /** Of the one engineer who asks; null: nobody is proven. */
  readonly groups?: readonly string[] | null;
  readonly ask?: string;
  readonly body?: object;
  readonly answer?: string;
  readonly hosted?: true;
}

const observing = (yaml: string): string => yaml.replace('mode: Enforce', 'mode: Observe');
const limited = (yaml: string): string =>
  `${yaml}    limits: { maxOutputTokens: 50, tokensPerMinute: 1, scope: Policy }\n`;
const guard = (match: string, action: string, direction = 'Request'): string =>
  `  guards: [{ name: g, direction: ${direction}, match: { ${match} }, action: ${action} }]\n`;
const analyzer = (mode: string): string =>
  `  analyzers: [{ name: ner, url: "https://127.0.0.1:1/x", failureMode: ${mode} }]\n`;
const approvers = '  approvals: { approvers: [{ group: leads }] }\n';
const word = 'words: [falcon]';
const label = (more: string): string =>
  `  classification: [{ label: l, ${word}, otherwise: Mask${more === '' ? '' : `, ${more}`} }]\n`;

const rows: readonly (readonly [what: string, code: string | undefined, row: Row])[] = [
  ['what a rule allows', undefined, {}],
  ['whom no rule allows', 'access_denied', { groups: ['ops'] }],
  ['who proves nothing', 'token_missing', { groups: null }],
  [
    'a body over the limit',
    'body_too_large',
    { more: '  requestLimits: { maxBodyBytes: 150 }\n', ask: 'x'.repeat(150) },
  ],
  ['a body within it', undefined, { more: '  requestLimits: { maxBodyBytes: 150 }\n', ask: 'x' }],
  [
    'such a body, where every policy observes',
    undefined,
    { more: '  requestLimits: { maxBodyBytes: 150 }\n', ask: 'x'.repeat(150), change: observing },
  ],
  ['more tokens than the rule allows', 'max_tokens_exceeded', { change: limited, body: { max_tokens: 51 } }],
  [
    'no word of how many tokens, where a rule has a limit',
    undefined,
    { change: (yaml) => `${yaml}    limits: { maxOutputTokens: 50 }\n` },
  ],
  [
    'a stream whose tokens are counted',
    undefined,
    { change: (yaml) => `${yaml}    limits: { tokensPerMinute: 100000 }\n`, body: { stream: true } },
  ],
  ['what a guard masks', undefined, { more: guard(word, 'Mask'), ask: 'about falcon' }],
  [
    'log-probabilities of what is masked',
    undefined,
    { more: guard(word, 'Mask', 'Response'), body: { logprobs: true, return_tokens_as_token_ids: true } },
  ],
  [
    'prompts of token ids beside a guard',
    'token_input_uninspectable',
    { more: guard(word, 'Block'), body: { prompt: [1] } },
  ],
  ['an analyzer that is down', 'analyzer_unavailable', { more: analyzer('Deny') }],
  ['one that may be', undefined, { more: analyzer('Allow') }],
  ['one of policies that observe', undefined, { more: analyzer('Deny'), change: observing }],
  ['no certificate, where one must come', 'certificate_required', { more: '  tls: { inbound: Mutual }\n' }],
  ['the same, where every policy observes', undefined, { more: '  tls: { inbound: Mutual }\n', change: observing }],
  ['a hosted model and a stranger, in Observe', 'access_denied', { hosted: true, change: observing, groups: ['ops'] }],
  ['a hosted model and who may, in Observe', undefined, { hosted: true, change: observing }],
  ['a model of its own and a stranger, in Observe', undefined, { change: observing, groups: ['ops'] }],
  [
    'a model that the policy calls hosted, and a stranger',
    'access_denied',
    { more: '  upstream: { hosted: { url: "https://api.example.com" } }\n', change: observing, groups: ['ops'] },
  ],
  ['a guard', 'guard_blocked', { more: guard(word, 'Block'), ask: 'falcon' }],
  ['a guard of the size alone', 'guard_blocked', { more: guard('minBytes: 100', 'Block'), ask: 'x'.repeat(100) }],
  ['a label that reads requests', 'guard_blocked', { more: label('inRequests: Block'), ask: 'falcon' }],
  ['one that masks in them', undefined, { more: label('inRequests: Mask'), ask: 'about falcon' }],
  ['one of answers alone', undefined, { more: label(''), ask: 'falcon' }],
  [
    'one of whom it does not hide from',
    undefined,
    { more: label('inRequests: Block, visibleTo: [{ group: ml-eng }]'), ask: 'falcon' },
  ],
  [
    'a label that nobody could approve',
    'approval_unavailable',
    { more: label('inRequests: RequireApproval'), ask: 'falcon' },
  ],
  [
    'an approval that nobody could give',
    'approval_unavailable',
    { more: guard(word, 'RequireApproval'), ask: 'falcon' },
  ],
  [
    'one that was asked by nobody',
    'approval_unavailable',
    {
      more: guard(word, 'RequireApproval') + approvers,
      change: (yaml) => yaml.replace('{ group: ml-eng }', '{ anyone: true }'),
      groups: null,
      ask: 'falcon',
    },
  ],
  ['an answer that a guard stops', 'response_blocked', { more: guard(word, 'Block', 'Response'), answer: 'falcon' }],
  [
    'an answer that nobody could approve',
    'approval_unavailable',
    { more: guard(word, 'RequireApproval', 'Response'), answer: 'falcon' },
  ],
];

interface Came {
  readonly code: string | undefined;
  readonly rule: string | undefined;
  /** What the model gets; undefined: nothing. */
  readonly body: string | undefined;
}

/** What is asked, and the caller, as commands and as the world take them. */
function asked({ groups = ['ml-eng'], ask = 'hello', body = {} }: Row) {
  const model = 'llama-3-8b';
  const completion = 'prompt' in body;
  const request = { model, ...(!completion && { messages: [{ role: 'user', content: ask }] }), ...body };
  return {
    groups,
    request,
    operation: completion ? 'Completions' : 'Chat',
    route: completion ? '/v1/completions' : path,
  };
}

async function bySidecar(one: World, row: Row): Promise<Came> {
  const { groups, request, route } = asked(row);
  const seen = one.model.seen.length;
  const token = groups === null ? null : await one.token({ groups: [...groups] });
  const { status, text } = await one.post(route, request, { token });
  const body = one.model.seen[seen]?.body;
  if (status === 200) return { code: undefined, rule: undefined, body };
  const { error } = JSON.parse(text) as { error: { code: string; rule: string | null } };
  return { code: error.code, rule: error.rule ?? 'default', body };
}

interface Files {
  readonly policy: string;
  readonly request: string;
  readonly cases: string;
}

interface Refusal {
  readonly reason: string;
  readonly rule: string;
}

async function byExplain({ policy, request }: Files, row: Row): Promise<Came> {
  const { groups, operation } = asked(row);
  const caller = groups === null ? [] : ['--user', 'ana', ...groups.flatMap((group) => ['--group', group])];
  const { code, out, err } = await sidegateCommand([
    ...['policy', 'explain', policy, '--json', '--operation', operation, '--request', request, ...caller],
    ...(row.answer === undefined ? [] : ['--answer', row.answer]),
    ...(row.hosted === true ? ['--hosted'] : []),
  ]);
  expect(err).toBe('');
  const { content } = JSON.parse(out) as {
    content: { refusal?: Refusal; answer?: { refusal?: Refusal }; request: { passed?: string } };
  };
  const refusal = content.refusal ?? content.answer?.refusal;
  expect(code).toBe(refusal === undefined ? 0 : 1);
  const body = content.refusal === undefined ? content.request.passed : undefined;
  return { code: refusal?.reason, rule: refusal?.rule, body };
}

/** @param body that the model is expected to get */
async function byTest({ policy, cases }: Files, row: Row, body: string | undefined): Promise<Omit<Came, 'body'>> {
  const { groups, operation, request } = asked(row);
  const given = {
    name: 'one',
    ...(groups !== null && { caller: { subject: 'ana', groups } }),
    ...{ operation, request },
    ...(row.answer !== undefined && { answer: row.answer }),
    expect: { decision: 'Allow', ...(body !== undefined && { request: JSON.parse(body) as unknown }) },
  };
  writeFileSync(cases, JSON.stringify({ cases: [given] }));
  const more = row.hosted === true ? ['--hosted'] : [];
  const { code, out } = await sidegateCommand(['policy', 'test', policy, '--cases', cases, '-o', 'json', ...more]);
  const { cases: came } = JSON.parse(out) as { cases: { faults: string[]; reason?: string; rule?: string }[] };
  const [{ faults, reason, rule } = { faults: ['nothing came'] }] = came;
  expect([code, faults.join()]).toEqual(
    reason === undefined ? [0, ''] : [1, expect.stringMatching(/^decision: [^,]*, came Deny/)],
  );
  return { code: reason, rule: reason === undefined ? undefined : rule };
}

test.each(rows)('%s', async (_what, code, row) => {
  const one = row.hosted === true ? hosted : world;
  const yaml = (row.change ?? String)(basePolicy(one.issuer.url)) + (row.more ?? '');
  const streams = row.body !== undefined && 'stream' in row.body;
  one.model.script = streams ? streamChat(['hello']) : answerChat(row.answer ?? 'hello');
  if (inForce.get(one) !== yaml) await one.setPolicy(yaml);
  inForce.set(one, yaml);
  const at = (name: string): string => join(one.folder, name);
  const files = { policy: at('policy.yaml'), request: at('request.json'), cases: at('cases.json') };
  writeFileSync(files.request, JSON.stringify(asked(row).request));
  const came = await bySidecar(one, row);
  expect(came.code).toBe(code);
  expect(await byExplain(files, row)).toEqual(came);
  const { body, ...refused } = came;
  expect(await byTest(files, row, body)).toEqual(refused);
});

const provider = (name: string, spec: string): string => `    - { name: ${name}, ${spec} }\n  access:`;

test.each([
  [
    'a token for two providers of one issuer proves a caller of the first alone',
    (yaml: string) =>
      yaml
        .replace(
          '  access:',
          provider('other', `oidc: { issuer: "${world.issuer.url}", audiences: [other], allowInsecureLoopback: true }`),
        )
        .replace('{ group: ml-eng }', '{ group: ml-eng, provider: other }'),
    ['inference', 'other'],
    'access_denied',
    'identity.providers[other] has the same issuer as ml/test/corp, which is asked first',
  ],
  [
    'service accounts with keys and no issuer prove nobody',
    (yaml: string) =>
      yaml.replace(
        /oidc: .*/,
        `serviceAccount: { jwksUri: "${world.issuer.url}/jwks", audiences: [inference], allowInsecureLoopback: true }`,
      ),
    ['inference'],
    'token_invalid',
    'identity.providers[corp] has a jwksUri and no issuer, and proves nobody',
  ],
])('%s, which `policy validate` says', async (_what, change, aud, code, notice) => {
  const yaml = change(basePolicy(world.issuer.url));
  await world.setPolicy(yaml);
  inForce.set(world, yaml);
  const { text } = await world.post(path, asked({}).request, { token: await world.token({ aud }) });
  expect(JSON.parse(text)).toMatchObject({ error: { code } });
  const { code: exit, out } = await sidegateCommand(['policy', 'validate', join(world.folder, 'policy.yaml')]);
  expect(exit).toBe(0);
  expect(out).toContain(notice);
});

test.each([
  [
    "Anthropic's",
    '/v1/messages',
    { model: 'llama-3-8b', max_tokens: 9, messages: [{ role: 'user', content: 'about falcon' }] },
  ],
  ["Gemini's", '/v1beta/models/llama-3-8b:generateContent', { contents: [{ parts: [{ text: 'about falcon' }] }] }],
  ["the policy's", '/v1/tale', { say: 'about falcon', model: 'llama-3-8b' }],
])('a body of %s own API is decided by its path as a sidecar decides it', async (_what, target, body) => {
  const tale = '  routes: [{ path: /v1/tale, operation: Chat, model: $.model, request: { texts: [$.say] } }]\n';
  const yaml = basePolicy(world.issuer.url) + guard(word, 'Mask') + tale;
  if (inForce.get(world) !== yaml) await world.setPolicy(yaml);
  inForce.set(world, yaml);
  const [policy, request] = [join(world.folder, 'policy.yaml'), join(world.folder, 'request.json')];
  writeFileSync(request, JSON.stringify(body));
  world.model.script = answerChat('hello');
  const before = world.model.seen.length;
  await world.post(target, body);
  const caller = ['--user', 'ana', '--group', 'ml-eng'];
  const { out } = await sidegateCommand([
    'policy',
    'explain',
    policy,
    '--json',
    '--path',
    target,
    '--request',
    request,
    ...caller,
  ]);
  const { content } = JSON.parse(out) as { content: { request: { passed?: string } } };
  expect(content.request.passed).toContain('[g]');
  expect(world.model.seen[before]?.body).toBe(content.request.passed);
});
