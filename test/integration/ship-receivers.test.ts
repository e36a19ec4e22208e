import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import { ensureSelfSigned } from '../../pkg/pki/index.ts';
import { createEventSource, fileBook, openReceivers, openSqliteStore, startShipper } from '../../pkg/recorder/index.ts';
import type { ReceiverSettings, RecordStore } from '../../pkg/recorder/index.ts';
import { blockOf } from '../../pkg/recorder/store/testing/store-suite.ts';
import { sessionId, testChain } from '../../pkg/recorder/testing/chains.ts';
import { findCollector, startCollector } from '../support/collector.ts';
import type { Collector } from '../support/collector.ts';
import { startRsyslog } from '../support/rsyslog.ts';
import type { Rsyslog } from '../support/rsyslog.ts';
import { startVector } from '../support/vector.ts';
import type { Vector, VectorOptions } from '../support/vector.ts';
import { until } from '../support/wait.ts';

// The log on its way to receivers that others have written, which are killed in between: what was sent is counted and compared.

const sessions = 1_200;
/** The shipper's: what one kill can make come twice. */
const batch = 200;
/** Far more than it takes. */
const longMs = 120_000;
/** As a sidecar wrote it, and as it is shipped. */
const who = 'zoë 東京 “ana”\u0001\u007f';
const shipped = who.replace('\u0001', ' ');
const expected = Array.from({ length: sessions }, (_, at) => sessionId(at));
let folder: string;
let store: RecordStore;
let tls: { readonly ca: string; readonly cert: string; readonly key: string };

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-receivers-'));
  store = openSqliteStore({ path: join(folder, 'record.db'), clock: systemClock });
  const chain = testChain();
  const blocks = Array.from({ length: sessions / 60 }, (_, at) => expected.slice(60 * at, 60 * (at + 1)));
  await store.append(
    blocks.map((ids) =>
      blockOf(
        chain,
        ids.map((id) => ({ id, user: who })),
      ),
    ),
  );
  const { caFile: ca, certFile: cert, keyFile: key } = await ensureSelfSigned(folder, ['localhost'], systemClock);
  tls = { ca, cert, key };
});
afterAll(async () => {
  await store?.close();
  rmSync(folder, { recursive: true });
});

/** Ships everything, and kills the receiver after a batch and while one is on its way, or as is said. */
async function shipThroughKills(
  settings: ReceiverSettings,
  kill: () => Promise<void>,
  start: () => Promise<void>,
  kills = [
    { after: batch, isBefore: true },
    { after: 3 * batch, isBefore: false },
  ],
): Promise<{ readonly sent: number; readonly dead: number; readonly failures: number }> {
  const [receiver] = openReceivers([settings], folder, systemClock);
  if (receiver === undefined) throw new Error('no receiver');
  const counts = { sent: 0, dead: 0, failures: 0 };
  const failed = Promise.withResolvers<void>();
  let restarts = Promise.resolve();
  const shipper = startShipper({
    receiver: {
      ...receiver,
      async send(events, signal) {
        const [next] = kills;
        if (next !== undefined && counts.sent >= next.after) {
          kills.shift();
          if (next.isBefore) {
            await kill();
            restarts = failed.promise.then(start);
          } else restarts = restarts.then(kill).then(start);
        }
        return receiver.send(events, signal);
      },
    },
    source: createEventSource(store, () => true),
    book: fileBook(join(folder, settings.name)),
    clock: systemClock,
    logger: silentLogger,
    onSent: (events) => (counts.sent += events),
    onDead: (events) => (counts.dead += events),
    onFailure() {
      counts.failures += 1;
      failed.resolve();
    },
    lookMs: 5,
    retryMs: { first: 5, longest: 50 },
  });
  try {
    await until(() => counts.sent + counts.dead >= sessions && shipper.behind() === 0, 'all that is shipped', longMs);
    await restarts;
    expect(kills).toEqual([]);
    return counts;
  } finally {
    failed.resolve();
    await shipper.close();
    await restarts;
  }
}

/** In the order of the log, each; what came twice came as a batch that went on its way again. */
function expectInOrder(got: readonly string[], kills = 2): void {
  const seen = new Set<string>();
  const first = got.filter((id) => !seen.has(id) && seen.add(id));
  expect(first).toEqual(expected);
  expect(got.length - first.length).toBeLessThanOrEqual(kills * batch);
  // A batch that went again begins where the cursor stood: at no point does the order go back further than that.
  let highest = -1;
  for (const id of got) {
    const at = expected.indexOf(id);
    expect(at).toBeGreaterThan(highest - batch);
    highest = Math.max(highest, at);
  }
}

