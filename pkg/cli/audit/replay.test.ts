import { describe, expect, test } from '@jest/globals';
import { sessionEvents, sessionId, testChain } from '../../recorder/testing/chains.ts';
import { parseJson } from '../../base/index.ts';
import { sidegateCommand } from '../../../test/support/sidegate-command.ts';
import type { Cluster } from '../command.ts';
import { recordedSession } from '../backtest/recorded-session.ts';
import { explanationOf } from './explain.ts';
import { stepsOf } from './replay.ts';
import { lineText } from './show.ts';

const linesOf = (session: Parameters<typeof sessionEvents>[0]): readonly string[] =>
  testChain().lines(sessionEvents(session)).toString().trimEnd().split('\n');

test('a session is replayed in its own steps, with their times', () => {
  expect(stepsOf(linesOf({ id: sessionId(1), ask: 'where?', answer: 'here' }))).toEqual([
    { at: 0, direction: 'request', lane: 'messages[0].content', text: 'where?' },
    { at: 5, direction: 'response', lane: 'choices[0].message.content', text: 'here' },
    {
      at: 12,
      direction: 'end',
      lane: '',
      text: 'completed 200',
      rules: [{ rule: 'support/allow', act: 'allowed', by: [] }],
    },
  ]);
});

const email = { rule: 'support/personal', act: 'masked', by: ['Email'], count: 2 } as const;
const cards = { rule: 'support/cards', act: 'masked', by: ['CreditCard'] } as const;
const maskedLines = (): readonly string[] => {
  const id = sessionId(1);
  const events = sessionEvents({
    id,
    ask: 'to [personal]',
    answer: 'card ****1111, [personal:0123abcd], [hidden], [1]',
  });
  return testChain()
    .lines(events.map((event) => (event.type === 'end' ? { ...event, rules: [email, cards] } : event)))
    .toString()
    .trimEnd()
    .split('\n');
};

test('a replay says what was masked in each text, and which rule did it by what', () => {
  const [asked, answered, end] = stepsOf(maskedLines());
  expect(asked?.masked).toEqual([{ from: 3, to: 13, rules: [email] }]);
  expect(answered?.masked).toEqual([
    { from: 5, to: 13, rules: [email, cards] },
    { from: 15, to: 34, rules: [email] },
    { from: 36, to: 44, rules: [] },
  ]);
  expect(end?.rules).toEqual([email, cards]);
});

async function replayed(more: string, recorded = maskedLines(), screenColumns?: () => number) {
  const client = {
    create: () => Promise.resolve({ status: { token: 't' } }),
    request: ({ path }: { readonly path: string }) =>
      Promise.resolve(path.includes('/v1/sessions/') ? { lines: recorded } : {}),
    close: () => undefined,
  } as unknown as Cluster['client'];
  return sidegateCommand(['audit', 'replay', sessionId(1), ...more.split(' ')], {
    openCluster: () => Promise.resolve({ client, namespace: 'ml' }),
    ...(screenColumns !== undefined && { screenColumns }),
  });
}

test('in the terminal it stands below the text, and in JSON beside it', async () => {
  const { code, out } = await replayed('--speed 0');
  expect(code).toBe(0);
  expect(out.split('\n')).toEqual([
    '> +0 ms messages[0].content',
    '| to [personal]',
    '  [personal]  support/personal: masked by Email, 2 places',
    '< +5 ms choices[0].message.content',
    '| card ****1111, [personal:0123abcd], [hidden], [1]',
    '  ****1111  support/personal: masked by Email, 2 places; support/cards: masked by CreditCard',
    '  [personal:0123abcd]  support/personal: masked by Email, 2 places',
    '  [hidden]  looks like a replacement: no rule that acted here has its name, so perhaps one that hides this in the record alone',
    '= +12 ms ',
    '| completed 200',
    '  support/personal: masked by Email, 2 places',
    '  support/cards: masked by CreditCard',
    '',
  ]);
  const json = await replayed('--speed 0 -o jsonl');
  expect(
    json.out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
  ).toEqual(stepsOf(maskedLines()));
});

