import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import type { Cluster, HttpAnswer } from '../../pkg/cli/index.ts';
import { commands } from '../../pkg/cli/commands.ts';
import { ensureSelfSigned } from '../../pkg/pki/index.ts';
import {
  controllersOf,
  createAuditServer,
  createCommitter,
  keepHeads,
  openSqliteStore,
  parseReceivers,
} from '../../pkg/recorder/index.ts';
import type { AuditServer, RecordStore } from '../../pkg/recorder/index.ts';
import { blockOf } from '../../pkg/recorder/store/testing/store-suite.ts';
import { sessionId, testChain } from '../../pkg/recorder/testing/chains.ts';
import { noLogin } from '../support/no-login.ts';
import { sidegateCommand } from '../support/sidegate-command.ts';

// docs/audit.md, docs/siem.md and docs/evidence.md: what they tell auditors to type runs, word by word, against a recorder with a record. What stands for
// something (an id, a receipt) is put in; what asks a bucket or a database runs in record-archive.test.ts, and has its flags looked at here.

const docs = resolve(import.meta.dirname, '../../docs');
const read = (name: string): string => readFileSync(join(docs, name), 'utf8');

/** As a shell parts them. */
function wordsOf(line: string): string[] {
  const words: string[] = [];
  for (const [, single, double, plain] of line.matchAll(/'([^']*)'|"([^"]*)"|([^\s'"]+)/g))
    words.push(single ?? double ?? plain ?? '');
  return words;
}

