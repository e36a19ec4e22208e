import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { folderIo } from '../../cmd/kubectl-sidegate/folder-io.ts';
import { errorCode, silentLogger, systemClock } from '../../pkg/base/index.ts';
import type { Logger } from '../../pkg/base/index.ts';
import { run } from '../../pkg/cli/index.ts';
import { parseGrants } from '../../pkg/crd/index.ts';
import {
  createFileApprovals,
  decisionSocket,
  fileGrantSource,
  openApprovalFiles,
  openDecisionSocket,
} from '../../pkg/local/index.ts';
import type { FileApprovals, FileGrantSource } from '../../pkg/local/index.ts';
import { stopwatch } from '../support/wait.ts';
import { createAuthority } from '../support/issuer-certificates.ts';
import { noLogin } from '../support/no-login.ts';
import { answerChat, chunk } from '../support/scripted-model.ts';
import { until } from '../support/wait.ts';
import { basePolicy, startWorld } from '../support/world.ts';
import type { Answer, World } from '../support/world.ts';

// Approvals and grants of a sidecar that runs on its own: by the real listener, a folder, its socket, and the command line.

const clock = systemClock;
const errors: unknown[] = [];
const logger: Logger = { ...silentLogger, error: (message, fields) => void errors.push([message, fields]) };
const folder = mkdtempSync(join(tmpdir(), 'sidegate-people-'));
const [asked, given] = [join(folder, 'approvals'), join(folder, 'grants')];

let world: World;
let approvals: FileApprovals;
let grants: FileGrantSource;
let socket: { close(): Promise<void> };

const callers = createAuthority('callers', Date.now());
const policy = (issuer: string): string => `${basePolicy(issuer).replace(
  '  access:\n',
  `      kubernetesUser: { claim: email }
    - { name: mesh, clientCertificate: { caFile: callers.pem }, kubernetesUser: { claim: cn } }
  access:
`,
)}
  guards:
  - { name: project, direction: Request, match: { words: [falcon] }, action: RequireApproval }
  classification:
  - { label: mail, detectors: [Email], visibleTo: [{ group: leads }], otherwise: Mask }
  approvals: { approvers: [{ group: leads }], required: 2, timeout: 60s, maxGrant: 1h }
`;

beforeAll(async () => {
  mkdirSync(given, { mode: 0o700 });
  world = await startWorld({
    policy,
    files: { 'callers.pem': callers.pem },
    async approvals(parts) {
      approvals = createFileApprovals({
        ...parts,
        clock,
        logger,
        files: await openApprovalFiles(asked),
        breakGlass: {
          issuer: parts.policy.current()?.providers[0]?.oidc?.issuer ?? '',
          groups: ['on-call'],
          subjects: [],
        },
      });
      socket = await openDecisionSocket({ path: join(asked, decisionSocket), approvals, clock, logger });
      return approvals.gate;
    },
    async grants(parts) {
      grants = await fileGrantSource({ ...parts, folder: given, parse: parseGrants, clock, logger, pollMs: 50 });
      return grants;
    },
  });
});
afterAll(async () => {
  await world.close();
  await socket.close();
  approvals.close();
  grants.close();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  world.model.script = answerChat('fine');
});
afterEach(() => {
  for (const name of readdirSync(given)) rmSync(join(given, name));
});

async function sidegate(...args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', ''];
  const none = (): never => {
    throw new Error('not here');
  };
  const code = await run(args, {
    stdout: (text) => void (out += text),
    stderr: (text) => void (err += text),
    readFile: (path) => readFileSync(path, 'utf8'),
    writeFile: none,
    checkPattern: none,
    publicRoots: [],
    now: Date.now,
    sleep: () => Promise.resolve(),
    openCluster: none,
    login: noLogin,
    folder: folderIo(),
    ask: none,
  });
  return { code, out, err };
}
async function tokenFile(sub: string, ...groups: readonly string[]): Promise<string> {
  const file = join(folder, `${sub}.token`);
  writeFileSync(file, `${await world.token({ sub, groups })}\n`);
  return file;
}
const chat = (content: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  model: 'llama-3-8b',
  messages: [{ role: 'user', content }],
  ...more,
});
const post = (body: Record<string, unknown>, options: Parameters<World['post']>[2] = {}): Promise<Answer> =>
  world.post('/v1/chat/completions', body, options);
