import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { sidegateCommand } from '../../test/support/sidegate-command.ts';
import type { Ran } from '../../test/support/sidegate-command.ts';
import { pause } from '../../test/support/wait.ts';
import { KubeError, resources } from '../kube/index.ts';
import type { KubeCall, KubeClient, KubeResource } from '../kube/index.ts';
import { sessionEvents, sessionId, testChain } from '../recorder/testing/chains.ts';
import type { CommandIo } from './command.ts';
import { commands } from './commands.ts';
import { jsonText, printable, printableRows, yamlText } from './terminal-text.ts';

// What `-o` each command takes, and that nothing of what others wrote moves a terminal's cursor. Each command has a row: a new one escapes neither.

const formats: Readonly<Record<string, readonly string[]>> = {
  enable: ['json', 'yaml'],
  inject: [],
  'gateway create': [],
  ca: [],
  check: ['json', 'yaml'],
  'policy validate': ['json', 'yaml'],
  'policy explain': ['json', 'yaml'],
  'policy test': ['text', 'json', 'junit'],
  'approvals list': ['json', 'yaml', 'wide'],
  'approvals watch': ['text', 'jsonl'],
  'approvals show': ['json', 'yaml', 'wide'],
  'approvals approve': ['json', 'yaml'],
  'approvals deny': ['json', 'yaml'],
  'access request': ['json', 'yaml'],
  'access list': ['json', 'yaml', 'wide'],
  'access revoke': ['json', 'yaml'],
  'access revoke-token': ['json', 'yaml'],
  'access revoked': ['json', 'yaml', 'wide'],
  login: [],
  token: [],
  top: ['json', 'yaml', 'wide'],
  'self-test': [],
  'audit search': ['table', 'jsonl', 'csv'],
  'audit show': ['text', 'jsonl'],
  'audit verify': [],
  'audit replay': ['text', 'jsonl'],
  'audit explain': [],
  'audit evidence': ['text', 'jsonl'],
  'audit export': [],
  'audit restore': [],
  'audit keygen': [],
  'audit holds': [],
  'audit hold': [],
  'audit release': [],
  'audit ship': [],
  'admission remove': ['json', 'yaml'],
  completion: [],
  version: ['json', 'yaml'],
};

/** Colours, a cleared screen in C1, a bell, a turned direction, an unseen letter, an end of a line. */
const hostile = 'x\u001b[31my\u009b2Jz\u0007\u0085\u202ev\u{e0041}w\u2028u\u200bé';
const forbidden = /[^\P{Cc}\n\t]|[\p{Cf}\u2028\u2029]/u;

const time = new Date().toISOString();
const meta = (name: string) => ({ namespace: 'ml', name, uid: name, resourceVersion: '1', creationTimestamp: time });
const decision = { decision: 'Approve', at: time, user: hostile, comment: hostile };
const approval = {
  metadata: meta('a-1'),
  spec: {
    requester: { issuer: hostile, subject: hostile, groups: [hostile], kubernetesUser: hostile },
    ...{ operation: 'Chat', model: hostile, direction: 'Request', rules: [hostile], excerpt: `${hostile}\n${hostile}` },
    ...{ pod: { name: hostile }, digest: hostile, session: hostile, required: 1, approvers: [{ group: hostile }] },
    expiresAt: time,
  },
  status: { phase: 'Pending', decisions: [decision] },
};
const grant = {
  metadata: meta('grant-1'),
  spec: {
    ...{ issuer: hostile, subject: hostile, operations: ['Chat'], models: [hostile], reason: hostile },
    ...{ requestedBy: hostile, expiresAt: time, selector: { matchLabels: { [hostile]: hostile } } },
  },
  status: { phase: 'Pending', required: 1, approvers: [{ group: hostile }], decisions: [decision] },
};
const revoked = {
  metadata: meta('revocations'),
  data: { 'r-1': JSON.stringify({ issuer: hostile, subject: hostile, until: time, reason: hostile }) },
};
const figures = { ageMs: 1, uptimeMs: 1, requests: 1, generation: hostile, recent: { ms: 1, requests: 1, refused: 0 } };
const workload = { metadata: meta('w'), spec: { template: { spec: { containers: [{ image: hostile }] } } } };
const session = {
  session: hostile,
  at: 0,
  namespace: hostile,
  pod: hostile,
  subject: hostile,
  end: { code: hostile, tags: [`rule:${hostile}`] },
};
const conflict = {
  index: 1,
  text: JSON.stringify({ at: 0, source: hostile, chain: hostile, sequence: 1, what: hostile }),
  evidence: Buffer.from(hostile).toString('base64'),
};
const id = sessionId(1);
const lines = testChain()
  .lines(sessionEvents({ id, ask: hostile }))
  .toString()
  .trimEnd()
  .split('\n');

