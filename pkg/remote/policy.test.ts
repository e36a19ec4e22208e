import { expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { silentLogger } from '../base/index.ts';
import { compileSnapshot } from '../core/index.ts';
import { policy } from '../core/testing/policies.ts';
import { createRemotePolicy } from './policy.ts';

const hour = 3_600_000;
const seen = { inferencepolicies: '1' };

function world() {
  const clock = fakeClock();
  const remote = createRemotePolicy({
    state: { read: () => ({ kind: 'absent' }), write: () => true },
    compile(policies, revision) {
      if (policies.some(({ name }) => name === 'newer')) throw new Error('unknown detector');
      return compileSnapshot(policies, { revision });
    },
    clock,
    logger: silentLogger,
    onEvent: () => undefined,
    onSettled: () => undefined,
  });
  const take = (name: string) => {
    const policies = [policy(name)];
    const { hash, sources } = compileSnapshot(policies, { revision: 0 });
    return remote.take({ type: 'snapshot', hash, sources, policies, seen });
  };
  /** Its controller says something every minute. */
  const pass = (ms: number): void => {
    for (let left = ms; left > 0; left -= 60_000) {
      clock.advance(60_000);
      remote.heard();
    }
  };
  return { remote, take, pass };
}

test('a controller that speaks confirms what it sent last', () => {
  const { remote, take, pass } = world();
  expect(take('p').type).toBe('ack');
  pass(72 * hour);
  expect(remote.expired()).toBe(false);
});

test.each<[string, (one: ReturnType<typeof world>) => unknown]>([
  ['cannot say what the pod has to enforce', ({ remote }) => remote.invalid({ type: 'invalid', message: 'no', seen })],
  ['has another policy, which is not taken', ({ take }) => take('newer')],
])('one that %s does not: what is in force ends with maxPolicyAge, until one is taken', (_what, say) => {
  const one = world();
  one.take('p');
  say(one);
  one.pass(23 * hour);
  // Said again, at another replica for one, it is no word for the old one either.
  say(one);
  expect(one.remote.expired()).toBe(false);
  one.pass(hour);
  expect(one.remote.expired()).toBe(true);
  expect(one.remote.source.current()?.access({ caller: undefined, operation: 'Chat', model: 'm' })).toMatchObject({
    refusal: { reason: 'policy_expired' },
  });
  expect(one.take('p').type).toBe('ack');
  expect(one.remote.expired()).toBe(false);
});