const codeOf = ({ text }: Answer): unknown => (JSON.parse(text) as { error: { code: string } }).error.code;
/** Names of what waits. */
async function waiting(): Promise<readonly string[]> {
  const { out } = await sidegate('approvals', 'list', '--dir', asked, '-o', 'json');
  return (JSON.parse(out) as { items: { metadata: { name: string } }[] }).items.map(({ metadata }) => metadata.name);
}
async function theOne(): Promise<string> {
  await until(async () => (await waiting()).length === 1);
  return (await waiting())[0] ?? '';
}
const decide = async (what: 'approve' | 'deny', name: string, token: string, ...more: readonly string[]) =>
  sidegate('approvals', what, name, '--dir', asked, '--token', token, ...more);

test('two people approve what waits, each once and never the requester; then it goes on, and the record says who', async () => {
  const held = post(chat('falcon for ana@example.com'));
  const name = await theOne();
  const shown = await sidegate('approvals', 'show', name, '--dir', asked);
  expect(shown.out).toMatch(/Caller: +ana of /);
  expect(shown.out).toContain('[mail]');
  expect(readFileSync(join(asked, `${name}.yaml`), 'utf8')).not.toContain('ana@example.com');
  const [ana, bob, cleo, eve] = await Promise.all([
    tokenFile('ana', 'leads'),
    tokenFile('bob', 'leads'),
    tokenFile('cleo', 'leads'),
    tokenFile('eve', 'ml-eng'),
  ]);
  expect(await decide('approve', name, ana)).toMatchObject({ code: 1, err: expect.stringContaining('self_approval') });
  expect(await decide('approve', name, eve)).toMatchObject({ code: 1, err: expect.stringContaining('not_allowed') });
  expect(await decide('approve', name, bob, '--comment', 'seen')).toMatchObject({
    code: 0,
    out: expect.stringMatching(/approved, 1 of 2, as http.* bob/),
  });
  expect(await decide('approve', name, bob)).toMatchObject({ code: 1, err: expect.stringContaining('voted') });
  // Editing the file decides nothing.
  const file = join(asked, `${name}.yaml`);
  writeFileSync(file, readFileSync(file, 'utf8').replace('phase: Pending', 'phase: Approved'));
  expect(world.model.seen).toEqual([]);
  expect(await decide('approve', name, cleo)).toMatchObject({ code: 0 });
  expect((await held).status).toBe(200);
  expect(await waiting()).toEqual([]);
  expect(await decide('deny', name, cleo)).toMatchObject({ code: 1, err: expect.stringContaining('decided') });
  const events = (await world.record()).filter(({ type }) => type === 'approval');
  expect(events.map(({ phase }) => phase)).toEqual(['Pending', 'Pending', 'Approved', 'Used']);
  expect(events.at(-1)).toMatchObject({
    name,
    decisions: [
      { decision: 'Approve', by: `${world.issuer.url} bob`, from: 'local socket', at: expect.any(String) },
      { decision: 'Approve', by: `${world.issuer.url} cleo` },
    ],
  });
});

test('what a caller with a client certificate asks, people with tokens approve, and never the caller by an account of theirs', async () => {
  const certificate = callers.issue({
    subject: [
      ['CN', 'ana@example.com'],
      ['OU', 'ml-eng'],
    ],
  });
  const held = post(chat('falcon by certificate'), { token: null, certificate });
  const name = await theOne();
  expect((await sidegate('approvals', 'show', name, '--dir', asked)).out).toContain(
    'ana@example.com of CN=callers, to Kubernetes ana@example.com',
  );
  const person = async (sub: string, claims: Record<string, string> = {}): Promise<string> => {
    const file = join(folder, `${sub}.token`);
    writeFileSync(file, await world.token({ sub, groups: ['leads'], claims }));
    return file;
  };
  const own = await person('ana-of-corp', { email: 'ana@example.com' });
  expect((await decide('approve', name, own)).err).toContain('self_approval');
  expect((await decide('approve', name, await person('nameless'))).err).toContain('cannot_exclude_self_approval');
  for (const sub of ['bob', 'cleo'])
    expect(await decide('approve', name, await person(sub, { email: `${sub}@example.com` }))).toMatchObject({
      code: 0,
    });
  expect((await held).status).toBe(200);
});

