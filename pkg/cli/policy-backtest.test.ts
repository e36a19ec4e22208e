import { expect, test } from '@jest/globals';
import { noLogin } from '../../test/support/no-login.ts';
import type { AuditEvent, ReasonCode, RuleAct } from '../core/index.ts';
import { checkPattern } from '../detect/index.ts';
import { entryText } from '../record/index.ts';
import { sessionEvents, sessionId, testChain } from '../recorder/testing/chains.ts';
import { makeSealKeys, sealingKey } from '../seal/index.ts';
import type { BacktestReport } from './backtest/report.ts';
import type { Cluster } from './command.ts';
import { run } from './run.ts';
import { noFolder } from '../../test/support/no-folder.ts';

/** Recorded sessions under other policies: each row of the record is one way in which policies can differ. */
const keys = makeSealKeys();
const sealing = sealingKey(keys.publicKey);

interface Row {
  readonly ask?: string;
  readonly answer?: string;
  readonly user?: string | null;
  readonly issuer?: string;
  readonly acts?: readonly RuleAct[];
  readonly outcome?: 'completed' | 'refused';
  /** Of what was refused; default: by a guard. */
  readonly code?: ReasonCode;
  /** What of the answer was masked is sealed, too. */
  readonly said?: string;
}

const allowed: RuleAct = { rule: 'old/all', act: 'allowed' };
const masked: RuleAct = { rule: 'old/personal', act: 'masked', by: ['Email'] };
const blocked: RuleAct = { rule: 'old/secrets', act: 'blocked', by: ['word'] };

function eventsOf(
  id: string,
  { issuer = 'https://idp.test', acts = [allowed], said, code, ...row }: Row,
): readonly AuditEvent[] {
  const sealer = sealing.session(id);
  return sessionEvents({ id, ...row }).map((event): AuditEvent => {
    switch (event.type) {
      case 'start':
        return {
          ...event,
          caller: event.caller === null ? null : { ...event.caller, issuer },
          ...(said !== undefined && { sealed: sealer.head }),
        };
      case 'segment':
        return said === undefined ? event : { ...event, ...sealer.seal('response', event.lane, said) };
      case 'end':
        return {
          ...event,
          ...(code !== undefined && { code }),
          rules: acts,
          ...(said !== undefined && { sealed: sealer.end() }),
        };
      default:
        return event;
    }
  });
}

const linesOf = (rows: readonly Row[]): readonly (readonly string[])[] =>
  rows.map((row, at) =>
    testChain(String(at))
      .lines(eventsOf(sessionId(at), row))
      .toString()
      .trimEnd()
      .split('\n'),
  );

/** As `audit export` writes it. */
const exportOf = (rows: readonly Row[], namespace = 'ml'): string =>
  linesOf(rows)
    .map((lines, index) => {
      const source = `spiffe://c/ns/${namespace}/sa/default/pod/1`;
      const entry = { type: 'block', at: 1, source, chain: 'c', first: 1, last: 3, prev: '', hash: '' } as const;
      return `${JSON.stringify({ kind: 'entry', index, text: entryText(entry), lines: `${lines.join('\n')}\n` })}\n`;
    })
    .join('');

const policy = (rules: string): string => `
apiVersion: sidegate.dev/v1alpha1
kind: InferencePolicy
metadata: { name: new, namespace: ml }
spec:
  identity: { providers: [{ name: corp, oidc: { issuer: "https://idp.test", audiences: [a] } }] }
${rules.includes('approvals:') ? '' : '  approvals: { approvers: [{ group: leads }] }\n'}\
  access: [{ name: all, effect: Allow, subjects: [{ authenticated: true }], operations: [Chat] }]
${rules}`;

const label = 'classification: [{ label: personal, detectors: [Email], visibleTo: [], otherwise: Mask }]';

