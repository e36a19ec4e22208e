import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { allow, anyone, policy } from '../../pkg/core/testing/policies.ts';
import { snapshotOf, streamWorld, until } from '../support/stream.ts';
import type { StreamWorld } from '../support/stream.ts';

let world: StreamWorld;
beforeEach(async () => {
  world = await streamWorld();
});
afterEach(() => world.close());

describe('a sidecar and its controller', () => {
  test('a new pod gets certificates, policy and secrets; an edit is acknowledged', async () => {
    const pod = world.pod();
    world.directory.names.set(pod.uid, ['llama.ml', 'llama.ml.svc']);
    const first = snapshotOf([policy('p', { access: [allow('all', { subjects: [anyone] })] })]);
    world.directory.answers.set(pod.uid, { kind: 'snapshot', snapshot: first });
    const sidecar = world.sidecar(pod);
    await until(() => sidecar.answered().ready && sidecar.identity() !== undefined, 'ready');
    expect(sidecar.policy.current()?.hash).toBe(first.hash);
    await until(() => world.directory.reports.length === 2);
    expect(world.directory.reports.at(-1)).toMatchObject({
      hash: first.hash,
      sources: first.sources,
      portMap: { '8000': 17_400 },
    });
  });
});
