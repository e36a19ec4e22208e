import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compareResourceVersions, objectKey, refOfKey, resourcePath, resources } from './objects.ts';
import type { KubeObject } from './objects.ts';
import { createStore } from './store.ts';

interface Pod extends KubeObject {
  readonly spec: { readonly node: string };
}
const pod = (name: string, resourceVersion: string, node = 'one'): Pod => ({
  metadata: { namespace: 'ml', name, resourceVersion },
  spec: { node },
});
const node = (raw: KubeObject): string => (raw as Pod).spec.node;
const make = () => createStore(node, { node: (value) => [value] });

describe('a store', () => {
  test('never goes back to an older version', () => {
    const store = make();
    store.put(pod('a', '10', 'new'));
    expect(store.put(pod('a', '9', 'old'))).toBeUndefined();
    expect(store.put(pod('a', '10', 'same'))).toBeUndefined();
    expect(store.get('ml/a')).toBe('new');
  });

  test('indices follow every change', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ name: fc.constantFrom('a', 'b', 'c'), node: fc.constantFrom('x', 'y'), gone: fc.boolean() }),
        ),
        (steps) => {
          const store = make();
          const model = new Map<string, string>();
          steps.forEach(({ name, node, gone }, at) => {
            const object = pod(name, String(at + 1), node);
            if (gone) {
              store.remove(object);
              model.delete(name);
            } else {
              store.put(object);
              model.set(name, node);
            }
          });
          expect(store.size).toBe(model.size);
          for (const node of ['x', 'y']) {
            expect(store.by('node', node)).toHaveLength([...model.values()].filter((one) => one === node).length);
          }
        },
      ),
    );
  });

  test('a list makes it hold exactly that, and says what changed', () => {
    const store = make();
    store.put(pod('stays', '1'));
    store.put(pod('goes', '2'));
    store.put(pod('changes', '3'));
    const changes = store.replace(
      [pod('stays', '1'), pod('changes', '5', 'two'), pod('comes', '6')].map((raw) => store.prepare(raw, node)),
    );
    expect(changes).toEqual([
      { key: 'ml/goes', before: 'one', after: undefined },
      { key: 'ml/changes', before: 'one', after: 'two' },
      { key: 'ml/comes', before: undefined, after: 'one' },
    ]);
  });
});

describe('paths and versions', () => {
  test('a name cannot reach another path, and an empty one is no collection', () => {
    expect(resourcePath(resources.pods, { namespace: 'a/b', name: '../x?y' })).toBe(
      '/api/v1/namespaces/a%2Fb/pods/..%2Fx%3Fy',
    );
    expect(resourcePath(resources.inferencePolicies, { namespace: 'ml', name: 'a' }, 'status')).toBe(
      '/apis/sidegate.dev/v1alpha1/namespaces/ml/inferencepolicies/a/status',
    );
    expect(() => resourcePath(resources.pods, { namespace: 'ml', name: '' })).toThrow('empty name');
    expect(() => resourcePath(resources.namespaces, { name: '..' })).toThrow('empty name');
    expect(() => resourcePath(resources.pods, { name: 'a' })).toThrow('are in a namespace');
  });

  test('versions are ordered as numbers of any length', () => {
    expect(compareResourceVersions('9', '10')).toBeLessThan(0);
    expect(compareResourceVersions('90071992547409930', '90071992547409929')).toBeGreaterThan(0);
    expect(compareResourceVersions(undefined, '1')).toBeLessThan(0);
    expect(compareResourceVersions('x', '1')).toBeLessThan(0);
    expect(compareResourceVersions('007', '7')).toBe(0);
  });

  test('keys go both ways', () => {
    for (const ref of [{ namespace: 'ml', name: 'a' }, { name: 'a' }]) expect(refOfKey(objectKey(ref))).toEqual(ref);
  });
});
