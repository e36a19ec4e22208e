import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import type { AuditEvent } from '../../pkg/core/index.ts';
import { consoleAssets, keepHeads } from '../../pkg/recorder/index.ts';
import { blockOfEvents, source } from '../../pkg/recorder/store/testing/store-suite.ts';
import { sessionEvents, sessionId, testChain } from '../../pkg/recorder/testing/chains.ts';
import { findChromium, noChromium } from '../support/chromium.ts';
import { faintTexts } from '../support/faint-texts.ts';
import { startConsoleWorld } from '../support/console-world.ts';
import type { ConsoleWorld } from '../support/console-world.ts';
import { pause } from '../support/wait.ts';

// The web console in a real Chromium, at a real recorder and a real issuer. Pictures of its pages go to the folder CONSOLE_SCREENSHOTS,
// by default sidegate-console-screenshots among the temporary files.

let world: ConsoleWorld;
let browser: Browser;
let context: BrowserContext;
let page: Page;
const chain = testChain('browser');
const wanted = process.env['CONSOLE_SCREENSHOTS'] || undefined;
const shots = wanted ?? join(tmpdir(), 'sidegate-console-screenshots');
/** What no page may say; a session that has ended is told by a status that browsers count as an error. */
const complaints: string[] = [];

const attack =
  'Ignore that. <script>globalThis.owned = 1</script><img src=x onerror="globalThis.owned = 1"> \u202Eesrever\u202C \u0007 zero\u200Bwidth';
const ids = {
  masked: sessionId('masked'),
  attack: sessionId('attack'),
  sealed: sessionId('sealed'),
  none: sessionId('none'),
  whole: sessionId('whole'),
};
const long = `${'A long text of a caller. '.repeat(40_000)}the end`;

const act = (rule: string, name: string, by?: readonly string[]) =>
  ({ rule: `support-llm/${rule}`, act: name, ...(by === undefined ? {} : { by }) }) as never;
/** A session whose lines are changed before they are written. */
function events(id: string, change: (event: AuditEvent) => AuditEvent | readonly AuditEvent[]): readonly AuditEvent[] {
  const changed = sessionEvents({ id, user: 'ana' }).flatMap(change);
  return changed.map((event) => (event.type === 'end' ? { ...event, lines: changed.length } : event));
}
const answered = (session: string, text: string, at: number): AuditEvent => ({
  type: 'segment',
  session,
  direction: 'response',
  lane: 'choices[0].delta.content',
  text,
  at,
});

const masked = events(ids.masked, (event) => {
  if (event.type === 'start')
    return { ...event, request: [{ lane: 'messages[0].content', text: 'Where does [confidential] live? See [1].' }] };
  if (event.type === 'segment')
    return ['She lives at ', '[confi', 'dential]. ', 'Her note says [draft].'].map((text, n) =>
      answered(ids.masked, text, 40 + n * 300),
    );
  if (event.type === 'end')
    return {
      ...event,
      rules: [act('engineers', 'allowed'), act('confidential', 'masked', ['Email', 'CreditCard'])],
      observed: [act('strict', 'blocked', ['UsSsn'])],
      timing: { ...event.timing, total: 1_200 },
    };
  return event;
});
const attacked = events(ids.attack, (event) =>
  event.type === 'start'
    ? {
        ...event,
        caller: {
          provider: 'corp',
          issuer: 'https://idp.test',
          subject: '<script>globalThis.owned = 1</script>',
          groups: [],
        },
        model: '"><img src=x onerror="globalThis.owned = 1">',
        request: [
          { lane: 'messages[0].content', text: attack },
          { lane: 'messages[1].content', text: long },
        ],
      }
    : event,
);
const sealed = events(ids.sealed, (event) =>
  event.type === 'start'
    ? {
        ...event,
        sealed: { version: 2, key: '0123456789abcdef', enc: 'AAAA' },
        request: [{ lane: 'messages[0].content', text: '[confidential]', sealed: 'AAAA' }],
      }
    : event,
);
/** As a session that is sealed as a whole: of its texts there are lengths. */
const hidden = (length: number, piece: number) => ({ length, piece, sealed: 'AAAA' });
const whole = sessionEvents({ id: ids.whole, user: 'dora' }).flatMap((event): readonly AuditEvent[] => {
  if (event.type === 'start')
    return [
      {
        ...event,
        sealed: { version: 3, key: '0123456789abcdef', enc: 'AAAA' },
        request: [{ lane: 'messages[0].content', ...hidden(1_234, 1) }],
      },
    ];
  if (event.type === 'segment') {
    const { text: _, ...bare } = event;
    return [40, 340, 640].map((at, n) => ({ ...bare, at, ...hidden(100, 2 + n) }));
  }
  return event.type === 'end'
    ? [{ ...event, lines: 5, rules: [act('confidential', 'flagged', ['Email'])], sealed: { pieces: 4, seal: 'AAAA' } }]
    : [event];
});
const none = events(ids.none, (event) =>
  event.type === 'segment' ? [] : event.type === 'start' ? { ...event, request: [] } : event,
);
const refused = sessionEvents({
  id: sessionId('refused'),
  user: 'bob',
  outcome: 'refused',
  rule: 'support-llm/no-secrets',
  by: ['Secrets'],
});

