import { PassThrough } from 'node:stream';
import { expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
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
