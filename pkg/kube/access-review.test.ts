import { beforeEach, expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { FakeClock } from '../../test/support/fake-clock.ts';
import { Secret } from '../base/index.ts';
import { createAccessReviewer } from './access-review.ts';
import type { AccessReviewer } from './access-review.ts';
import type { KubeClient } from './client.ts';

// What is kept of the API server's answers, and what whoever makes up tokens or namespaces can do to it.

let clock: FakeClock;
let asked: string[];
let fails: boolean;
let reviewer: AccessReviewer;
beforeEach(() => {
  clock = fakeClock();
  asked = [];
  fails = false;
  const create = (_: unknown, body: object): Promise<object> => {
    const { spec } = body as {
      readonly spec: { readonly token?: string; readonly resourceAttributes?: { readonly namespace?: string } };
    };
    const about = spec.token ?? `right in ${spec.resourceAttributes?.namespace}`;
    asked.push(about);
    if (fails) return Promise.reject(new Error('away'));
    const known = about.startsWith('good');
    return Promise.resolve({
      status:
        spec.token === undefined
          ? { allowed: about === 'right in ml' }
          : { authenticated: known, user: { username: known ? `user of ${about}` : '' }, audiences: ['here'] },
    });
  };
  reviewer = createAccessReviewer({ create } as unknown as Pick<KubeClient, 'create'>, clock, 'here');
});
const authenticate = (token: string) => reviewer.authenticate(new Secret(token));
const knows = (token: string): boolean => reviewer.knows(new Secret(token));
const may = (namespace: string) =>
  reviewer.may({ username: 'ana', groups: [] }, { verb: 'get', group: 'g', resource: 'r', namespace });

test('made-up tokens and namespaces take no good answer away', async () => {
  expect([await authenticate('good one'), await may('ml')]).toEqual([
    { username: 'user of good one', groups: [] },
    true,
  ]);
  for (let n = 0; n < 3_000; n++)
    expect([await authenticate(`made up ${n}`), await may(`no ${n}`)]).toEqual([undefined, false]);
  expect([knows('good one'), knows('made up 2999')]).toEqual([true, false]);
  asked = [];
  expect([await authenticate('good one'), await may('ml')]).toEqual([
    { username: 'user of good one', groups: [] },
    true,
  ]);
  expect(asked).toEqual([]);
});

test('an answer is asked for once, counts for 30 seconds, and of good ones the newest thousand are kept', async () => {
  await Promise.all([authenticate('good one'), authenticate('good one'), authenticate('no'), authenticate('no')]);
  expect(asked).toEqual(['good one', 'no']);
  clock.advance(29_999);
  await Promise.all([authenticate('good one'), authenticate('no')]);
  expect(asked).toHaveLength(2);
  clock.advance(1);
  expect(knows('good one')).toBe(false);
  await Promise.all([authenticate('good one'), authenticate('no')]);
  expect(asked).toHaveLength(4);
  for (let n = 0; n < 1_000; n++) await authenticate(`good ${n}`);
  expect([knows('good one'), knows('good 0')]).toEqual([false, true]);
});

test('what could not be asked is asked again', async () => {
  fails = true;
  await expect(authenticate('good one')).rejects.toThrow('away');
  fails = false;
  expect(await authenticate('good one')).toBeDefined();
  expect(asked).toEqual(['good one', 'good one']);
});