async function backtest(rules: string, rows: readonly Row[], more = '', namespace = 'ml') {
  const out: string[] = [];
  const err: string[] = [];
  const asked: unknown[] = [];
  const files: Readonly<Record<string, string>> = {
    'p.yaml': policy(`  ${rules}\n`),
    'log.jsonl': exportOf(rows, namespace),
    'key.pem': keys.privateKey,
  };
  const lines = linesOf(rows);
  const client = {
    create: () => Promise.resolve({ status: { token: 't' } }),
    // Two to a page.
    request: ({ path, body }: { readonly path: string; readonly body: { readonly cursor?: string } }) => {
      if (!path.endsWith('/v1/sessions')) return Promise.resolve({});
      asked.push(body);
      const from = Number(body.cursor ?? 0);
      const page = lines.slice(from, from + 2);
      return Promise.resolve({
        sessions: page.map((some, at) => ({ session: { session: sessionId(from + at), namespace }, lines: some })),
        cursor: from + 2 < lines.length ? String(from + 2) : null,
        unsearched: 0,
      });
    },
    close: () => undefined,
  } as unknown as Cluster['client'];
  const against = more.includes('--against') ? '' : ' --against log.jsonl';
  const code = await run(`policy test p.yaml${against} ${more}`.trim().split(/\s+/), {
    stdout: (text) => void out.push(text),
    stderr: (text) => void err.push(text),
    readFile(path) {
      const text = files[path];
      if (text === undefined) throw new Error('no such file');
      return text;
    },
    writeFile: () => undefined,
    checkPattern: (pattern, maxLength) => checkPattern(pattern, maxLength)?.message,
    login: noLogin,
    publicRoots: [],
    now: () => 1_000_000_000,
    sleep: () => Promise.resolve(),
    folder: noFolder,
    openCluster: () => Promise.resolve({ client, namespace: 'ml' }),
    ask: () => Promise.reject(new Error('nothing is asked')),
  });
  return { code, out: out.join(''), err: err.join(''), asked };
}

async function reportOf(rules: string, rows: readonly Row[], more = ''): Promise<BacktestReport & { code: number }> {
  const { code, out, err } = await backtest(rules, rows, `-o json ${more}`);
  expect(err).toBe('');
  return { ...(JSON.parse(out) as BacktestReport), code };
}

const none = { blocked: 0, held: 0, masked: 0, allowed: 0, unmasked: 0, unknown: 0 };
const guard = (action: string): string =>
  `guards: [{ name: falcon, direction: Request, match: { words: [falcon] }, action: ${action} }]`;

test.each<[string, string, Row, Partial<BacktestReport['changes']>]>([
  ['as it went', label, { ask: 'hello' }, {}],
  ['masked as before', label, { answer: 'to bob@corp.test', acts: [masked] }, {}],
  ['a guard that blocks', guard('Block'), { ask: 'about Falcon' }, { blocked: 1 }],
  ['a guard that asks', guard('RequireApproval'), { ask: 'about falcon' }, { held: 1 }],
  ['a guard that masks', guard('Mask'), { ask: 'about falcon' }, { masked: 1 }],
  ['a guard that flags', guard('Flag'), { ask: 'about falcon' }, {}],
  ['a guard in an observing policy', `mode: Observe\n  ${guard('Block')}`, { ask: 'about falcon' }, {}],
  ['a label on the answer', label, { answer: 'to bob@corp.test' }, { masked: 1 }],
  [
    'a label that blocks the answer',
    label.replace('otherwise: Mask', 'otherwise: Block'),
    { answer: 'b@corp.test' },
    { blocked: 1 },
  ],
  ['a caller of another issuer', label, { issuer: 'https://other.test' }, { blocked: 1 }],
  ['a body over the limit', 'requestLimits: { maxBodyBytes: 99 }', { ask: 'hello' }, { blocked: 1 }],
  ['an analyzer that is down', 'analyzers: [{ name: ner, url: "https://a/x" }]', { ask: 'hello' }, { blocked: 1 }],
  [
    'an approval that nobody could give',
    guard('RequireApproval').replace('guards:', 'approvals: { required: 1 }\n  guards:'),
    { ask: 'about falcon' },
    { blocked: 1 },
  ],
  [
    'one that nobody could give then, and may be asked for now',
    guard('RequireApproval'),
    {
      outcome: 'refused',
      code: 'approval_unavailable',
      ask: 'falcon',
      acts: [{ rule: 'old/falcon', act: 'held', by: ['word'] }],
    },
    { held: 1 },
  ],
  ['a caller who proved nothing', label, { user: null }, { blocked: 1 }],
  ['a prompt that was refused', label, { outcome: 'refused', ask: 'word', acts: [blocked] }, { allowed: 1 }],
  [
    'one that was refused, and would be held',
    guard('RequireApproval'),
    { outcome: 'refused', ask: 'falcon', acts: [blocked] },
    { held: 1 },
  ],
  [
    'one that was refused, of which something is masked',
    label,
    { outcome: 'refused', ask: '[pii] word', acts: [blocked] },
    { unknown: 1 },
  ],
  [
    'masked text of which nothing is known',
    guard('Block'),
    { answer: 'to [personal]', acts: [masked] },
    { unknown: 1 },
  ],
  ['masked by a rule that stands', label, { answer: 'to [personal]', acts: [{ ...masked, rule: 'new/personal' }] }, {}],
])('%s', async (_, rules, row, expected) => {
  const { changes, code, sessions } = await reportOf(rules, [row]);
  expect({ changes, sessions }).toEqual({ changes: { ...none, ...expected }, sessions: 1 });
  expect(code).toBe(Object.keys(expected).length === 0 ? 0 : 1);
});

