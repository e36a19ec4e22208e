import { describe, expect, test } from '@jest/globals';
import { noFolder } from '../../test/support/no-folder.ts';
import { noLogin } from '../../test/support/no-login.ts';
import { run } from './run.ts';

const policy = `apiVersion: sidegate.dev/v1alpha1
kind: InferencePolicy
metadata: { name: p, namespace: ml }
spec:
  identity: { providers: [{ name: corp, oidc: { issuer: "https://idp", audiences: [a] } }] }
  access:
  - { name: team, effect: Allow, subjects: [{ group: eng }], operations: [Chat, Completions], models: ["llama*"] }
  guards:
  - { name: secrets, direction: Request, match: { detectors: [Secrets] }, action: Block }
  - { name: mail, direction: Request, match: { detectors: [Email] }, action: Mask }
  - { name: risky, direction: Request, match: { words: [falcon] }, action: RequireApproval }
  classification:
  - { label: pii, detectors: [Email], visibleTo: [{ group: audit }], otherwise: Mask }
  - { label: sealed, patterns: [kryptonite], otherwise: RequireApproval }
  approvals: { approvers: [{ group: leads }] }
`;
const good = `cases:
- name: a stranger
  prompt: hello
  expect: { decision: Deny, rule: default }
- name: an engineer
  caller: &no { subject: ana, groups: [eng] }
  model: llama-3
  prompt: hello
  expect: { decision: Allow, rule: p/team, prompt: hello }
`.replace('&no ', '');
const engineer = 'caller: { groups: [eng] }\n  model: llama-3\n  ';

async function sidegate(cases: string, more: readonly string[] = [], policies = policy) {
  let [out, err] = ['', ''];
  const none = (): never => {
    throw new Error('not here');
  };
  const files: Readonly<Record<string, string>> = { 'p.yaml': policies, 'c.yaml': cases };
  const code = await run(['policy', 'test', 'p.yaml', '--cases', 'c.yaml', ...more], {
    stdout: (text) => void (out += text),
    stderr: (text) => void (err += text),
    readFile: (path) => files[path] ?? none(),
    writeFile: none,
    checkPattern: () => undefined,
    publicRoots: [],
    now: () => 0,
    sleep: none,
    openCluster: none,
    login: noLogin,
    folder: noFolder,
    ask: none,
  });
  return { code, out, err };
}
const one = (text: string): string => `cases:\n- name: one\n  ${text}\n`;

test('all as expected', async () => {
  expect(await sidegate(good)).toEqual({
    code: 0,
    out: 'ok    a stranger: Deny by default (token_missing)\nok    an engineer: Allow by p/team\n2 as expected, 0 not\n',
    err: '',
  });
});

test.each([
  ['a secret is denied', 'prompt: use AKIAIOSFODNN7EXAMPLE', '{ decision: Deny, rule: p/secrets }'],
  [
    'so is one over two messages',
    'request: { model: llama-3, messages: [{ role: system, content: AKIAIOSF }, { role: user, content: ODNN7EXAMPLE }] }',
    '{ rule: p/secrets }',
  ],
  ['mail is masked', 'prompt: ask ana@example.com', '{ decision: Allow, prompt: "ask [mail]" }'],
  [
    'also in a whole body',
    'request: { messages: [{ content: a@example.com, role: user }], model: llama-3 }',
    '{ request: { model: llama-3, messages: [{ role: user, content: "[mail]" }] } }',
  ],
  ['words ask', 'prompt: what is fаlcon', '{ decision: RequireApproval, rule: p/risky, prompt: what is fаlcon }'],
  ['answers are masked', 'answer: write to ana@example.com', '{ decision: Allow, answer: "write to [pii]" }'],
  ['an answer asks', 'answer: the kryptonite', '{ decision: RequireApproval, rule: p/sealed }'],
  ['a completion is read too', 'operation: Completions\n  prompt: ask ana@example.com', '{ prompt: "ask [mail]" }'],
])('%s', async (_what, given, expected) => {
  expect(await sidegate(one(`${engineer}${given}\n  expect: ${expected}`))).toMatchObject({ code: 0, err: '' });
});

test.each([
  ['decision', '{ decision: Deny }', 'decision: expected Deny, came Allow by p/team'],
  ['rule', '{ rule: p/other }', 'rule: expected p/other, came p/team'],
  ['prompt', '{ prompt: "ask ana@example.com" }', 'prompt: expected "ask ana@example.com", came "ask [mail]"'],
  ['answer', '{ answer: fine }', 'answer: expected "fine", came "to [pii]"'],
])('another %s than expected is exit code 1, and said', async (_what, expected, message) => {
  const given = `${engineer}prompt: ask ana@example.com\n  answer: to bob@example.com\n  expect: ${expected}`;
  const { code, out } = await sidegate(one(given));
  expect(code).toBe(1);
  expect(out).toContain(`FAIL  one: Allow by p/team\n      ${message}\n0 as expected, 1 not\n`);
});

test('what is refused goes nowhere: no text of it is as expected', async () => {
  const given = `${engineer}prompt: use AKIAIOSFODNN7EXAMPLE\n  expect: { prompt: use AKIAIOSFODNN7EXAMPLE }`;
  expect((await sidegate(one(given))).out).toContain('came nothing');
});

