import { PassThrough } from 'node:stream';
import { expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { ByteChain } from '../base/index.ts';
import { BodyBudget, RequestBody } from './request-body.ts';

// Whether a caller has the memory of all: the policy gives each body as much as there is.

const limits = { maxBytes: 100_000, timeoutMs: 1_000, owner: 'ana' };
const read = (budget: BodyBudget, bytes: number, owner = 'ana'): Promise<Buffer> => {
  const source = new PassThrough();
  source.end(Buffer.alloc(bytes));
  return new RequestBody(source, budget, fakeClock()).read({ ...limits, owner }, undefined);
};

test('a body has what its own limit gives it where its caller has no other', async () => {
  await expect(read(new BodyBudget(100_000), 100_000)).resolves.toHaveLength(100_000);
});

test('several bodies of one caller have half of the memory together', async () => {
  const budget = new BodyBudget(100_000);
  await expect(read(budget, 40_000)).resolves.toHaveLength(40_000);
  await expect(read(budget, 20_000)).rejects.toMatchObject({ code: 'caller_share_used' });
  await expect(read(budget, 10_000)).resolves.toHaveLength(10_000);
  await expect(read(budget, 50_000, 'bob')).resolves.toHaveLength(50_000);
});

test('whoever watches the memory of bodies hears of all that is taken, and of nothing that is not', async () => {
  const told: number[] = [];
  const budget = new BodyBudget(100_000, (bytes) => told.push(bytes));
  await read(budget, 40_000);
  await expect(read(budget, 20_000)).rejects.toMatchObject({ code: 'caller_share_used' });
  expect(told.reduce((sum, bytes) => sum + bytes, 0)).toBeGreaterThanOrEqual(40_000);
  expect(told.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThanOrEqual(50_000);
});

test('a body is the memory that came, in its pieces; very short ones are put together', async () => {
  const of = async (
    sizes: readonly number[],
  ): Promise<{ readonly came: readonly Buffer[]; readonly kept: ByteChain }> => {
    const source = new PassThrough();
    const came = sizes.map((size) => Buffer.from(new Uint8Array(size).fill(size & 0xff).buffer));
    const kept = new RequestBody(source, new BodyBudget(), fakeClock()).pieces(limits, undefined);
    for (const piece of came) source.write(piece);
    source.end();
    return { came, kept: await kept };
  };
  const large = await of([16_384, 9, 16_384]);
  expect(large.kept.pieces.map(({ buffer }) => buffer)).toEqual(large.came.map(({ buffer }) => buffer));
  for (const [at, { buffer }] of large.kept.pieces.entries()) expect(buffer).toBe(large.came[at]?.buffer);
  const short = await of([10, 20, 30]);
  expect(short.kept.pieces).toHaveLength(1);
  expect(short.kept.bytes()).toEqual(Buffer.concat(short.came));
});
