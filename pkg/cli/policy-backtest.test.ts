import { describe, expect, test } from '@jest/globals';
import { noLogin } from '../../test/support/no-login.ts';
import type {
  AuditEvent,
  Certainty,
  FindingReason,
  FoundKind,
  Operation,
  ReasonCode,
  RecordedText,
  RuleAct,
} from '../core/index.ts';
import { reasons } from '../core/index.ts';
import { checkPattern } from '../detect/index.ts';
import { entryText } from '../record/index.ts';
import { sessionEvents, sessionId, testChain } from '../recorder/testing/chains.ts';
import { makeSealKeys, sealingKey } from '../seal/index.ts';
import { decidedBy } from './backtest/decided-by.ts';
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
  readonly outcome?: 'completed' | 'refused' | 'ended';
  /** Of what was refused; default: by a guard. */
  readonly code?: ReasonCode;
  /** What of the answer was masked is sealed, too. */
  readonly said?: string;
  /** All of its texts are sealed, and none stands in clear. */
  readonly whole?: true;
  /** Default: Chat. */
  readonly operation?: Operation;
  /** So many texts of a request beside `ask`. */
  readonly texts?: number;
  /** The line of its answer is not there. */
  readonly cut?: true;
  /** Refused before its body was read. */
  readonly unseen?: true;
  /** What rules of policies in Observe mode would have done. */
  readonly observed?: readonly RuleAct[];
}

const allowed: RuleAct = { rule: 'old/all', act: 'allowed' };
const masked: RuleAct = { rule: 'old/personal', act: 'masked', by: ['Email'] };
const blocked: RuleAct = { rule: 'old/secrets', act: 'blocked', by: ['word'] };

function eventsOf(
  id: string,
  {
    issuer = 'https://idp.test',
    acts = [allowed],
    said,
    code,
    whole,
    operation = 'Chat',
    texts = 0,
    cut,
    unseen,
    observed = [],
    outcome,
    ...row
  }: Row,
): readonly AuditEvent[] {
  const sealer = whole === true ? sealing.wholeSession(id) : sealing.session(id);
  const seals = said !== undefined || whole === true;
  const wholeOf = (direction: 'request' | 'response', { lane, text = '' }: RecordedText) => ({
    lane,
    ...sealer.sealWhole(direction, lane, text, said !== undefined && direction === 'response' ? said : text),
  });
  const others = Array.from({ length: texts }, (_, at) => ({ lane: `input[${at}]`, text: 'a' }));
  const refused = outcome === 'refused' ? { outcome } : {};
  const events = sessionEvents({ id, ...row, ...refused }).filter(({ type }) => cut !== true || type !== 'segment');
  return events.map((event): AuditEvent => {
    switch (event.type) {
      case 'start':
        return {
          ...event,
          operation,
          ...(texts > 0 && { request: [...(event.request ?? []), ...others] }),
          ...(unseen === true && { model: null, request: [] }),
          caller: event.caller === null ? null : { ...event.caller, issuer },
          ...(seals && { sealed: sealer.head }),
          ...(whole === true && { request: (event.request ?? []).map((text) => wholeOf('request', text)) }),
        };
      case 'segment':
        if (whole === true) {
          const { text: _, ...rest } = event;
          return { ...rest, ...wholeOf('response', event) };
        }
        return said === undefined ? event : { ...event, ...sealer.seal('response', event.lane, said) };
      case 'end':
        return {
          ...event,
          ...(code !== undefined && { code }),
          rules: acts,
          observed,
          ...(outcome !== undefined && { outcome }),
          ...(seals && { sealed: sealer.end() }),
        };
      default:
        return event;
    }
  });
}

const linesMade = new WeakMap<readonly Row[], readonly (readonly string[])[]>();
function linesOf(rows: readonly Row[]): readonly (readonly string[])[] {
  const made =
    linesMade.get(rows) ??
    rows.map((row, at) =>
      testChain(String(at))
        .lines(eventsOf(sessionId(at), row))
        .toString()
        .trimEnd()
        .split('\n'),
    );
  linesMade.set(rows, made);
  return made;
}