describe('for CI', () => {
  const failing = `${good}- name: <"&\n  expect: { decision: Allow }\n`;
  test('prints JUnit', async () => {
    const { code, out } = await sidegate(failing, ['-o', 'junit']);
    expect(code).toBe(1);
    expect(out).toContain('<testsuite name="sidegate policy test" tests="3" failures="1">');
    expect(out).toContain(
      '<testcase classname="policy" name="&lt;&quot;&amp;"><failure message="decision: expected Allow, came Deny by default">',
    );
  });
  test('prints JSON', async () => {
    const { cases } = JSON.parse((await sidegate(failing, ['-o', 'json'])).out) as { cases: unknown[] };
    expect(cases[1]).toEqual({ name: 'an engineer', passed: true, faults: [], decision: 'Allow', rule: 'p/team' });
    expect(cases[2]).toMatchObject({ passed: false, faults: ['decision: expected Allow, came Deny by default'] });
  });
});

test.each([
  ['no file of cases', 'nothing', 'c.yaml:1: must be fields'],
  [
    'an unknown field',
    one('expects: {}'),
    'c.yaml:3: cases[0].expects: there is no such field. Did you mean "expect"?',
  ],
  ['nothing expected', one('expect: {}'), 'cases[0]: expect names nothing'],
  ['prompt and request', one('prompt: a\n  request: {}\n  expect: { decision: Allow }'), 'one or the other'],
  ['a text of nothing', one('expect: { answer: a }'), 'expect.answer needs answer'],
  ['a name twice', `${good}${good.slice(7)}`, 'is the name of another case too'],
  ['an unknown decision', one('expect: { decision: Yes }'), 'one of Allow, Deny, RequireApproval'],
  ['a number as text', one('prompt: 7\n  expect: { decision: Allow }'), 'must be text: put it in quotes'],
])('%s is exit code 2, with its line', async (_what, cases, message) => {
  const { code, out, err } = await sidegate(cases);
  expect([code, out]).toEqual([2, '']);
  expect(err).toContain(message);
});

test('cases or the record, one of them; JUnit is of cases', async () => {
  expect(await sidegate(good, ['--against', 'since=1h'])).toMatchObject({
    code: 2,
    err: expect.stringContaining('one of them'),
  });
});

test('what cannot be asked is no success', async () => {
  const other = await sidegate(one('caller: { subject: a, provider: nope }\n  expect: { decision: Deny }'));
  expect(other).toMatchObject({ code: 1, out: expect.stringContaining('caller.provider names nobody') });
  const health = await sidegate(one('operation: Health\n  prompt: a\n  expect: { decision: Deny }'));
  expect(health).toMatchObject({ code: 1, out: expect.stringContaining('Health has no prompt') });
  expect(await sidegate(good, [], policy.replace('Allow', 'Alow'))).toMatchObject({ code: 1, out: '' });
});

describe('a request at a path', () => {
  const described = policy.replace(
    '  approvals:',
    '  routes:\n  - { path: /v1/tale, operation: Completions, model: $.model, request: { texts: [$.say], others: Refused } }\n  approvals:',
  );
  const at = async (text: string, expected: string): Promise<unknown> => {
    const { code, out, err } = await sidegate(one(`${engineer}${text}\n  expect: ${expected}`), [], described);
    return [code, out + err];
  };
  const well = [0, expect.stringContaining('1 as expected, 0 not')];

  test.each([
    [
      'is read as its dialect reads it',
      'path: /v1/messages\n  request: { model: llama-3, max_tokens: 9, messages: [{ role: user, content: ask a@example.com }] }',
      '{ decision: Allow, rule: p/team, request: { model: llama-3, max_tokens: 9, messages: [{ role: user, content: "ask [mail]" }] } }',
    ],
    [
      'is read as the policies describe it',
      'path: /v1/tale\n  request: { model: llama-3, say: AKIAIOSFODNN7EXAMPLE }',
      '{ decision: Deny, rule: p/secrets }',
    ],
  ])('%s', async (_, text, expected) => expect(await at(text, expected)).toEqual(well));

  test('has its operation from there, and the model of the path', async () => {
    const gemini = 'path: /v1beta/models/small:generateContent\n  request: { contents: [{ parts: [{ text: hi }] }] }';
    const asked = one(`caller: { groups: [eng] }\n  ${gemini}\n  expect: { decision: Deny }`);
    expect((await sidegate(asked)).out).toContain('as expected');
    expect(await at('path: /v1/unknown', '{ decision: Deny }')).toEqual(well);
  });

  test.each([
    [
      'what a policy does not list',
      'path: /v1/tale\n  request: { model: llama-3, say: hi, more: x }',
      'invalid_request',
    ],
    ['another spelling of a path', 'path: /v1//messages\n  request: { model: m }', 'invalid_path'],
    ['a form', 'path: /v1/audio/transcriptions\n  request: { model: m }', 'takes no JSON'],
  ])('cannot be decided for %s', async (_, text, fault) =>
    expect(await at(text, '{ decision: Allow }')).toEqual([1, expect.stringContaining(fault)]),
  );

  test.each([
    ['path: /v1/messages\n  operation: Chat', 'path and operation are one or the other'],
    ['path: /v1/messages\n  prompt: hi', 'path wants the whole body'],
  ])('is not said twice: %j', async (text, fault) =>
    expect(await at(text, '{ decision: Allow }')).toEqual([expect.anything(), expect.stringContaining(fault)]),
  );
});