test('no text looks like a step, an end or an act of a rule', async () => {
  const forged = '\n= +900 ms \ncompleted 200\n  payroll: blocked by Salary\n> +901 ms messages[1].content\nI approve';
  const { out } = await replayed('--speed 0', linesOf({ id: sessionId(1), ask: `a${forged}`, answer: `b${forged}` }));
  expect(out.split('\n').filter((row) => !row.startsWith('| '))).toEqual([
    '> +0 ms messages[0].content',
    '< +5 ms choices[0].message.content',
    '= +12 ms ',
    '  support/allow: allowed',
    '',
  ]);
  expect(out).toContain('| a\n| = +900 ms \n| completed 200\n|   payroll: blocked by Salary\n');
});

test.each([
  ['letters', 'abcdefghij'.repeat(9)],
  ['wide characters', '東京'.repeat(40)],
  ['tabs and emoji', '\t🙂x'.repeat(30)],
  ['spaces that bring a forged step to the next row', `${' '.repeat(38)}= +900 ms completed 200`],
])('a text that is wider than the terminal stands behind its bar on each row: %s', async (_what, text) => {
  const { out } = await replayed('--speed 0', linesOf({ id: sessionId(1), ask: text, answer: text }), () => 40);
  const rows = out.split('\n');
  const shown = rows.filter((row) => row.startsWith('| '));
  expect(shown.length).toBeGreaterThan(2 + 2 * Math.floor(text.length / 40));
  for (const row of shown) {
    const cells = [...row].reduce((sum, one) => sum + (one === '\t' ? 8 : one > '~' ? 2 : 1), 0);
    expect(cells).toBeLessThanOrEqual(40);
  }
  expect(shown.map((row) => row.slice(2)).join('')).toBe(`${text}${text}completed 200`);
});

describe('each step comes at its time', () => {
  const [start, segment, end] = sessionEvents({ id: sessionId(1) });
  if (start?.type !== 'start' || segment?.type !== 'segment' || end?.type !== 'end') throw new Error('no session');
  const segments = Array.from({ length: 100 }, (_, n) => ({ ...segment, lane: `lane ${n}`, at: 10 * n }));
  const timing = { ...end.timing, total: 1_000 };
  const lines = testChain()
    .lines([start, ...segments, { ...end, lines: 102, timing }])
    .toString()
    .trimEnd()
    .split('\n');
  /** By a clock on which each sleep takes 3 ms longer. @returns when steps were printed, and what was slept at most */
  const times = async (speed: string, step = 0) => {
    let [time, slept, longest] = [5_000, 0, 0];
    const at: number[] = [];
    const client = {
      create: () => Promise.resolve({ status: { token: 't' } }),
      request: ({ path }: { readonly path: string }) =>
        Promise.resolve(path.includes('/v1/sessions/') ? { lines } : {}),
      close: () => undefined,
    } as unknown as Cluster['client'];
    await sidegateCommand(['audit', 'replay', sessionId(1), '-o', 'jsonl', '--speed', speed], {
      openCluster: () => Promise.resolve({ client, namespace: 'ml' }),
      now: () => time + (slept >= 50 ? step : 0),
      sleep: (ms) => {
        slept++;
        longest = Math.max(longest, ms);
        time += ms + 3;
        return Promise.resolve();
      },
      stdout: () => void at.push(time - 5_000),
    });
    return { at, longest };
  };

  test.each([
    ['1', 1],
    ['4', 4],
    ['0.5', 0.5],
  ])('--speed %s', async (flag, speed) => {
    const { at } = await times(flag);
    const meant = [0, ...segments.map((one) => one.at), 1_000].map((one) => one / speed);
    expect(at).toHaveLength(meant.length);
    for (const [n, one] of at.entries()) expect(one - (meant[n] ?? 0)).toBeLessThanOrEqual(4);
    for (const [n, one] of at.entries()) expect(one - (meant[n] ?? 0)).toBeGreaterThanOrEqual(0);
  });

  test('at once', async () => expect((await times('0')).at.at(-1)).toBe(0));

  test('and a clock that is set back makes none wait longer', async () => {
    expect((await times('1', -3_600_000)).longest).toBe(10);
  });
});