function answer({ path }: KubeCall): object {
  if (path.includes('selfsubjectreviews')) return { status: { userInfo: { username: hostile } } };
  if (path.includes('/proxy/v1/search')) return { sessions: [session], cursor: null };
  if (path.includes('/proxy/v1/log/conflicts')) return { conflicts: [conflict] };
  if (path.includes('/proxy/v1/sessions/')) return { sessions: [{ source: 'a', chain: 'b' }], lines, next: null };
  return { pods: [{ namespace: 'ml', name: hostile, uid: 'u', figures }], gitVersion: hostile };
}
const objects = new Map<KubeResource, object>([
  [resources.inferenceApprovals, approval],
  [resources.inferenceGrants, grant],
  [resources.configMaps, revoked],
  [resources.deployments, workload],
  [resources.mutatingWebhooks, { metadata: meta(hostile) }],
  [resources.pods, { metadata: meta('controller'), spec: { containers: [] }, status: { phase: 'Running' } }],
]);
const objectsOf = (resource: KubeResource): object[] => [objects.get(resource) ?? []].flat();
const later = <T>(value: T): Promise<T> => Promise.resolve(value);
const client = {
  request: (call: KubeCall) => later(answer(call)),
  list: (resource: KubeResource) => later(objectsOf(resource)),
  page: (resource: KubeResource) =>
    later({ items: objectsOf(resource), resourceVersion: '1', continueToken: undefined }),
  watch: (_path: string, { signal }: { signal: AbortSignal }) =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(new KubeError('aborted', 'over')))),
  get: (resource: KubeResource) => later(objects.get(resource)),
  find: () => later(workload),
  create: (_resource: KubeResource, body: object) => later({ ...body, status: { token: 't' } }),
  patch: () => later(approval),
  delete: () => later(undefined),
  close: () => undefined,
} as unknown as KubeClient;
/** A cluster that refuses with words of somebody else's. */
const refusing = {
  ...client,
  list: () => Promise.reject(new KubeError('refused', hostile, { status: 403 })),
  find: () => Promise.reject(new KubeError('refused', hostile, { status: 403 })),
  create: () => Promise.reject(new KubeError('refused', hostile, { status: 403 })),
} as unknown as KubeClient;

const policy = JSON.stringify({
  apiVersion: 'sidegate.dev/v1alpha1',
  kind: 'InferencePolicy',
  metadata: { name: 'p', namespace: 'ml' },
  spec: {
    identity: { providers: [{ name: 'corp', oidc: { issuer: 'https://idp', audiences: ['a'] } }] },
    access: [{ name: 'r', effect: 'Allow', subjects: [{ group: hostile }] }],
  },
});
const cases = JSON.stringify({ cases: [{ name: hostile, expect: { decision: 'Allow' } }] });
const files: Readonly<Record<string, string>> = { policy, cases };

/** How each command comes to print what others wrote. */
const lineOf: Readonly<Record<string, readonly string[]>> = {
  enable: ['enable', `deployment/${hostile}`, '--dry-run'],
  check: ['check'],
  'policy validate': ['policy', 'validate', 'policy'],
  'policy explain': ['policy', 'explain', 'policy', '--user', hostile],
  'policy test': ['policy', 'test', 'policy', '--cases', 'cases'],
  'approvals list': ['approvals', 'list'],
  'approvals watch': ['approvals', 'watch', '--for', '0.5'],
  'approvals show': ['approvals', 'show', 'a-1'],
  'approvals approve': ['approvals', 'approve', 'a-1'],
  'approvals deny': ['approvals', 'deny', 'grant/grant-1'],
  'access request': ['access', 'request', '--issuer', hostile, '--subject', hostile, '--reason', hostile],
  'access list': ['access', 'list'],
  'access revoke': ['access', 'revoke', 'grant-1'],
  'access revoke-token': ['access', 'revoke-token', '--issuer', hostile, '--subject', hostile],
  'access revoked': ['access', 'revoked'],
  top: ['top', '--once'],
  'audit search': ['audit', 'search'],
  'audit show': ['audit', 'show', id],
  'audit evidence': ['audit', 'evidence'],
  'audit replay': ['audit', 'replay', id, '--speed', '0'],
  'admission remove': ['admission', 'remove'],
  version: ['version'],
};

const sidegate = (args: readonly string[], more: Partial<CommandIo> = {}): Promise<Ran> =>
  sidegateCommand(args, {
    readFile: (path) => files[path] ?? '',
    sleep: pause,
    openCluster: () => later({ client: args[0] === 'check' ? refusing : client, namespace: 'ml' }),
    ...more,
  });
const named = commands.map(({ name }) => name);
const withFormats = named.filter((name) => (formats[name] ?? []).length > 0);
const pairs = withFormats.flatMap((name) => (formats[name] ?? []).map((format) => [name, format] as const));

