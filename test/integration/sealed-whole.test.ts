import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { generateKeyPairSync, randomInt } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import { createServer as createTlsServer } from 'node:tls';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import { ensureSelfSigned } from '../../pkg/pki/index.ts';
import {
  createEventSource,
  fileBook,
  keepHeads,
  openArchive,
  openArchivedLog,
  openPostgresStore,
  openReceivers,
  parseLocation,
  searchArchive,
  startArchiver,
  startShipper,
} from '../../pkg/recorder/index.ts';
import type { ReceiverSettings, RecordStore } from '../../pkg/recorder/index.ts';
import { shardTable, shardsOf } from '../../pkg/recorder/store/search/shards.ts';
import { openPodRecord } from '../../pkg/remote/index.ts';
import type { PodRecord } from '../../pkg/remote/index.ts';
import { makeSealKeys, readPrivateKey, unsealLines } from '../../pkg/seal/index.ts';
import { createApprovalDesk } from '../support/approval-desk.ts';
import type { ApprovalDesk } from '../support/approval-desk.ts';
import { startPostgres } from '../support/postgres.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { recordPeer } from '../support/record-peer.ts';
import { createIngestClientRemote } from '../support/record-remote.ts';
import { startRecorder } from '../support/recorder.ts';
import type { TestRecorder } from '../support/recorder.ts';
import { startS3 } from '../support/s3-server.ts';
import type { TestS3 } from '../support/s3-server.ts';
import { answerChat, chatAnswer, streamChat } from '../support/scripted-model.ts';
import { until } from '../support/wait.ts';
import { basePolicy, startWorld } from '../support/world.ts';
import type { World } from '../support/world.ts';

// `audit.content: Sealed`: a recorder that is stolen whole, with all that it has and all that it sent on, shows no word of what was asked and answered.
// The same is done with `Masked`, where each of these places has the word: that is how the test knows that it looks at them.

const letters = 'abcdefghijklmnopqrstuvwxyz';
/** Words that nobody has said before, of which eight letters in a row are chance nowhere. */
const word = (): string => Array.from({ length: 24 }, () => letters[randomInt(26)]).join('');
const said = {
  prompt: word(),
  streamed: word(),
  argument: word(),
  key: word(),
  bodyKey: word(),
  refused: word(),
  held: word(),
  heldAnswer: word(),
  path: word(),
  header: word(),
};
type Said = keyof typeof said;

/** How a word may be spelled in bytes, whole and in pieces of eight letters. */
function spellings(text: string): readonly Buffer[] {
  const pieces = [text, ...Array.from({ length: text.length - 7 }, (_, at) => text.slice(at, at + 8))];
  return pieces.flatMap((piece) => {
    const utf8 = Buffer.from(piece);
    const utf16 = Buffer.from(piece, 'utf16le');
    /** Of base64 what does not depend on what stands before and behind. */
    const base64 = [0, 1, 2].flatMap((before) => {
      const all = Buffer.concat([Buffer.alloc(before), utf8, Buffer.alloc(3)]).toString('base64');
      const from = Math.ceil((before * 4) / 3);
      return all.slice(from, from + Math.floor(((utf8.length - 2) * 4) / 3));
    });
    const texts = [piece.toUpperCase(), utf8.toString('hex'), utf8.toString('hex').toUpperCase(), ...base64];
    return [utf8, utf16, Buffer.from(utf16).swap16(), ...texts.map((one) => Buffer.from(one))];
  });
}
const spelled = new Map(Object.entries(said).map(([name, text]) => [name as Said, spellings(text)]));
const found = (bytes: Buffer): readonly Said[] =>
  [...spelled].filter(([, all]) => all.some((one) => bytes.includes(one))).map(([name]) => name);