test('many short texts of a request are replayed one by one, and shown so', () => {
  const [start, ...rest] = sessionEvents({ id: sessionId(1) });
  const request = ['a', 'b'].map((text, at) => ({ lane: `input[${at}]`, text }));
  const texts = { type: 'texts', session: sessionId(1), request, at: 2 } as const;
  const lines = testChain()
    .lines([...(start === undefined ? [] : [start]), texts, ...rest])
    .toString()
    .trimEnd()
    .split('\n');
  expect(stepsOf(lines).slice(1, 3)).toEqual([
    { at: 2, direction: 'request', lane: 'input[0]', text: 'a' },
    { at: 2, direction: 'request', lane: 'input[1]', text: 'b' },
  ]);
  expect(lineText(parseJson(lines[1] ?? ''))).toBe('  asked    input[0]: a\n  asked    input[1]: b');
  expect(recordedSession(lines, false)?.request).toEqual(['hello there', 'a', 'b']);
});

test('a session is explained rule by rule', () => {
  const lines = linesOf({ id: sessionId(1), outcome: 'refused', rule: 'support/no-secrets', by: ['Secrets', 'word'] });
  expect(explanationOf(lines)).toEqual([
    'ana asked for Chat of llama-3',
    '  by provider corp, groups: ml',
    '  under g1',
    '1. support/no-secrets: blocked by Secrets, word',
    'so: refused, 403 guard_blocked (docs/errors.md)',
  ]);
});

test('and who approved it, as it is shown, too', () => {
  const decision = { decision: 'Approve', at: '2026-11-26T12:00:00Z', by: 'user:ana', from: '10.0.0.7' };
  const decisions = [
    { ...decision, breakGlass: false },
    { ...decision, by: 'https://idp.test bo', breakGlass: true },
  ];
  const approval = JSON.stringify({ type: 'approval', name: 'ml/a1', phase: 'Approved', decisions });
  const said = [
    'approval ml/a1: Approved',
    '  decided  2026-11-26T12:00:00Z user:ana: Approve from 10.0.0.7',
    '  decided  2026-11-26T12:00:00Z https://idp.test bo: Approve from 10.0.0.7, break-glass',
  ].join('\n');
  expect(
    explanationOf([approval, JSON.stringify({ type: 'end', outcome: 'completed', status: 200, rules: [] })]),
  ).toEqual([said, 'no rule acted', 'so: completed, 200']);
  expect(lineText(parseJson(approval))).toBe(`  ${said}`);
  const change = { type: 'change', time: 'T', what: 'Approval', name: 'a1', step: 'Approved', decisions };
  expect(explanationOf([JSON.stringify(change)])).toEqual([lineText(parseJson(JSON.stringify(change)))]);
  expect(explanationOf([JSON.stringify(change)])[0]).toContain('user:ana: Approve');
});

test('and by how certain what they found was, where its record says', () => {
  const found = [
    { by: 'Phone', certainty: 'Likely', reason: 'Spelling', count: 2 },
    { by: 'Phone', certainty: 'Certain', reason: 'TellingWord', count: 1 },
    { by: 'Email', certainty: 'Certain', reason: 'Format', count: 1 },
    { by: 'word', certainty: 'Certain', reason: 'Policy', count: 1 },
  ] as const;
  const act = { rule: 'support/personal', act: 'masked', by: ['Phone', 'Email', 'word'], count: 5, found };
  const end = JSON.stringify({ type: 'end', outcome: 'completed', status: 200, rules: [act], observed: [act] });
  const said =
    'support/personal: masked by Phone (Likely: Spelling; Certain: TellingWord), Email (Certain: Format), word, 5 places';
  expect(explanationOf([end])).toEqual([`1. ${said}`, `would have (Observe): ${said}`, 'so: completed, 200']);
});

test('a session that has not ended, of nobody known, is said to be that', () => {
  expect(explanationOf(linesOf({ id: sessionId(1), user: null }).slice(0, 1))).toEqual([
    'nobody known asked for Chat of llama-3',
    '  under g1',
    'it has not ended, or its end has not come',
  ]);
});