const waiting = (name: string) => ({
  namespace: 'ml',
  name,
  requester: { issuer: 'https://idp.test', subject: 'bob' },
  operation: 'Chat',
  model: 'llama-3',
  rules: ['support-llm/risky'],
  excerpt: 'Print all environment variables of [risky]',
  createdAt: new Date().toISOString(),
  expiresAt: new Date(Date.now() + 600_000).toISOString(),
  required: 1,
  decisions: [] as readonly object[],
  phase: 'Pending',
});
let approvals = [waiting('a-1'), waiting('a-2')];

const condition = (type: string, status: string, reason: string, message: string) => ({
  type,
  status,
  reason,
  message,
});
const fine = [
  condition('Accepted', 'True', 'Accepted', 'It is valid and takes part.'),
  condition('Programmed', 'True', 'Programmed', 'All that it says can be carried out.'),
];
const state = (namespace: string | null, name: string, generation: number, conditions: readonly object[]) => ({
  ...{ namespace, name, generation, observed: generation, conditions },
});
/** How the controller says that policies are. */
const states = [
  state(null, 'floor', 2, [...fine, condition('Enforced', 'True', 'AllPods', '12 of 12 pods enforce generation 2.')]),
  state('ml', 'support-llm', 7, [
    condition('Accepted', 'True', 'Accepted', 'It is valid and takes part.'),
    condition('Enforced', 'False', 'PodsBehind', '3 of 4 pods enforce generation 7. The others are on their way.'),
    condition('Programmed', 'False', 'SecretMissing', 'SecretMissing: there is no Secret ml/vllm-key.'),
    condition('SecretMissing', 'True', 'SecretMissing', 'there is no Secret ml/vllm-key \u202E<b>'),
  ]),
  state('rag', 'search', 1, [...fine, condition('Enforced', 'Unknown', 'NoPods', 'It selects no inference pod.')]),
  { ...state('rag', 'new', 4, fine), observed: 3 },
];

const asPeople = {
  ignoreHTTPSErrors: true,
  viewport: { width: 1280, height: 820 },
  colorScheme: 'light',
  reducedMotion: 'reduce',
} as const;
async function newPage(of: BrowserContext): Promise<Page> {
  const made = await of.newPage();
  made.setDefaultTimeout(20_000);
  made.on('pageerror', (error) => complaints.push(String(error)));
  made.on('console', (message) => {
    const ofAnswer = /Failed to load resource: the server responded with a status of (401|429|503)/.test(
      message.text(),
    );
    if (['error', 'warning'].includes(message.type()) && !ofAnswer) complaints.push(message.text());
  });
  return made;
}

async function logIn(to: Page): Promise<void> {
  await to.goto(`${world.url}/console/`);
  await to.click('main a');
  await to.fill('[name=login]', 'ana');
  await to.fill('[name=password]', 'x');
  await to.click('[type=submit]');
  await to.click('[type=submit]');
  await to.waitForSelector('#person:not(:empty)');
}

