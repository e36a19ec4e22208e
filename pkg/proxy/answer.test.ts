import { expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { maskingViews } from '../../test/support/masked-stream.ts';
import { silentLogger } from '../base/index.ts';
import { certainties, finders, operations, reasons } from '../core/index.ts';
import { readSocketRecords, recogniseSocket, socketRecord, socketType } from '../dialect/index.ts';
import { BodyBudget } from '../http/index.ts';
import type { UpstreamHandler } from '../http/index.ts';
import { createMetrics } from '../telemetry/index.ts';
import { Answer } from './answer.ts';
import type { AnswerOptions } from './answer.ts';
import { LiveRequests } from './live.ts';
import { RecordWriter } from './record-writer.ts';
import { Session } from './session.ts';

/** A generic WebSocket that is open, whose model and whose caller's connection are the test's own. */
function opened() {
  const clock = fakeClock();
  const connection = { takes: true, drain: () => undefined as void, written: '', paused: false, turns: 0 };
  let model: UpstreamHandler | undefined;
  const exchange = {
    ...{ startedAt: clock.monotonic(), headers: {}, peer: '127.0.0.1', protocol: 'http/1.1', method: 'GET' },
    ...{ bytesIn: 0, bytesOut: 0, backlogBytes: 0, backlogged: false },
    onDrain: (listener: () => void) => void (connection.drain = listener),
    start: () => undefined,
    write: (chunk: string | Uint8Array) => {
      connection.written += Buffer.from(chunk as Uint8Array).toString('latin1');
      return connection.takes;
    },
  };
  const sink = { append: () => undefined, close: () => Promise.resolve() };
  const record = new RecordWriter(sink, clock, () => undefined);
  const codes = Object.keys(reasons);
  const options = {
    session: new Session({ id: 'id', clock, record, exchange: exchange as never, onFailedOpen: () => undefined }),
    exchange,
    runtime: { snapshot: { enforcing: true }, scanner: { rules: [] } },
    ...{ facts: { caller: undefined }, plan: { limits: {}, approve: [] }, views: maskingViews() },
    route: recogniseSocket('/ws'),
    upstream: {
      send: (_request: unknown, handler: UpstreamHandler) => {
        model = handler;
        return {
          pause: () => void (connection.paused = true),
          resume: () => void (connection.paused = false),
          abort: () => undefined,
        };
      },
    },
    ...{ live: new LiveRequests(), clock, logger: silentLogger, buffers: new BodyBudget() },
    metrics: createMetrics({
      clock,
      operations,
      codes,
      dialects: ['generic-websocket'],
      finders,
      certainties,
      processMetrics: false,
    }),
    turn: () => {
      connection.turns++;
      return new Promise<void>((resolve) => void setImmediate(resolve));
    },
    ...{ mayPass: () => false, stops: false, dropUsage: false, ownCredential: false, onResult: () => undefined },
  };
  new Answer(options as unknown as AnswerOptions).begin({} as never);
  model?.head(101, { 'content-type': socketType });
  return {
    clock,
    connection,
    say: (text: string, name = 'text') =>
      model?.data(socketRecord(0x81, Buffer.from(JSON.stringify({ [name]: text })))),
    heard: () =>
      readSocketRecords(Buffer.from(connection.written, 'latin1')).map(
        ({ payload }) => Object.values(JSON.parse(payload.toString('utf8')) as Record<string, string>)[0] ?? '',
      ),
  };
}

const long = 'plain words, and more. '.repeat(100);

test('what waits leaves a second after the model has said something', () => {
  const { clock, say, heard } = opened();
  say('it is 4111 11');
  clock.advance(999);
  expect(heard()).toEqual([]);
  clock.advance(1);
  expect(heard()).toEqual(['it is 4111 11']);
});

test('a caller who takes nothing is no silence of the model: it begins once they do', () => {
  const { clock, connection, say, heard } = opened();
  connection.takes = false;
  say(long);
  say('it is 4111 11');
  const before = heard();
  expect(connection.paused).toBe(true);
  clock.advance(60_000);
  expect(heard()).toEqual(before);
  connection.takes = true;
  connection.drain();
  expect(connection.paused).toBe(false);
  clock.advance(999);
  expect(heard()).toEqual(before);
  say('11 1111 1111, and no more of it than that. ');
  clock.advance(1_000);
  expect(heard().join('')).toBe(`${long}it is [hidden], and no more of it than that. `);
});

test('who took nothing for a while gets what waits a second after they do again', () => {
  const { clock, connection, say, heard } = opened();
  connection.takes = false;
  say(long);
  say('it is 4111 11');
  clock.advance(500);
  connection.takes = true;
  connection.drain();
  clock.advance(999);
  expect(heard().join('')).not.toContain('it is 4111 11');
  clock.advance(1);
  expect(heard().join('')).toBe(`${long}it is 4111 11`);
});

/** Of 100 texts of 30 KB the last words are held. */
function manyTexts(world: ReturnType<typeof opened>): void {
  const text = `${'plain words '.repeat(2_500)}it is 4111 11`;
  for (const one of 'abcdefghij') for (const other of 'klmnopqrst') world.say(text, one + other);
}
const isEnd = (text: string): boolean => text.endsWith('4111 11');
const endsOf = ({ heard }: ReturnType<typeof opened>): number => heard().filter(isEnd).length;
const idle = async (): Promise<void> => {
  for (let at = 0; at < 100; at++) await new Promise((resolve) => void setImmediate(resolve));
};

test('of many long texts that wait the ends are read in turns, and of each second about a million characters', async () => {
  const world = opened();
  manyTexts(world);
  expect(endsOf(world)).toBe(0);
  world.clock.advance(1_000);
  expect(endsOf(world)).toBeLessThan(4); // of one turn
  await idle();
  const first = endsOf(world);
  expect(first).toBeGreaterThan(30);
  expect(first).toBeLessThan(40);
  expect(world.connection.turns).toBeGreaterThanOrEqual(11);
  for (const all of [60, 90]) {
    world.clock.advance(1_000);
    await idle();
    expect(endsOf(world)).toBeGreaterThan(all);
  }
  expect(endsOf(world)).toBe(100);
});

test('a model that speaks meanwhile is silent no more: what is left waits for another second', async () => {
  const world = opened();
  manyTexts(world);
  world.clock.advance(1_000);
  const before = endsOf(world);
  world.say('it is me', 'xy');
  await idle();
  expect(endsOf(world)).toBe(before);
  for (let at = 0; at < 4; at++) {
    world.clock.advance(1_000);
    await idle();
  }
  expect(endsOf(world)).toBe(100);
});

test('a caller who takes nothing more meanwhile is no silence either', async () => {
  const world = opened();
  manyTexts(world);
  world.connection.takes = false;
  world.clock.advance(1_000);
  const before = endsOf(world);
  await idle();
  world.clock.advance(60_000);
  await idle();
  expect(endsOf(world)).toBe(before);
  world.connection.takes = true;
  world.connection.drain();
  for (let at = 0; at < 4; at++) {
    world.clock.advance(1_000);
    await idle();
  }
  expect(endsOf(world)).toBe(100);
});