test('text that was recorded in full is decided on as it was, and shown to nobody', async () => {
  const row = { answer: 'to [personal]', said: 'to bob@corp.test, about falcon', acts: [masked] };
  const closed = await reportOf(guard('Block'), [row]);
  expect([closed.changes, closed.cannotKnow.masked]).toEqual([{ ...none, unknown: 1 }, 1]);
  const open = await reportOf(guard('Block'), [row], '--unseal key.pem');
  expect([open.changes, open.cannotKnow.masked]).toEqual([{ ...none, unmasked: 1 }, 0]);
  expect(open.rules).toEqual([{ change: 'unmasked', rule: 'old/personal', sessions: 1 }]);
  expect(JSON.stringify(open)).not.toContain('bob');
  expect((await reportOf(label, [row], '--unseal key.pem')).changes).toEqual(none);
});

test('counts by rule and caller, gives so many examples, and fails but for what is accepted', async () => {
  const rows = [
    { ask: 'falcon 1' },
    { ask: 'falcon 2', user: 'bob' },
    { ask: 'falcon 3', user: 'bob' },
    { ask: 'kite' },
  ];
  const report = await reportOf(guard('Block'), rows, '--examples 2');
  expect(report).toMatchObject({ code: 1, sessions: 4, unchanged: 1 });
  expect(report.rules).toEqual([{ change: 'blocked', rule: 'new/falcon', sessions: 3 }]);
  expect(report.callers.map((one) => [one.caller, one.sessions])).toEqual([
    ['bob', 2],
    ['ana', 1],
  ]);
  expect(report.examples.map((one) => one.text)).toEqual(['falcon 1', 'falcon 2']);
  expect(report.examples[0]).toMatchObject({
    session: sessionId(0),
    was: 'allowed',
    would: 'blocked by new/falcon (word)',
  });
  expect((await reportOf(guard('Block'), rows, '--accept blocked')).code).toBe(0);
  expect((await reportOf(guard('Block'), rows, '--accept masked')).code).toBe(1);
  const { out } = await backtest(guard('Block'), rows);
  expect(out).toContain('3 newly refused\n  rule    new/falcon: 3\n  caller  bob: 2\n');
});

test('what cannot be decided again is left out, and said', async () => {
  const limited: RuleAct = { rule: 'old/all', act: 'limited', by: ['rate_limited'] };
  const { sessions, cannotKnow } = await reportOf(label, [{ acts: [limited], outcome: 'refused' }, {}]);
  expect([sessions, cannotKnow]).toEqual([1, { masked: 0, withoutText: 0, limited: 1, open: 0, elsewhere: 0 }]);
  const { out } = await backtest(label, [{}], '', 'other');
  expect(out).toContain('0 sessions decided again');
  expect(out).toContain('1 of other namespaces than the policies: left out');
});

test('the record of a cluster is asked page by page, for the namespace of the policies', async () => {
  const rows = [{ ask: 'falcon' }, {}, { ask: 'falcon' }, {}, { ask: 'falcon' }];
  const { code, out, asked } = await backtest(guard('Block'), rows, '--against since=10m,user=ana -o json');
  expect(code).toBe(1);
  expect((JSON.parse(out) as BacktestReport).changes.blocked).toBe(3);
  const question = { since: 1_000_000_000 - 600_000, user: 'ana', namespace: 'ml', limit: 50 };
  expect(asked).toEqual([question, { ...question, cursor: '2' }, { ...question, cursor: '4' }]);
  const some = await backtest(guard('Block'), rows, '--against since=10m --limit 2 -o json');
  expect((JSON.parse(some.out) as BacktestReport).sessions).toBe(2);
});

test.each([
  ['--against since=soon', 'is no time'],
  ['--against colour=red', 'colour=red is no condition'],
  ['--against since=1h --limit many', '--limit is a whole number'],
  ['--against log.jsonl --accept worse', '--accept must be one of'],
])('%s is not understood', async (more, why) => {
  const { code, out, err } = await backtest(label, [{}], more);
  expect([code, out]).toEqual([2, '']);
  expect(err).toContain(why);
});

test('a file that is no export, another key, and policies with faults are said', async () => {
  expect(await backtest(label, [{}], '--against p.yaml')).toMatchObject({
    code: 1,
    err: expect.stringContaining('is no file'),
  });
  expect(await backtest(label, [{}], '--against none.jsonl')).toMatchObject({ code: 1, out: '' });
  expect(await backtest('audit: { content: Full }', [{}])).toMatchObject({
    code: 1,
    err: expect.stringContaining('sealTo'),
  });
});