beforeAll(async () => {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error(noChromium);
  mkdirSync(shots, { recursive: true });
  world = await startConsoleWorld({
    assets: consoleAssets,
    roles: [{ value: 'ana', role: 'Investigator', namespaces: ['*'] }],
  });
  const others = Array.from({ length: 120 }, (_, n) =>
    sessionEvents({ id: sessionId(n), user: 'bob' }).map((event) =>
      event.type === 'start' ? { ...event, generation: 'support-llm@7+cluster/floor@2' } : event,
    ),
  );
  const lists = [...others, whole, none, sealed, refused, attacked, masked];
  await world.store.append(lists.map((list, n) => blockOfEvents(chain, list, Date.now() - 3_600_000 + n * 20_000)));
  await world.store.index();
  const { privateKey: key } = generateKeyPairSync('ed25519');
  const heads = keepHeads({ store: world.store, key, clock: systemClock, logger: silentLogger });
  await heads.sign();
  heads.close();
  world.decisions.answer = (line) => {
    if (line.startsWith('GET /v1/policies')) return { status: 200, body: { policies: states, complete: true } };
    const [, name] = /^POST \/v1\/namespaces\/ml\/approvals\/([^/]+)\/decision$/.exec(line) ?? [];
    if (name === undefined) return { status: 200, body: { approvals, complete: true } };
    approvals = approvals.filter((one) => one.name !== name);
    return { status: 200, body: { ...waiting(name), phase: 'Approved' } };
  };
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  context = await browser.newContext(asPeople);
  page = await newPage(context);
  await logIn(page);
}, 60_000);
afterAll(async () => {
  await browser?.close();
  await world?.close();
});
beforeEach(() => void (complaints.length = 0));

const open = (id: string): Promise<unknown> => page.goto(`${world.url}/console/?page=session&id=${id}`);
const text = (selector: string): Promise<string> => page.innerText(selector);
const rows = 'tbody tr';
/** Light and wide, dark and at 360 px: legible, nothing beside the page; and a picture of each. */
async function look(name: string): Promise<void> {
  const two = [
    ['light', 1280],
    ['dark', 360],
  ] as const;
  const others = [
    ['dark', 1280],
    ['light', 360],
  ] as const;
  // Who asked for pictures gets them all.
  for (const [colorScheme, width] of wanted === undefined ? two : [...two, ...others]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 820 });
    expect([name, colorScheme, width, await page.evaluate('document.documentElement.scrollWidth')]).toEqual([
      name,
      colorScheme,
      width,
      width,
    ]);
    expect([name, colorScheme, width, await page.evaluate(faintTexts)]).toEqual([name, colorScheme, width, []]);
    await page.screenshot({ path: join(shots, `${name}-${colorScheme}-${width}.png`) });
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 1280, height: 820 });
}
const nothingWrong = async (): Promise<void> => {
  expect(await page.evaluate("'owned' in globalThis")).toBe(false);
  expect(complaints).toEqual([]);
};

test('live: the newest 100; what comes is shown, but never moves the row that one is at', async () => {
  await page.waitForSelector(rows);
  expect(await page.locator(rows).count()).toBe(100);
  expect(await text(`${rows}:first-child`)).toContain('masked');
  await look('live');
  await world.store.append([
    blockOfEvents(chain, sessionEvents({ id: sessionId('new-1'), user: 'carla' }), Date.now()),
  ]);
  await page.waitForSelector(`${rows}:first-child >> text=carla`);
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await world.store.append([blockOfEvents(chain, sessionEvents({ id: sessionId('new-2'), user: 'dora' }), Date.now())]);
  await page.waitForSelector('text=1 new session — show');
  expect(await text('#announced')).toBe('1 new session');
  expect(await text(`${rows}:nth-child(2):focus-within`)).toContain('ana');
  await page.keyboard.press('n');
  await page.waitForSelector(`${rows}:first-child:focus-within >> text=dora`);
  expect(await page.locator(rows).count()).toBe(100);
  await nothingWrong();
});

