import { expect, test } from '@jest/globals';
import { tales } from '../../test/support/grpc-stories.ts';
import { compileSnapshot } from '../core/index.ts';
import type { RouteSpec, ServiceSpec } from '../core/index.ts';
import { allow, anyone, guard, policy } from '../core/testing/policies.ts';
import { endedMeanwhile, stillAllowed } from './live.ts';
import { compileViews } from './runtime.ts';
import type { Runtime } from './runtime.ts';

// A request that was judged and has not gone to the model, when policy is swapped.

const verifier = { verify: () => ({ kind: 'anonymous' }), close: () => undefined } as unknown as Runtime['verifier'];
const facts = { caller: undefined, operation: 'Chat', model: 'llama-3-8b' } as const;
const runtime = (revision: number, more: Parameters<typeof policy>[1] = {}): Runtime => {
  const rules = { access: [allow('all', { subjects: [anyone], operations: ['Chat', 'Other'] })], ...more };
  return {
    ...compileViews(compileSnapshot([policy('p', rules)], { revision }), undefined, Buffer.alloc(32)),
    verifier,
    credential: undefined,
  };
};
const guarded = (word: string, action: 'Block' | 'Mask' = 'Block'): Parameters<typeof policy>[1] => ({
  guards: [guard('project', { on: 'Request', match: { detectors: [], patterns: [], words: [word] }, action })],
});

test.each([
  ['the same', guarded('falcon'), guarded('falcon'), undefined],
  ['one with a guard more', {}, guarded('falcon'), 'policy_changed'],
  ['one whose guard looks for something else', guarded('falcon'), guarded('kestrel'), 'policy_changed'],
  ['one whose guard does something else', guarded('falcon'), guarded('falcon', 'Mask'), 'policy_changed'],
  [
    'one with another model server',
    {},
    { upstream: { ports: [], hosted: { url: 'https://model.test' }, credential: undefined } },
    'policy_changed',
  ],
] as const)('by %s', (_, before, after, expected) => {
  const one = runtime(1, before);
  const plan = one.snapshot.responsePlan(undefined);
  expect(endedMeanwhile({ runtime: one, facts, plan }, runtime(2, after))).toBe(expected);
});

const route = (more: Partial<RouteSpec> = {}): RouteSpec => ({
  path: '/v1/stories',
  webSocket: false,
  operation: 'Chat',
  model: undefined,
  request: { format: 'JSON', texts: ['$.prompt'], values: [], others: 'Texts' },
  response: { format: 'JSON', texts: ['$.piece'], values: [], others: 'Texts', messages: 'Joined' },
  ...more,
});
const services: readonly ServiceSpec[] = [{ service: 'tales.v1.Tales', descriptorSet: tales, methods: [] }];

test.each([
  ['the same', { routes: [route()] }, { routes: [route()] }, [true, true, true]],
  ['none', { routes: [route()] }, {}, [false, false, true]],
  ['another operation', { routes: [route()] }, { routes: [route({ operation: 'Completions' })] }, [false, false, true]],
  ['one more', {}, { routes: [route()] }, [false, false, true]],
  ['services dropped', { grpcServices: services }, {}, [false, false, true]],
] as const)(
  'under way, where policies then describe %s: what is described, and what nobody knows, goes on only if they say the same',
  (_, before, after, expected) => {
    const one = runtime(1, before);
    const plan = one.snapshot.responsePlan(undefined);
    const requests = [{ facts, described: true }, { facts: { ...facts, operation: 'Other' } }, { facts }] as const;
    const goesOn = requests.map((request) => {
      const decided = { runtime: one, plan, ...request };
      return [stillAllowed(decided, runtime(2, after)), endedMeanwhile(decided, runtime(2, after)) === undefined];
    });
    expect(goesOn).toEqual(expected.map((one) => [one, one]));
  },
);