test('a word is found however it is spelled, whole or a piece of it', () => {
  const text = `xy${said.prompt.slice(9, 17)}z`;
  const utf16 = Buffer.from(text, 'utf16le');
  for (const bytes of [
    Buffer.from(text),
    utf16,
    Buffer.from(utf16).swap16(),
    Buffer.from(Buffer.from(text).toString('base64')),
    Buffer.from(Buffer.from(text).toString('hex')),
    Buffer.from(text.toUpperCase()),
  ])
    expect(found(bytes)).toEqual(['prompt']);
  expect(found(Buffer.from(said.prompt.slice(0, 7)))).toEqual([]);
});

const keys = makeSealKeys();
const rules = (audit: string): string => `
  guards:
  - { name: never, direction: Request, match: { words: [forbidden] }, action: Block }
  - { name: project, direction: Request, match: { words: [${said.held}] }, action: RequireApproval }
  classification:
  - { label: confidential, detectors: [Email], visibleTo: [], otherwise: Mask }
  - { label: secret, words: [${said.heldAnswer}], visibleTo: [], otherwise: RequireApproval }
  approvals: { approvers: [{ kubernetesGroup: leads }], timeout: 60s }
  audit: ${audit}
`;

let postgres: PostgresServer;
let s3: TestS3;
beforeAll(async () => {
  postgres = await startPostgres();
  s3 = await startS3();
  process.env['AWS_ACCESS_KEY_ID'] = s3.credentials.id;
  process.env['AWS_SECRET_ACCESS_KEY'] = s3.credentials.secret;
});
afterAll(async () => {
  await postgres.stop();
  await s3.close();
});

/** All bytes of a folder's files, and those of its folders. */
function bytesOf(folder: string): Buffer {
  const all = readdirSync(folder, { withFileTypes: true, recursive: true });
  return Buffer.concat(all.filter((one) => one.isFile()).map((one) => readFileSync(join(one.parentPath, one.name))));
}
function unpacked(data: Uint8Array): Buffer {
  for (const unpack of [zstdDecompressSync, gunzipSync])
    try {
      return Buffer.concat([data, Buffer.from('\n'), unpack(data)]);
    } catch {
      // It is not packed so.
    }
  return Buffer.from(data);
}