test('search: the form and the command’s expression show each other, the address holds both', async () => {
  await page.keyboard.press('/');
  await page.waitForSelector('#expression:focus');
  await page.keyboard.type("--user ana --act masked --text 'She lives'");
  expect(await page.inputValue('#for-act')).toBe('masked');
  expect(await page.inputValue('#for-text')).toBe('She lives');
  await page.fill('#for-since', '2h');
  expect(await page.inputValue('#expression')).toBe("--text 'She lives' --user ana --since 2h --act masked");
  await page.fill('#expression', '--user ana --limit 5 --status many --since yesterday');
  expect(await text('#expression-faults')).toBe(
    '--limit is for the command line alone; --since yesterday: 10m, 6h, 7d or 2026-11-26T12:00:00Z; --status many: a whole number',
  );
  await page.fill('#expression', "--text 'She lives' --since 2h");
  await page.keyboard.press('Enter');
  await page.waitForSelector(rows);
  expect(new URL(page.url()).search).toBe('?page=search&text=She+lives&since=2h');
  expect(await page.locator(rows).count()).toBe(1);
  expect(await text('.command code')).toBe("kubectl sidegate audit search --text 'She lives' --since 2h");
  // One has more words than the index takes, and may hold these as well.
  expect(await text('.partly summary')).toBe(
    'Partly searched: 1 session with more words, rules or groups than the index takes may be among these, too.',
  );
  expect(await text('.note.sealed')).toContain(
    '1 session with sealed texts may hold these words, too: nothing here knows.',
  );
  await page.click('.partly summary');
  expect(await page.getAttribute('.partly a', 'href')).toBe(`/console/?page=session&id=${ids.attack}`);
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('text=Export as JSON lines')]);
  expect(download.suggestedFilename()).toBe('sessions.jsonl');
  await look('search');
  await page.goto(`${world.url}/console/?page=search&user=bob`);
  await page.waitForSelector(rows);
  expect(await page.locator(rows).count()).toBe(100);
  await page.click('text=Next page');
  await page.waitForSelector('text=21 sessions, further pages');
  await page.goto(`${world.url}/console/?page=search&user=nobody`);
  await page.waitForSelector('text=No session is on record with all of this');
  await nothingWrong();
});

test('what became of a grant says who took it back', async () => {
  await page.goto(`${world.url}/console/`);
  const line = {
    ...{ type: 'change', what: 'grant', step: 'withdrawn', name: 'ml/grant-1', caller: { subject: 'ana' } },
    ...{ requestedBy: 'eve', by: 'kim', time: '2026-11-26T12:00:00.000Z' },
    decisions: [{ decision: 'Deny', by: 'lea', at: '2026-11-26T12:00:00Z', comment: 'not today' }],
  };
  const steps = JSON.stringify([{ kind: 'change', line }]);
  const shown = await page.evaluate(
    `import('/console/assets/timeline.js').then(({ timeline }) => timeline({ steps: ${steps} }, [], {})[0].textContent)`,
  );
  expect(shown).toContain('for ana, asked by eve, taken back by kim');
  expect(shown).toContain('Deny by lea, 2026-11-26T12:00:00Z: “not today”');
});

test('a session: what was masked by which rule, the decision, the proof, and back to its row by keys', async () => {
  await page.goto(`${world.url}/console/?page=search&act=masked`);
  await page.waitForSelector(rows);
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.timeline');
  const marks = await page.$$eval('mark', (list) => list.map((one) => [one.textContent, one.className, one.title]));
  const known = 'support-llm/confidential masked by Email, CreditCard';
  const guess = expect.stringMatching(/^looks like a replacement; no rule/);
  expect(marks).toEqual([
    ['[confidential]', '', known],
    ['[confidential]', '', known],
    ['[draft]', 'maybe', guess],
  ]);
  expect(await text('.step.answered .text')).toBe('She lives at [confidential]. Her note says [draft].');
  expect(await page.$$eval('.tick', (list) => list.map((one) => one.dataset['at']))).toEqual([
    '+340 ms',
    '+640 ms',
    '+940 ms',
  ]);
  expect(await page.locator('section[aria-label=Decision] li').allInnerTexts()).toEqual([
    expect.stringMatching(/engineers\s*allowed/),
    expect.stringMatching(/confidential\s*masked\s*by Email, CreditCard/),
    expect.stringMatching(/strict\s*would have: blocked\s*by UsSsn/),
  ]);
  await page.waitForSelector('text=in the log');
  expect(await text('section[aria-label=Proof]')).toMatch(/6 lines under the head of \d+ entries/);
  await look('session');
  await page.keyboard.press('Escape');
  await page.waitForSelector(`${rows}:focus-within`);
  expect(page.url()).toContain('act=masked');
  await nothingWrong();
});

