import type { IncomingMessage } from 'node:http';
import { expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { AskedRight } from '../../kube/index.ts';
import { createFigureBook } from './figure-book.ts';
import { createTopRoutes } from './top-routes.ts';

const clock = fakeClock();
const rights: AskedRight[] = [];
const pods = [
  { namespace: 'ml', name: 'llama-0', uid: 'u-1' },
  { namespace: 'hr', name: 'qwen-0', uid: 'u-2' },
];
const book = createFigureBook(clock);
const routes = () =>
  createTopRoutes({
    book,
    pods: (namespace) => pods.filter((pod) => namespace === undefined || pod.namespace === namespace),
    reviewer: {
      knows: (token) => token.reveal() === 'known',
      authenticate: (token) =>
        token.reveal() === 'down'
          ? Promise.reject(new Error('connect ECONNREFUSED'))
          : Promise.resolve(
              ['good', 'known'].includes(token.reveal()) ? { username: 'vi', groups: ['viewers'] } : undefined,
            ),
      may(_user, right) {
        rights.push(right);
        return Promise.resolve(right.namespace === 'ml');
      },
    },
    replica: 'controller-1',
    clock,
  });
/** As a caller whose address has had no share yet. */
const asking = { from: '192.0.2.1', admitted: () => true };
const request = (url: string, token?: string, method = 'GET'): IncomingMessage =>
  ({ url, method, headers: token === undefined ? {} : { 'x-sidegate-token': token } }) as never;

test('figures go to whom RBAC allows them, in the namespace that is asked for and no other', async () => {
  const recent = { ms: 5_000, requests: 5, refused: 1 };
  const figures = { uptimeMs: 9, requests: 5, refused: 1, masked: 0, held: 0, live: 0, streams: 0, waiting: 0 };
  const message = { type: 'figures', optional: true, ...figures, generation: 'p@1', policyAgeMs: 2, recent } as const;
  book.take(pods[0]!, message);
  clock.advance(700);
  const ask = routes();
  expect(await ask(request('/v1/top?namespace=ml', 'good'), asking)).toEqual({
    status: 200,
    result: 'viewed',
    body: {
      replica: 'controller-1',
      pods: [{ ...pods[0], figures: { ...figures, generation: 'p@1', policyAgeMs: 2, recent, ageMs: 700 } }],
    },
  });
  expect(rights).toEqual([
    { verb: 'get', group: 'sidegate.dev', resource: 'inferencepolicies', subresource: 'top', namespace: 'ml' },
  ]);
  for (const url of ['/v1/top', '/v1/top?namespace=hr'])
    expect(await ask(request(url, 'good'), asking)).toMatchObject({ status: 403, result: 'refused' });
  book.forget(pods[0]!);
  expect(await ask(request('/v1/top?namespace=ml', 'good'), asking)).toMatchObject({
    body: { pods: [{ figures: null }] },
  });
});

test.each([
  ['no token', request('/v1/top'), { status: 401, result: 'refused' }],
  ['a token for something else', request('/v1/top', 'other'), { status: 401, result: 'refused' }],
  ['what cannot be a token', request('/v1/top', 'a b'), { status: 401, result: 'refused' }],
  ['another method', request('/v1/top', 'good', 'POST'), { status: 405, result: 'malformed' }],
  ['a namespace that is none', request('/v1/top?namespace=../hr', 'good'), { status: 400, result: 'malformed' }],
  ['two namespaces', request('/v1/top?namespace=ml&namespace=hr', 'good'), { status: 400, result: 'malformed' }],
  ['something more', request('/v1/top?pod=x', 'good'), { status: 400, result: 'malformed' }],
])('%s is refused', async (_what, asked, expected) => {
  rights.length = 0;
  expect(await routes()(asked, asking)).toMatchObject(expected);
  expect(rights).toEqual([]);
});

test('an API server that cannot be asked lets nobody look; other paths are not its own; there is a limit', async () => {
  const ask = routes();
  await expect(ask(request('/v1/top', 'down'), asking)).rejects.toThrow('ECONNREFUSED');
  expect(await ask(request('/v1/topmost', 'good'), asking)).toBeUndefined();
  const all = await Promise.all(Array.from({ length: 60 }, () => ask(request('/v1/top?namespace=ml', 'good'), asking)));
  expect(all.filter((one) => one?.status === 429)).toHaveLength(60 - 40);
});

test('who is not proven counts by its address, and takes no turn of those who are', async () => {
  const ask = routes();
  let share = 3;
  const few = (): boolean => share-- > 0;
  const statuses: (number | undefined)[] = [];
  for (const token of ['bad', 'bad', undefined, 'bad', undefined, 'good'])
    statuses.push((await ask(request('/v1/top?namespace=ml', token), { ...asking, admitted: few }))?.status);
  expect(statuses).toEqual([401, 401, 401, 429, 429, 429]);
  // Whose token is known needs no share.
  for (let at = 0; at < 40; at++)
    expect(await ask(request('/v1/top?namespace=ml', 'known'), { ...asking, admitted: few })).toMatchObject({
      status: 200,
    });
  expect(await ask(request('/v1/top?namespace=ml', 'known'), { ...asking, admitted: few })).toMatchObject({
    status: 429,
  });
});
