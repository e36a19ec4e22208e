import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { generateKeyPairSync, hash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jsonValue, parseJson, silentLogger, systemClock } from '../../pkg/base/index.ts';
import type { JsonValue } from '../../pkg/base/index.ts';
import { ensureSelfSigned } from '../../pkg/pki/index.ts';
import {
  controllersOf,
  createAuditServer,
  createCommitter,
  keepHeads,
  openSqliteStore,
} from '../../pkg/recorder/index.ts';
import type { AuditServer, AuditServerOptions, RecordStore } from '../../pkg/recorder/index.ts';
import { blockOf, blockOfEvents, source } from '../../pkg/recorder/store/testing/store-suite.ts';
import { sessionEvents, sessionId, testChain } from '../../pkg/recorder/testing/chains.ts';
import { until } from '../support/wait.ts';

// The auditors' API on loopback: every route of its OpenAPI document answers as the document says, for whom it is meant, and each
// question is on record.

type Fields = { readonly [key: string]: JsonValue };
const sessions = 450;
const logKey = generateKeyPairSync('ed25519').privateKey;

let store: RecordStore;
let server: AuditServer;
let serverOptions: AuditServerOptions;
let folder: string;
let ca: string;
let document: Fields;
/** What receivers were to be sent again. */
const again: (readonly [string, number])[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-api-'));
  store = openSqliteStore({ path: join(folder, 'record.db'), clock: systemClock });
  const chain = testChain();
  for (let n = 0; n < sessions; n += 50)
    await store.append([
      blockOf(
        chain,
        Array.from({ length: 50 }, (_, at) => ({ id: sessionId(n + at), user: (n + at) % 2 === 0 ? 'ana' : 'bob' })),
        Date.now(),
      ),
    ]);
  const heads = keepHeads({ store, key: logKey, clock: systemClock, logger: silentLogger });
  await heads.sign();
  heads.close();
  const files = await ensureSelfSigned(folder, ['localhost'], systemClock);
  const [cert, key] = [readFileSync(files.certFile, 'utf8'), readFileSync(files.keyFile, 'utf8')];
  ca = readFileSync(files.caFile, 'utf8');
  serverOptions = {
    host: '127.0.0.1',
    port: 0,
    serving: { current: () => ({ cert, key }), subscribe: () => () => undefined },
    store,
    committer: createCommitter({ store, clock: systemClock, logger: silentLogger }),
    // The token is the name: `all` may read everything, `ml` its namespace, `hold` place holds too.
    authorizer: {
      knows: (token) => token.reveal() === 'all',
      authenticate: async (token) =>
        token.reveal() === 'stranger' ? undefined : { username: token.reveal(), groups: [] },
      mayRead: async ({ username }, namespace) => username !== 'none' && (username !== 'ml' || namespace === 'ml'),
      mayChange: async ({ username }) => username === 'hold',
    },
    clock: systemClock,
    logger: silentLogger,
    isController: controllersOf('sidegate-system'),
    shipping: {
      receivers: ['siem', 'otel'],
      again: async (receiver, entry) => void again.push([receiver, entry]),
    },
  };
  server = await createAuditServer(serverOptions);
  document = jsonValue(parseJson((await ask('GET', '/v1/openapi.json', { token: undefined })).text)) as Fields;
});
afterAll(async () => {
  await server.close();
  await store.close();
  rmSync(folder, { recursive: true });
});

function ask(
  method: string,
  path: string,
  {
    token = 'all',
    body,
    port = server.port,
  }: { readonly token?: string | undefined; readonly body?: JsonValue; readonly port?: number } = {},
): Promise<{ readonly status: number; readonly type: string; readonly text: string }> {
  return new Promise((done, failed) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const at = {
      host: '127.0.0.1',
      port,
      servername: 'localhost',
      ca,
      agent: false,
      method,
      path,
      headers,
    };
    const sent = httpsRequest(at, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () =>
        done({ status: response.statusCode ?? 0, type: String(response.headers['content-type']), text }),
      );
      response.on('error', failed);
    });
    sent.on('error', failed);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