test('a session that is longer than one answer is shown as far as it was asked for; a list opens the one chain that it names', async () => {
  const asked: string[] = [];
  let whole = '';
  await page.route(`**/v1/sessions/${ids.masked}?*`, async (route) => {
    const { search, searchParams } = new URL(route.request().url());
    asked.push(search);
    const isFirst = searchParams.get('from') === null;
    if (isFirst) whole = await (await route.fetch()).text();
    const found = JSON.parse(whole) as { readonly lines: readonly string[] };
    const lines = isFirst ? found.lines.slice(0, 3) : found.lines.slice(3);
    const body = JSON.stringify({ ...found, lines, next: isFirst ? 'the rest' : null });
    await route.fulfill({ contentType: 'application/json', body });
  });
  await page.goto(`${world.url}/console/?page=search&act=masked`);
  await page.waitForSelector(rows);
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.waitForSelector('text=It is longer than what is shown.');
  await page.click('text=Show more of it');
  await page.waitForSelector('section[aria-label=Proof] >> text=6 lines under the head');
  expect(await page.locator('text=It is longer than what is shown.').count()).toBe(0);
  expect(asked).toEqual([`?chain=${chain.name}`, `?chain=${chain.name}&from=the+rest`]);
  await page.unroute(`**/v1/sessions/${ids.masked}?*`);
  await nothingWrong();
});

test('of a session whose end is not shown yet nothing is said that its end would say otherwise', async () => {
  await page.route(`**/v1/sessions/${ids.masked}*`, async (route) => {
    const found = JSON.parse(await (await route.fetch()).text()) as { readonly lines: readonly string[] };
    const body = JSON.stringify({ ...found, lines: found.lines.slice(0, 3), next: 'the rest' });
    await route.fulfill({ contentType: 'application/json', body });
  });
  await open(ids.masked);
  await page.waitForSelector('text=It is longer than what is shown.');
  expect(await text('section[aria-label=Decision]')).toContain('Its end is not shown yet.');
  expect(await page.locator('text=It goes on').count()).toBe(0);
  expect(await page.locator('text=Its caller’s receipt must read').count()).toBe(0);
  // A search knows which rules acted.
  expect(await page.getAttribute('.timeline mark', 'title')).toBe('support-llm/confidential acted');
  await page.unroute(`**/v1/sessions/${ids.masked}*`);
  await nothingWrong();
});

test('of several sidecars that recorded under one id nothing is told before one is chosen', async () => {
  const liar = testChain('liar');
  const lie = sessionEvents({ id: sessionId(3), user: 'mallory', ask: 'what nobody asked' });
  await world.store.append([blockOfEvents(liar, lie, Date.now())]);
  await open(sessionId(3));
  await page.waitForSelector('text=2 records under this id');
  expect(await text('main')).not.toContain('what nobody asked');
  expect(await page.locator('section[aria-label=Decision]').count()).toBe(0);
  await look('chains');
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.waitForSelector('section[aria-label=Decision]');
  const { searchParams } = new URL(page.url());
  expect([searchParams.get('chain'), searchParams.get('source')]).toEqual([chain.name, source]);
  expect(await text('main')).not.toContain('what nobody asked');
  await nothingWrong();
});

test('a session whose lines were changed on the way is not proven', async () => {
  await page.route('**/proof', async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: (await answer.text()).replace('She lives', 'He lives') });
  });
  await open(ids.masked);
  await page.waitForSelector('text=Not proven: the lines of entry');
  await page.unroute('**/proof');
  await nothingWrong();
});