/** Every value of every table of a database, also where it is packed, and the words of its indices. */
function tablesOf(path: string): Buffer {
  const db = new DatabaseSync(path, { readOnly: true });
  const parts: Buffer[] = [];
  const tables = db.prepare(`SELECT name FROM sqlite_master WHERE type = 'table'`).all();
  for (const { name } of tables) {
    if (name === 'words') continue; // its own rows hold nothing
    for (const row of db.prepare(`SELECT * FROM "${String(name)}"`).iterate())
      for (const value of Object.values(row))
        parts.push(value instanceof Uint8Array ? unpacked(value) : Buffer.from(`${String(value)}\n`));
  }
  db.close();
  return Buffer.concat(parts);
}
/** The words of an index, which its file has in pieces. */
function wordsOf(path: string): Buffer {
  const db = new DatabaseSync(path);
  const terms = shardsOf(db).flatMap((first) => {
    db.exec(`CREATE VIRTUAL TABLE temp.seen${first} USING fts5vocab(main, ${shardTable(first)}, row)`);
    return db.prepare(`SELECT term FROM temp.seen${first}`).all();
  });
  db.close();
  return Buffer.from(terms.map(({ term }) => String(term)).join('\n'));
}
async function rowsOf(schema: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  const tables = await postgres.query(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = '${schema}' AND table_type = 'BASE TABLE'`,
  );
  for (const { name } of tables)
    for (const row of await postgres.query(`SELECT * FROM "${schema}"."${String(name)}"`))
      for (const value of Object.values(row))
        parts.push(value instanceof Uint8Array ? unpacked(value) : Buffer.from(`${JSON.stringify(value)}\n`));
  return Buffer.concat(parts);
}

interface Stolen {
  readonly places: ReadonlyMap<string, Buffer>;
  /** Lines of each session, by id. */
  readonly sessions: ReadonlyMap<string, readonly string[]>;
  /** What searches answer. */
  readonly searches: Readonly<
    Record<'sqlite' | 'postgres', { readonly found: number; readonly sealed: readonly unknown[] }>
  >;
  readonly archive: { readonly found: number; readonly sealed: number };
  readonly all: number;
}

/** Everything that the recorder and what is before and behind it keep of sessions in which the words were said. */
async function steal(content: 'Masked' | 'Sealed'): Promise<Stolen> {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-stolen-'));
  const schema = postgres.schema();
  const shared = await openPostgresStore({ dsn: postgres.dsn, clock: systemClock, schema });
  const recorder: TestRecorder = await startRecorder({
    append: (store) => async (additions) => {
      await shared.append(additions);
      return store.append(additions);
    },
  });
  const places = new Map<string, Buffer>();
  let world: World | undefined;
  let record: PodRecord | undefined;
  const desk: ApprovalDesk = createApprovalDesk();
  const closers: (() => unknown)[] = [];
  try {
    const uid = 'uid-1';
    mkdirSync(join(folder, 'spool'));
    const material = await recorder.identity(uid);
    for (const [name, text] of [
      ['identity.pem', material.cert],
      ['identity-key.pem', material.key],
      ['trust.pem', recorder.authority.bundle()],
    ] as const)
      writeFileSync(join(folder, name), text);
    const own = openPodRecord({
      folder: join(folder, 'spool'),
      limit: 1 << 26,
      pod: { namespace: 'ml', name: 'llama-0', uid },
      clock: systemClock,
      logger: silentLogger,
      onEvent: () => undefined,
    });
    record = own;
    const audit = content === 'Masked' ? '{ content: Masked }' : `{ content: Sealed, sealTo: "${keys.publicKey}" }`;
    world = await startWorld({
      policy: (issuer) => basePolicy(issuer, rules(audit)),
      approvals: desk.gate,
      audit: { append: (events) => own.audit.append(events), close: () => Promise.resolve() },
    });
    await talk(world, desk);
    // Before any of it went: the whole of it waits on the node's disk.
    await until(() => bytesOf(join(folder, 'spool')).includes('"type":"end"'), 'the spool');
    places.set('spool', bytesOf(join(folder, 'spool')));
    own.sendBy(createIngestClientRemote(folder, recorder.port()));
    const ended = async (): Promise<number> => {
      const { sessions } = await recorder.store.search({ limit: 1_000 });
      return sessions.filter(({ end, operation }) => end !== undefined && operation !== 'Process').length;
    };
    await until(async () => (await ended()) >= asked, 'the sessions');
    const { sessions } = await recorder.store.search({ limit: 1_000 });
    const lines = new Map<string, readonly string[]>();
    for (const session of sessions) {
      const list: string[] = [];
      for await (const line of recorder.store.sessionLines(session.session, session)) list.push(line);
      lines.set(session.session, list);
    }
    await conflict(recorder, [...lines.values()].flat());
    await own.finish(5_000);
    record = undefined;
    places.set('answers of the recorder', Buffer.from(JSON.stringify([sessions, [...lines.values()]])));

    const searches = {
      sqlite: await searched(recorder.store),
      postgres: await searched(shared),
    };
    const archive = await archived(recorder.store, content);
    places.set('archive', archive.bytes);
    for (const [kind, bytes] of await shipped(recorder.store, folder, closers)) places.set(kind, bytes);
    places.set('what approvers read', Buffer.from(JSON.stringify(desk.asks.map(({ excerpt }) => excerpt))));

    places.set('postgres', await rowsOf(schema));
    places.set('sqlite, files', bytesOf(recorder.folder));
    places.set('sqlite, tables', tablesOf(recorder.path));
    places.set('sqlite, words', wordsOf(`${recorder.path}-words`));
    places.set('evidence', await evidenceOf(recorder.store));
    return { places, sessions: lines, searches, archive, all: sessions.length };
  } finally {
    await Promise.all(closers.map((close) => close()));
    await record?.finish(1_000);
    await world?.close();
    await shared.close();
    await recorder.close();
    rmSync(folder, { recursive: true });
  }
}

/** Of these an index has a session each. */
const inIndex: readonly Said[] = ['prompt', 'streamed', 'argument', 'refused', 'held'];

/** Sessions that {@link talk} begins. */
const asked = 13;
async function talk({ post, call, model }: World, desk: ApprovalDesk): Promise<void> {
  const route = '/v1/chat/completions';
  const chat = (text: string, more: object = {}): object => ({
    model: 'llama-3-8b',
    messages: [{ role: 'user', content: text }],
    ...more,
  });
  const half = (text: string): string[] => [text.slice(0, 11), text.slice(11)];
  model.script = answerChat('fine');
  await post(route, chat(`a prompt of ${said.prompt} for ana@corp.test`));
  model.script = streamChat(['an answer of ', ...half(said.streamed), ' to bob@corp.test, ', 'and more. ']);
  await post(route, chat('stream', { stream: true }));
  const called = { name: 'look', arguments: JSON.stringify({ [said.key]: 1, city: said.argument }) };
  model.script = (response) => {
    response.setHeader('content-type', 'application/json');
    const message = {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'call_1', type: 'function', function: called }],
    };
    const choices = [{ index: 0, message, finish_reason: 'tool_calls' }];
    response.end(JSON.stringify({ ...(JSON.parse(chatAnswer('')) as object), choices }));
  };
  await post(route, {
    ...chat('use a tool'),
    tools: [{ type: 'function', function: { name: 'look', parameters: { type: 'object' } } }],
    metadata: { [said.bodyKey]: 'x' },
  });
  await post(route, chat(`forbidden ${said.refused}`));
  const held = post(route, chat(`about ${said.held}`), {
    headers: { 'x-note': `${said.held} ${said.header}` },
  });
  await until(() => desk.cases.length === 1, 'the request that is held');
  desk.decide('Approve');
  await held;
  model.script = answerChat(`it is ${said.heldAnswer}`);
  const answer = post(route, chat('what is it?'));
  await until(() => desk.cases.length === 2, 'the answer that is held');
  desk.decide('Approve', 1);
  await answer;
  await call('GET', `/${said.path}/x?q=${said.path}`);
  // What administers a server, and versions of a model: below the words of a dialect are the caller's.
  await call('POST', `/api/blobs/${said.path}`, {});
  await call('POST', `/v1/lora/${said.path}`, {});
  await call('GET', `/slots/${said.path}`);
  await call('POST', `/v1beta/models/x:${said.path}`, {});
  await call('GET', `/v2/models/llama-3-8b/versions/${said.path}`);
  await call('POST', `/v2/models/llama-3-8b/versions/${said.path}/infer`, {});
}

const searched = async (store: RecordStore) => {
  while (await store.index()) continue;
  const pages = [];
  for (const text of inIndex.map((name) => said[name])) pages.push(await store.search({ text, limit: 10 }));
  return {
    /** Words by which there is a session. */
    found: pages.filter(({ sessions }) => sessions.length > 0).length,
    sealed: pages.map(({ sealed }) => sealed),
  };
};

/** A sidecar's lines once more, one of them changed: they are kept as evidence. */
async function conflict(recorder: TestRecorder, lines: readonly string[]): Promise<void> {
  const peer = await recordPeer(recorder, await recorder.identity('uid-2'));
  peer.say({ type: 'hello', version: 1, pod: { namespace: 'ml', name: 'llama-1', uid: 'uid-2' }, software: 'test' });
  await peer.hear('welcome');
  peer.say({ type: 'begin', chain: 'b'.repeat(32) });
  await peer.hear('position');
  const line = lines.findLast((one) => one.includes('"type":"start"')) ?? '';
  peer.say({ type: 'events', first: 1, count: 1 }, Buffer.from(`${line}\n`));
  await until(() => recorder.told.some((what) => what.startsWith('conflict')), 'a conflict');
  peer.socket.destroy();
  await until(async () => (await evidenceOf(recorder.store)).length > 0, 'evidence');
}
async function evidenceOf(store: RecordStore): Promise<Buffer> {
  const entries = await store.archivable(0, { entries: 10_000, bytes: 1 << 28 });
  return Buffer.concat(entries.flatMap(({ text, data }) => (text.includes('"conflict"') && data ? [data] : [])));
}

async function archived(store: RecordStore, name: string) {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const heads = keepHeads({ store, key: privateKey, clock: systemClock, logger: silentLogger });
  await heads.sign();
  heads.close();
  const location = parseLocation(`s3://records/${name.toLowerCase()}`, {
    endpoint: s3.endpoint,
    region: 'eu-central-1',
    pathStyle: true,
  });
  const objects = await openArchive(location);
  const archiver = startArchiver({
    store,
    objects,
    key: privateKey,
    lock: { mode: 'COMPLIANCE', days: 1 },
    clock: systemClock,
    logger: silentLogger,
  });
  await until(async () => (await store.archived()).entries >= (await store.log()).size, 'the archive');
  await archiver.close();
  const own = [...s3.objects].filter(([key]) => key.includes(name.toLowerCase()));
  const log = await openArchivedLog(objects, undefined, publicKey);
  let sealed = 0;
  let count = 0;
  const page = searchArchive(
    log,
    { text: said.prompt, limit: 10 },
    () => undefined,
    () => void sealed++,
  );
  for await (const _ of page) count++;
  // As they lie there, and what they hold, which is packed.
  const bytes = own.flatMap(([key, { body }]) => [Buffer.from(key), unpacked(body)]);
  for await (const segment of log.segments())
    for await (const { text, data } of (await log.segment(segment)).entries())
      bytes.push(Buffer.from(text), Buffer.from(data ?? []));
  return {
    bytes: Buffer.concat(bytes),
    found: count,
    sealed,
  };
}