describe('rsyslog, by RFC 5424 over TLS', () => {
  let server: Rsyslog;
  beforeAll(async () => {
    server = await startRsyslog(tls);
    writeFileSync(join(folder, 'rsyslog-ca'), readFileSync(tls.ca));
  });
  afterAll(() => server?.close());

  test(
    'has every event, in order, though it is killed twice, and reads of each header what was meant',
    async () => {
      const address = `localhost:${server.port}`;
      const counts = await shipThroughKills(
        { name: 'rsyslog', type: 'Syslog', address, caKey: 'rsyslog-ca' },
        server.kill,
        server.start,
      );
      const messages = server.messages();
      expectInOrder(messages.map(({ text }) => String((JSON.parse(text) as Record<string, unknown>)['event.id'])));
      expect(counts).toMatchObject({ sent: sessions, dead: 0 });
      expect(counts.failures).toBeGreaterThan(0);
      expect(new Set(messages.map(({ app, id, priority }) => `${app} ${id} ${priority}`))).toEqual(
        new Set(['sidegate session 110']),
      );
      expect(new Set(messages.map(({ text }) => (JSON.parse(text) as Record<string, unknown>)['user.name']))).toEqual(
        new Set([shipped]),
      );
    },
    2 * longMs,
  );
});

describe('a receiver that answers as Vector does, by the webhook', () => {
  const authorization = `Basic ${Buffer.from('sidegate:hunter2').toString('base64')}`;
  const ids = (vector: Vector): readonly string[] => vector.delivered().map((event) => String(event['event.id']));
  let vector: Vector | undefined;
  let names = 0;
  const start = async (more: Partial<VectorOptions> = {}): Promise<readonly [Vector, ReceiverSettings]> => {
    vector = await startVector({ ...tls, acknowledgements: true, authorization, ...more });
    writeFileSync(join(folder, 'vector-ca'), readFileSync(tls.ca));
    writeFileSync(join(folder, 'vector-credential'), authorization);
    const name = `vector-${names++}`;
    const credential = { header: 'authorization', headerKey: 'vector-credential' };
    return [vector, { name, type: 'Webhook', url: vector.address, caKey: 'vector-ca', ...credential }];
  };
  afterEach(() => vector?.close());

  test(
    'has every event, in order, though it is killed twice with what is in its memory',
    async () => {
      const [server, settings] = await start();
      const counts = await shipThroughKills(settings, server.kill, server.start);
      expectInOrder(ids(server));
      expect(counts).toMatchObject({ sent: sessions, dead: 0 });
      expect(counts.failures).toBeGreaterThan(0);
      expect(new Set(server.delivered().map((event) => event['user.name']))).toEqual(new Set([shipped]));
    },
    2 * longMs,
  );

  test(
    'loses what was in its memory where its sink does not acknowledge, as docs/siem.md says',
    async () => {
      let wasKilled = false;
      const [server, settings] = await start({ acknowledgements: false, isIdle: () => !wasKilled });
      const kill = async (): Promise<void> => {
        await server.kill();
        wasKilled = true;
      };
      const counts = await shipThroughKills(settings, kill, server.start, [{ after: batch, isBefore: true }]);
      expect(counts).toMatchObject({ sent: sessions, dead: 0 });
      await until(() => ids(server).at(-1) === expected.at(-1), 'its sink', longMs);
      const got = new Set(ids(server));
      expect(expected.filter((id) => !got.has(id))).toEqual(expected.slice(0, batch));
    },
    2 * longMs,
  );

  test(
    'gets what its sink could not deliver again, until it can, and none of it is dead',
    async () => {
      let away = 10 * batch;
      const [server, settings] = await start({ sink: () => (away-- > 0 ? 'errored' : 'delivered') });
      const counts = await shipThroughKills(settings, server.kill, server.start, []);
      expect(server.answers).toContain(500);
      expect(new Set(ids(server))).toEqual(new Set(expected));
      expect(counts).toMatchObject({ sent: sessions, dead: 0 });
    },
    2 * longMs,
  );

  test(
    'that rejects one event by the status of its whole batch has all others, and that one is kept aside',
    async () => {
      const [server, settings] = await start({
        sink: (event) => (event['event.id'] === expected[500] ? 'rejected' : 'delivered'),
      });
      const counts = await shipThroughKills(settings, server.kill, server.start, []);
      expect(server.answers).toContain(400);
      expect(counts.dead).toBe(1);
      const got = new Set(ids(server));
      expect(expected.filter((id) => !got.has(id))).toEqual([expected[500]]);
    },
    2 * longMs,
  );

  test('that wants another credential has nothing, and nothing is dead', async () => {
    const [server, settings] = await start({ authorization: 'Basic other' });
    const [receiver] = openReceivers([settings], folder, systemClock);
    if (receiver === undefined) throw new Error('no receiver');
    const counts = { failures: 0, dead: 0 };
    const shipper = startShipper({
      receiver,
      source: createEventSource(store, () => true),
      book: fileBook(join(folder, settings.name)),
      clock: systemClock,
      logger: silentLogger,
      onDead: (events) => (counts.dead += events),
      onFailure: () => (counts.failures += 1),
      lookMs: 5,
      retryMs: { first: 5, longest: 50 },
    });
    await until(() => counts.failures >= 7, 'several tries', longMs);
    await shipper.close();
    expect(counts.dead).toBe(0);
    expect(new Set(server.answers)).toEqual(new Set([401]));
    expect(server.delivered()).toEqual([]);
  });
});

