import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../../../test/support/wait.ts';
import { systemClock } from '../../base/index.ts';
import type { Logger } from '../../base/index.ts';
import type { ShippedEvent } from './event.ts';
import { fileBook } from './file-book.ts';
import { otlpReceiver } from './otlp.ts';
import type { Receiver } from './receiver.ts';
import { startShipper } from './shipper.ts';
import type { Shipper } from './shipper.ts';
import type { EventSource } from './source.ts';
import { webhookReceiver } from './webhook.ts';

// A receiver that refuses: an event that it will never take, or everything, because of what stands before it.

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-deliver-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const shippers: Shipper[] = [];
const servers: { close(): unknown }[] = [];
afterEach(async () => {
  await Promise.all(shippers.splice(0).map((one) => one.close()));
  for (const server of servers.splice(0)) server.close();
});

const event = (entry: number): ShippedEvent => ({
  entry,
  id: `e${entry}`,
  at: 1,
  logged: 1,
  severity: 'info',
  action: 'session',
  message: 'm',
  fields: {},
});
const idsTo = (size: number): string[] => Array.from({ length: size }, (_, at) => `e${at}`);

/** A log of one event an entry, that grows. */
const log = { size: 0 };
const source: EventSource = {
  size: () => Promise.resolve(log.size),
  has: () => Promise.resolve(true),
  read: ({ entry }, most) => {
    const to = Math.min(log.size, entry + Math.min(most, 64));
    const events = Array.from({ length: Math.max(0, to - entry) }, (_, at) => event(entry + at));
    return Promise.resolve({ events, next: { entry: Math.max(entry, to), events: 0 } });
  },
};

let made = 0;
function ship(size: number, receiver: Pick<Receiver, 'send'>) {
  log.size = size;
  const path = join(folder, `r${made++}`);
  const counts = { dead: 0, sent: 0, failures: 0 };
  const lines: string[] = [];
  const told = (line: string): void => void lines.push(line);
  const logger = { debug: told, info: told, warn: told, error: told } as unknown as Logger;
  const shipper = startShipper({
    receiver: { name: 'r', close: () => undefined, ...receiver },
    source,
    book: fileBook(path),
    clock: systemClock,
    logger,
    onDead: (events) => (counts.dead += events),
    onSent: (events) => (counts.sent += events),
    onFailure: () => (counts.failures += 1),
    lookMs: 2,
    retryMs: { first: 1, longest: 4 },
  });
  shippers.push(shipper);
  const dead = (): readonly unknown[] =>
    readFileSync(`${path}.dead.jsonl`, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as Record<string, unknown>)['event.id']);
  return { shipper, counts, lines, dead, done: () => until(() => shipper.behind() === 0, 'all that is shipped') };
}

/** A receiver that keeps what it takes. */
const keeping = (got: string[], refuses: (events: readonly ShippedEvent[]) => boolean): Pick<Receiver, 'send'> => ({
  send(events) {
    if (refuses(events)) return Promise.resolve('refused');
    got.push(...events.map(({ id }) => id));
    return Promise.resolve('taken');
  },
});

describe('a receiver that refuses everything for a time', () => {
  test('from the beginning gets every event after it, in order, and none is dead', async () => {
    const got: string[] = [];
    let broken = true;
    const { counts, lines, done, shipper } = ship(
      300,
      keeping(got, () => broken),
    );
    await until(() => counts.failures > 3, 'tries');
    expect([shipper.behind(), counts.dead, counts.sent]).toEqual([300, 0, 0]);
    expect(lines).toContain('events were not shipped: tried again');
    broken = false;
    await done();
    expect([got, counts.dead, counts.sent]).toEqual([idsTo(300), 0, 300]);
  });

  test('from the middle of a batch that it had refused for one event gets all others, and that one alone is dead', async () => {
    const got: string[] = [];
    let [posts, broken] = [0, false];
    const { counts, done, dead } = ship(
      64,
      keeping(got, (events) => {
        // The batch, its first half: then it is broken for everything.
        if (++posts === 3) broken = true;
        return broken || events.some(({ id }) => id === 'e40');
      }),
    );
    await until(() => counts.failures > 2, 'tries');
    expect(counts.dead).toBe(0);
    broken = false;
    await done();
    expect(new Set(got)).toEqual(new Set(idsTo(64).filter((id) => id !== 'e40')));
    expect([counts.dead, dead()]).toEqual([1, ['e40']]);
  });
});