test('what was approved passes for its requester with a newer token, also of other groups; what was denied stays denied', async () => {
  const waits = { headers: { prefer: 'respond-async' } };
  const renewed = async (expiresIn: number, groups: readonly string[]): Promise<typeof waits & { token: string }> => ({
    ...waits,
    token: await world.token({ expiresIn, groups, claims: { jti: `renewed-${expiresIn}` } }),
  });
  expect((await post(chat('falcon by and by'), waits)).status).toBe(202);
  expect((await post(chat('falcon by and by'), await renewed(1_800, ['ml-eng', 'night']))).status).toBe(202);
  const approved = await theOne();
  for (const who of ['bob', 'cleo'])
    expect(await decide('approve', approved, await tokenFile(who, 'leads'))).toMatchObject({ code: 0 });
  expect((await post(chat('falcon by and by'), await renewed(1_900, ['ml-eng']))).status).toBe(200);
  expect((await post(chat('falcon never'), waits)).status).toBe(202);
  expect(await decide('deny', await theOne(), await tokenFile('bob', 'leads'))).toMatchObject({ code: 0 });
  expect(codeOf(await post(chat('falcon never'), await renewed(2_000, ['ml-eng'])))).toBe('approval_denied');
});

test('what is decided while nobody waits is on record; who may break the glass approves alone, loudly', async () => {
  const waits = { headers: { prefer: 'respond-async' } };
  expect((await post(chat('falcon unattended'), waits)).status).toBe(202);
  const name = await theOne();
  const changes = async () => (await world.record()).filter((event) => event['name'] === `ml/${name}`);
  expect(await decide('approve', name, await tokenFile('bob', 'leads'), '--comment', 'seen')).toMatchObject({
    code: 0,
  });
  const [kim, cleo] = [await tokenFile('kim', 'on-call'), await tokenFile('cleo', 'leads')];
  expect((await decide('approve', name, kim)).err).toContain('not_allowed');
  expect((await decide('approve', name, cleo, '--break-glass')).err).toContain('not_allowed');
  expect((await decide('approve', name, kim, '--break-glass')).out).toContain('approved, 2 of 2, break-glass, as ');
  expect((await sidegate('approvals', 'show', name, '--dir', asked)).out).toContain('kim of ');
  await until(async () => (await changes()).length === 2);
  expect(await changes()).toMatchObject([
    { type: 'change', what: 'approval', step: 'voted', decisions: [{ breakGlass: false, comment: 'seen' }] },
    {
      step: 'approved',
      caller: { subject: 'ana' },
      decisions: [
        {},
        { by: `${world.issuer.url} kim`, breakGlass: true, from: 'local socket', at: expect.any(String) },
      ],
    },
  ]);
  expect((await post(chat('falcon unattended'))).status).toBe(200);
});

