import { describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { wantedLaunch } from './memory.ts';

const bare = { execArgv: [], env: { PATH: '/bin' } };

describe('the launch that is wanted', () => {
  test('bounds the heap and malloc, and keeps the environment', () => {
    expect(wantedLaunch(bare)).toEqual({
      execArgv: [
        '--max-semi-space-size=8',
        '--heap-growing-percent=75',
        '--no-maglev',
        '--no-allocation-site-pretenuring',
        '--expose-gc',
      ],
      env: { PATH: '/bin', MALLOC_ARENA_MAX: '2', MALLOC_TRIM_THRESHOLD_: '131072' },
    });
  });
  test('is reached in one step, so that the process starts itself once', () => {
    const wanted = wantedLaunch(bare);
    expect(wanted).toBeDefined();
    expect(wanted === undefined ? undefined : wantedLaunch(wanted)).toBeUndefined();
  });
  test.each<[string, readonly string[], string | undefined]>([
    [
      'arguments',
      [
        '--max-semi-space-size=32',
        '--maglev',
        '--heap_growing_percent=200',
        '--allocation-site-pretenuring',
        '--expose_gc',
      ],
      undefined,
    ],
    [
      'NODE_OPTIONS',
      [],
      ' --max_semi_space_size=32  --maglev --heap-growing-percent=200 --allocation_site_pretenuring --expose-gc',
    ],
  ])('leaves what %s set', (_where, execArgv, options) => {
    const env = { MALLOC_ARENA_MAX: '8', MALLOC_TRIM_THRESHOLD_: '1', NODE_OPTIONS: options };
    expect(wantedLaunch({ execArgv, env })).toBeUndefined();
  });
  test('adds what is missing before the flags that are there, and only that', () => {
    const env = { MALLOC_ARENA_MAX: '1' };
    expect(wantedLaunch({ execArgv: ['--cpu-prof', '--no-maglev'], env })).toEqual({
      execArgv: [
        '--max-semi-space-size=8',
        '--heap-growing-percent=75',
        '--no-allocation-site-pretenuring',
        '--expose-gc',
        '--cpu-prof',
        '--no-maglev',
      ],
      env: { MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '131072' },
    });
  });
});

describe('a start that is over', () => {
  const measure = (settle: string): number =>
    Number(
      execFileSync(
        process.execPath,
        [
          ...(wantedLaunch(bare)?.execArgv ?? []),
          '--input-type=module',
          '--eval',
          `import { getHeapSpaceStatistics } from 'node:v8';
          import { deferOptimizing } from ${JSON.stringify(resolve(import.meta.dirname, 'memory.ts'))};
          const optimize = deferOptimizing(process);
          let kept = [];
          for (let n = 0; n < 60; n++) kept = kept.slice(-10).concat([Array.from({ length: 50_000 }, (_, at) => ({ at }))]);
          kept = [];
          ${settle}
          const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
          console.log(space?.physical_space_size);`,
        ],
        { encoding: 'utf8' },
      ),
    );

  test('gives back the young generation that it grew', () => {
    const grown = measure('');
    expect(grown).toBeGreaterThan(4e6);
    expect(measure('optimize();')).toBeLessThan(grown / 4);
  });
});

describe('a sidecar that is started without any of it', () => {
  test('runs with all of it, in the process that was started, with its arguments', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sidegate-memory-'));
    try {
      const look = join(folder, 'look.cjs');
      writeFileSync(
        look,
        `process.on('exit', () => console.error(JSON.stringify({
          pid: process.pid, execArgv: process.execArgv, arguments: process.argv.slice(2), arenas: process.env.MALLOC_ARENA_MAX,
        })))`,
      );
      const main = resolve(import.meta.dirname, 'main.ts');
      const program = `echo $$ >&2; exec ${process.execPath} --require ${look} ${main} --help 2>&1 >/dev/null`;
      const [shell, told = '{}'] = execFileSync('sh', ['-c', `{ ${program}; } 2>&1`], {
        encoding: 'utf8',
        env: { PATH: process.env['PATH'] ?? '' },
      })
        .trim()
        .split('\n');
      expect(JSON.parse(told)).toEqual({
        pid: Number(shell),
        execArgv: [
          '--max-semi-space-size=8',
          '--heap-growing-percent=75',
          '--no-maglev',
          '--no-allocation-site-pretenuring',
          '--expose-gc',
          '--require',
          look,
        ],
        arguments: ['--help'],
        arenas: '2',
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
