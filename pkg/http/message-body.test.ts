import { PassThrough } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { MessageBody } from './message-body.ts';
import { BodyBudget } from './request-body.ts';

const limits = { maxBytes: 1_000, timeoutMs: 5_000, owner: 'ana' };

function message(text: string): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(Buffer.byteLength(text), 1);
  return Buffer.concat([prefix, Buffer.from(text)]);
}

function open(budget = new BodyBudget()): {
  readonly source: PassThrough;
  readonly body: MessageBody;
  readonly clock: ReturnType<typeof fakeClock>;
} {
  const source = new PassThrough({ highWaterMark: 64 });
  const clock = fakeClock();
  return { source, clock, body: new MessageBody(source, budget, clock) };
}

test('the messages come one by one, wherever the bytes are cut, and all memory is given back', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ maxLength: 30 }), { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 60 }),
      async (texts, sizes) => {
        const budget = new BodyBudget();
        const { source, body } = open(budget);
        const bytes = Buffer.concat(texts.map(message));
        let from = 0;
        for (const size of [...sizes, bytes.length]) source.write(bytes.subarray(from, (from += size)));
        source.end();
        for (const text of texts) expect((await body.next(limits))?.equals(message(text))).toBe(true);
        expect(await body.next(limits)).toBeUndefined();
        expect([body.bytes, budget.used]).toEqual([bytes.length, 0]);
      },
    ),
    { numRuns: 50 },
  );
});

test('while nobody asks, nothing is read: the peer has to wait', async () => {
  const { source, body } = open();
  const next = body.next(limits);
  source.write(message('first'));
  expect((await next)?.toString()).toContain('first');
  for (let at = 0; at < 100 && source.write(message('x'.repeat(50))); at++) await Promise.resolve();
  await new Promise(setImmediate);
  expect(source.isPaused()).toBe(true);
  expect(body.bytes).toBeLessThan(500);
});

describe('is refused', () => {
  test('a message over the cap, before it is there', async () => {
    const { source, body } = open();
    const next = body.next(limits);
    source.write(message('x'.repeat(1_001)).subarray(0, 40));
    await expect(next).rejects.toMatchObject({ code: 'body_too_large' });
    await expect(body.next(limits)).rejects.toMatchObject({ code: 'body_too_large' });
  });

  test('one that ends in the middle', async () => {
    const { source, body } = open();
    const next = body.next(limits);
    source.end(message('hello').subarray(0, 7));
    await expect(next).rejects.toMatchObject({ code: 'invalid_request' });
  });

  test('one that has begun and does not come in time; one that nobody begins only where that is bounded', async () => {
    const { source, body, clock } = open();
    const next = body.next(limits);
    clock.advance(60_000);
    source.write(Buffer.from([0]));
    await new Promise(setImmediate);
    clock.advance(5_000);
    await expect(next).rejects.toMatchObject({ code: 'request_timeout' });
    const other = open();
    const first = other.body.next({ ...limits, beginMs: 1_000 });
    other.clock.advance(1_000);
    await expect(first).rejects.toMatchObject({ code: 'request_timeout' });
  });

  test('what finds no room in the memory of all, and what is over', async () => {
    const budget = new BodyBudget(20);
    const { source, body } = open(budget);
    const next = body.next(limits);
    source.write(message('x'.repeat(40)));
    await expect(next).rejects.toMatchObject({ code: 'overloaded' });
    expect(budget.used).toBe(0);
    const other = open(budget);
    const waiting = other.body.next(limits);
    other.body.release();
    await expect(waiting).rejects.toMatchObject({ code: 'malformed_http' });
  });
});