describe('an event that a receiver will never take', () => {
  test('is dead once, after another was taken behind it, and the log says so', async () => {
    const got: string[] = [];
    const { counts, lines, done, dead } = ship(
      64,
      keeping(got, (events) => events.some(({ id }) => id === 'e5')),
    );
    await done();
    expect(got).toEqual(idsTo(64).filter((id) => id !== 'e5'));
    expect([counts, dead()]).toEqual([{ dead: 1, sent: 63, failures: 0 }, ['e5']]);
    expect(lines.filter((line) => line.includes('kept aside'))).toHaveLength(1);
  });

  test('and that nothing came behind waits until something does', async () => {
    const got: string[] = [];
    const { counts, done, dead } = ship(
      1,
      keeping(got, (events) => events.some(({ id }) => id === 'e0')),
    );
    await until(() => counts.failures > 2, 'tries');
    expect(counts.dead).toBe(0);
    log.size = 2;
    await done();
    expect([got, dead()]).toEqual([['e1'], ['e0']]);
  });

  test('with all of its batch, as what is too old for the receiver, does not hold up what comes behind', async () => {
    const got: string[] = [];
    const { counts, done, dead } = ship(
      200,
      keeping(got, (events) => events.some(({ entry }) => entry < 130)),
    );
    await done();
    expect(counts.dead).toBe(130);
    expect(dead()).toEqual(idsTo(130));
    // The newest was asked for first, and came again in its turn.
    const inOrder = idsTo(200).slice(130);
    expect(new Set(got)).toEqual(new Set(inOrder));
    expect(got.filter((id) => id !== 'e199')).toEqual(inOrder.filter((id) => id !== 'e199'));
    expect(got.at(-1)).toBe('e199');
  });
});