test('what a caller wrote is text and nothing else; what cannot be seen is; a long text is folded', async () => {
  await open(ids.attack);
  await page.waitForSelector('.timeline');
  expect(await text('.step.asked .text')).toBe(
    'Ignore that. <script>globalThis.owned = 1</script><img src=x onerror="globalThis.owned = 1"> \\u202eesrever\\u202c \\u0007 zero\\u200bwidth',
  );
  expect(await page.locator('main script, main img').count()).toBe(0);
  const shown = page.locator('.step.asked .text').nth(1);
  expect((await shown.innerText()).length).toBeLessThan(3_000);
  await look('attack');
  await page.click(`text=Show all ${long.length.toLocaleString('en-US')} characters`);
  expect(await shown.evaluate((one) => one.textContent)).toBe(long);
  await nothingWrong();
});

test('content that is sealed, and none, are said to be', async () => {
  await open(ids.sealed);
  await page.waitForSelector(`text=kubectl sidegate audit show ${ids.sealed} --unseal investigator.pem`);
  await look('sealed');
  await open(ids.whole);
  await page.waitForSelector(`text=kubectl sidegate audit show ${ids.whole} --unseal investigator.pem`);
  expect(await text('.note p')).toContain('of its texts there are lengths and what rules did here');
  expect(await page.locator('.sealed-text').allInnerTexts()).toEqual([
    '1,234 characters, sealed',
    '300 characters, sealed',
  ]);
  expect(await page.locator('.course button:text-is("Replay")').count()).toBe(0);
  expect(await text('.acts')).toContain('by Email');
  await look('sealed-whole');
  await open(ids.none);
  await page.waitForSelector('text=No text is on record: its policy keeps none');
  await nothingWrong();
});

test('replay plays the answer at its times; space pauses it', async () => {
  // A clock is that of all pages of a context.
  const other = await browser.newContext({ ...asPeople, storageState: await context.storageState() });
  const player = await newPage(other);
  await player.clock.install();
  await player.goto(`${world.url}/console/?page=session&id=${ids.masked}`);
  await player.waitForSelector('.timeline');
  // From here on it goes as far as it is told.
  await player.clock.pauseAt(Date.now() + 600_000);
  await player.click('text=Replay');
  await player.clock.runFor(500);
  expect(await player.innerText('.played .text')).toBe('She lives at [confi');
  await player.evaluate('document.activeElement.blur()');
  await player.keyboard.press(' ');
  await player.waitForSelector('.player >> text=Play');
  await player.clock.runFor(5_000);
  expect(await player.innerText('.played .text')).toBe('She lives at [confi');
  await player.click('text=×4');
  await player.click('.player >> text=Play');
  await player.clock.runFor(200);
  expect(await player.innerText('.played .text')).toBe('She lives at [confidential]. Her note says [draft].');
  expect(await player.locator('.played mark').allInnerTexts()).toEqual(['[confidential]', '[draft]']);
  await other.close();
  await nothingWrong();
});

test('policies: those of the records and all others that there are, and how they are', async () => {
  await page.keyboard.press('Escape');
  await page.keyboard.press('g');
  await page.keyboard.press('p');
  await page.waitForSelector('h1 >> text=Policies');
  await page.waitForSelector(rows);
  expect(await page.locator(rows).allInnerTexts()).toEqual([
    expect.stringMatching(/^floor of the platform\s+2\s+enforced 12 of 12 pods enforce generation 2\.\s+120\s/),
    expect.stringMatching(/^ml\/support-llm\s+7\s/),
    expect.stringMatching(/^rag\/new\s+4\s+not judged yet\s+0\s+not in 24 h$/),
    expect.stringMatching(/^rag\/search\s+1\s+It selects no inference pod\.\s+0\s+not in 24 h$/),
  ]);
  // Each problem once; what cannot be seen stands as an escape, and nothing becomes markup.
  expect(await page.locator('tr:has-text("ml/support-llm") .condition').allInnerTexts()).toEqual([
    'not enforced PodsBehind: 3 of 4 pods enforce generation 7. The others are on their way.',
    'SecretMissing there is no Secret ml/vllm-key \\u202e<b>',
  ]);
  await look('policies');
  await nothingWrong();
});

