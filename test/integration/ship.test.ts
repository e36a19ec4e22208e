import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CodedError, silentLogger, systemClock } from '../../pkg/base/index.ts';
import { ensureSelfSigned } from '../../pkg/pki/index.ts';
import {
  createEventSource,
  fileBook,
  openReceivers,
  openSqliteStore,
  parseReceivers,
  startShipper,
} from '../../pkg/recorder/index.ts';
import type { ReceiverSettings, RecordStore, Shipper } from '../../pkg/recorder/index.ts';
import type { Receiver } from '../../pkg/recorder/ship/receiver.ts';
import { syslogReceiver } from '../../pkg/recorder/ship/syslog.ts';
import { blockOf, blockOfEvents, source } from '../../pkg/recorder/store/testing/store-suite.ts';
import { sessionEvents, sessionId, testChain, testTime } from '../../pkg/recorder/testing/chains.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { until } from '../support/wait.ts';

// The log on its way to other systems: each event once and in order where nothing breaks, at least once where something does.

const sessions = 23;
const later = sessionId('over two blocks');
let folder: string;
let store: RecordStore;
let tls: { readonly ca: string; readonly cert: string; readonly key: string };
const shippers: Shipper[] = [];
const servers: { close(): unknown }[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-ship-'));
  store = openSqliteStore({ path: join(folder, 'record.db'), clock: systemClock });
  const chain = testChain();
  const rows = Array.from({ length: sessions }, (_, at) => ({
    id: sessionId(at),
    ask: 'the prompt',
    answer: 'the answer',
    ...(at % 5 === 0 ? { outcome: 'refused' as const, rule: 'support/no-secrets', by: ['Secrets'] } : {}),
  }));
  for (let at = 0; at < sessions; at += 8) await store.append([blockOf(chain, rows.slice(at, at + 8))]);
  const events = sessionEvents({ id: later, user: 'bob' });
  await store.append([blockOfEvents(chain, events.slice(0, 1))]);
  await store.append([
    {
      entry: {
        type: 'conflict',
        at: Date.now(),
        source,
        chain: chain.name,
        sequence: 9,
        what: 'changed',
        evidence: 'e',
      },
      evidence: Buffer.from('x'),
    },
    { entry: { type: 'read', at: Date.now(), who: 'eve', what: 'search', question: '{}' } },
    blockOfEvents(chain, events.slice(1)),
  ]);
  const files = await ensureSelfSigned(folder, ['localhost', '127.0.0.1'], systemClock);
  const [caPem = '', cert = '', key = ''] = [files.caFile, files.certFile, files.keyFile].map((file) =>
    readFileSync(file, 'utf8'),
  );
  tls = { ca: caPem, cert, key };
});
afterEach(async () => {
  await Promise.all(shippers.splice(0).map((one) => one.close()));
  for (const server of servers.splice(0)) server.close();
});
afterAll(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

/** Ids in the order of the log; tests add to it what they add to the log. */
const expected = [...Array.from({ length: sessions }, (_, at) => sessionId(at)), 'entry-4', 'entry-5', later];

let made = 0;
function ship(settings: ReceiverSettings, name?: string) {
  const [receiver] = openReceivers([settings], folder, systemClock);
  if (receiver === undefined) throw new Error('no receiver');
  return shipTo(receiver, name);
}

function shipTo(receiver: Receiver, name = `r${made++}`) {
  const counts = { sent: 0, failures: 0, dead: 0 };
  const rewinds = { count: 0 };
  const shipper = startShipper({
    receiver,
    source: createEventSource(store, () => true),
    book: fileBook(join(folder, name)),
    clock: systemClock,
    logger: silentLogger,
    onDead: (events) => (counts.dead += events),
    onSent: (events) => (counts.sent += events),
    onFailure: () => (counts.failures += 1),
    onRewind: () => (rewinds.count += 1),
    lookMs: 5,
    retryMs: { first: 1, longest: 10 },
  });
  shippers.push(shipper);
  return { name, counts, rewinds, shipper, done: () => until(() => shipper.behind() === 0, 'all that is shipped') };
}

type Line = Readonly<Record<string, unknown>>;
const linesOf = (text: string): readonly Line[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
const ids = (lines: readonly Line[]): readonly unknown[] => lines.map((line) => line['event.id']);

interface Seen {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

/** A receiver by HTTP that answers as it is told. */
async function listen(answer: (seen: Seen) => readonly [status: number, body?: string]): Promise<string> {
  const server: Server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      const [status, text = ''] = answer({ headers: request.headers, body });
      response.writeHead(status).end(text);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/in`;
}

describe('a webhook', () => {
  test('gets every event once and in order, by the names of ECS, without any text of prompts', async () => {
    const got: Line[] = [];
    writeFileSync(join(folder, 'token'), 'Splunk abc\n');
    let header: unknown;
    const url = await listen(({ headers, body }) => {
      header = headers['authorization'];
      got.push(...linesOf(body));
      return [200];
    });
    const { counts, done } = ship({ name: 'w', type: 'Webhook', url, header: 'authorization', headerKey: 'token' });
    await done();
    expect(ids(got)).toEqual(expected);
    expect([header, counts]).toEqual(['Splunk abc', { sent: expected.length, failures: 0, dead: 0 }]);
    expect(got[0]).toMatchObject({
      'event.outcome': 'failure',
      'event.reason': 'guard_blocked',
      'event.sequence': 0,
      'http.response.status_code': 403,
      'log.level': 'warning',
      'orchestrator.namespace': 'ml',
      'rule.name': ['support/no-secrets'],
      'sidegate.detectors': ['Secrets'],
      'user.name': 'ana',
    });
    // Its start came in a block before.
    expect(got.at(-1)).toMatchObject({
      'event.outcome': 'success',
      'event.duration': 12_000_000,
      'event.start': new Date(testTime).toISOString(),
      'gen_ai.operation.name': 'chat',
      'gen_ai.request.model': 'llama-3',
      'http.request.method': 'POST',
      'sidegate.policy': 'g1',
      'source.address': '10.0.0.9',
      'url.path': '/v1/chat/completions',
      'user.domain': 'https://idp.test',
      'user.name': 'bob',
      'user.roles': ['ml'],
    });
    expect(got.at(-3)).toMatchObject({
      'event.action': 'record.conflict',
      'event.kind': 'alert',
      'log.level': 'alert',
    });
    expect(JSON.stringify(got)).not.toMatch(/the prompt|the answer/);
  });

  test('that is away or refuses the credential loses nothing; it goes on where it was after a restart', async () => {
    const got: Line[] = [];
    const answers = [503, 401, 500, 429, 200];
    let stop = false;
    const url = await listen(({ body }) => {
      const status = stop ? 503 : (answers.shift() ?? 200);
      if (status === 200) got.push(...linesOf(body));
      return [status];
    });
    const settings = { name: 'w', type: 'Webhook', url } as const;
    const first = ship(settings);
    await first.done();
    expect([ids(got), first.counts.failures]).toEqual([expected, 4]);
    await first.shipper.close();
    stop = true;
    const chain = testChain('after');
    const entry = (await store.log()).size;
    await store.append([blockOf(chain, [{ id: sessionId('after') }], Date.now(), `${source}-after`)]);
    const second = ship(settings, first.name);
    await until(() => second.counts.failures > 2, 'tries');
    await second.shipper.close();
    stop = false;
    const third = ship(settings, first.name);
    await third.done();
    // At least once: of a batch that was broken off nobody knows whether it was taken.
    expect([...new Set(ids(got))]).toEqual([...expected, sessionId('after')]);
    const cursor: unknown = JSON.parse(readFileSync(join(folder, `${first.name}.cursor`), 'utf8'));
    expect(cursor).toMatchObject({ entry: entry + 1, events: 0 });
    expected.push(sessionId('after'));
  });

  test('whose cursor is ahead of the log, of a store that was restored, gets the log from its beginning, once', async () => {
    const got: Line[] = [];
    const url = await listen(({ body }) => {
      got.push(...linesOf(body));
      return [200];
    });
    writeFileSync(join(folder, 'ahead.cursor'), '{"entry":9999,"events":3}\n');
    const { rewinds, done } = ship({ name: 'w', type: 'Webhook', url }, 'ahead');
    await done();
    await until(() => got.length >= expected.length, 'the log');
    expect([ids(got), rewinds.count]).toEqual([expected, 1]);
  });

  test('that will never take one event gets all others, and that one is kept and counted', async () => {
    const got: Line[] = [];
    const poison = sessionId(11);
    const url = await listen(({ body }) => {
      if (body.includes(poison)) return [400];
      got.push(...linesOf(body));
      return [204];
    });
    const { name, counts, done } = ship({ name: 'w', type: 'Webhook', url });
    await done();
    expect(ids(got)).toEqual(expected.filter((id) => id !== poison));
    expect(counts).toEqual({ sent: expected.length - 1, failures: 0, dead: 1 });
    expect(ids(linesOf(readFileSync(join(folder, `${name}.dead.jsonl`), 'utf8')))).toEqual([poison]);
  });
});

interface OtlpValue {
  readonly stringValue?: string;
  readonly intValue?: string;
}
interface OtlpRecord {
  readonly timeUnixNano: string;
  readonly severityNumber: number;
  readonly eventName: string;
  readonly attributes: readonly { readonly key: string; readonly value: OtlpValue }[];
}

test('OTLP: records as its JSON encoding has them; what the receiver rejects is kept and counted', async () => {
  const records: OtlpRecord[] = [];
  const url = await listen(({ body }) => {
    const sent = JSON.parse(body) as {
      resourceLogs: { scopeLogs: { logRecords: OtlpRecord[] }[] }[];
    };
    records.push(...(sent.resourceLogs[0]?.scopeLogs[0]?.logRecords ?? []));
    return [200, '{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"no"}}'];
  });
  const { counts, done } = ship({ name: 'o', type: 'Otlp', url });
  await done();
  const of = (record: OtlpRecord | undefined, key: string): OtlpValue | undefined =>
    record?.attributes.find((one) => one.key === key)?.value;
  expect(records.map((record) => of(record, 'event.id')?.stringValue)).toEqual(expected);
  expect(records[1]).toMatchObject({ eventName: 'sidegate.session', severityNumber: 9 });
  expect(records[1]?.timeUnixNano).toMatch(/^[0-9]{19}$/);
  expect(of(records[1], 'gen_ai.usage.input_tokens')).toEqual({ intValue: '5' });
  expect(of(records[0], 'rule.name')).toEqual({ arrayValue: { values: [{ stringValue: 'support/no-secrets' }] } });
  expect(counts).toEqual({ sent: expected.length - 2, failures: 0, dead: 2 });
});

interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status: { readonly code?: number; readonly message?: string };
  readonly attributes: readonly { readonly key: string; readonly value: OtlpValue }[];
}

test('OTLP traces: one span for each session by the conventions for generative AI, and nothing else; what is rejected is kept', async () => {
  const spans: OtlpSpan[] = [];
  let schema: unknown;
  const url = await listen(({ body }) => {
    const { resourceSpans } = JSON.parse(body) as {
      resourceSpans: { scopeSpans: { schemaUrl: string; spans: OtlpSpan[] }[] }[];
    };
    schema = resourceSpans[0]?.scopeSpans[0]?.schemaUrl;
    spans.push(...(resourceSpans[0]?.scopeSpans[0]?.spans ?? []));
    return [200, '{"partialSuccess":{"rejectedSpans":"3"}}'];
  });
  const { counts, done } = ship({ name: 't', type: 'OtlpTraces', url });
  await done();
  const own = expected.filter((id) => !id.startsWith('entry-'));
  expect(spans.map(({ traceId }) => traceId)).toEqual(own);
  expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(own.length);
  expect(spans.every(({ traceId, spanId }) => /^[0-9a-f]{32}$/.test(traceId) && /^[0-9a-f]{16}$/.test(spanId))).toBe(
    true,
  );
  expect(schema).toBe('https://opentelemetry.io/schemas/1.37.0');
  const of = (span: OtlpSpan | undefined): Readonly<Record<string, unknown>> =>
    Object.fromEntries((span?.attributes ?? []).map(({ key, value }) => [key, Object.values(value)[0]]));
  const [refused, completed] = spans;
  expect(completed).toMatchObject({ name: 'chat llama-3', kind: 3, status: {} });
  expect(BigInt(completed?.endTimeUnixNano ?? 0)).toBeGreaterThanOrEqual(BigInt(completed?.startTimeUnixNano ?? 0));
  expect(of(completed)).toMatchObject({
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'openai',
    'gen_ai.request.model': 'llama-3',
    'gen_ai.usage.input_tokens': '5',
    'gen_ai.usage.output_tokens': '7',
    'user.name': 'ana',
  });
  expect(of(completed)).not.toHaveProperty('error.type');
  expect(refused?.status).toMatchObject({ code: 2, message: expect.stringContaining('guard_blocked') });
  expect(of(refused)).toMatchObject({ 'error.type': 'guard_blocked', 'http.response.status_code': '403' });
  expect(JSON.stringify(spans)).not.toMatch(/the prompt|the answer/);
  expect(counts).toEqual({ sent: own.length - 3, failures: 0, dead: 3 });
});

describe('syslog over TLS', () => {
  /** Reads frames of RFC 5425 as a receiver would. */
  function frames(onFrame: (message: string) => void): (chunk: Buffer) => void {
    let rest = Buffer.alloc(0);
    return (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      for (;;) {
        const space = rest.indexOf(0x20);
        const length = Number(rest.toString('latin1', 0, Math.max(space, 0)) || 'NaN');
        if (space < 1 || rest.length < space + 1 + length) return;
        onFrame(rest.toString('utf8', space + 1, space + 1 + length));
        rest = rest.subarray(space + 1 + length);
      }
    };
  }

  async function listenTls(onSocket: (socket: TLSSocket) => void, halfOpen = false): Promise<number> {
    // It ends its side itself.
    const server = createTlsServer({ cert: tls.cert, key: tls.key, allowHalfOpen: halfOpen }, onSocket);
    // One that ends its side itself may never have done so.
    const sockets: TLSSocket[] = [];
    server.on('secureConnection', (socket: TLSSocket) => sockets.push(socket));
    servers.push({
      close() {
        server.close();
        for (const socket of sockets) socket.destroy();
      },
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  const shape = /^<(\d+)>1 \d{4}-\d\d-\d\dT[\d:.]+Z (\S+) sidegate - (session|record\.\w+) - (\{.*\})$/s;

  test('comes as RFC 5424 says, framed by octets; a connection that breaks loses nothing', async () => {
    const got: Line[] = [];
    const priorities = new Set<string>();
    let connections = 0;
    const port = await listenTls((socket) => {
      connections += 1;
      socket.on('error', () => undefined);
      // The first is cut before anything of it is read.
      if (connections === 1) return void socket.destroy();
      socket.on(
        'data',
        frames((message) => {
          const [, priority = '', , , json = ''] = shape.exec(message) ?? [];
          priorities.add(priority);
          got.push(JSON.parse(json) as Line);
        }),
      );
    });
    writeFileSync(join(folder, 'syslog-ca'), tls.ca);
    const { counts, done } = ship({ name: 's', type: 'Syslog', address: `localhost:${port}`, caKey: 'syslog-ca' });
    await done();
    await until(() => new Set(ids(got)).size === expected.length, 'what was written');
    // In order, and once but for what was sent before the break was seen.
    expect([...new Set(ids(got))]).toEqual(expected);
    expect(priorities).toEqual(new Set(['108', '110', '105']));
    expect(counts.dead).toBe(0);
    expect(connections).toBeGreaterThan(1);
  });

  test('goes to an address as to a name', async () => {
    const got: Line[] = [];
    const port = await listenTls((socket) => {
      socket.on('error', () => undefined);
      socket.on(
        'data',
        frames((message) => got.push(JSON.parse(shape.exec(message)?.[4] ?? '') as Line)),
      );
    });
    writeFileSync(join(folder, 'address-ca'), tls.ca);
    const { counts, done } = ship({ name: 's', type: 'Syslog', address: `127.0.0.1:${port}`, caKey: 'address-ca' });
    await done();
    expect([new Set(ids(got)), counts]).toEqual([new Set(expected), { sent: expected.length, failures: 0, dead: 0 }]);
  });

  test('by a receiver that reads slowly, and never falls silent, ends before the turn of the sender, and fewer events are tried', async () => {
    const clock = fakeClock();
    let read = 0;
    const port = await listenTls((socket) => {
      socket.on('error', () => undefined);
      socket.pause();
      // Some of it again and again: it is never silent for long.
      const timer = setInterval(() => {
        const chunk = socket.read(64) as Buffer | null;
        read += chunk?.length ?? 0;
        clock.advance(1_000);
      }, 5);
      socket.on('close', () => clearInterval(timer));
    });
    writeFileSync(join(folder, 'slow-ca'), tls.ca);
    const settings = { name: 's', type: 'Syslog', address: `localhost:${port}`, caKey: 'slow-ca' } as const;
    const [receiver] = openReceivers([settings], folder, clock);
    const fields = { text: 'x'.repeat(1_000_000) };
    const event = {
      entry: 0,
      id: 'a',
      at: 0,
      logged: 0,
      severity: 'info',
      action: 'session',
      message: '',
      fields,
    } as const;
    const sizes: number[] = [];
    const asked = new AbortController();
    const began = clock.monotonic();
    await expect(receiver?.send([event, event], asked.signal)).rejects.toMatchObject({ code: 'too_slow' });
    expect(clock.monotonic() - began).toBeLessThan(20_000);
    expect(read).toBeGreaterThan(0);
    const shipper = startShipper({
      receiver: {
        name: 'slow',
        close: () => undefined,
        async send(events) {
          sizes.push(events.length);
          if (events.length > 4) throw new CodedError('too_slow', 'too slow');
          return 'taken';
        },
      },
      source: createEventSource(store, () => true),
      book: fileBook(join(folder, 'slow')),
      clock: systemClock,
      logger: silentLogger,
      lookMs: 5,
      retryMs: { first: 1, longest: 2 },
    });
    shippers.push(shipper);
    await until(() => shipper.behind() === 0, 'all that is shipped');
    // By halves until it goes; then one more each time.
    expect(sizes.slice(0, 5)).toEqual([expected.length, expected.length, expected.length, 25, 12]);
    expect(sizes.filter((size) => size <= 4).reduce((sum, size) => sum + size, 0)).toBe(expected.length);
  });

  test('by a receiver that closes at one message, as it is too long for it, goes but for that one, which is kept aside', async () => {
    const got: Line[] = [];
    const poison = sessionId(7);
    const port = await listenTls((socket) => {
      socket.on('error', () => undefined);
      const read = frames((message) => {
        const line = JSON.parse(shape.exec(message)?.[4] ?? '') as Line;
        if (line['event.id'] === poison) socket.destroy();
        else if (!socket.destroyed) got.push(line);
      });
      socket.on('data', read);
    });
    const { counts, done, name } = shipTo(
      syslogReceiver('s', {
        ...{ host: 'localhost', port, ca: () => tls.ca, certificate: () => undefined },
        // It reads in this process: sooner than that, whatever else is at work.
        ...{ timeoutMs: 10_000, mostMs: 15_000, clock: systemClock, quietMs: 1_000 },
      }),
    );
    await done();
    expect(new Set(ids(got))).toEqual(new Set(expected.filter((id) => id !== poison)));
    expect([counts.dead, counts.sent]).toEqual([1, expected.length - 1]);
    expect(ids(linesOf(readFileSync(join(folder, `${name}.dead.jsonl`), 'utf8')))).toEqual([poison]);
  });

  test('waits longer for a receiver to close at a message that may be too long for it', async () => {
    const port = await listenTls((socket) => {
      socket.on('error', () => undefined);
      // After some work, and with all of it read.
      socket.once('data', () => setTimeout(() => socket.destroy(), 200));
      socket.resume();
    }, true);
    const clock = fakeClock();
    const receiver = syslogReceiver('s', {
      ...{ host: 'localhost', port, ca: () => tls.ca, certificate: () => undefined },
      ...{ timeoutMs: 10_000, mostMs: 15_000, clock },
    });
    const event = { entry: 0, id: 'a', at: 0, logged: 0, severity: 'info', action: 'session', message: '' } as const;
    const sent = receiver.send([{ ...event, fields: { text: 'x'.repeat(9_000) } }], new AbortController().signal);
    const ended = sent.then(
      () => 'taken',
      (error: unknown) => (error as CodedError).code,
    );
    // Nothing of its own ends within this time.
    for (let waited = 0; waited < 900; waited += 100) {
      clock.advance(100);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    expect(await ended).toBe('too_slow');
  });

  test('by a receiver that takes its time once it has all of it goes a few at a time', async () => {
    const port = await listenTls((socket) => {
      socket.on('error', () => undefined);
      let count = 0;
      socket.on(
        'data',
        frames(() => count++),
      );
      socket.on('end', () => void (count <= 4 && socket.end()));
    }, true);
    const receiver = syslogReceiver('s', {
      host: 'localhost',
      port,
      ca: () => tls.ca,
      certificate: () => undefined,
      timeoutMs: 300,
      mostMs: 15_000,
      clock: systemClock,
    });
    const { counts, done } = shipTo(receiver);
    await done();
    expect([counts.sent, counts.dead]).toEqual([expected.length, 0]);
  });

  test('goes to nobody whose certificate is not of the authority', async () => {
    let sockets = 0;
    const port = await listenTls(() => (sockets += 1));
    const { counts } = ship({ name: 's', type: 'Syslog', address: `localhost:${port}` });
    await until(() => counts.failures > 1, 'tries');
    expect([sockets, counts.sent]).toEqual([0, 0]);
  });
});

test('settings: everything that is wrong is said', () => {
  const good = [
    { name: 'a', type: 'Webhook', url: 'https://siem.test/in', header: 'authorization', headerKey: 'token' },
    { name: 'b', type: 'Otlp', url: 'http://127.0.0.1:4318/v1/logs', caKey: 'ca' },
    { name: 'd', type: 'OtlpTraces', url: 'https://otel.test/v1/traces', header: 'authorization', headerKey: 'token' },
    { name: 'c', type: 'Syslog', address: '[::1]:6514', certificateKey: 'c', privateKeyKey: 'k' },
  ];
  expect(parseReceivers(JSON.stringify(good))).toEqual(good);
  for (const [one, why] of [
    [{ name: 'a', type: 'Mail' }, 'must be one of Webhook, Otlp, OtlpTraces, Syslog'],
    [{ name: 'A b', type: 'Otlp', url: 'https://x' }, '.name must be a DNS label'],
    [{ name: 'a', type: 'Webhook', url: 'http://siem.test' }, '.url must be an https:// address'],
    [{ name: 'a', type: 'Webhook', url: 'https://user:pass@siem.test' }, '.url must be an https:// address'],
    [{ name: 'a', type: 'Webhook', url: 'https://:pass@siem.test' }, '.url must be an https:// address'],
    [{ name: 'a', type: 'Webhook', url: 'https://x', header: 'authorization' }, 'belong together'],
    [{ name: 'a', type: 'Webhook', url: 'https://x', token: 'secret' }, '.token is nothing'],
    [{ name: 'a', type: 'Syslog', address: 'siem.test' }, '.address must be HOST:PORT'],
    [{ name: 'a', type: 'Syslog', address: 'siem.test:1', caKey: '../x/y' }, '.caKey must be a key of the Secret'],
  ] as const)
    expect(() => parseReceivers(JSON.stringify([one]))).toThrow(why);
  expect(() => parseReceivers(JSON.stringify([good[0], good[0]]))).toThrow('two receivers have one name');
  expect(() => parseReceivers('{}')).toThrow('must be a list');
});
