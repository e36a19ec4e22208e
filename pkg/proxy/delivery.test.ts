import { describe, expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { ResponsePlanLimits } from '../core/index.ts';
import { ndjson, sse } from '../dialect/index.ts';
import type { StreamFraming } from '../dialect/index.ts';
import type { Exchange } from '../http/index.ts';
import { Delivery } from './delivery.ts';

const none: ResponsePlanLimits = {
  maxBytes: undefined,
  maxDurationMs: undefined,
  minDurationMs: undefined,
  padToMultipleOf: undefined,
  cadenceMs: undefined,
};

function setUp(limits: Partial<ResponsePlanLimits>, peer: { slow: boolean } = { slow: false }) {
  const clock = fakeClock();
  const began = clock.monotonic();
  const left: string[] = [];
  const note = (text: string): void => void left.push(`${clock.monotonic() - began} ${text}`);
  const text = (chunk: string | Uint8Array | undefined): string =>
    chunk === undefined ? '' : typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString();
  const exchange = {
    startedAt: began,
    backlogBytes: 7,
    start: () => note('head'),
    write: (chunk: string | Uint8Array) => {
      note(text(chunk));
      return !peer.slow;
    },
    end: (chunk?: string | Uint8Array) => note(`${text(chunk)}$`),
    respond: (_status: number, _headers: unknown, body: string | Uint8Array) => note(`${text(body)}$`),
  } as unknown as Exchange;
  const room: number[] = [];
  const departed: number[] = [];
  const delivery = new Delivery(exchange, { ...none, ...limits }, clock, {
    room: () => room.push(clock.monotonic() - began),
    departed: () => departed.push(delivery.waiting),
  });
  return { clock, left, room, departed, delivery };
}
const nothing = (): void => undefined;

describe('a stream', () => {
  test('without limits leaves as it comes', () => {
    const { clock, left, delivery } = setUp({});
    clock.advance(7);
    delivery.start(200, {}, sse);
    expect(delivery.write('a')).toBe(true);
    delivery.end('', nothing);
    expect(left).toEqual(['7 head', '7 a', '7 $']);
    expect(clock.pending).toBe(0);
  });

  test('with a cadence leaves at its multiples from the request on, head and end included', () => {
    const { clock, left, delivery } = setUp({ cadenceMs: 100 });
    clock.advance(130);
    delivery.start(200, {}, sse);
    delivery.write('a');
    clock.advance(20);
    delivery.write('b');
    clock.advance(200);
    delivery.write('c');
    delivery.end('!', () => left.push('left'));
    clock.advance(100);
    expect(left).toEqual(['200 head', '200 ab', '400 c!$', 'left']);
    expect(clock.pending).toBe(0);
  });

  test('tells what waits for a tick beside what waits for its peer, and when it has left', () => {
    const { clock, departed, delivery } = setUp({ cadenceMs: 100 });
    delivery.start(200, {}, sse);
    expect(delivery.waiting).toBe(7);
    delivery.write('abc');
    expect(delivery.waiting).toBe(10);
    expect(departed).toEqual([]);
    clock.advance(100);
    expect(departed).toEqual([7]);
  });

  test('with a cadence holds no more than a bound between two ticks', () => {
    const peer = { slow: false };
    const { clock, room, delivery } = setUp({ cadenceMs: 100 }, peer);
    delivery.start(200, {}, sse);
    expect(delivery.write('x'.repeat(262_143))).toBe(true);
    expect(delivery.write('y')).toBe(false);
    clock.advance(100);
    expect(room).toEqual([100]);
    expect(delivery.write('z')).toBe(true);
    // Where the peer is slow, its own word that it reads again is waited for.
    delivery.write('x'.repeat(262_144));
    peer.slow = true;
    clock.advance(100);
    expect(room).toEqual([100]);
    expect(delivery.write('z')).toBe(false);
    delivery.drained();
    expect(delivery.write('z')).toBe(true);
  });

  test('with padding as well sends a step at each tick without text, until its least duration', () => {
    const { clock, left, delivery } = setUp({ cadenceMs: 100, padToMultipleOf: 8, minDurationMs: 350 });
    delivery.start(200, {}, sse);
    delivery.write('abcde');
    clock.advance(250);
    delivery.end('f', nothing);
    clock.advance(500);
    const pad = ':     \n\n';
    expect(left).toEqual(['100 head', '100 abcde:\n\n', `200 ${pad}`, `300 ${pad}`, '400 f:    \n\n$']);
    expect(clock.pending).toBe(0);
  });

  test('whose framing has no comments is filled within its lines, and its pauses show', () => {
    const { clock, left, delivery } = setUp({ cadenceMs: 100, padToMultipleOf: 8 });
    delivery.start(200, {}, ndjson);
    delivery.write('{"a":1}\n{"é":2}\n');
    clock.advance(350);
    delivery.end('{}\n', nothing);
    clock.advance(100);
    expect(left).toEqual(['100 head', `100 {"a":1}\n{"é":2}${' '.repeat(7)}\n`, `400 {}${' '.repeat(5)}\n$`]);
  });

  test('whose frames are bytes leaves as those', () => {
    const binary: StreamFraming = { ...ndjson, encoding: 'latin1', padded: (text) => text };
    const { left, delivery } = setUp({ maxBytes: 2, padToMultipleOf: 8 });
    delivery.start(200, {}, binary);
    delivery.write('\u00c3\u00a9');
    delivery.end('', nothing);
    expect(left).toEqual(['0 head', '0 é', '0 $']);
  });

  test('whose ticks come late goes on in the rhythm and makes up for none', () => {
    const { clock, left, delivery } = setUp({ cadenceMs: 100, padToMultipleOf: 8 });
    delivery.start(200, {}, sse);
    clock.stall(330);
    clock.advance(170);
    expect(left.map((one) => one.split(' ')[0])).toEqual(['330', '330', '400', '500']);
    delivery.cancel();
  });

  test('covers nothing for a peer that does not read', () => {
    const peer = { slow: true };
    const { clock, left, delivery } = setUp({ cadenceMs: 100, padToMultipleOf: 8 }, peer);
    delivery.start(200, {}, sse);
    clock.advance(500);
    expect(left).toHaveLength(2);
    expect(delivery.write('x')).toBe(false);
    peer.slow = false;
    delivery.drained();
    clock.advance(200);
    expect(left).toHaveLength(4);
    delivery.cancel();
  });

  test('that fails leaves at once, behind what waited for its tick, or without it', () => {
    for (const keep of [true, false]) {
      const { clock, left, delivery } = setUp({ cadenceMs: 1_000, minDurationMs: 60_000 });
      delivery.start(200, {}, sse);
      delivery.write('a');
      clock.advance(30);
      delivery.fail('error', keep);
      expect(left).toEqual(['30 head', keep ? '30 aerror$' : '30 error$']);
      expect(clock.pending).toBe(0);
    }
  });

  test('that fails while its end waits never looks whole', () => {
    for (const cadenceMs of [undefined, 1_000]) {
      const { clock, left, delivery } = setUp({ cadenceMs, minDurationMs: 60_000 });
      delivery.start(200, {}, sse);
      delivery.end('[DONE]', () => left.push('left'));
      delivery.fail('error', true);
      clock.advance(100_000);
      expect(left).toEqual(['0 head', '0 error$']);
      expect(clock.pending).toBe(0);
    }
  });

  test('that nobody reads any more leaves no timer behind', () => {
    const { clock, left, delivery } = setUp({ cadenceMs: 100, padToMultipleOf: 8 });
    delivery.start(200, {}, sse);
    delivery.cancel();
    clock.advance(1_000);
    expect(left).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  test('that is not read (Observe) goes on as it comes, behind what waited, and ends', () => {
    const { clock, left, delivery } = setUp({ cadenceMs: 100, padToMultipleOf: 8 });
    delivery.start(200, {}, sse);
    delivery.write('a');
    delivery.pass(Buffer.from('raw'));
    clock.advance(1_000);
    delivery.end('', nothing);
    expect(left).toEqual(['0 head', '0 a', '0 raw', '1000 $']);
    expect(clock.pending).toBe(0);
  });

  test('longer than allowed is told', () => {
    const { delivery } = setUp({ maxBytes: 3 });
    delivery.start(200, {}, sse);
    delivery.write('abc');
    expect(() => delivery.write('d')).toThrow(expect.objectContaining({ code: 'response_too_large' }));
  });
});

describe('a whole answer', () => {
  const answer = { status: 200, headers: {}, body: '{}', json: true };

  test.each([
    ['at once', {}, 30, '30 {}$'],
    ['not before its least duration', { minDurationMs: 50 }, 30, '50 {}$'],
    ['at once after it', { minDurationMs: 50 }, 60, '60 {}$'],
    ['at a tick', { cadenceMs: 100 }, 130, '200 {}$'],
    ['at the tick after its least duration', { cadenceMs: 100, minDurationMs: 350 }, 130, '400 {}$'],
    ['padded with white space', { padToMultipleOf: 4 }, 0, '0 {}  $'],
  ])('leaves %s', (_name, limits, after, expected) => {
    const { clock, left, delivery } = setUp(limits);
    clock.advance(after);
    delivery.respond(answer, () => left.push('left'));
    clock.advance(1_000);
    expect(left).toEqual([expected, 'left']);
  });

  test('that is no JSON is not padded', () => {
    const { left, delivery } = setUp({ padToMultipleOf: 64 });
    delivery.respond({ ...answer, json: false }, nothing);
    expect(left).toEqual(['0 {}$']);
  });

  test('that waits and is cancelled does not leave', () => {
    const { clock, left, delivery } = setUp({ minDurationMs: 50 });
    delivery.respond(answer, nothing);
    delivery.cancel();
    clock.advance(100);
    expect(left).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});