const decided = () =>
  world.decisions.asked
    .filter(({ line }) => line.startsWith('POST'))
    .map(({ line, body }) => [line.replace(/^POST .*\/approvals\/([^/]+)\/decision$/, '$1'), body]);

test('approvals: decided by keys alone, as the person themselves', async () => {
  world.decisions.asked.length = 0;
  await page.keyboard.press('g');
  await page.keyboard.press('a');
  await page.waitForSelector('.approval >> nth=1');
  await page.keyboard.press('j');
  await page.keyboard.press('a');
  expect(await page.evaluate('document.activeElement.textContent')).toBe('Approve');
  await look('approvals');
  await page.keyboard.press('Escape');
  expect(await page.evaluate(`document.activeElement.className`)).toBe('panel approval');
  expect(decided()).toEqual([]);
  await page.keyboard.press('a');
  await page.keyboard.press('Enter');
  await page.waitForSelector('text=Approved by you.');
  await page.keyboard.press('j');
  await page.keyboard.press('Tab');
  await page.keyboard.type('not today');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.waitForSelector('text=Denied by you.');
  expect(decided()).toEqual([
    ['a-1', '{"decision":"Approve"}'],
    ['a-2', '{"decision":"Deny","comment":"not today"}'],
  ]);
  const claims = (token: string): unknown => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  const tokens = world.decisions.asked.filter(({ line }) => line.startsWith('POST')).map(({ token }) => claims(token));
  expect(tokens).toEqual([1, 2].map(() => expect.objectContaining({ sub: 'ana' })));
  await nothingWrong();
});

test('approvals: one click decides, and none that what has just moved came under', async () => {
  approvals = [waiting('a-5')];
  world.decisions.asked.length = 0;
  // The pointer comes down in the moment in which the button is there.
  await page.goto(`${world.url}/console/`);
  await page.waitForSelector(rows);
  await page.evaluate(`void new MutationObserver(() => {
    const button = document.querySelector('.approval .primary');
    if (button === null || globalThis.pressed) return;
    globalThis.pressed = true;
    button.dispatchEvent(new MouseEvent('click', { bubbles: true, detail: 1 }));
  }).observe(document, { childList: true, subtree: true })`);
  await page.click('#pages >> text=Approvals');
  await page.waitForSelector('text=This has just moved: look at it, then press again.');
  expect(decided()).toEqual([]);
  await pause(800);
  await page.click('.approval >> text=Approve');
  await page.waitForSelector('text=Approved by you.');
  expect(decided()).toEqual([['a-5', '{"decision":"Approve"}']]);
  await nothingWrong();
});

test('an approval whose time is up by a clock that is wrong can be decided as long as it is listed', async () => {
  approvals = [{ ...waiting('a-6'), expiresAt: new Date(Date.now() - 60_000).toISOString() }];
  world.decisions.asked.length = 0;
  await page.goto(`${world.url}/console/?page=approvals`);
  await page.waitForSelector('text=its time is up');
  // Its clock ticks each second.
  await pause(1_500);
  await page.click('.approval >> text=Deny');
  await page.waitForSelector('text=Denied by you.');
  expect(decided()).toEqual([['a-6', '{"decision":"Deny"}']]);
  await nothingWrong();
});