/** As `audit export` writes it. */
const exportOf = (sessions: readonly (readonly string[])[], namespace = 'ml'): string =>
  sessions
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
${rules.includes('access:') ? '' : '  access: [{ name: all, effect: Allow, subjects: [{ authenticated: true }], operations: [Chat] }]\n'}\
${rules}`;

const label = 'classification: [{ label: personal, detectors: [Email], visibleTo: [], otherwise: Mask }]';

/** @param beside lines that are of no session. */
async function backtest(
  rules: string,
  rows: readonly Row[],
  more = '',
  namespace = 'ml',
  was = rules,
  beside: readonly (readonly string[])[] = [],
) {
  const out: string[] = [];
  const err: string[] = [];
  const asked: unknown[] = [];
  const files: Readonly<Record<string, string>> = {
    'p.yaml': policy(`  ${rules}\n`),
    'was.yaml': policy(`  ${was}\n`),
    'log.jsonl': exportOf([...linesOf(rows), ...beside], namespace),
    'key.pem': keys.privateKey,
    'other.pem': makeSealKeys().privateKey,
    'web.yaml': policy(`  ${rules}\n`).replace('namespace: ml', 'namespace: web'),
  };
  const lines = [...linesOf(rows), ...beside];
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
        unsearched: more.includes('text=kite') ? 7 : 0,
        partly: more.includes('text=hawk') ? ['a1', 'b2'] : [],
        sealed: { sessions: more.includes('text=owl') ? 3 : 0, more: false },
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
  const { code, out, err } = await backtest(rules, rows, `-o json ${more}`.trim());
  expect(err).toBe('');
  return { ...(JSON.parse(out) as BacktestReport), code };
}

const none = { blocked: 0, held: 0, masked: 0, allowed: 0, unmasked: 0, otherwise: 0, unknown: 0 };
const mail = { label: 'personal', detectors: ['Email'], visibleTo: [], otherwise: 'Mask' };
const card = { ...mail, label: 'cards', detectors: ['CreditCard'] };
const labels = (...all: readonly object[]): string => `classification: ${JSON.stringify(all)}`;
const maskedCard: RuleAct = { rule: 'old/cards', act: 'masked', by: ['CreditCard'] };
const email = (certainty: Certainty, reason: FindingReason = 'Format'): FoundKind => ({
  ...{ by: 'Email', count: 1 },
  certainty,
  reason,
});
const byNew = ({ rule, ...act }: RuleAct): RuleAct => ({ ...act, rule: rule.replace('old/', 'new/') });
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

test.each<[string, object, NonNullable<RuleAct['found']> | undefined, boolean]>([
  ['as certain as is asked', { certainty: 'Certain' }, [email('Certain')], true],
  ['less certain', { certainty: 'Certain' }, [email('Certain'), email('Likely')], false],
  [
    'less certain, of another detector',
    { certainty: 'Certain' },
    [email('Certain'), { ...email('Likely'), by: 'Iban' }],
    true,
  ],
  ['possible, where that does not count', {}, [email('Possible')], false],
  ['cut short, which counts from any on', { certainty: 'Certain' }, [email('Possible', 'CutShort')], true],
  ['by a sidecar that says nothing', {}, undefined, true],
  ['by one, where what is likely does not count', { certainty: 'Certain' }, undefined, false],
  ['where something is allowed', { allow: { values: ['a@b.test'] } }, [email('Certain')], false],
])('what was found stands or not: %s', async (_, more, found, stands) => {
  const act: RuleAct = { ...masked, rule: 'new/personal', ...(found !== undefined && { found }) };
  const { code } = await reportOf(labels({ ...mail, ...more }), [{ answer: 'to [personal]', acts: [act] }]);
  expect(code).toBe(stands ? 0 : 1);
});

const bothMasked: Row = {
  answer: 'to [personal], card [cards]',
  said: 'to bob@corp.test, card 4111 1111 1111 1111',
  acts: [masked, maskedCard],
};
const wordMasked: RuleAct = { rule: 'new/falcon', act: 'masked', by: ['word'] };
const wordBlocked: RuleAct = { ...wordMasked, act: 'blocked' };
const wordHeld: RuleAct = { ...wordMasked, act: 'held' };
const everyone = [{ authenticated: true }];

test.each<[string, string, Row, Partial<BacktestReport['changes']>]>([
  ['another detector', labels({ ...mail, detectors: ['CreditCard'] }), { acts: [byNew(masked)] }, { unknown: 1 }],
  ['more detectors', labels({ ...mail, detectors: ['CreditCard', 'Email'] }), { acts: [byNew(masked)] }, {}],
  ['callers who may see it', labels({ ...mail, visibleTo: everyone }), { acts: [byNew(masked)] }, { unknown: 1 }],
  ['another act', labels({ ...mail, otherwise: 'RequireApproval' }), { acts: [byNew(masked)] }, { unknown: 1 }],
  ['answers alone', labels(mail), { ask: 'of [personal]', answer: 'hello', acts: [byNew(masked)] }, { unknown: 1 }],
  ['a word that may be another', guard('Mask'), { ask: 'a [secret]', acts: [wordMasked] }, { unknown: 1 }],
  [
    'a word that is dropped, where another text is masked',
    guard('Block').replace('[falcon]', '[kite]'),
    { outcome: 'refused', ask: 'falcon for [personal]', acts: [wordBlocked] },
    { unknown: 1 },
  ],
  [
    'a word in a text that is not there',
    guard('Block'),
    { outcome: 'refused', ask: '', acts: [wordBlocked] },
    { unknown: 1 },
  ],
])('a rule of the same name that may have been edited since is not taken for the one of then: %s', async (...row) => {
  const [, rules, recorded, expected] = row;
  const { changes, code } = await reportOf(rules, [{ answer: 'to [personal]', ...recorded }]);
  expect(changes).toEqual({ ...none, ...expected });
  expect(code).toBe(Object.keys(expected).length === 0 ? 0 : 1);
});

test('the policies of then say whether a rule is still the one that acted', async () => {
  const rows = [{ ask: 'a [secret]', acts: [wordMasked] }];
  const of = async (was: string) => {
    const { code, out } = await backtest(guard('Mask'), rows, '--was was.yaml -o json', 'ml', was);
    return [code, (JSON.parse(out) as BacktestReport).changes.unknown];
  };
  expect(await of(guard('Mask'))).toEqual([0, 0]);
  expect(await of(guard('Mask').replace('[falcon]', '[falcon, kite]'))).toEqual([1, 1]);
  const seen = labels({ ...mail, visibleTo: everyone });
  const masks = [{ answer: 'to [personal]', acts: [byNew(masked)] }];
  expect(await backtest(seen, masks, '--was was.yaml', 'ml', labels(mail))).toMatchObject({ code: 1 });
  expect(await backtest(seen, masks, '--was none.yaml')).toMatchObject({ code: 2, out: '' });
});

test.each<[string, string, Row, string, Partial<BacktestReport['changes']>, readonly string[]]>([
  ['both rules are there', labels(mail, card), bothMasked, '--unseal key.pem', {}, []],
  ['one of two is dropped', labels(mail), bothMasked, '--unseal key.pem', { unmasked: 1 }, ['old/cards']],
  [
    'one of two is dropped, and what it found is not there',
    labels(mail),
    { ...bothMasked, acts: [byNew(masked), byNew(maskedCard)] },
    '',
    { unknown: 1 },
    ['new/cards'],
  ],
  [
    'one more masks',
    labels(mail, card),
    { ...bothMasked, acts: [masked] },
    '--unseal key.pem',
    { masked: 1 },
    ['new/cards'],
  ],
  [
    'a rule that finds one of the two that it found',
    labels(mail),
    { ...bothMasked, acts: [{ ...byNew(masked), count: 2 }] },
    '--unseal key.pem',
    { unmasked: 1 },
    ['new/personal'],
  ],
  [
    'another rule refuses it',
    guard('Block'),
    { outcome: 'refused', ask: 'falcon', acts: [blocked] },
    '',
    { otherwise: 1 },
    ['new/falcon', 'old/secrets'],
  ],
  [
    'one of two that refused it is dropped',
    guard('Block'),
    { outcome: 'refused', ask: 'falcon', acts: [blocked, wordBlocked] },
    '',
    { otherwise: 1 },
    ['old/secrets'],
  ],
  [
    'held as it was, and no longer masked',
    guard('RequireApproval'),
    { ...bothMasked, ask: 'falcon', acts: [wordHeld, masked] },
    '--unseal key.pem',
    { unmasked: 1 },
    ['old/personal'],
  ],
  [
    'held as it was, and newly masked',
    `${guard('RequireApproval')}\n  ${labels(mail)}`,
    { ...bothMasked, ask: 'falcon', acts: [wordHeld] },
    '--unseal key.pem',
    { masked: 1 },
    ['new/personal'],
  ],
  [
    'newly held, and no longer masked',
    guard('RequireApproval'),
    { ...bothMasked, ask: 'falcon', acts: [masked] },
    '--unseal key.pem',
    { held: 1, unmasked: 1 },
    ['new/falcon', 'old/personal'],
  ],
])('a session may change in part, and in several ways: %s', async (_, rules, row, more, expected, named) => {
  const { changes, code, rules: counted, unchanged } = await reportOf(rules, [row], more);
  expect(changes).toEqual({ ...none, ...expected });
  expect(counted.map((one) => one.rule).sort()).toEqual(named);
  expect([code, unchanged]).toEqual(named.length === 0 ? [0, 1] : [1, 0]);
});

describe('a rule that is dropped, whose detector another rule has', () => {
  const ask = { name: 'ask', direction: 'Request', match: { detectors: ['Email'] }, action: 'Mask' };
  const answers = { ...ask, name: 'answers', direction: 'Response' };
  const guards = (...all: readonly object[]): string => `guards: ${JSON.stringify(all)}`;
  const by = { act: 'masked', by: ['Email'], count: 1 } as const;
  const bothSides: Row = {
    ask: 'write to ann@corp.test',
    answer: 'sent to [answers]',
    said: 'sent to bob@corp.test',
    acts: [
      { rule: 'new/ask', ...by },
      { rule: 'new/answers', ...by },
    ],
  };
  const was = guards(ask, answers);
  const decide = async (rules: string, row: Row, more = ''): Promise<unknown> => {
    const { code, out } = await backtest(rules, [row], `-o json --unseal key.pem ${more}`, 'ml', was);
    const { changes, rules: named } = JSON.parse(out) as BacktestReport;
    return { code, changes, named: named.map(({ rule }) => rule) };
  };

  test('is missed where the other acts on the other side alone', async () => {
    expect(await decide(was, bothSides)).toEqual({ code: 0, changes: none, named: [] });
    const changed = { code: 1, named: ['new/ask'] };
    expect(await decide(guards(answers), bothSides, '--was was.yaml')).toEqual({
      ...changed,
      changes: { ...none, unmasked: 1 },
    });
    expect(await decide(guards(answers), bothSides)).toEqual({ ...changed, changes: { ...none, unknown: 1 } });
  });

  test('is not where the other acts on the same side, or on each that has text', async () => {
    const merged = guards({ ...ask, name: 'mail' }, answers);
    const expected = { code: 0, changes: none, named: [] };
    expect(await decide(merged, bothSides, '--was was.yaml')).toEqual(expected);
    expect(await decide(merged, bothSides)).toEqual(expected);
  });

  test('is where the other lets this caller be', async () => {
    const elsewhere = { ...ask, name: 'mail', subjects: [{ group: 'nobody' }] };
    expect(await decide(guards(elsewhere, answers), bothSides, '--was was.yaml')).toEqual({
      code: 1,
      changes: { ...none, unmasked: 1 },
      named: ['new/ask'],
    });
  });
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

describe('texts that are sealed', () => {
  const row: Row = {
    ask: 'about falcon',
    answer: 'to [personal]',
    said: 'to bob@corp.test',
    acts: [masked],
    whole: true,
  };
  const plain: Row = { ask: 'hello', whole: true };

  test('nobody knows what rules that look at them would do', async () => {
    for (const rules of [guard('Block'), label]) {
      const { changes, cannotKnow, rules: named, code } = await reportOf(rules, [row]);
      expect([changes, cannotKnow.sealed, cannotKnow.withoutText, code]).toEqual([{ ...none, unknown: 1 }, 1, 0, 1]);
      expect(named).toEqual([{ change: 'unknown', rule: 'old/personal', sessions: 1 }]);
    }
    // No rule acted, and one might.
    expect((await reportOf(guard('Block'), [plain])).changes).toEqual({ ...none, unknown: 1 });
    const { out } = await backtest(guard('Block'), [plain]);
    expect(out).toMatch(/1 whose texts are sealed: decided by caller, operation and model alone \(--unseal\)/);
  });

  test('what needs no text is known', async () => {
    const { code, changes } = await reportOf('onUnknown: Deny', [plain]);
    expect([code, changes]).toEqual([0, none]);
    expect((await reportOf(guard('Block'), [{ ...plain, issuer: 'https://other.test' }])).changes).toEqual({
      ...none,
      blocked: 1,
    });
    // The rules that looked at them are those that would.
    const { code: same, out } = await backtest(label, [{ ...row, acts: [byNew(masked)] }], '--was was.yaml');
    expect([same, out]).toEqual([0, expect.stringContaining('1 sessions decided again: 1 would go as they went')]);
    const other = await backtest(guard('Block'), [plain], '--was was.yaml -o json', 'ml', label);
    expect([other.code, (JSON.parse(other.out) as BacktestReport).changes]).toEqual([1, { ...none, unknown: 1 }]);
  });

  test('the key opens them, and shows nobody what it was', async () => {
    const open = await reportOf(guard('Block'), [row], '--unseal key.pem');
    expect([open.changes, open.cannotKnow.sealed]).toEqual([{ ...none, blocked: 1 }, 0]);
    expect(JSON.stringify(open)).not.toMatch(/bob|falcon t/);
    expect((await reportOf(label, [{ ...row, acts: [byNew(masked)] }], '--unseal key.pem')).changes).toEqual(none);
  });

  test('a question by text says that it knows none of them, and that is a failure', async () => {
    const told = await backtest(guard('Block'), [{ ask: 'kite' }], '--against since=7d,text=owl');
    expect(told).toMatchObject({
      code: 1,
      out: expect.stringContaining('NOT ALL: 3 sessions or more have sealed texts'),
    });
    expect(
      (await backtest(guard('Block'), [{ ask: 'kite' }], '--against since=7d,text=owl --accept partial')).code,
    ).toBe(0);
  });
});

test('lines of processes, and of what people decided, are no sessions', async () => {
  const process = { type: 'process', session: sessionId('p'), what: 'start' } as const;
  const change = {
    type: 'change',
    session: sessionId('c'),
    what: 'grant',
    step: 'given',
    name: 'ml/g',
    caller: null,
  } as const;
  const lines = [process, change].map((event) => testChain(event.type).lines([event]).toString().trimEnd().split('\n'));
  for (const more of ['-o json', '-o json --against since=7d']) {
    const { out, code } = await backtest(label, [{}], more, 'ml', label, lines);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ looked: { sessions: 1 }, sessions: 1, cannotKnow: { open: 0 } });
  }
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
  // As the record would have them: what these policies hide is hidden here, too.
  expect(report.examples.map((one) => one.text)).toEqual(['[falcon] 1', '[falcon] 2']);
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

test.each(Object.keys(reasons) as ReasonCode[])(
  'a session that was refused with %s and by no rule is not newly allowed by the policies of then, unless policies decide that',
  async (code) => {
    const was = await reportOf(label, [{ acts: [allowed], outcome: 'refused', code }, {}]);
    const { sessions, changes, cannotKnow } = was;
    const by = decidedBy(code);
    const left = { limited: by === 'limit' ? 1 : 0, otherReason: by === 'other' ? 1 : 0 };
    expect([sessions, cannotKnow]).toMatchObject([by === 'policy' ? 2 : 1, left]);
    expect(changes).toEqual({ ...none, allowed: by === 'policy' ? 1 : 0 });
    expect(was.code).toBe(by === 'policy' ? 1 : 0);
  },
);

test('what cannot be decided again is left out, and said', async () => {
  const limited: RuleAct = { rule: 'old/all', act: 'limited', by: ['rate_limited'] };
  const { sessions, cannotKnow } = await reportOf(label, [{ acts: [limited], outcome: 'refused' }, {}]);
  expect([sessions, cannotKnow]).toEqual([
    1,
    { masked: 0, missing: 0, sealed: 0, withoutText: 0, limited: 1, otherReason: 0, open: 0, elsewhere: 0 },
  ]);
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

test('all sessions are looked at, past a thousand; where a bound keeps some out, that is said and is a failure', async () => {
  const rows = [...Array.from({ length: 1_005 }, () => ({ ask: 'kite' })), { ask: 'falcon' }];
  const few = rows.slice(-5);
  for (const source of ['--against log.jsonl', '--against since=7d']) {
    const all = await reportOf(guard('Block'), rows, source);
    expect(all).toMatchObject({ code: 1, sessions: 1_006, changes: { blocked: 1 } });
    expect(all.looked).toEqual({
      sessions: 1_006,
      more: false,
      unsearched: 0,
      partly: [],
      partlyMore: false,
      sealed: 0,
      unread: 0,
      unreadWhy: [],
    });
    const some = await reportOf(guard('Block'), few, `${source} --limit 4`);
    expect(some).toMatchObject({ code: 1, unchanged: 4, looked: { sessions: 4, more: true } });
    expect((await reportOf(guard('Block'), few, `${source} --limit 4 --accept partial`)).code).toBe(0);
    expect((await reportOf(guard('Block'), few, `${source} --limit 5 --accept blocked`)).code).toBe(0);
  }
  const { out } = await backtest(guard('Block'), few, '--limit 3');
  expect(out).toContain('NOT ALL: 3 sessions were looked at, and there are more (--limit)');
});

test('a question by text that the index could not answer whole is a failure, and so is one that finds nothing', async () => {
  const partial = await reportOf(guard('Block'), [{ ask: 'kite' }], '--against since=7d,text=kite');
  expect(partial).toMatchObject({ code: 1, unchanged: 1, looked: { unsearched: 7, partly: [] } });
  const long = await reportOf(guard('Block'), [{ ask: 'kite' }], '--against since=7d,text=hawk');
  expect(long).toMatchObject({ code: 1, unchanged: 1, looked: { unsearched: 0, partly: ['a1', 'b2'] } });
  const told = await backtest(guard('Block'), [{ ask: 'kite' }], '--against since=7d,text=hawk --accept partial');
  expect(told.code).toBe(0);
  expect(told.out).toContain('NOT ALL: 2 sessions have more words, groups or other texts than the index takes');
  const { code, out, err } = await backtest(guard('Block'), [], '--against since=7d,user=nobody --accept partial');
  expect(code).toBe(1);
  expect(out).toContain('0 sessions decided again');
  expect(err).toContain('no session was decided again, of 0 that were found');
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

const byGrant: RuleAct = { rule: 'grant/night', act: 'allowed' };
const byHelper: RuleAct = { rule: 'old/loopback', act: 'allowed' };
const helper = 'loopback: [{ runAsUser: 1001, operations: [Embeddings] }]';

test.each<[string, string, Row, Partial<BacktestReport['changes']>]>([
  ['a grant', label, { operation: 'Embeddings', acts: [byGrant] }, {}],
  ['none', label, { operation: 'Embeddings' }, { blocked: 1 }],
  ['a grant, of which something would be masked', guard('Mask'), { ask: 'falcon', acts: [byGrant] }, { masked: 1 }],
  [
    'the pod itself',
    label,
    { user: null, operation: 'Health', acts: [{ rule: 'sidegate/loopback', act: 'allowed' }] },
    {},
  ],
  ['a helper', helper, { user: null, operation: 'Embeddings', acts: [byHelper] }, {}],
  [
    'a helper that nothing opens it to now',
    label,
    { user: null, operation: 'Embeddings', acts: [byHelper] },
    { blocked: 1 },
  ],
  ['a helper, to something else', helper, { user: null, operation: 'Completions', acts: [byHelper] }, { blocked: 1 }],
])('what let a session in beside rules of access does so again: %s', async (_, rules, row, expected) => {
  const { changes, sessions } = await reportOf(rules, [row]);
  expect({ changes, sessions }).toEqual({ changes: { ...none, ...expected }, sessions: 1 });
});

test.each<[string, Row]>([
  [
    'asked what its page may send',
    { user: null, operation: 'Other', acts: [{ rule: 'sidegate/cors', act: 'allowed' }] },
  ],
  ['of another page', { outcome: 'refused', code: 'access_denied', acts: [{ rule: 'sidegate/cors', act: 'denied' }] }],
])('a browser that %s is not decided on again', async (_, row) => {
  const { code, sessions, cannotKnow } = await reportOf(label, [row, {}]);
  expect([code, sessions, cannotKnow.otherReason]).toEqual([0, 1, 1]);
});

test('the model’s own key is masked by no policy', async () => {
  const key: RuleAct = { rule: 'sidegate/credential', act: 'masked' };
  expect((await reportOf(label, [{ answer: 'it is [credential]', acts: [allowed, key] }])).changes).toEqual(none);
});

test('a session that cannot be decided on is named, is a failure, and keeps nobody from the others', async () => {
  const rows = [{}, { texts: 200_000 }, { ask: 'falcon' }];
  const { code, out } = await backtest(guard('Flag'), rows, '--accept blocked');
  expect(code).toBe(1);
  expect(out).toMatch(/^2 sessions decided again: 2 would go as they went\n/);
  expect(out).toContain(`NOT ALL: 1 sessions could not be decided on:\n  ${sessionId(1)}: `);
  expect((await backtest(guard('Flag'), rows, '--accept partial')).code).toBe(0);
});

test('of a session of which lines are missing nobody knows whether a rule would act again', async () => {
  const row: Row = { acts: [wordHeld], ask: 'hello' };
  const of = async (one: Row) => {
    const { changes, cannotKnow } = await reportOf(guard('RequireApproval'), [one]);
    return [changes, cannotKnow.missing, cannotKnow.masked];
  };
  expect(await of(row)).toEqual([{ ...none, allowed: 1 }, 0, 0]);
  expect(await of({ ...row, cut: true })).toEqual([{ ...none, unknown: 1 }, 1, 0]);
});

test('what of the policies no session is decided by is said', async () => {
  const rules = `responseLimits: [{ subjects: [{ anyone: true }], maxBytes: 1Ki }]
  tls: { inbound: Mutual }
  classification: [{ label: ssn, fields: ["**.ssn"], otherwise: Mask, inRequests: Block }]`;
  const { code, out } = await backtest(rules, [{}]);
  expect(code).toBe(0);
  expect(out).toContain(
    [
      'What of these policies no session was decided by:',
      '  new: responseLimits',
      '  new: client certificates: everybody has one',
      '  new/ssn: fields in arguments of tools',
      '',
    ].join('\n'),
  );
  expect((await backtest(`mode: Observe\n  ${rules}`, [{}])).out).not.toContain('no session was decided by');
});

test('a session that is sealed to another key is named, and the others are decided on', async () => {
  const rows: Row[] = [{ ask: 'falcon' }, { answer: 'to [personal]', said: 'to bob@corp.test' }];
  const report = await reportOf(guard('Block'), rows, '--unseal other.pem');
  expect(report).toMatchObject({ code: 1, sessions: 1, changes: { blocked: 1 }, looked: { unread: 1 } });
  expect(report.looked.unreadWhy).toEqual([
    { session: sessionId(1), why: expect.stringContaining('it is sealed to key') },
  ]);
});

test('policies of two namespaces are not asked about the sessions of one', async () => {
  const given = await backtest(label, [{}], '--against log.jsonl web.yaml');
  expect(given).toMatchObject({ code: 2, out: '', err: expect.stringContaining('several namespaces (ml, web)') });
});

test('of an answer that a policy ended nobody knows the end: the rule that ended it would again, where it is the same', async () => {
  const row: Row = {
    outcome: 'ended',
    code: 'response_blocked',
    answer: 'the ',
    acts: [{ ...wordBlocked, rule: 'new/raven' }],
  };
  const raven = 'guards: [{ name: raven, direction: Response, match: { words: [raven] }, action: Block }]';
  const of = async (more: string, was = raven) => {
    const { code, out } = await backtest(raven, [row], `-o json ${more}`.trim(), 'ml', was);
    const { changes, cannotKnow } = JSON.parse(out) as BacktestReport;
    return [code, changes, cannotKnow.missing];
  };
  expect(await of('--was was.yaml')).toEqual([0, none, 1]);
  expect(await of('')).toEqual([1, { ...none, unknown: 1 }, 1]);
  expect(await of('--was was.yaml', raven.replace('[raven]', '[crow]'))).toEqual([1, { ...none, unknown: 1 }, 1]);
});

test('who was refused on sight would be let in to some model, and the record does not say which they asked for', async () => {
  const row: Row = {
    unseen: true,
    outcome: 'refused',
    code: 'access_denied',
    acts: [{ rule: 'default', act: 'denied' }],
  };
  const deny =
    'access: [{ name: all, effect: Allow, subjects: [{ authenticated: true }], operations: [Chat], models: [a] }]';
  const only = { operation: 'Embeddings' } as const;
  const some = label.replace('classification', `${deny}\n  classification`);
  expect((await reportOf(label, [{ ...row, ...only }])).changes).toEqual(none);
  expect((await reportOf(some, [row])).changes).toEqual({ ...none, unknown: 1 });
  // Whose token these policies do not take is refused, whomever else they let in.
  const anyone = some.replace('authenticated', 'anyone');
  expect((await reportOf(anyone, [{ ...row, issuer: 'https://other.test' }])).changes).toEqual(none);
});

describe('what rules of a policy in Observe mode found is masked in the record, and', () => {
  const observing = (rules: string): string => `mode: Observe\n  ${rules}`;
  const of = async (rules: string, row: Row, was?: string) => {
    const { out } = await backtest(
      rules,
      [row],
      `-o json ${was === undefined ? '' : '--was was.yaml'}`.trim(),
      'ml',
      was,
    );
    return (JSON.parse(out) as BacktestReport).changes;
  };
  const falcon: Row = { ask: 'about [disguised]', observed: [wordBlocked] };

  test.each<[string, string, Row, string | undefined, Partial<BacktestReport['changes']>]>([
    ['a word blocks where it is the same', guard('Block'), falcon, observing(guard('Block')), { blocked: 1 }],
    ['may block where nobody says what it was', guard('Block'), falcon, undefined, { unknown: 1 }],
    [
      'may block where it is another',
      guard('Block'),
      falcon,
      observing(guard('Block').replace('[falcon]', '[kite]')),
      { unknown: 1 },
    ],
    ['does nothing where it still observes', observing(guard('Block')), falcon, observing(guard('Block')), {}],
    ['does nothing where it is gone', label, falcon, observing(guard('Block')), {}],
    [
      'a word is held',
      guard('RequireApproval'),
      { ...falcon, observed: [wordHeld] },
      observing(guard('RequireApproval')),
      { held: 1 },
    ],
    ['a detector masks', label, { answer: 'to [personal]', observed: [byNew(masked)] }, undefined, { masked: 1 }],
    ['what is masked refuses over two texts', guard('Mask'), falcon, observing(guard('Mask')), { blocked: 1 }],
    [
      'what may be seen by this caller is shown',
      labels({ ...mail, visibleTo: everyone }),
      { answer: 'to [personal]', observed: [byNew(masked)] },
      undefined,
      {},
    ],
  ])('%s', async (_, rules, row, was, expected) => {
    expect(await of(rules, row, was)).toEqual({ ...none, ...expected });
  });

  test('nobody is there to be asked', async () => {
    const nobody = (rules: string): string => rules.replace('guards:', 'approvals: { required: 1 }\n  guards:');
    const row = { ...falcon, observed: [wordHeld] };
    expect(await of(nobody(guard('RequireApproval')), row, observing(guard('RequireApproval')))).toEqual({
      ...none,
      blocked: 1,
    });
  });
});

test('an example shows nothing that the policies find, however long the text before it is', async () => {
  const secrets = 'guards: [{ name: keys, direction: Request, match: { detectors: [Secrets] }, action: Block }]';
  for (const before of ['', 'x'.repeat(70)]) {
    const { out } = await backtest(secrets, [{ ask: `${before} AKIAIOSFODNN7EXAMPLE` }]);
    expect(out).toContain('1 newly refused');
    expect(out).not.toContain('AKIA');
  }
});