/** What each kind of receiver gets. */
async function shipped(store: RecordStore, folder: string, closers: (() => unknown)[]): Promise<Map<string, Buffer>> {
  const got = new Map<string, Buffer[]>();
  const take = (kind: string, bytes: Buffer): void => void got.set(kind, [...(got.get(kind) ?? []), bytes]);
  const files = await ensureSelfSigned(folder, ['localhost'], systemClock);
  const [cert, key] = [files.certFile, files.keyFile].map((file) => readFileSync(file, 'utf8'));
  writeFileSync(join(folder, 'ca'), readFileSync(files.caFile, 'utf8'));
  const http = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      take((request.url ?? '').slice(1), unpacked(Buffer.concat(parts)));
      response.end('{}');
    });
  });
  const syslog = createTlsServer({ cert, key } as never, (socket) => {
    socket.on('error', () => undefined).on('data', (part: Buffer) => take('Syslog', part));
  });
  for (const server of [http, syslog]) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => void server.close());
  }
  const at = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;
  const url = `http://127.0.0.1:${at(http)}`;
  const settings: readonly ReceiverSettings[] = [
    ...(['Webhook', 'Otlp', 'OtlpTraces'] as const).map((type) => ({
      name: type.toLowerCase(),
      type,
      url: `${url}/${type}`,
    })),
    { name: 'syslog', type: 'Syslog', address: `localhost:${at(syslog)}`, caKey: 'ca' },
  ];
  for (const receiver of openReceivers(settings, folder, systemClock)) {
    const shipper = startShipper({
      receiver,
      source: createEventSource(store, () => true),
      book: fileBook(join(folder, `book-${receiver.name}`)),
      clock: systemClock,
      logger: silentLogger,
      lookMs: 5,
    });
    await until(() => shipper.behind() === 0, `all that is shipped to ${receiver.name}`);
    await shipper.close();
  }
  return new Map([...got].map(([kind, parts]) => [`shipped: ${kind}`, Buffer.concat(parts)]));
}

