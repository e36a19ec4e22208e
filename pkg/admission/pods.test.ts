import { describe, expect, test } from '@jest/globals';
import { draw, drawnBytes, inject } from '../inject/index.ts';
import type { PatchOperation } from '../inject/index.ts';
import { applyPatch } from '../inject/testing/apply-patch.ts';
import { drawnOf } from '../inject/testing/options.ts';
import { changed, model, pod } from '../inject/testing/pods.ts';
import { createMutate, createValidatePod } from './index.ts';
import type { Verdict } from './review.ts';
import { ca, chart, emptyLookup, request, testHooks, testOptions } from './testing/hooks.ts';

const patched = (value: unknown, verdict: Verdict): unknown =>
  applyPatch(value, (verdict.patch ?? []) as readonly PatchOperation[]);

describe('a labelled pod', () => {
  test('gets exactly what injection gives, and passes as it is then', async () => {
    const { hook, events, render } = testHooks();
    const verdict = await createMutate(hook)(request({ object: pod() }));
    expect(verdict).toMatchObject({ allowed: true, audit: { injected: '{"8000":17400}' } });
    const expected = inject(pod(), testOptions);
    expect(patched(pod(), verdict)).toEqual(expected.kind === 'inject' && expected.pod);
    expect(await createValidatePod(hook)(request({ object: patched(pod(), verdict) }))).toEqual({ allowed: true });
    expect(verdict.warnings).toEqual([expect.stringContaining('set runAsNonRoot')]);
    expect(events).toMatchObject([{ kind: 'Pod', name: 'llama', reason: 'InjectionNote' }]);
    expect(await render()).toContain('sidegate_admission_reasons_total{code="loopback_open_to_root"} 1');
  });

  test('is left when it is injected already', async () => {
    const { hook } = testHooks();
    const once = patched(pod(), await createMutate(hook)(request({ object: pod() })));
    expect(await createMutate(hook)(request({ object: once }))).toMatchObject({ allowed: true, patch: [] });
  });

  test('is drawn for anew each time, and passes with what was drawn', async () => {
    const random = [1, 2].map((seed) => draw(Buffer.alloc(drawnBytes, seed)));
    const { hook } = testHooks({ drawn: () => random.shift() ?? draw(Buffer.alloc(drawnBytes)) });
    const object = pod({
      containers: [model({ lifecycle: { preStop: { httpGet: { port: 8000, path: '/bye' } } } })],
    });
    const once = patched(object, await createMutate(hook)(request({ object })));
    const twice = patched(once, await createMutate(hook)(request({ object: once })));
    const [first, second] = [once, twice].map((value) => drawnOf(value));
    expect(first).toEqual(draw(Buffer.alloc(drawnBytes, 1)));
    expect(second).toEqual(draw(Buffer.alloc(drawnBytes, 2)));
    for (const value of [once, twice])
      expect(await createValidatePod(hook)(request({ object: value }))).toEqual({ allowed: true });
  });

  test('is refused with every reason and its fix, and its owner is told', async () => {
    const { hook, events, render } = testHooks();
    const metadata = {
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'llama-1', controller: true }],
    };
    const bad = pod(
      { hostNetwork: true, hostPID: true },
      { labels: pod()['metadata']?.['labels' as never], ...metadata },
    );
    const verdict = await createMutate(hook)(request({ object: bad }));
    expect(verdict).toMatchObject({ allowed: false, audit: { refused: 'host_network,host_pid' } });
    expect(verdict.message).toMatch(/\[host_network\] .*; fix: .* \| \[host_pid\] .*; fix: remove hostPID/);
    expect(verdict.patch).toBeUndefined();
    expect(events).toEqual([
      expect.objectContaining({ kind: 'ReplicaSet', name: 'llama-1', reason: 'InjectionRefused' }),
    ]);
    expect(await render()).toContain('sidegate_admission_reasons_total{code="host_network"} 1');
  });

  test('is refused until there is an authority to trust', async () => {
    const { hook, render } = testHooks({ trust: () => undefined });
    for (const decide of [createMutate(hook), createValidatePod(hook)]) {
      const verdict = await decide(request({ object: pod() }));
      expect(verdict).toMatchObject({ allowed: false, status: 503 });
      expect(verdict.message).toContain('[no_authority]');
    }
    expect(await render()).toContain('sidegate_admission_failures_total{kind="no_authority"} 2');
  });

  test('leaves no Event behind a dry run', async () => {
    const { hook, events } = testHooks();
    expect(await createMutate(hook)(request({ object: pod(), dryRun: true }))).toMatchObject({ allowed: true });
    await createMutate(hook)(request({ object: pod({ hostPID: true }), dryRun: true }));
    expect(events).toEqual([]);
  });

  test.each<[string, boolean | undefined, boolean]>([
    ['in a governed namespace', true, true],
    ['in another', false, false],
    ['in one that is not known', undefined, false],
  ])('where the chart requires it, is taken only with the label: %s', async (_, governed, allowed) => {
    const options = chart({ governNamespaces: 'Required' });
    const lookup = { ...emptyLookup, namespaceGoverned: () => Promise.resolve(governed) };
    const { hook } = testHooks({ options: () => options, accepted: () => [options], lookup });
    const verdict = await createMutate(hook)(request({ object: pod() }));
    expect(verdict.allowed).toBe(allowed);
    if (!allowed) expect(verdict.message).toContain('kubectl label namespace ml sidegate.dev/governed=true');
  });

  test('has the capture mode of its namespace', async () => {
    const options = chart({ captureModes: { tight: 'NamedPort' } });
    const { hook } = testHooks({ options: () => options, accepted: () => [options] });
    const of = async (namespace: string): Promise<string> =>
      JSON.stringify(patched(pod(), await createMutate(hook)(request({ object: pod(), namespace }))));
    expect(await of('tight')).toContain('"NamedPort"');
    expect(await of('ml')).not.toContain('"NamedPort"');
    expect(await of('__proto__')).not.toContain('"NamedPort"');
  });

  test('is refused when something changed it after injection', async () => {
    const { hook } = testHooks();
    const good = patched(pod(), await createMutate(hook)(request({ object: pod() })));
    const bad = changed(good, (copy: { spec: { containers: unknown[] } }) =>
      copy.spec.containers.push({ name: 'late', image: 'a:1' }),
    );
    const verdict = await createValidatePod(hook)(request({ object: bad }));
    expect(verdict).toMatchObject({ allowed: false, audit: { broken: 'raw_sockets,change_user' } });
  });

  test('passes when a replica with the options or the authority of before wrote it', async () => {
    const before = chart();
    const now = chart({ version: '0.2.0', image: 'sidegate/sidegate:0.2.0', previousImages: [testOptions.image] });
    const old = testHooks();
    const pods = patched(pod(), await createMutate(old.hook)(request({ object: pod() })));
    const decide = (accepted: readonly ReturnType<typeof chart>[], trust: string, earlier: readonly string[] = []) =>
      createValidatePod(
        testHooks({ options: () => now, accepted: () => accepted, trust: () => trust, earlierTrust: () => earlier })
          .hook,
      )(request({ object: pods }));
    expect(await decide([now, before], ca)).toEqual({ allowed: true });
    expect(await decide([now], ca)).toMatchObject({ allowed: false, audit: { broken: 'injected' } });
    expect(await decide([before], 'another')).toMatchObject({
      allowed: false,
      audit: { broken: 'environment,injected' },
    });
    expect(await decide([before], 'another', [ca])).toEqual({ allowed: true });
  });
});

