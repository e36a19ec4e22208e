import type { IncomingMessage } from 'node:http';
import { describe, expect, test } from '@jest/globals';
import type { PolicyEntry } from '../policies/policy-entry.ts';
import { createHealthRoutes } from './health-routes.ts';

const entry = (namespace: string | undefined, name: string, message = 'It is valid.'): PolicyEntry =>
  ({
    ...{ namespace, name, generation: 2, policy: { spec: 'what it says' }, selector: {} },
    status: {
      observedGeneration: 1,
      conditions: [{ type: 'Accepted', status: 'True', reason: 'Accepted', message, observedGeneration: 1 }],
    },
  }) as unknown as PolicyEntry;

const routesOf = (entries: readonly PolicyEntry[]) => createHealthRoutes({ index: { values: () => entries.values() } });
const ask = async (
  entries: readonly PolicyEntry[],
  url: string,
  { recorder = true, admitted = true, method = 'GET' } = {},
) => {
  const asking = { from: '192.0.2.1', recorder, admitted: () => admitted };
  return await routesOf(entries)({ url, method } as IncomingMessage, asking);
};
const names = (answer: Awaited<ReturnType<typeof ask>>): unknown =>
  (answer?.body as { policies: readonly { name: string }[] }).policies.map(({ name }) => name);

const some = [entry(undefined, 'base'), entry('ml', 'support'), entry('rag', 'search')];

describe('how policies are', () => {
  test('is told to the recorder: name, generation and conditions, and nothing of what they say', async () => {
    const answer = await ask(some, '/v1/policies?namespace=ml');
    expect(answer).toEqual({
      status: 200,
      result: 'viewed',
      body: {
        policies: [null, 'ml'].map((namespace) => ({
          ...{ namespace, name: namespace === null ? 'base' : 'support', generation: 2, observed: 1 },
          conditions: [{ type: 'Accepted', status: 'True', reason: 'Accepted', message: 'It is valid.' }],
        })),
        complete: true,
      },
    });
    expect(names(await ask(some, '/v1/policies'))).toEqual(['base', 'support', 'search']);
  });

  test('is told to nobody else', async () => {
    expect(await ask(some, '/v1/policies', { recorder: false })).toMatchObject({
      status: 403,
      body: { error: 'not_allowed' },
    });
    expect(await ask(some, '/v1/policies', { recorder: false, admitted: false })).toMatchObject({ status: 429 });
  });

  test.each([
    ['/v1/policies?name=a', 'GET', 400],
    ['/v1/policies?namespace=A', 'GET', 400],
    [`/v1/policies?${Array.from({ length: 21 }, (_, n) => `namespace=a${n}`).join('&')}`, 'GET', 400],
    ['/v1/policies', 'POST', 405],
  ])('%s %s is %i', async (url, method, status) => {
    expect(await ask(some, url, { method })).toMatchObject({ status });
  });

  test('other paths are others’', async () => {
    expect(await ask(some, '/v1/policies/x')).toBeUndefined();
  });

  test('is cut where it were too much to be read, and says so', async () => {
    const long = await ask(
      Array.from({ length: 2_000 }, (_, n) => entry('ml', `p${n}`, 'x'.repeat(4_096))),
      '/v1/policies',
    );
    expect(long).toMatchObject({ status: 200, body: { complete: false } });
    expect(JSON.stringify(long?.body).length).toBeLessThan(1_000_000);
    // What it is bounded by is what is sent.
    const wide = await ask(
      Array.from({ length: 2_000 }, (_, n) => entry('ml', `p${n}`, '請'.repeat(4_096))),
      '/v1/policies',
    );
    expect(Buffer.byteLength(JSON.stringify(wide?.body))).toBeLessThan(1_000_000);
    const many = await ask(
      Array.from({ length: 2_000 }, (_, n) => entry('ml', `p${n}`, '')),
      '/v1/policies',
    );
    expect(names(many)).toHaveLength(1_000);
  });
});