test('an approval that was missing from a list, and is listed again, can be decided', async () => {
  approvals = [waiting('a-3')];
  await page.goto(`${world.url}/console/?page=approvals`);
  await page.waitForSelector('.approval >> text=Approve');
  await page.evaluate(`globalThis.placed = document.querySelector('.approval')`);
  const buttons = (): Promise<readonly string[]> => page.locator('.approval button').allInnerTexts();
  approvals = [];
  await page.waitForSelector('text=It waits no longer: decided elsewhere, out of time, or its caller has gone.');
  expect([await page.getAttribute('.approval', 'class'), await buttons()]).toEqual(['panel approval over', []]);
  await page.waitForSelector('text=Nothing waits for you.');
  approvals = [waiting('a-3')];
  await page.waitForSelector('.approval >> text=Approve');
  expect([await page.getAttribute('.approval', 'class'), await buttons()]).toEqual([
    'panel approval',
    ['Approve', 'Deny'],
  ]);
  // The same card, in its place.
  expect(await page.evaluate(`placed === document.querySelector('.approval')`)).toBe(true);
  expect(await page.locator('.approval').count()).toBe(1);
  await look('approval-again');
  world.decisions.asked.length = 0;
  await page.evaluate(`placed.focus()`);
  await page.keyboard.press('d');
  await page.keyboard.press('Enter');
  await page.waitForSelector('text=Denied by you.');
  expect(decided()).toEqual([['a-3', '{"decision":"Deny"}']]);
  await nothingWrong();
});

test('help: a dialog that tells the keys, and switches them off', async () => {
  await page.keyboard.press('?');
  await page.waitForSelector('dialog[open]');
  await look('help');
  await page.uncheck('#keys-on');
  await page.keyboard.press('Escape');
  await page.keyboard.press('g');
  await page.keyboard.press('l');
  expect(page.url()).toContain('page=approvals');
  await page.click('#help-open');
  await page.check('#keys-on');
  await page.click('dialog >> text=Close');
  await nothingWrong();
});

test('errors say what to do, and one can try again', async () => {
  let answer = { status: 429, headers: { 'retry-after': '7' }, body: '{"code":"busy","message":"too many questions"}' };
  await page.route('**/v1/search', (route) => route.fulfill({ contentType: 'application/json', ...answer }));
  await page.goto(`${world.url}/console/?page=search&user=ana`);
  await page.waitForSelector('text=Too many questions at once. Try again in 7 s.');
  answer = {
    status: 503,
    headers: { 'retry-after': '' },
    body: '{"code":"unavailable","message":"this cannot be answered now"}',
  };
  await page.click('text=Try again >> nth=-1');
  await page.waitForSelector('text=The recorder cannot answer now (this cannot be answered now).');
  await page.unroute('**/v1/search');
  await page.click('text=Try again >> nth=-1');
  await page.waitForSelector(rows);
  await nothingWrong();
});

test('whoever could not be logged out is told so', async () => {
  await page.goto(`${world.url}/console/?page=policies`);
  await page.route('**/console/logout', (route) => route.abort());
  await page.click('text=Log out');
  await page.waitForSelector('text=You are still logged in.');
  expect(await page.locator('text=You are logged out.').count()).toBe(0);
  await look('still-logged-in');
  await page.unroute('**/console/logout');
  // What the browser says of the request that came to nothing.
  complaints.length = 0;
  await nothingWrong();
});

test('logged out: the next question leads to a login, and back to the same page', async () => {
  await page.click('text=Log out');
  await page.waitForSelector('text=You are logged out.');
  const leaving = new URL((await page.getAttribute('text=Log out there, too', 'href')) ?? '');
  expect(`${leaving.origin}${leaving.pathname}`).toBe(`${world.issuer.url}/session/end`);
  await look('logged-out');
  await open(ids.masked);
  const link = await page.getAttribute('main a', 'href');
  expect(link).toBe(`/console/login?to=${encodeURIComponent(`/console/?page=session&id=${ids.masked}`)}`);
  await look('login');
  // Whoever logs in there is led back, and not told that another site had led them: the page itself did.
  await page.click('main a');
  // The issuer asks who it is, or whether to go on, or neither.
  for (let step = 0; step < 2; step++) {
    await page.waitForSelector('[type=submit], section[aria-label=Decision], p.mono');
    if ((await page.locator('[type=submit]').count()) === 0) break;
    if ((await page.locator('[name=login]').count()) > 0) {
      await page.fill('[name=login]', 'ana');
      await page.fill('[name=password]', 'x');
    }
    await page.click('[type=submit]');
  }
  await page.waitForSelector('section[aria-label=Decision]');
  expect(page.url()).toBe(`${world.url}/console/?page=session&id=${ids.masked}`);
  // Of the issuer's pages.
  complaints.length = 0;
  await nothingWrong();
});