test('an answer that waits stands in no file as it is, while it waits and after it has gone out', async () => {
  const number = '4111 1111 1111 1111';
  const files = (): readonly string[] =>
    [asked, world.folder].flatMap((at) =>
      readdirSync(at, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1')),
    );
  // Of a policy of its own: it holds whole streams back, which others here read.
  const label = '  - { label: card, detectors: [CreditCard], otherwise: RequireApproval }';
  await world.setPolicy(policy(world.issuer.url).replace('  classification:\n', `$&${label}\n`));
  world.model.script = answerChat(`pay with ${number} now`);
  const held = post(chat('how?'));
  const name = await theOne();
  expect(files().filter((text) => text.includes('pay with [card] now')).length).toBeGreaterThan(0);
  expect(files().filter((text) => text.includes(number))).toEqual([]);
  for (const who of ['bob', 'cleo'])
    expect(await decide('approve', name, await tokenFile(who, 'leads'))).toMatchObject({ code: 0 });
  expect((await held).text).toContain(number);
  expect(JSON.stringify(await world.record())).toContain('pay with [card] now');
  expect(files().filter((text) => text.includes(number))).toEqual([]);
  await world.setPolicy(policy(world.issuer.url));
});

test('one denies: refused, also when it is asked again', async () => {
  const held = post(chat('falcon again'));
  const watched = theOne().then(() => sidegate('approvals', 'watch', '--dir', asked, '--for', '0.000001'));
  expect((await watched).out).toMatch(/ [0-9a-f]{16}-1 Pending 0\/2 ana Chat test\/project\n/);
  expect(await decide('deny', await theOne(), await tokenFile('bob', 'leads'))).toMatchObject({ code: 0 });
  const refused = await held;
  expect([refused.status, codeOf(refused), codeOf(await post(chat('falcon again')))]).toEqual([
    403,
    'approval_denied',
    'approval_denied',
  ]);
});

test('a folder that others may write is neither believed nor shown a token, nor taken by a sidecar', async () => {
  chmodSync(asked, 0o777);
  try {
    const token = await tokenFile('bob', 'leads');
    expect((await sidegate('approvals', 'list', '--dir', asked)).err).toContain('chmod go-w');
    expect((await decide('approve', '0123456789abcdef-1', token)).err).toContain('chmod go-w');
    await expect(openApprovalFiles(asked)).rejects.toMatchObject({ code: 'writable_by_others' });
  } finally {
    chmodSync(asked, 0o700);
  }
  await expect(openApprovalFiles(asked)).rejects.toMatchObject({ code: 'taken' });
});

test('a folder that others may put another in place of is not taken: a link, or one within a folder of theirs', async () => {
  const [link, theirs] = [join(folder, 'link'), join(folder, 'theirs')];
  const within = join(theirs, 'mine');
  symlinkSync(asked, link);
  mkdirSync(within, { recursive: true, mode: 0o700 });
  const took = async (path: string): Promise<unknown> =>
    openApprovalFiles(path).then(
      (files) => files.folder,
      (error: unknown) => errorCode(error),
    );
  expect([await took(link), await took(`${link}/`)]).toEqual(['symlink', 'symlink']);
  chmodSync(theirs, 0o777);
  expect(await took(within)).toBe('parent_writable_by_others');
  // As in /tmp: others cannot rename what is not theirs.
  chmodSync(theirs, 0o1777);
  expect(await took(within)).toBe(realpathSync(within));
  // A link above is followed, and what it leads to is kept to, wherever it leads later.
  const above = join(folder, 'above');
  symlinkSync(theirs, above);
  expect(await took(join(above, 'mine'))).toBe(realpathSync(within));
});

test('what an earlier process left in a folder is removed, and what is not its own stays', async () => {
  const old = join(folder, 'old');
  mkdirSync(old, { mode: 0o700 });
  writeFileSync(join(old, '0123456789abcdef-1.yaml'), 'status: { phase: Approved }');
  writeFileSync(join(old, 'notes.yaml'), '');
  await openApprovalFiles(old);
  expect(readdirSync(old)).toEqual(['notes.yaml']);
});

const outsider = (): Promise<string> => world.token({ sub: 'dan', groups: ['others'] });
const grantText = (ms: number, more = ''): string => `apiVersion: sidegate.dev/v1alpha1
kind: InferenceGrant
metadata: { name: night }
spec:
  issuer: ${world.issuer.url}
  subject: dan
  operations: [Chat]
  models: ['llama-*']
  expiresAt: ${new Date(Date.now() + ms).toISOString()}
  reason: incident 4711
  requestedBy: bob
${more}`;
const put = async (text: string, mode = 0o600): Promise<void> => {
  rmSync(join(given, 'night.yaml'), { force: true });
  writeFileSync(join(given, 'night.yaml'), text);
  chmodSync(join(given, 'night.yaml'), mode);
  await grants.check();
};
const statusOf = async (): Promise<number> => (await post(chat('hi'), { token: await outsider() })).status;

test('a grant in a file opens access, taking the file away closes it', async () => {
  expect(await statusOf()).toBe(403);
  await put(grantText(60_000));
  expect(await statusOf()).toBe(200);
  expect((await world.record()).at(-1)).toMatchObject({ rules: [{ rule: 'grant/night', act: 'allowed' }] });
  rmSync(join(given, 'night.yaml'));
  await grants.check();
  expect(await statusOf()).toBe(403);
});

test('a stream ends within a second of the grant’s second', async () => {
  world.model.script = (response) => {
    response.setHeader('content-type', 'text/event-stream');
    const timer = setInterval(() => response.write(chunk({ content: 'word ' })), 10);
    response.on('close', () => clearInterval(timer));
  };
  let text = '';
  let answer: Promise<unknown> = Promise.resolve();
  // On a busy machine it may be over before the stream has begun.
  for (let ms = 2_000; !text.includes('word'); ms *= 2) {
    await put(grantText(ms));
    text = '';
    answer = post(chat('hi', { stream: true }), { token: await outsider(), onChunk: (piece) => (text += piece) });
    await until(() => text.includes('word') || text.includes('access_denied'));
  }
  const end = grants.current()[0]?.until ?? 0;
  const left = end - Date.now();
  const watch = stopwatch();
  await answer;
  expect(watch.stop()).toBeLessThan(Math.max(0, left) + 1_000);
  expect(Date.now()).toBeGreaterThanOrEqual(end);
  expect(text).toContain('"code":"grant_ended"');
});

test.each<[string, () => string]>([
  ['is longer than maxGrant', () => grantText(3_700_000)],
  ['is over', () => grantText(-1)],
  ['is half written', () => grantText(60_000).slice(0, 150)],
  ['has a field too much', () => grantText(60_000, '  operation: [Admin]\n')],
  ['selects pods', () => grantText(60_000, '  selector: { matchLabels: { app: x } }\n')],
  ['ends before it begins', () => grantText(60_000, '  notBefore: 2100-01-01T00:00:00Z\n')],
  ['says the same name twice', () => `${grantText(60_000)}---\n${grantText(60_000)}`],
  ['is of another kind', () => grantText(60_000).replace('InferenceGrant', 'InferencePolicy')],
])('a file that %s gives nothing', async (_what, text) => {
  await put(text());
  expect(grants.current().filter(({ until: end }) => end > Date.now())).toEqual([]);
  expect(await statusOf()).toBe(403);
});

test('where no policy names who decides, a grant lasts as long as the profile allows', async () => {
  await world.setPolicy(basePolicy(world.issuer.url));
  try {
    await put(grantText(7.9 * 3_600_000));
    expect(await statusOf()).toBe(200);
    await put(grantText(8.1 * 3_600_000));
    expect(await statusOf()).toBe(403);
  } finally {
    await world.setPolicy(policy(world.issuer.url));
  }
});

test('a file that is dated in the future gives nothing, however short its grant would be from then on, and the log says so', async () => {
  await put(grantText(7_200_000));
  const ahead = new Date(Date.now() + 5_400_000);
  utimesSync(join(given, 'night.yaml'), ahead, ahead);
  await grants.check();
  expect([grants.current(), await statusOf()]).toEqual([[], 403]);
  expect(errors).toContainEqual(['grants give nothing', { grants: ['night: its file is dated in the future'] }]);
});

test('a file that others may write gives nothing', async () => {
  await put(grantText(60_000), 0o666);
  expect(await statusOf()).toBe(403);
});

test('the command line gives, lists and takes back', async () => {
  const made = await sidegate(
    ...['access', 'request', '--dir', given, '--issuer', world.issuer.url, '--subject', 'dan'],
    ...['--reason', 'incident', '--for', '30m'],
  );
  expect(made).toMatchObject({ code: 0, out: expect.stringContaining('holds until') });
  await grants.check();
  expect(await statusOf()).toBe(200);
  expect((await sidegate('access', 'list', '--dir', given)).out).toMatch(/grant-\w+ +Approved .* dan .* Chat/);
  const name = /grant-\w+/.exec(made.out)?.[0] ?? '';
  expect(await sidegate('access', 'revoke', name, '--dir', given)).toMatchObject({ code: 0 });
  await grants.check();
  expect(await statusOf()).toBe(403);
});

test('a folder of grants that is gone, or that others may write, gives nothing', async () => {
  await put(grantText(60_000));
  expect(grants.current()).toHaveLength(1);
  chmodSync(given, 0o777);
  await grants.check();
  expect(grants.current()).toEqual([]);
  chmodSync(given, 0o700);
  await grants.check();
  expect(grants.current()).toHaveLength(1);
  rmSync(given, { recursive: true });
  await grants.check();
  expect([grants.current(), existsSync(given)]).toEqual([[], false]);
  mkdirSync(given, { mode: 0o700 });
});

test('a folder of grants that became a link gives nothing, and neither does one within a folder that others may write', async () => {
  await put(grantText(60_000));
  const elsewhere = join(folder, 'elsewhere');
  renameSync(given, elsewhere);
  symlinkSync(elsewhere, given);
  await grants.check();
  expect([grants.current(), await statusOf()]).toEqual([[], 403]);
  rmSync(given);
  renameSync(elsewhere, given);
  await grants.check();
  expect(grants.current()).toHaveLength(1);
  chmodSync(folder, 0o777);
  await grants.check();
  chmodSync(folder, 0o700);
  expect(errors).toContainEqual([
    'no grant is taken',
    { folder: given, why: expect.stringMatching(/^parent_writable/) },
  ]);
});
