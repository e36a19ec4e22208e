import { expect, test } from '@jest/globals';
import { compileSnapshot } from '../core/index.ts';
import type { ReasonCode } from '../core/index.ts';
import { allow, authenticated, caller, policy, provider } from '../core/testing/policies.ts';
import { LiveRequests } from './live.ts';
import type { Runtime } from './runtime.ts';

const [first, second] = [
  { kty: 'EC', kid: '1', x: 'a' },
  { kty: 'EC', kid: '2', x: 'b' },
];
const ana = caller('ml/p/people');

function runtime(keys: readonly object[], maxGrantMs = 60_000): Runtime {
  const sidegate = { idp: 'okta', audiences: ['inference'], issuer: 'https://s/saml/okta' };
  const one = policy('p', {
    providers: [{ ...provider('people'), oidc: undefined, sidegate: { ...sidegate, keys: JSON.stringify({ keys }) } }],
    access: [allow('all', { subjects: [authenticated] })],
    approvals: { approvers: [], required: 1, timeoutMs: 60_000, maxGrantMs },
  });
  return { snapshot: compileSnapshot([one], { revision: 0 }), verifier: {} } as Runtime;
}

/** Why a request that waits for people under one policy ended when another came. */
function ended(before: Runtime, after: Runtime): ReasonCode | undefined {
  const live = new LiveRequests();
  let code: ReasonCode | undefined;
  live.add({
    place: -1,
    runtime: before,
    facts: { caller: ana, operation: 'Chat', model: 'm' },
    plan: before.snapshot.responsePlan(ana),
    bound: true,
    end: (why) => void (code = why),
  });
  live.swap(after);
  return code;
}

test('what waits for people ends with any edit of policy, and with the key that proved its caller', () => {
  expect(ended(runtime([first]), runtime([first], 61_000))).toBe('policy_changed');
  expect(ended(runtime([first, second]), runtime([second]))).toBe('policy_changed');
  expect(ended(runtime([]), runtime([first], 61_000))).toBe('policy_changed');
});

test('a key of Sidegate’s that is added ends nothing that waits', () => {
  const [before, after] = [runtime([first]), runtime([first, second])];
  expect(after.snapshot.hash).not.toBe(before.snapshot.hash);
  expect(ended(before, after)).toBeUndefined();
});