const first = new Set(commands.map((command) => command.name.split(' ')[0]));
/** Code blocks, without the comment behind a command; of the evidence what stands in its tables. */
const told: readonly (readonly [page: string, line: string])[] = [
  ...['audit.md', 'siem.md'].flatMap((page) =>
    [...read(page).matchAll(/^ {4}kubectl sidegate (.*?)(?: {2,}#.*)?$/gm)].map(
      (found) => [page, found[1] ?? ''] as const,
    ),
  ),
  ...[...new Set([...read('evidence.md').matchAll(/`([a-z][^`]*)`/g)].map((found) => found[1] ?? ''))]
    .filter((line) => first.has(line.split(' ')[0]))
    .map((line) => ['evidence.md', line] as const),
];
/** Of the API server's own objects, of a bucket, of a database. */
const elsewhere = /^(?:check|access|approvals)\b|s3:\/\/|--database/;

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
const id = sessionId('asked');
const receipt = `id=${id}; generation="g1"; rules="support/allow=allowed"; failed-open=none`;
const policy = (name: string): string => `
apiVersion: sidegate.dev/v1alpha1
kind: InferencePolicy
metadata: { name: support, namespace: ml }
spec:
  identity: { providers: [{ name: corp, oidc: { issuer: "https://idp.test", audiences: [a] } }] }
  access: [{ name: ${name}, effect: Allow, subjects: [{ authenticated: true }], operations: [Chat] }]
  guards: [{ name: secrets, direction: Request, match: { words: [hello] }, action: Block }]
`;

let folder: string;
let store: RecordStore;
let server: AuditServer;
let ca: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-docs-'));
  store = openSqliteStore({ path: join(folder, 'record.db'), clock: systemClock });
  const now = systemClock.now();
  const [chain, other] = [testChain(), testChain('other')];
  await store.append([blockOf(chain, [{ id, user: 'ana', ask: 'project falcon' }], now)]);
  await store.append([
    blockOf(other, [{ id: sessionId('refused'), outcome: 'refused', rule: 'support/secrets', by: ['Secrets'] }], now),
  ]);
  while (await store.index());
  const heads = keepHeads({ store, key: privateKey, clock: systemClock, logger: silentLogger });
  await heads.sign();
  heads.close();
  const files = await ensureSelfSigned(folder, ['localhost'], systemClock);
  const [cert, key] = [readFileSync(files.certFile, 'utf8'), readFileSync(files.keyFile, 'utf8')];
  ca = readFileSync(files.caFile, 'utf8');
  server = await createAuditServer({
    host: '127.0.0.1',
    port: 0,
    serving: { current: () => ({ cert, key }), subscribe: () => () => undefined },
    store,
    committer: createCommitter({ store, clock: systemClock, logger: silentLogger }),
    authorizer: {
      knows: () => true,
      authenticate: async () => ({ username: 'ana', groups: [] }),
      mayRead: async () => true,
      mayChange: async () => true,
    },
    clock: systemClock,
    logger: silentLogger,
    isController: controllersOf('sidegate-system'),
    shipping: { receivers: ['splunk'], again: async () => undefined },
  });
  for (const [file, text] of [
    ['policy.yaml', policy('all')],
    ['old.yaml', policy('all')],
    ['new.yaml', policy('everybody')],
  ] as const)
    writeFileSync(join(folder, file), text);
});
afterAll(async () => {
  await server?.close();
  await store?.close();
  rmSync(folder, { recursive: true });
});

/** The recorder, as the API server's proxy asks it, and the public key that it publishes. */
const client = {
  create: async () => ({ status: { token: 't' } }),
  find: async () => ({ data: { 'public.pem': pem } }),
  request: ({ method, path, body }: { readonly method: string; readonly path: string; readonly body?: unknown }) =>
    path.includes('/proxy/')
      ? new Promise((resolve, reject) => {
          const asked = httpsRequest(
            {
              host: '127.0.0.1',
              port: server.port,
              servername: 'localhost',
              ca,
              agent: false,
              method,
              path: path.slice(path.indexOf('/proxy/') + '/proxy'.length),
              headers: { authorization: 'Bearer t' },
            },
            (response) => {
              let text = '';
              response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
              response.on('end', () =>
                response.statusCode === 200 ? resolve(JSON.parse(text)) : reject(new Error(`${path}: ${text}`)),
              );
              response.on('error', reject);
            },
          );
          asked.on('error', reject);
          asked.end(body === undefined ? undefined : JSON.stringify(body));
        })
      : Promise.resolve({}),
  close: () => undefined,
} as unknown as Cluster['client'];

const model: HttpAnswer = {
  status: 200,
  body: JSON.stringify({ choices: [{ message: { role: 'assistant', content: 'hi' } }] }),
};
const at = (path: string): string => resolve(folder, path);

/** What stands for something. */
const filled = (word: string): string =>
  word === 'ID' || word === 'SESSION'
    ? id
    : word === '$RECEIPT' || word === 'TEXT' || word.startsWith('id=…')
      ? receipt
      : word === '120345'
        ? '1'
        : word;

/** Each has what those before it wrote. */
describe('in the order of the pages', () => {
  const here = told.filter(([, line]) => !elsewhere.test(line));

  test('there are commands of every kind', () => {
    expect(here.length).toBeGreaterThan(45);
    expect(new Set(here.map(([page]) => page)).size).toBe(3);
  });

  test.each(here)('%s: %s', async (_, line) => {
    const { code, out, err } = await sidegateCommand(wordsOf(line).map(filled), {
      openCluster: () => Promise.resolve({ client, namespace: 'ml' }),
      readFile: (path) => readFileSync(at(path), 'utf8'),
      writeFile: (path, text) => writeFileSync(at(path), text),
      ask: async () => model,
      login: {
        ...noLogin,
        // Two pages begin with a key that is not there yet.
        readPrivate: () => undefined,
        writePrivate: (path, text) => writeFileSync(at(path), text),
      },
    });
    expect({ line, said: code === 0 ? '' : `${out}${err}`, code }).toEqual({ line, said: '', code: 0 });
  });
});

describe('elsewhere', () => {
  test.each(told.filter(([, line]) => elsewhere.test(line)))('%s: the flags of %s are there', async (_, line) => {
    const words = wordsOf(line);
    const command = commands.find(({ name }) => name.split(' ').every((word, place) => words[place] === word));
    expect(command?.name).toBeDefined();
    const { code, out } = await sidegateCommand([...(command?.name.split(' ') ?? []), '--help']);
    expect(code).toBe(0);
    for (const flag of words.filter((word) => /^--?[a-z]/.test(word)))
      expect(out).toMatch(new RegExp(`(^|[\\s,])${flag}\\b`, 'm'));
  });
});

test('the values of docs/siem.md are what the chart and the recorder take', () => {
  const [, yaml = ''] = /^```yaml\n([^]*?)^```/m.exec(read('siem.md')) ?? [];
  const values = parse(yaml) as { readonly recorder: { readonly ship: readonly unknown[] } };
  const schema = JSON.parse(readFileSync(join(docs, '../charts/sidegate/values.schema.json'), 'utf8')) as object;
  const valid = new Ajv({ strict: false }).compile(schema);
  expect([valid(values), valid.errors]).toEqual([true, null]);
  expect(parseReceivers(JSON.stringify(values.recorder.ship)).map(({ type }) => type)).toEqual([
    'Webhook',
    'Otlp',
    'OtlpTraces',
    'Syslog',
  ]);
});