/** Where the words stand in clear when texts are not sealed. Of shipping a path that nobody knows alone: texts are shipped nowhere. */
const everySession: readonly Said[] = ['prompt', 'streamed', 'argument', 'key', 'bodyKey', 'refused', 'held', 'path'];
const clear: readonly (readonly [string, readonly Said[]])[] = [
  ['spool', everySession],
  ['answers of the recorder', everySession],
  ['archive', everySession],
  ['postgres', everySession],
  ['sqlite, files', ['path']],
  ['sqlite, tables', everySession],
  ['sqlite, words', inIndex],
  ['evidence', ['prompt']],
  ['what approvers read', ['held']],
  ['shipped: Webhook', ['path']],
  ['shipped: Otlp', ['path']],
  ['shipped: OtlpTraces', ['path']],
  ['shipped: Syslog', ['path']],
];

describe('a recorder that is stolen whole', () => {
  let masked: Stolen;
  let sealed: Stolen;
  beforeAll(async () => {
    masked = await steal('Masked');
    sealed = await steal('Sealed');
  }, 240_000);

  test.each(clear)('without sealing has words in: %s', (place, words) => {
    expect(found(masked.places.get(place) ?? Buffer.alloc(0))).toEqual(expect.arrayContaining([...words]));
  });

  test('with sealing has none anywhere, however they are spelled', () => {
    expect([...sealed.places.keys()].toSorted()).toEqual(clear.map(([place]) => place).toSorted());
    for (const [place, bytes] of sealed.places) expect([place, bytes.length > 0]).toEqual([place, true]);
    const leaks = [...sealed.places].map(([place, bytes]) => [place, found(bytes)] as const);
    expect(leaks.filter(([, words]) => words.length > 0)).toEqual([]);
  });

  test('its key finds each of them', () => {
    const key = readPrivateKey(keys.privateKey);
    const opened = [...sealed.sessions].flatMap(([id, lines]) => {
      const unsealed = unsealLines(lines, id, key);
      expect(unsealed.missing).toEqual([]);
      return unsealed.lines;
    });
    const text = opened.join('\n');
    expect(Object.values(said).filter((one) => one !== said.header && !text.includes(one))).toEqual([]);
    for (const value of ['ana@corp.test', 'bob@corp.test', '[confidential]']) expect(text).toContain(value);
  });

  test('search goes by fields, and says of how many sessions it knows no word', () => {
    const all = { found: inIndex.length, sealed: inIndex.map(() => undefined) };
    expect(masked.searches).toEqual({ sqlite: all, postgres: all });
    expect(masked.archive).toMatchObject({ found: 1, sealed: 0 });
    const none = { found: 0, sealed: inIndex.map(() => ({ sessions: asked, more: false })) };
    expect(sealed.searches).toEqual({ sqlite: none, postgres: none });
    expect(sealed.archive).toMatchObject({ found: 0, sealed: asked });
  });

  test('what it shows is who, when, how long and what rules did', () => {
    const lines = [...sealed.sessions.values()].flat().map((line) => JSON.parse(line) as Record<string, unknown>);
    const starts = lines.filter((line) => line['type'] === 'start');
    expect(new Set(starts.map((line) => line['path']))).toEqual(new Set(['/v1/chat/completions', '…']));
    expect(starts.every((line) => (line['caller'] as { subject: string }).subject === 'ana')).toBe(true);
    const texts = lines.flatMap((line) => [line['request'] ?? [], line['type'] === 'segment' ? line : []].flat()) as {
      readonly lane: string;
      readonly text?: string;
      readonly length: number;
      readonly sealed: string;
    }[];
    expect(texts.length).toBeGreaterThan(10);
    for (const { lane, text, length, sealed: bytes } of texts)
      expect({ lane, text, length: length >= 0, sealed: bytes.length > 0 }).toEqual({
        lane,
        text: undefined,
        length: true,
        sealed: true,
      });
    const acts = lines.flatMap((line) => (line['rules'] ?? []) as { rule: string; act: string; by?: string[] }[]);
    expect(acts).toContainEqual(expect.objectContaining({ rule: 'test/confidential', act: 'masked', by: ['Email'] }));
    expect(acts).toContainEqual(expect.objectContaining({ rule: 'test/never', act: 'blocked' }));
  });
});