describe('a receiver by HTTP', () => {
  const webhook = async (
    answer: (text: string, ids: readonly string[], response: ServerResponse) => unknown,
    timeoutMs = 5_000,
  ): Promise<Receiver> => {
    const server = createServer((request, response) => {
      let text = '';
      request.on('data', (part: Buffer) => (text += part.toString()));
      request.on('end', () => answer(text, text.match(/(?<="event.id":")e[0-9]+/g) ?? [], response));
    });
    servers.push({ close: () => void (server.close(), server.closeAllConnections()) });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    return webhookReceiver('w', { url, headers: () => ({}), ca: () => undefined, timeoutMs });
  };

  test.each([302, 403, 404, 500])('that answers %i to single events gets all others, and soon', async (status) => {
    const got: string[] = [];
    const poison = ['e5', 'e70', 'e199'];
    let posts = 0;
    const receiver = await webhook((_text, ids, response) => {
      posts++;
      const refuses = ids.some((id) => poison.includes(id));
      if (!refuses) got.push(...ids);
      response.writeHead(refuses ? status : 200).end();
    });
    const { counts, done, dead } = ship(200, receiver);
    await done();
    expect(new Set(got)).toEqual(new Set(idsTo(200).filter((id) => !poison.includes(id))));
    expect(dead()).toEqual(poison);
    // What was learnt of the first helps with the others.
    expect([counts.dead, counts.failures]).toEqual([3, 5]);
    expect(posts).toBeLessThan(90);
  });

  test.each([401, 408, 429, 502, 503, 504])('that answers %i refuses no event by it', async (status) => {
    let refuses = true;
    const receiver = await webhook((_text, ids, response) =>
      response.writeHead(refuses && ids.includes('e5') ? status : 200).end(),
    );
    const { counts, done } = ship(64, receiver);
    await until(() => counts.failures > 12, 'tries');
    expect([counts.sent, counts.dead]).toEqual([0, 0]);
    refuses = false;
    await done();
    expect([counts.sent, counts.dead]).toEqual([64, 0]);
  });

  test.each([502, 504])('before which a gateway answers %i to each second request loses nothing', async (status) => {
    const got: string[] = [];
    let posts = 0;
    const receiver = await webhook((_text, ids, response) => {
      const fails = ++posts % 2 === 0;
      if (!fails) got.push(...ids);
      response.writeHead(fails ? status : 200).end();
    });
    const { counts, done } = ship(300, receiver);
    await done();
    expect([counts.sent, counts.dead]).toEqual([300, 0]);
    expect(got).toEqual(idsTo(300));
  });

  test('of which one server answers 403 to all takes an event that it was asked for some times', async () => {
    const got: string[] = [];
    let alone = 0;
    const receiver = await webhook((_text, ids, response) => {
      const unlucky = ids.includes('e70') && (ids.length > 1 || ++alone <= 4);
      const refuses = unlucky || ids.includes('e5');
      if (!refuses) got.push(...ids);
      response.writeHead(refuses ? 403 : 200).end();
    });
    const { counts, done, dead } = ship(200, receiver);
    await done();
    expect([counts.dead, dead(), alone]).toEqual([1, ['e5'], 5]);
    expect(new Set(got).size).toBe(199);
  });

  test('that answers 500 to everything for a time gets everything, and nothing is dead', async () => {
    let broken = true;
    const receiver = await webhook((_text, _ids, response) => response.writeHead(broken ? 500 : 200).end());
    const { counts, done } = ship(64, receiver);
    await until(() => counts.failures > 12, 'tries');
    expect([counts.sent, counts.dead]).toEqual([0, 0]);
    broken = false;
    await done();
    expect([counts.sent, counts.dead]).toEqual([64, 0]);
  });

  test.each(['waits too long', 'closes the connection'])('that %s with many events gets fewer', async (how) => {
    let most = 0;
    const receiver = await webhook((_text, ids, response) => {
      if (ids.length > 10) return how === 'closes the connection' ? response.destroy() : undefined;
      most = Math.max(most, ids.length);
      return response.writeHead(200).end();
    }, 400);
    const { counts, done } = ship(64, receiver);
    await done();
    expect([counts.sent, counts.dead]).toEqual([64, 0]);
    expect(most).toBeGreaterThan(1);
  });
});

describe('a receiver that at one event alone', () => {
  const webhook = async (poisoned: (response: ServerResponse) => unknown, got: string[]): Promise<Receiver> => {
    const server = createServer((request, response) => {
      let text = '';
      request.on('data', (part: Buffer) => (text += part.toString()));
      request.on('end', () => {
        const ids: readonly string[] = text.match(/(?<="event.id":")e[0-9]+/g) ?? [];
        if (ids.includes('e5') || ids.includes('e40')) return poisoned(response);
        got.push(...ids);
        return response.writeHead(200).end();
      });
    });
    servers.push({ close: () => void (server.close(), server.closeAllConnections()) });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    return webhookReceiver('w', { url, headers: () => ({}), ca: () => undefined, timeoutMs: 250 });
  };

  test.each<[string, (response: ServerResponse) => unknown]>([
    ['closes the connection', (response) => response.destroy()],
    ['does not answer', () => undefined],
  ])('%s gets all others, and these are kept aside', async (_, poisoned) => {
    const got: string[] = [];
    const { counts, done, dead } = ship(64, await webhook(poisoned, got));
    await done();
    expect(dead()).toEqual(['e5', 'e40']);
    expect(counts.dead).toBe(2);
    expect(new Set(got)).toEqual(new Set(idsTo(64).filter((id) => id !== 'e5' && id !== 'e40')));
  });

  test('closes the connection, and at all others for a time, gets everything', async () => {
    const got: string[] = [];
    let broken = true;
    const server = createServer((request, response) => {
      let text = '';
      request.on('data', (part: Buffer) => (text += part.toString()));
      request.on('end', () => {
        if (broken) return response.destroy();
        got.push(...(text.match(/(?<="event.id":")e[0-9]+/g) ?? []));
        return response.writeHead(200).end();
      });
    });
    servers.push({ close: () => void (server.close(), server.closeAllConnections()) });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    const options = { url, headers: () => ({}), ca: () => undefined, timeoutMs: 5_000 };
    const { counts, done } = ship(64, webhookReceiver('w', options));
    await until(() => counts.failures > 25, 'tries');
    expect([counts.sent, counts.dead]).toEqual([0, 0]);
    broken = false;
    await done();
    expect([counts.sent, counts.dead, got]).toEqual([64, 0, idsTo(64)]);
  });
});

test('a receiver that would speak another protocol is tried again, and keeps nobody from stopping', async () => {
  let switches = true;
  const got: string[] = [];
  const server = createTcpServer((socket) => {
    let text = '';
    socket.on('error', () => undefined);
    socket.on('data', (part: Buffer) => {
      text += part.toString();
      if (switches)
        return socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n');
      if (!text.includes('e3"')) return undefined;
      got.push(...(text.match(/(?<="event.id":")e[0-9]+/g) ?? []));
      return socket.end('HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n');
    });
  });
  servers.push(server);
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  const options = { url, headers: () => ({}), ca: () => undefined, timeoutMs: 5_000 };
  const { counts, done } = ship(4, webhookReceiver('w', options));
  await until(() => counts.failures > 2, 'tries');
  switches = false;
  await done();
  expect([counts.sent, counts.dead, got]).toEqual([4, 0, idsTo(4)]);
});

describe('an answer of OTLP', () => {
  const answering = async (answer: () => string | Buffer, type = 'application/json'): Promise<Receiver> => {
    const server = createServer((request, response) => {
      request.resume();
      request.on('end', () => response.writeHead(200, { 'content-type': type }).end(answer()));
    });
    servers.push(server);
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const { port } = server.address() as AddressInfo;
    const url = new URL(`http://127.0.0.1:${port}/v1/logs`);
    return otlpReceiver('o', { url, headers: () => ({}), ca: () => undefined, timeoutMs: 5_000 });
  };
  const rejecting = (count: string, message = '') =>
    JSON.stringify({ partialSuccess: { rejectedLogRecords: count, errorMessage: message } });

  test.each([
    ['a page of a proxy', '<html>log in'],
    ['a text', '"ok"'],
    ['with a byte order mark', '\ufeff{}'],
    ['with a key twice', '{"partialSuccess":{},"partialSuccess":{"rejectedLogRecords":"1"}}'],
    ['whose count is none', rejecting('some')],
    ['whose count is negative', rejecting('-1')],
    ['that is longer than is read', rejecting('1', 'x'.repeat(1_200_000))],
  ])('that is %s says of nothing that it was taken', async (_, text) => {
    let answer = text;
    const receiver = await answering(() => answer);
    const { counts, done, shipper } = ship(10, receiver);
    await until(() => counts.failures > 1, 'tries');
    expect([shipper.behind(), counts.sent, counts.dead]).toEqual([10, 0, 0]);
    answer = '{}';
    await done();
    expect(counts).toMatchObject({ sent: 10, dead: 0 });
  });

  test('that rejects some, and says why in 300 KB, is read', async () => {
    const { counts, done } = ship(10, await answering(() => rejecting('2', 'entry too old; '.repeat(20_000))));
    await done();
    expect(counts).toEqual({ sent: 8, dead: 2, failures: 0 });
  });

  test('that rejects all of everything is a receiver that refuses everything', async () => {
    const { counts, shipper } = ship(10, await answering(() => rejecting('10')));
    await until(() => counts.failures > 1, 'tries');
    expect([shipper.behind(), counts.sent, counts.dead]).toEqual([10, 0, 0]);
  });

  test.each([
    '',
    ' ',
    '{}',
    '{"partialSuccess":{}}',
    '{"partialSuccess":null}',
    '{"partialSuccess":{"rejectedLogRecords":null,"errorMessage":null}}',
    rejecting('0'),
  ])('%j takes all', async (text) => {
    const { counts, done } = ship(10, await answering(() => text));
    await done();
    expect(counts).toEqual({ sent: 10, dead: 0, failures: 0 });
  });

  describe('in Protocol Buffers', () => {
    /** The message of field 1, with a message of an error behind the count. */
    const partial = (...count: number[]): Buffer => {
      const message = Buffer.from([...count, 0x12, 2, 0x6e, 0x6f]);
      return Buffer.from([0x0a, message.length, ...message]);
    };
    const type = 'application/x-protobuf';

    test.each([
      ['nothing', Buffer.alloc(0), 0],
      ['an empty partialSuccess', Buffer.from([0x0a, 0]), 0],
      ['a warning alone', partial(), 0],
      ['a count of 0', partial(0x08, 0), 0],
      ['a count of 2', partial(0x08, 2), 2],
      [
        'a count of two bytes, and fields that nobody knows',
        Buffer.concat([Buffer.from([0x11, 1, 2, 3, 4, 5, 6, 7, 8, 0x1d, 1, 2, 3, 4, 0x20, 9]), partial(0x08, 0x82, 0)]),
        2,
      ],
    ])('that has %s is read', async (_, answer, dead) => {
      const { counts, done } = ship(10, await answering(() => answer, type));
      await done();
      expect(counts).toEqual({ sent: 10 - dead, dead, failures: 0 });
    });

    test.each([
      ['is cut off', partial(0x08, 2).subarray(0, 4)],
      ['has a number without an end', partial(0x08, ...Array.from({ length: 11 }, () => 0xff))],
      ['counts less than none', partial(0x08, ...Array.from({ length: 9 }, () => 0xff), 1)],
      ['counts by a text', partial(0x0a, 1, 0x32)],
      ['has a number as partialSuccess', Buffer.from([0x08, 2])],
      ['has a group', Buffer.from([0x0b, 0x0c])],
      ['has a field without a number', Buffer.from([0, 0])],
      ['is a page', Buffer.from('<html>log in')],
      ['is JSON', Buffer.from('{}')],
    ])('that %s says of nothing that it was taken', async (_, answer) => {
      const { counts, shipper } = ship(10, await answering(() => answer, type));
      await until(() => counts.failures > 1, 'tries');
      expect([shipper.behind(), counts.sent, counts.dead]).toEqual([10, 0, 0]);
    });
  });
});
