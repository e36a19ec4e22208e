import { describe, expect, test } from '@jest/globals';
import { silentLogger } from '../base/index.ts';
import type { Clock } from '../base/index.ts';
import { parseChartOptions } from '../inject/index.ts';
import { createOptionsHolder, overlapMs } from './index.ts';
import { ca, chart, optionsYaml, testOptions } from './testing/hooks.ts';

test('the text gives the options of pkg/inject', () => {
  expect(chart().for(testOptions.namespace, ca, testOptions.drawn)).toEqual(testOptions);
});

describe('options are refused', () => {
  test.each<[string, string, string]>([
    ['that is no map', '[]', 'no map'],
    ['with a field that is not known', optionsYaml({ captureMod: 'Redirect' }), 'captureMod'],
    ['with a field missing', optionsYaml({ image: undefined }), 'image'],
    ['with a mode that is none', optionsYaml({ captureMode: 'None' }), 'captureMode'],
    ['with a mode of a namespace that is none', optionsYaml({ captureModes: { ml: 'None' } }), 'captureModes'],
    ['with root as the sidecar', optionsYaml({ uid: 0 }), 'uid'],
    ['with a controller without TLS', optionsYaml({ controller: { url: 'http://a', name: 'a' } }), 'controller'],
    ['with a mesh without images', optionsYaml({ meshes: [{ name: 'a' }] }), 'meshes'],
    ['that is too large', `#${'x'.repeat(1_048_576)}`, '1 MiB'],
  ])('%s', (_, yaml, said) => {
    expect(() => parseChartOptions(yaml)).toThrow(said);
  });
});

describe('the options in force', () => {
  function holder() {
    let now = 0;
    const results: string[] = [];
    const idle = { cancel: () => undefined };
    const clock: Clock = { now: () => now, monotonic: () => now, after: () => idle, every: () => idle };
    const held = createOptionsHolder({ clock, logger: silentLogger, onRead: (result) => results.push(result) });
    return { held, results, pass: (ms: number) => (now += ms) };
  }

  test('are the last good ones; those before stay accepted for a while', async () => {
    const { held, results, pass } = holder();
    held.take(optionsYaml());
    await held.first();
    held.take(optionsYaml());
    expect(held.accepted()).toHaveLength(1);
    held.take(optionsYaml({ version: '0.2.0', previousImages: ['a:1'] }));
    expect(held.current().images).toEqual([testOptions.image, 'a:1']);
    expect(held.accepted()).toHaveLength(2);
    for (const bad of ['version: [', '', optionsYaml({ unheardOf: 1 }), undefined]) held.take(bad);
    expect(held.current().images).toEqual([testOptions.image, 'a:1']);
    expect(results).toEqual(['accepted', 'accepted', 'refused', 'refused', 'refused', 'refused']);
    pass(overlapMs);
    expect(held.accepted()).toEqual([held.current()]);
  });

  test('are none until there are good ones, and nothing is decided', async () => {
    const { held, results } = holder();
    let known = false;
    const first = held.first().then(() => (known = true));
    held.take(undefined);
    held.take('[]');
    expect(() => held.current()).toThrow('no options were read yet');
    expect(held.accepted()).toEqual([]);
    expect([known, results]).toEqual([false, ['refused', 'refused']]);
    held.take(optionsYaml());
    await first;
    expect(held.current().images).toEqual([testOptions.image]);
  });
});
