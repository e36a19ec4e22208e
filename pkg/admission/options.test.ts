import { describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../base/index.ts';
import type { Clock } from '../base/index.ts';
import { parseChartOptions } from '../inject/index.ts';
import { overlapMs, watchChartOptions } from './index.ts';
import { ca, chart, optionsYaml, testOptions } from './testing/hooks.ts';
import { until } from '../../test/support/wait.ts';

test('the file gives the options of pkg/inject', () => {
  expect(chart().for(testOptions.namespace, ca)).toEqual(testOptions);
});

describe('a file is refused', () => {
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

test('a changed file is taken, the one before stays accepted for a while, and a bad one changes nothing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-options-'));
  const file = join(folder, 'options.yaml');
  let now = 0;
  let tick = (): void => undefined;
  const results: string[] = [];
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    after: () => ({ cancel: () => undefined }),
    every: (_, run) => {
      tick = run;
      return { cancel: () => undefined };
    },
  };
  try {
    writeFileSync(file, optionsYaml());
    const source = await watchChartOptions({
      file,
      clock,
      logger: silentLogger,
      onRead: (result) => results.push(result),
    });
    const read = async (count: number): Promise<void> => {
      tick();
      await until(() => results.length >= count, 'the file is read');
    };
    writeFileSync(file, optionsYaml({ version: '0.2.0', previousImages: ['a:1'] }));
    await read(1);
    expect(source.current().images).toEqual([testOptions.image, 'a:1']);
    expect(source.accepted()).toHaveLength(2);
    writeFileSync(file, 'version: [');
    await read(2);
    expect(results).toEqual(['accepted', 'refused']);
    expect(source.current().images).toEqual([testOptions.image, 'a:1']);
    now += overlapMs;
    expect(source.accepted()).toEqual([source.current()]);
    source.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a file that is not there ends the start', async () => {
  await expect(
    watchChartOptions({
      file: '/nowhere/options.yaml',
      clock: {
        now: () => 0,
        monotonic: () => 0,
        after: () => ({ cancel: () => undefined }),
        every: () => ({ cancel: () => undefined }),
      },
      logger: silentLogger,
    }),
  ).rejects.toThrow();
});