describe('-o', () => {
  test('has a row for each command', () => {
    expect(Object.keys(formats).toSorted()).toEqual(named.toSorted());
    expect(Object.keys(lineOf).toSorted()).toEqual(withFormats.toSorted());
  });

  test.each(named)('of %s takes what its row says, and all else is code 2', async (name) => {
    const { code, out, err } = await sidegate([...name.split(' '), '-o', 'rainbow']);
    expect([code, out]).toEqual([2, '']);
    const taken = /^-o must be one of (.*)$/m.exec(err)?.[1]?.split(', ') ?? [];
    expect(taken).toEqual(formats[name]);
    if (taken.length === 0) expect(err).toContain('-o: there is no such flag');
    for (const format of taken) expect(err).toMatch(new RegExp(`-o, --output FORMAT .*${format}`));
  });

  test.each(withFormats.filter((name) => formats[name]?.includes('yaml')))(
    'json and yaml of %s hold the same',
    async (name) => {
      const [json, yaml] = [
        await sidegate([...(lineOf[name] ?? []), '-o', 'json'], { now: () => 0 }),
        await sidegate([...(lineOf[name] ?? []), '-o', 'yaml'], { now: () => 0 }),
      ];
      // Each is written anew, under a name of its own.
      const [first, second] = [json.out, yaml.out].map((text) => text.replace(/revocation-\w+/g, 'revocation'));
      const value: unknown = JSON.parse(first ?? '');
      expect(parse(second ?? '')).toEqual(value);
      expect(json.code).toBe(yaml.code);
      // What others wrote is there as they wrote it.
      if (name !== 'policy validate') expect(JSON.stringify(value)).toContain(JSON.stringify(hostile).slice(1, -1));
    },
  );

  test.each(withFormats.filter((name) => formats[name]?.includes('jsonl')))(
    'each line of jsonl of %s is JSON',
    async (name) => {
      const { out } = await sidegate([...(lineOf[name] ?? []), '-o', 'jsonl']);
      const parsed = out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown);
      expect(JSON.stringify(parsed)).toContain(JSON.stringify(hostile).slice(1, -1));
    },
  );
});

describe('nothing that others wrote moves a terminal or colours it', () => {
  // The lines of a record are its bytes: see the next test.
  const bytes = ([name, format]: readonly [string, string]): boolean => name === 'audit show' && format === 'jsonl';
  test.each(pairs.filter((pair) => !bytes(pair)))('%s -o %s', async (name, format) => {
    const { out, err } = await sidegate([...(lineOf[name] ?? []), '-o', format]);
    expect(out).toMatch(/[^\s]/);
    expect(out).not.toMatch(forbidden);
    expect(err).not.toMatch(forbidden);
  });

  test.each(withFormats)('%s', async (name) => {
    const { out, err } = await sidegate(lineOf[name] ?? []);
    expect(out).toMatch(/[^\s]/);
    expect(out).not.toMatch(forbidden);
    expect(err).not.toMatch(forbidden);
  });

  test('lines of a record are its bytes, but on a terminal', async () => {
    const args = ['audit', 'show', id, '-o', 'jsonl'];
    expect((await sidegate(args)).out).toBe(`${lines.join('\n')}\n`);
    const { out } = await sidegate(args, { screenRows: () => 40 });
    expect(out).not.toMatch(forbidden);
    const read = (text: string): unknown[] =>
      text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown);
    expect(read(out)).toEqual(lines.map((line) => JSON.parse(line) as unknown));
  });

  test('nor in words of an error', async () => {
    const { code, err } = await sidegate(['approvals', 'list'], {
      openCluster: () => Promise.reject(new KubeError('refused', hostile)),
    });
    expect(code).toBe(1);
    expect(err).toContain('x?[31my');
    expect(err).not.toMatch(forbidden);
    expect((await sidegate([hostile])).err).not.toMatch(forbidden);
  });
});

describe('texts of others', () => {
  test('stand in a cell, in rows, in JSON and in YAML', () => {
    expect(printable('a\n\u001b\u009bb\u202ec')).toBe('a b c');
    expect(printableRows('a\n\tb\r\u009b\u202ec\u{e0041}')).toBe('a\n\tb???c?');
    expect(jsonText({ a: '\u009b\u202e\u{e0041}\u007f' })).toBe('{"a":"\\u009b\\u202e\\udb40\\udc41\\u007f"}');
    expect(yamlText({ a: 'b\n\u009b\u{e0041}' })).toBe('a: "b\\n\\u009b\\U000e0041"\n');
  });

  test.each([
    hostile,
    `${hostile}\n${hostile}`,
    ' a',
    'a: b',
    '- x',
    '',
    '\u0085',
    '\u0000',
    'é😀',
    '"\\u0041',
    "'\u202e'",
  ])('come back from both as they were: %j', (text) => {
    const value = { [text]: [text, { deep: text }], twice: [{ text }, { text }] };
    expect(JSON.parse(jsonText(value, 2))).toEqual(value);
    expect(parse(yamlText(value))).toEqual(value);
    expect(jsonText(value, 2) + yamlText(value)).not.toMatch(forbidden);
  });
});