describe('a pod that is not ours', () => {
  test('is let through as it is, and its reason is said', async () => {
    const { hook } = testHooks();
    const plain = pod({}, { labels: {} });
    const verdict = await createMutate(hook)(request({ object: plain }));
    expect(verdict).toMatchObject({ allowed: true, audit: { skipped: 'no_label' } });
    expect(verdict.patch).toBeUndefined();
  });

  test('may not carry a name of ours', async () => {
    const { hook } = testHooks();
    const fake = pod({ containers: [model(), { name: 'sidegate', image: 'a:1' }] }, { labels: {} });
    expect((await createMutate(hook)(request({ object: fake }))).message).toContain('[reserved_name]');
  });
});

test.each([
  ['another operation', { operation: 'UPDATE' as const }],
  ['a subresource', { subResource: 'binding' }],
  ['another resource', { resource: 'services' }],
  ['another group', { group: 'apps' }],
])('what is not the creation of a pod is refused: %s', async (_, more) => {
  const { hook, render } = testHooks();
  for (const decide of [createMutate(hook), createValidatePod(hook)]) {
    expect(await decide(request({ object: pod(), ...more }))).toMatchObject({ allowed: false });
  }
  expect(await render()).toContain('sidegate_admission_failures_total{kind="unexpected"} 2');
});

test.each([undefined, null, 7, 'pod', [], {}, { spec: 1 }, { metadata: { labels: 1 }, spec: { containers: [] } }])(
  'what is no pod is refused: %j',
  async (object) => {
    const { hook } = testHooks();
    expect(await createMutate(hook)(request({ object }))).toMatchObject({ allowed: false });
    expect(await createValidatePod(hook)(request({ object }))).toMatchObject({ allowed: false });
  },
);