const at = (value: JsonValue | undefined, ...path: readonly string[]): JsonValue | undefined =>
  path.reduce<JsonValue | undefined>((found, key) => (found as Fields | undefined)?.[key], value);
const read = (text: string): Fields => jsonValue(parseJson(text)) as Fields;

/** For each operation a question that it answers. */
const questions: Readonly<
  Record<string, { readonly path?: string; readonly token?: string; readonly body?: JsonValue }>
> = {
  'POST /v1/search': { body: { user: 'ana', limit: 3 } },
  'POST /v1/sessions': { body: { user: 'ana', limit: 3 } },
  'POST /v1/export': { body: { user: 'ana', since: 1 } },
  'GET /v1/sessions/{session}': { path: `/v1/sessions/${sessionId(1)}` },
  'GET /v1/sessions/{session}/proof': { path: `/v1/sessions/${sessionId(1)}/proof` },
  'POST /v1/holds': {
    token: 'hold',
    body: {
      ...{ user: 'ana', model: 'llama-3', group: 'ml', policy: 'ml/support', rule: 'support/allow', label: 'allow' },
      reason: 'case 7',
    },
  },
  'GET /v1/holds': {},
  'POST /v1/holds/{hold}/release': { path: '/v1/holds/1/release', token: 'hold', body: { reason: 'closed' } },
  'POST /v1/ship/{receiver}/again': {
    path: '/v1/ship/siem/again',
    token: 'hold',
    body: { entry: 3, reason: 'its disk was lost' },
  },
  'GET /v1/log': {},
  'GET /v1/log/entries': { path: '/v1/log/entries?from=2&limit=3&lines=true' },
  'GET /v1/log/heads': { path: '/v1/log/heads?from=0' },
  'GET /v1/log/blocks/{entry}': { path: '/v1/log/blocks/0' },
  'GET /v1/log/blocks/{entry}/found': { path: '/v1/log/blocks/0/found' },
  'GET /v1/log/conflicts': { path: '/v1/log/conflicts?from=0' },
  'GET /v1/log/proof': { path: '/v1/log/proof?index=1' },
  'GET /v1/log/consistency': { path: '/v1/log/consistency?from=3' },
};

