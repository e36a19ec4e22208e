import { expect, test } from '@jest/globals';
import { policyEntry } from './policy-entry.ts';
import type { PolicyEntry } from './policy-entry.ts';
import { createPolicyIndex } from './policy-index.ts';

test('policies of a namespace that are too much together are each measured once, not with each edit beside them', () => {
  let written = 0;
  const guard = {
    toJSON() {
      written++;
      return 'x'.repeat(1_048_576);
    },
  };
  const entryOf = (name: string, generation: number): PolicyEntry => {
    const metadata = { namespace: 'ml', name, uid: name, generation, resourceVersion: '1' };
    const spec = { access: [{ name: 'a', effect: 'Allow', subjects: [{ anyone: true }] }] };
    const made = policyEntry('InferencePolicy', { metadata, ...{ spec } }, () => undefined);
    const { policy } = made;
    if (policy === undefined) throw new Error(made.fault);
    return { ...made, policy: { ...policy, spec: { ...policy.spec, guards: [guard as never] } } };
  };
  const index = createPolicyIndex();
  for (let at = 0; at < 6; at++) index.put(entryOf(`p${at}`, 1));
  const pod = { namespace: 'ml', labels: {}, namespaceLabels: {} };
  const denied = { kind: 'compiled', denied: expect.stringContaining('more together than a sidecar takes') as unknown };
  expect(index.setOf(pod)).toMatchObject(denied);
  expect(written).toBe(6);
  index.put(entryOf('p0', 2));
  expect(index.setOf(pod)).toMatchObject(denied);
  expect(written).toBe(7);
});