type Json = Readonly<Record<string, unknown>>;
const listAt = (value: unknown, key: string): readonly Json[] => ((value as Json)[key] ?? []) as readonly Json[];
const records = (request: Json): readonly Json[] =>
  listAt(request, 'resourceLogs').flatMap((one) =>
    listAt(one, 'scopeLogs').flatMap((scope) => listAt(scope, 'logRecords')),
  );
const spansOf = (request: Json): readonly Json[] =>
  listAt(request, 'resourceSpans').flatMap((one) =>
    listAt(one, 'scopeSpans').flatMap((scope) => listAt(scope, 'spans')),
  );
/** As plain values. */
const attributesOf = (item: Json): Json =>
  Object.fromEntries(
    listAt(item, 'attributes').map(({ key, value }) => [String(key), Object.values(value as Json)[0]]),
  );

/** Undefined: it was not built here, which `make test` says in its last lines. */
const program = findCollector();
if (program !== undefined)
  describe('the OpenTelemetry collector, by OTLP', () => {
    let collector: Collector;
    beforeAll(async () => {
      collector = await startCollector(program);
    });
    afterAll(() => collector?.close());

    test(
      'has every log record, in order, though it is killed twice',
      async () => {
        const counts = await shipThroughKills(
          { name: 'logs', type: 'Otlp', url: `${collector.address}/v1/logs` },
          collector.kill,
          collector.start,
        );
        const got = collector.written('logs').flatMap(records);
        expectInOrder(got.map((one) => String(attributesOf(one)['event.id'])));
        expect(counts).toMatchObject({ sent: sessions, dead: 0 });
        expect(counts.failures).toBeGreaterThan(0);
        expect(got[0]).toMatchObject({ eventName: 'sidegate.session', severityNumber: 9 });
        expect(new Set(got.map((one) => attributesOf(one)['user.name']))).toEqual(new Set([shipped]));
      },
      2 * longMs,
    );

    test(
      'has a span for every session, in order, though it is killed twice; what came twice is the same span',
      async () => {
        const counts = await shipThroughKills(
          { name: 'spans', type: 'OtlpTraces', url: `${collector.address}/v1/traces` },
          collector.kill,
          collector.start,
        );
        const got = collector.written('traces').flatMap(spansOf);
        expectInOrder(got.map((one) => String(one['traceId'])));
        expect(new Set(got.map((one) => one['spanId'])).size).toBe(sessions);
        expect(counts).toMatchObject({ sent: sessions, dead: 0 });
        const [first] = got;
        expect(first).toMatchObject({ name: 'chat llama-3', kind: 3, startTimeUnixNano: expect.any(String) });
        expect(attributesOf(first ?? {})).toMatchObject({
          'gen_ai.operation.name': 'chat',
          'gen_ai.provider.name': 'openai',
          'gen_ai.request.model': 'llama-3',
          'gen_ai.usage.input_tokens': '5',
          'gen_ai.usage.output_tokens': '7',
        });
        expect(JSON.stringify(collector.written('traces'))).not.toMatch(/hello there/);
      },
      2 * longMs,
    );
  });
