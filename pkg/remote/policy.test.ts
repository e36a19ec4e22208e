import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { silentLogger } from '../base/index.ts';
import { compileSnapshot } from '../core/index.ts';
import { policy } from '../core/testing/policies.ts';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRemotePolicy } from './policy.ts';
import { openStateFolder } from './state-file.ts';
import type { StateFolder } from './state-file.ts';

const hour = 3_600_000;
const seen = { inferencepolicies: '1' };

function world(state: StateFolder = { read: () => ({ kind: 'absent' }), write: () => true, remove: () => true }) {
  const clock = fakeClock();
  const events: string[] = [];
  const remote = createRemotePolicy({
    state,
    compile(policies, revision) {
      if (policies.some(({ name }) => name === 'newer')) throw new Error('unknown detector');
      return compileSnapshot(policies, { revision });
    },
    clock,
    logger: silentLogger,
    onEvent: (event) => void events.push(event),
    onSettled: () => undefined,
  });
  const take = (name: string, version = '1') => {
    const policies = [policy(name)];
    const { hash, sources } = compileSnapshot(policies, { revision: 0 });
    return remote.take({ type: 'snapshot', hash, sources, policies, seen: { inferencepolicies: version } });
  };
  /** Its controller says something every minute. */
  const pass = (ms: number, oldMs: (passed: number) => number = () => 0): void => {
    for (let passed = 60_000; passed <= ms; passed += 60_000) {
      clock.advance(60_000);
      remote.heard(oldMs(passed));
    }
  };
  return { remote, take, pass, events };
}

test('a controller that speaks confirms what it sent last', () => {
  const { remote, take, pass } = world();
  expect(take('p').type).toBe('ack');
  pass(72 * hour);
  expect(remote.expired()).toBe(false);
});

test('nor does one whose own copies grow old: what is in force ends with maxPolicyAge, until it hears again', () => {
  const { remote, take, pass } = world();
  take('p');
  pass(23 * hour, (passed) => passed);
  expect(remote.expired()).toBe(false);
  pass(hour, (passed) => 23 * hour + passed);
  expect(remote.expired()).toBe(true);
  pass(60_000);
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

describe('what is kept over a restart', () => {
  let folder: string;
  let full: boolean;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sidegate-state-'));
    full = false;
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** A volume that has no room for a policy, and room for little things. */
  const cramped = (removable = true): StateFolder => {
    const state = openStateFolder(folder, 'uid');
    return {
      read: (name) => state.read(name),
      write: (name, content) => !(full && name === 'policy.json') && state.write(name, content),
      remove: (name) => removable && state.remove(name),
    };
  };
  const inForce = ({ remote }: ReturnType<typeof world>): string | undefined =>
    remote.source.current()?.sources[0]?.name;

  test('is the policy that was taken last', () => {
    world(cramped()).take('p');
    const again = world(cramped());
    expect([inForce(again), again.remote.expired(), again.events]).toEqual(['p', false, []]);
  });

  test('is in force again where a controller that hears of nothing newer knows more than what was kept says', () => {
    const { pass } = ((one) => (one.take('p'), one))(world(cramped()));
    pass(60_000);
    rmSync(join(folder, 'confirmed.json'));
    const again = world(cramped());
    expect(again.remote.expired()).toBe(true);
    again.remote.heard(600_000);
    expect(again.remote.expired()).toBe(false);
  });

  test.each([true, false])(
    'is none where the last one could not be written: never the one before it (removable: %j)',
    (removable) => {
      const one = world(cramped(removable));
      one.take('older');
      full = true;
      expect(one.take('next', '2').type).toBe('ack');
      expect(one.events).toContain('state_unwritable');
      one.pass(60_000);
      const again = world(cramped(removable));
      expect([inForce(again), again.remote.holds()]).toEqual([undefined, null]);
      // What was seen is known: a replica that lags does not bring the older one back.
      expect(again.take('older').type).toBe('nack');
      full = false;
      expect(again.take('next', '2').type).toBe('ack');
      expect(inForce(world(cramped(removable)))).toBe('next');
    },
  );

  test('is the policy that was taken last, also where the process ended while it was put into force', () => {
    const { remote, take } = world(cramped());
    take('p');
    const killed = mkdtempSync(join(tmpdir(), 'sidegate-state-'));
    remote.source.subscribe(() => cpSync(folder, killed, { recursive: true }));
    take('q', '2');
    const again = world(openStateFolder(killed, 'uid'));
    rmSync(killed, { recursive: true });
    expect([inForce(again), again.remote.expired(), again.events]).toEqual(['q', false, []]);
    expect(again.take('p').type).toBe('nack');
  });

  test('is the policy, also where the process ended between its two files', () => {
    world(cramped()).take('p');
    const state = openStateFolder(folder, 'uid');
    state.remove('confirmed.json');
    const again = world(cramped());
    // Nobody knows when it was confirmed: until a controller does, everything is denied.
    expect([inForce(again), again.remote.expired()]).toEqual(['p', true]);
  });
});
