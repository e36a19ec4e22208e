import { describe, expect, it } from '@jest/globals';
import { checkUpdate, inject } from './index.ts';
import type { UpdateRule } from './index.ts';
import { testOptions } from './testing/options.ts';
import { changed, pod } from './testing/pods.ts';
import type { Json } from './testing/pods.ts';

interface Running {
  metadata: { labels: Record<string, string>; annotations: Record<string, string> };
  spec: { initContainers: [Json, Json]; containers: [Json] } & Json;
}

const result = inject(pod(), testOptions);
if (result.kind !== 'inject') throw new Error('not injected');
const running = result.pod;
const newer = 'sidegate/sidegate:0.2.0';
const images = [testOptions.image, newer];

const rows: readonly (readonly [string, readonly UpdateRule[], readonly UpdateRule[], (copy: Running) => void])[] = [
  ['nothing', [], [], () => undefined],
  ['another label', [], [], ({ metadata }) => (metadata.labels['app'] = 'b')],
  ['another annotation', [], [], ({ metadata }) => (metadata.annotations['note'] = 'b')],
  ['the image of the model', [], [], ({ spec }) => (spec.containers[0]['image'] = 'b:2')],
  ['the resources of the model', [], [], ({ spec }) => (spec.containers[0]['resources'] = { limits: { cpu: '2' } })],
  ['an ephemeral container', [], [], ({ spec }) => (spec['ephemeralContainers'] = [{ name: 'debug' }])],
  ['the label removed', ['label'], [], ({ metadata }) => delete metadata.labels['sidegate.dev/inference']],
  ['the label changed', ['label'], [], ({ metadata }) => (metadata.labels['sidegate.dev/inference'] = 'false')],
  [
    'an annotation of ours removed',
    ['annotations'],
    [],
    ({ metadata }) => delete metadata.annotations['sidegate.dev/port-map'],
  ],
  [
    'an annotation of ours changed',
    ['annotations'],
    [],
    ({ metadata }) => (metadata.annotations['sidegate.dev/port-map'] = '{}'),
  ],
  [
    'an annotation of ours added',
    ['annotations'],
    [],
    ({ metadata }) => (metadata.annotations['sidegate.dev/model-ports'] = '1'),
  ],
  [
    'the image of the sidecar, to one that is allowed',
    ['image'],
    [],
    ({ spec }) => (spec.initContainers[1]['image'] = newer),
  ],
  [
    'the image of the sidecar, to any',
    ['image'],
    ['allowed_image'],
    ({ spec }) => (spec.initContainers[1]['image'] = 'evil:1'),
  ],
  ['the image of init', ['image'], ['allowed_image'], ({ spec }) => (spec.initContainers[0]['image'] = 'evil:1')],
  [
    'the resources of the sidecar',
    ['resources'],
    [],
    ({ spec }) => (spec.initContainers[1]['resources'] = { limits: { memory: '1Mi' } }),
  ],
  ['the sidecar removed', ['containers'], [], ({ spec }) => spec.initContainers.pop()],
  [
    'several',
    ['label', 'image', 'resources'],
    ['allowed_image'],
    ({ metadata, spec }) => {
      metadata.labels = {};
      spec.initContainers[1]['image'] = 'evil:1';
      delete spec.initContainers[1]['resources'];
    },
  ],
  ['the spec removed', ['readable'], ['readable'], (copy) => delete (copy as Partial<Running>).spec],
];

describe('an update of a pod that runs', () => {
  it.each(rows)('%s: by anybody %j, by the controller %j', (_, byAnybody, byController, change) => {
    const next = changed(running, change as (copy: never) => void);
    const rules = (controller: boolean) =>
      checkUpdate(running, next, { byController: controller, images }).map(({ rule }) => rule);
    expect(rules(false)).toEqual(byAnybody);
    expect(rules(true)).toEqual(byController);
  });

  it('cannot make a pod an inference pod', () => {
    const plain = changed(pod(), (copy: Running) => (copy.metadata.labels = {}));
    expect(checkUpdate(plain, pod(), { byController: false, images })).toEqual([
      {
        rule: 'label',
        message:
          'the label sidegate.dev/inference is set at creation: change it in the pod template, and let the pods be made anew',
      },
    ]);
  });

  it('names the old object where that cannot be read', () => {
    expect(checkUpdate({}, running, { byController: true, images })[0]?.message).toBe(
      'the old object: pod.spec is missing',
    );
  });
});