describe('the OpenAPI document', () => {
  test('has every route, and no other', () => {
    const named = Object.entries(document['paths'] as Fields).flatMap(([path, methods]) =>
      Object.keys(methods as Fields).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(named.toSorted()).toEqual(Object.keys(questions).toSorted());
    expect(named.toSorted()).toEqual(server.routes.toSorted());
  });

  test.each(Object.entries(questions))('describes what %s takes and answers', async (name, { path, token, body }) => {
    const [method = '', route = ''] = name.split(' ');
    const operation = at(document, 'paths', route, method.toLowerCase());
    const ajv = new Ajv2020({ strict: false });
    ajv.addSchema({ $id: 'doc', ...document });
    const check = (pointer: string, value: JsonValue): void => {
      const validate = ajv.compile({ $ref: `doc#${pointer}` });
      expect([validate(value), validate.errors]).toEqual([true, null]);
    };
    const pointer = `/paths/${route.replaceAll('/', '~1').replaceAll('{', '%7B').replaceAll('}', '%7D')}/${method.toLowerCase()}`;
    if (body !== undefined) check(`${pointer}/requestBody/content/application~1json/schema`, body);
    const answer = await ask(method, path ?? route, { token, ...(body === undefined ? {} : { body }) });
    expect(answer).toMatchObject({ status: 200 });
    const types = Object.keys(at(operation, 'responses', '200', 'content') as Fields);
    expect(types).toEqual([answer.type]);
    const values = answer.type === 'application/jsonl' ? answer.text.trimEnd().split('\n') : [answer.text];
    expect(values.length).toBeGreaterThan(0);
    const schema = `${pointer}/responses/200/content/${answer.type.replace('/', '~1')}/schema`;
    for (const value of values) check(schema, read(value));
    const refused = await ask(method, path ?? route, { token: 'stranger' });
    expect(refused.status).toBe(401);
    check('/components/schemas/Problem', read(refused.text));
  });
});

describe('a question', () => {
  /** Values at the bounds that the document gives, and beyond them. */
  function boundsOf(schema: Fields): { readonly good: readonly JsonValue[]; readonly bad: readonly JsonValue[] } {
    const { type, minLength, maxLength, minimum, maximum, maxItems, pattern, items } = schema;
    const words = schema['enum'] as readonly string[] | undefined;
    if (words !== undefined) return { good: words, bad: ['none', '', 1] };
    if (pattern !== undefined) return { good: ['0'.repeat(32)], bad: ['0'.repeat(31), '', 1] };
    if (type === 'string') {
      const of = (length: unknown): string => 'x'.repeat(Number(length));
      expect([minLength, typeof maxLength]).toEqual([1, 'number']);
      return { good: [of(1), of(maxLength)], bad: ['', of(Number(maxLength) + 1), 1, null, ['x']] };
    }
    if (type === 'array') {
      const one = 'x'.repeat(Number(at(items, 'maxLength')));
      const list = Array.from({ length: Number(maxItems) }, () => 'x');
      return { good: [[], [one], list], bad: [[`${one}x`], [...list, 'x'], [1], 'x'] };
    }
    return {
      good: [Number(minimum ?? -1), ...(maximum === undefined ? [Number.MAX_SAFE_INTEGER] : [maximum])],
      bad: [
        ...(minimum === undefined ? [] : [Number(minimum) - 1]),
        ...(maximum === undefined ? [] : [Number(maximum) + 1]),
        ...[1.5, '1', null],
      ],
    };
  }

  test('has the members that the document says, as it says, and no other', async () => {
    const members = at(document, 'components', 'schemas', 'Question', 'properties') as Fields;
    const search = (body: JsonValue) => ask('POST', '/v1/search', { token: 'bounds', body });
    for (const [name, schema] of Object.entries(members)) {
      const { good, bad } = boundsOf(schema as Fields);
      // What a cursor is like is the recorder's own.
      for (const value of name === 'cursor' ? [] : good)
        expect([name, value, (await search({ [name]: value })).status]).toEqual([name, value, 200]);
      for (const value of bad)
        expect([name, value, (await search({ [name]: value })).status]).toEqual([name, value, 400]);
    }
    expect((await search({ other: 'x' })).status).toBe(400);
  });
});

describe('the parameters of a page', () => {
  const described = (name: string): readonly Fields[] => {
    const [method = '', route = ''] = name.split(' ');
    const all = (at(document, 'paths', route, method.toLowerCase(), 'parameters') ?? []) as readonly Fields[];
    return all.filter((one) => one['in'] === 'query');
  };
  /** A value of this type, and one that is not. */
  const values: Readonly<Record<string, readonly [good: string, bad: string | undefined]>> = {
    integer: ['1', 'x'],
    boolean: ['true', 'maybe'],
    string: ['a', undefined],
  };

  test.each(Object.entries(questions))('%s: each that it describes once, and no other', async (name, asked) => {
    const [method = '', route = ''] = name.split(' ');
    const { path = route, token, body } = asked;
    const plain = path.split('?')[0] ?? path;
    const status = async (query: string): Promise<number> =>
      (await ask(method, `${plain}?${query}`, { token, ...(body === undefined ? {} : { body }) })).status;
    expect(await status('nonsense=1')).toBe(400);
    for (const { name: parameter, schema } of described(name)) {
      const [good, bad] = values[String((schema as Fields)['type'])] ?? [];
      expect([parameter, good]).toEqual([parameter, expect.any(String)]);
      expect([parameter, await status(`${String(parameter)}=${good}&${String(parameter)}=${good}`)]).toEqual([
        parameter,
        400,
      ]);
      if (bad !== undefined) expect([parameter, await status(`${String(parameter)}=${bad}`)]).toEqual([parameter, 400]);
    }
  });

  test('that are texts are taken as such, and yes or no as these words', async () => {
    const page = read((await ask('GET', '/v1/log/entries?from=1&limit=1&lines=true&found=false')).text);
    expect(at((page['entries'] as readonly Fields[])[0], 'lines')).toEqual(expect.any(String));
    expect((await ask('GET', '/v1/log/blocks/0/found?cursor=none')).status).toBe(400);
  });
});

describe('what is sent to a receiver again', () => {
  const send = async (body: JsonValue, name = 'siem', token = 'hold') => {
    const { status, text } = await ask('POST', `/v1/ship/${name}/again`, { token, body });
    return { status, answer: read(text) };
  };
  const reason = 'its disk was lost';
  const last = async (): Promise<Fields> => {
    const [entry] = await store.entries((await store.log()).size - 1, 1);
    return read(entry?.text ?? '{}');
  };

  test('is from an entry on, for whom it is a right, and on record before it is done', async () => {
    const before = again.length;
    const { size } = await store.log();
    expect(await send({ entry: 5, reason })).toEqual({
      status: 200,
      answer: { receiver: 'siem', entry: 5, entries: size - 5 },
    });
    expect(again.slice(before)).toEqual([['siem', 5]]);
    expect(await last()).toMatchObject({ type: 'ship', who: 'hold', receiver: 'siem', entry: 5, reason });
  });

  test('is from a time on: that of the first entry that is not older', async () => {
    const { size } = await store.log();
    const times = (await store.entries(0, size)).map(({ text }) => Number(read(text)['at']));
    for (const since of [0, times[3] ?? 0, (times.at(-1) ?? 0) + 1]) {
      const { answer } = await send({ since, reason });
      const first = times.findIndex((time) => time >= since);
      // What was asked meanwhile is an entry, too.
      if (first >= 0) expect(answer['entry']).toBe(first);
      else expect(answer['entry']).toBeGreaterThanOrEqual(size);
    }
  });

  test.each<[string, JsonValue, string, string, number]>([
    ['nobody who may not', { entry: 0, reason }, 'siem', 'all', 403],
    ['no receiver that there is not', { entry: 0, reason }, 'nobody', 'hold', 404],
    ['nothing without a reason', { entry: 0 }, 'siem', 'hold', 400],
    ['nothing without a place', { reason }, 'siem', 'hold', 400],
    ['nothing from two places', { entry: 0, since: 0, reason }, 'siem', 'hold', 400],
    ['nothing from behind the log', { entry: 1e9, reason }, 'siem', 'hold', 400],
    ['nothing from before it', { entry: -1, reason }, 'siem', 'hold', 400],
    ['nothing with a word that it does not know', { entry: 0, of: 'all', reason }, 'siem', 'hold', 400],
  ])('is %s', async (_, body, name, token, status) => {
    const [before, { size }] = [again.length, await store.log()];
    expect((await send(body, name, token)).status).toBe(status);
    expect(again).toHaveLength(before);
    const since = (await store.entries(size, 10)).map(({ text }) => read(text)['type']);
    expect(since).not.toContain('ship');
  });

  test('is told of the receivers that there are', async () => {
    const { answer } = await send({ entry: 0, reason }, 'splunk');
    expect(answer['message']).toBe('the receivers are siem, otel');
  });
});

describe('an export', () => {
  test('has every session once, with its lines, over many pages', async () => {
    const { text } = await ask('POST', '/v1/export', { body: {} });
    const found = text.trimEnd().split('\n').map(read);
    expect(new Set(found.map((one) => at(one, 'session', 'session'))).size).toBe(sessions);
    expect(found.every((one) => (one['lines'] as readonly string[]).length === 3)).toBe(true);
  });

  test('of a question that is none is refused before it begins', async () => {
    expect(await ask('POST', '/v1/export', { body: { everything: 1 } })).toMatchObject({ status: 400 });
    expect(await ask('POST', '/v1/export', { body: { text: '*' } })).toMatchObject({ status: 400 });
  });
});

describe('sessions with their lines', () => {
  test('are pages that have as many as fit, each once; one that is too long stands alone', async () => {
    const chain = testChain('long');
    // 1 MB, 3 MB, 5 MB, 1 MB, 1 MB
    const longs = [1, 3, 5, 1, 1].map((size, at) => ({
      id: sessionId(1_000 + at),
      user: 'lena',
      ask: 'x'.repeat(size * 1024 * 1024),
    }));
    for (const long of longs) await store.append([blockOf(chain, [long], Date.now())]);
    const pages: string[][] = [];
    let cursor: JsonValue = null;
    do {
      const body: JsonValue = { user: 'lena', ...(cursor !== null && { cursor }) };
      const page = read((await ask('POST', '/v1/sessions', { body })).text);
      pages.push((page['sessions'] as readonly Fields[]).map((one) => String(at(one, 'session', 'session'))));
      cursor = page['cursor'] ?? null;
    } while (cursor !== null);
    const of = (...numbers: number[]): string[] => numbers.map((one) => sessionId(1_000 + one));
    expect(pages).toEqual([of(4, 3), of(2), of(1), of(0)]);
  });
});

describe('one session', () => {
  const long = sessionId('long');
  /** All pages, and what was asked for. */
  const pagesOf = async (query: string): Promise<readonly Fields[]> => {
    const pages: Fields[] = [];
    for (let from: JsonValue | undefined = ''; from !== null; from = pages.at(-1)?.['next'] ?? null) {
      const search = new URLSearchParams(query);
      if (from !== '') search.set('from', String(from));
      pages.push(read((await ask('GET', `/v1/sessions/${long}?${search.toString()}`)).text));
    }
    return pages;
  };
  const linesIn = (pages: readonly Fields[]): string[] => pages.flatMap((page) => page['lines'] as readonly string[]);
  const chainsIn = (page: Fields | undefined): unknown[] =>
    (page?.['sessions'] as readonly Fields[]).map((one) => one['chain']);
  const chains = Array.from({ length: 12 }, (_, at) => testChain(`chain ${at}`));
  const name = (at: number): string => chains[at]?.name ?? '';
  const texts = new Map<string, readonly string[]>();
  beforeAll(async () => {
    for (const [n, chain] of chains.entries()) {
      const [start, segment, end] = sessionEvents({
        id: long,
        user: `of ${n}`,
        answer: 'y'.repeat(n === 0 ? 900_000 : 9),
      });
      if (start === undefined || segment === undefined || end === undefined) throw new Error('three events');
      // The first is the long one, of 10 MB; the others are newer.
      const events = [start, ...Array.from({ length: n === 0 ? 11 : 1 }, () => segment), end];
      for (const event of events) {
        const added = blockOfEvents(chain, [event], Date.now() + n * 1_000);
        await store.append([added]);
        if (!('block' in added)) throw new Error('a block');
        const lines = Buffer.from(added.block.lines).toString().trimEnd().split('\n');
        texts.set(chain.name, [...(texts.get(chain.name) ?? []), ...lines]);
      }
    }
  });

  test('is pages of its lines, each of them once and in order', async () => {
    const pages = await pagesOf(`chain=${name(0)}`);
    expect(pages.map((page) => (page['lines'] as readonly string[]).length)).toEqual([5, 4, 4]);
    expect(linesIn(pages)).toEqual(texts.get(name(0)));
    for (const page of pages) expect(chainsIn(page)).toEqual([name(0)]);
  });

  test('whose id twelve sidecars took is all of theirs, and says after ten that there are more', async () => {
    const pages = await pagesOf('');
    expect(chainsIn(pages[0])).toEqual(Array.from({ length: 10 }, (_, at) => name(11 - at)));
    expect(pages[0]?.['next']).not.toBeNull();
    expect(linesIn(pages)).toEqual(chains.toReversed().flatMap((chain) => texts.get(chain.name) ?? []));
  });

  test('goes on where it was, though others take its id meanwhile', async () => {
    const query = `chain=${name(0)}`;
    const first = read((await ask('GET', `/v1/sessions/${long}?${query}`)).text);
    await store.append([blockOfEvents(testChain('late'), sessionEvents({ id: long }), Date.now() + 99_000)]);
    const second = read((await ask('GET', `/v1/sessions/${long}?${query}&from=${String(first['next'])}`)).text);
    expect(linesIn([first, second])).toEqual(texts.get(name(0))?.slice(0, 9));
  });

  test('is named by its chain, its sidecar, its pod or its namespace, its proof too', async () => {
    const found = async (query: string, path = '') =>
      ask('GET', `/v1/sessions/${long}${path}?${query}`).then(({ status, text }) => ({ status, answer: read(text) }));
    const one = await found(`chain=${name(3)}&namespace=ml&pod=llama-0&source=${encodeURIComponent(source)}`);
    expect([one.status, one.answer['lines'], one.answer['next']]).toEqual([200, texts.get(name(3)), null]);
    for (const query of ['chain=nobody', 'namespace=other', 'pod=nobody', 'source=spiffe://nobody'])
      expect(await found(query)).toMatchObject({ status: 404 });
    for (const query of ['from=x', 'from=1.x', 'of=1', 'chain=a&chain=b', 'limit=3'])
      expect(await found(query)).toMatchObject({ status: 400 });
    const heads = keepHeads({ store, key: logKey, clock: systemClock, logger: silentLogger });
    await heads.sign();
    heads.close();
    const proof = await found(`chain=${name(3)}`, '/proof');
    const proven = (proof.answer['blocks'] as readonly Fields[]).map(({ lines }) => String(lines).trimEnd());
    expect(proven).toEqual(texts.get(name(3)));
  });
});

test('holds say how much goes with them when they are placed, and how far they are in the archive', async () => {
  const place = async (terms: Fields): Promise<Fields> =>
    read((await ask('POST', '/v1/holds', { token: 'hold', body: { ...terms, reason: 'r' } })).text);
  const { id, held } = await place({ user: 'bob', model: 'llama-3' });
  const { sessions: count, blocks, whole } = held as Fields;
  expect([Number(count) >= sessions / 2, Number(blocks) >= sessions / 50, whole]).toEqual([true, true, true]);
  const none = await place({ label: 'none' });
  expect(none['held']).toEqual({ sessions: 0, blocks: 0, whole: true });
  const listed = async () => read((await ask('GET', '/v1/holds')).text);
  expect((await listed())['toFree']).toBeUndefined();
  await store.moveArchived({ entries: 0, heads: 0 }, { entries: 5, heads: 0 });
  const due = await store.archiveHolds.due(5);
  await store.archiveHolds.looked(due ?? { from: 0, holds: [] }, 3, { segment: 0, holds: [Number(id)] });
  const answer = await ask('GET', '/v1/holds');
  const ajv = new Ajv2020({ strict: false });
  ajv.addSchema({ $id: 'doc', ...document });
  const pointer = '/paths/~1v1~1holds/get/responses/200/content/application~1json/schema';
  expect(ajv.compile({ $ref: `doc#${pointer}` })(read(answer.text))).toBe(true);
  const of = (hold: JsonValue | undefined, from: Fields): Fields | undefined =>
    (from['holds'] as readonly Fields[]).find((one) => one['id'] === hold);
  expect(of(id, read(answer.text))).toMatchObject({ archive: { segments: 0, waiting: 1, unread: 2 } });
  for (const hold of [id, none['id']])
    expect(
      await ask('POST', `/v1/holds/${Number(hold)}/release`, { token: 'hold', body: { reason: 'r' } }),
    ).toMatchObject({
      status: 200,
    });
  expect(await listed()).toMatchObject({ toFree: 1 });
  await store.archiveHolds.absent(0);
  await store.moveArchived({ entries: 5, heads: 0 }, { entries: 0, heads: 0 });
});

describe('rights', () => {
  test.each<[string, string, string, JsonValue | undefined, number]>([
    ['ml', 'POST', '/v1/search', { namespace: 'ml' }, 200],
    ['ml', 'POST', '/v1/search', {}, 403],
    ['ml', 'POST', '/v1/export', {}, 403],
    ['ml', 'POST', '/v1/sessions', {}, 403],
    ['ml', 'GET', `/v1/sessions/${sessionId(1)}/proof`, undefined, 200],
    ['ml', 'GET', '/v1/log', undefined, 403],
    ['ml', 'GET', '/v1/holds', undefined, 403],
    ['all', 'POST', '/v1/holds', { reason: 'r' }, 403],
    ['all', 'POST', '/v1/holds/1/release', { reason: 'r' }, 403],
    ['hold', 'POST', '/v1/holds', { user: 'ana' }, 400],
    ['hold', 'POST', '/v1/holds', { user: 'ana', text: 'x', reason: 'r' }, 400],
    ['all', 'POST', '/v1/holds', { policy: 'ml/support', label: 'pii', reason: 'r' }, 403],
    ['ml', 'POST', '/v1/holds', { namespace: 'ml', reason: 'r' }, 403],
    ['hold', 'POST', '/v1/holds', { policy: 'support', reason: 'r' }, 400],
    ['hold', 'POST', '/v1/holds', { label: ['pii'], reason: 'r' }, 400],
    ['hold', 'POST', '/v1/holds/99/release', { reason: 'r' }, 404],
    ['all', 'GET', '/v1/sessions/1', undefined, 400],
    ['all', 'GET', `/v1/sessions/${'f'.repeat(32)}`, undefined, 404],
    ['all', 'GET', '/v1/nothing', undefined, 404],
    ['all', 'DELETE', '/v1/holds/1', undefined, 404],
  ])('%s: %s %s', async (token, method, path, body, status) => {
    expect(await ask(method, path, { token, ...(body === undefined ? {} : { body }) })).toMatchObject({ status });
  });

  test('hold for the lines of a session whose id a sidecar elsewhere has taken', async () => {
    const lie = blockOf(testChain('liar'), [{ id: sessionId(3), ask: 'a lie' }], Date.now(), 'spiffe://other');
    if (!('block' in lie)) throw new Error('a block');
    await store.append([{ ...lie, block: { ...lie.block, pod: { namespace: 'other', name: 'liar-0' } } }]);
    const body = { namespace: 'ml', session: sessionId(3) };
    for (const path of ['/v1/sessions', '/v1/export']) {
      const { status, text } = await ask('POST', path, { token: 'ml', body });
      expect([status, text.split('"type\\":\\"').length - 1]).toEqual([200, 3]);
      expect(text).not.toContain('a lie');
    }
    // Of the other they are told nothing, and who may read neither is told nothing of both.
    const own = read((await ask('GET', `/v1/sessions/${sessionId(3)}`, { token: 'ml' })).text);
    expect((own['sessions'] as readonly Fields[]).map((one) => one['namespace'])).toEqual(['ml']);
    expect(own['lines']).toHaveLength(3);
    const proof = await ask('GET', `/v1/sessions/${sessionId(3)}/proof`, { token: 'ml' });
    expect([proof.status, proof.text.includes('a lie')]).toEqual([200, false]);
    expect(await ask('GET', `/v1/sessions/${sessionId(3)}`, { token: 'none' })).toMatchObject({ status: 403 });
    const { text } = await ask('GET', `/v1/sessions/${sessionId(3)}`);
    expect((read(text)['lines'] as readonly string[]).length).toBe(6);
  });

  test('what somebody asked at length is on record by its beginning and its hash', async () => {
    const body = { tags: Array.from({ length: 20 }, (_, n) => `${n}`.padEnd(1_000, '"')), limit: 1 };
    expect((await ask('POST', '/v1/search', { body })).status).toBe(200);
    const [last] = await store.entries((await store.log()).size - 1, 1);
    const question = String(at(read(last?.text ?? ''), 'question'));
    expect(question).toContain(`SHA-256 ${hash('sha256', JSON.stringify(body), 'hex')}`);
    expect(question.length).toBeLessThan(2_200);
  });

  test('who asked what is on record', async () => {
    const { size } = await store.log();
    await ask('POST', '/v1/export', { token: 'eve', body: { user: 'bob' } });
    const entries = (await store.entries(size, 10)).map(({ text }) => text);
    expect(entries.join()).toContain('"who":"eve","what":"export","question":"{\\"user\\":\\"bob\\"}"');
  });
});

test('who was refused is on record, with what was asked and why: of each the first, and the others by their number when the server ends', async () => {
  const other = await createAuditServer({ ...serverOptions, port: 0 });
  const { size } = await store.log();
  const refused = async (): Promise<unknown[]> =>
    (await store.entries(size, 100))
      .map(({ text }) => read(text))
      .filter(({ what }) => what === 'refused')
      .map(({ who, question }) => [who, question]);
  const to = { port: other.port };
  expect((await ask('GET', '/v1/log', { token: 'stranger', ...to })).status).toBe(401);
  expect((await ask('GET', '/v1/log', { token: 'stranger', ...to })).status).toBe(401);
  expect((await ask('POST', '/v1/holds', { token: 'nosy', body: { reason: 'r' }, ...to })).status).toBe(403);
  expect((await ask('GET', `/v1/sessions/${sessionId(1)}`, { token: 'none', ...to })).status).toBe(403);
  expect((await ask('POST', '/v1/search', { token: 'bad', body: { users: 'bob' }, ...to })).status).toBe(400);
  expect((await ask('POST', '/v1/search', { token: 'bad', body: { user: 'bob' }, ...to })).status).toBe(200);
  expect((await ask('GET', '/elsewhere', { token: 'stranger', ...to })).status).toBe(401);
  await other.close();
  expect(await refused()).toEqual([
    ['127.0.0.1', '401 unauthenticated: GET /v1/log'],
    ['nosy', '403 not_allowed: POST /v1/holds {"reason":"r"}'],
    ['none', `403 not_allowed: GET /v1/sessions/${sessionId(1)}`],
    ['bad', '400 bad_question: POST /v1/search {"users":"bob"}'],
    ['127.0.0.1', 'and 1 more within a minute: unauthenticated 1'],
  ]);
});

test('connections that ask nothing take no place of who asks, and hold at most 32 of one address', async () => {
  const other = await createAuditServer({ ...serverOptions, port: 0 });
  const silent = Array.from({ length: 60 }, () => connect(other.port, '127.0.0.1').on('error', () => undefined));
  await until(() => silent.filter(({ closed }) => closed).length === 28, 'those that were closed');
  expect((await ask('GET', '/v1/log', { port: other.port })).status).toBe(200);
  await until(() => silent.filter(({ closed }) => closed).length === 29, 'the one that made room');
  for (const socket of silent) socket.destroy();
  await other.close();
});

test('tokens that nobody has said to be good yet take no place of an auditor whose token is', async () => {
  const slow = new Promise<undefined>(() => undefined);
  const authorizer: typeof serverOptions.authorizer = {
    ...serverOptions.authorizer,
    authenticate: (token) => (token.reveal() === 'made-up' ? slow : serverOptions.authorizer.authenticate(token)),
  };
  const other = await createAuditServer({ ...serverOptions, authorizer, port: 0 });
  const statuses: number[] = [];
  for (let n = 0; n < 20; n++)
    void ask('GET', '/v1/log', { token: 'made-up', port: other.port }).then(
      ({ status }) => statuses.push(status),
      () => undefined,
    );
  await until(() => statuses.length === 16);
  expect(new Set(statuses)).toEqual(new Set([503]));
  expect((await ask('GET', '/v1/log', { port: other.port })).status).toBe(200);
  await other.close();
});

test('a page of long entries ends early, and the next goes on behind it', async () => {
  const { size } = await store.log();
  const entry = { type: 'read', at: 1, who: 'ana', what: 'search', question: 'q'.repeat(100_000) } as const;
  await store.append(Array.from({ length: 60 }, () => ({ entry })));
  const pages: number[] = [];
  for (let from = size; from < size + 60;) {
    const { entries } = read((await ask('GET', `/v1/log/entries?from=${from}`)).text);
    const indices = (entries as readonly Fields[]).map(({ index }) => Number(index));
    expect(indices).toEqual(indices.map((_, n) => from + n));
    pages.push(indices.length);
    from += indices.length;
  }
  // That each page was asked for is an entry, too.
  expect(pages).toEqual([42, 20]);
});
