import { expect, test } from '@jest/globals';
import { createProving } from './proving.ts';

const never = new Promise<string>(() => undefined);
const good = (): Promise<string> => Promise.resolve('ana');

test('made-up tokens have some places of each address and of all, and none of whose token is known', async () => {
  const proving = createProving();
  for (let n = 0; n < 4; n++) void proving.as('10.0.0.1', false, () => never);
  await expect(proving.as('10.0.0.1', false, good)).rejects.toMatchObject({ status: 503, code: 'busy' });
  expect(await proving.as('10.0.0.2', false, good)).toBe('ana');
  for (let n = 0; n < 60; n++) void proving.as(`10.0.1.${n}`, false, () => never);
  await expect(proving.as('10.0.0.2', false, good)).rejects.toMatchObject({ code: 'busy' });
  expect(await proving.as('10.0.0.1', true, good)).toBe('ana');
});

test('a place is given back, whatever was found', async () => {
  const proving = createProving();
  for (let n = 0; n < 200; n++) {
    await proving.as('10.0.0.1', false, good);
    await expect(proving.as('10.0.0.1', false, () => Promise.reject(new Error('away')))).rejects.toThrow('away');
  }
});
