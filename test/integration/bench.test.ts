import { expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

test('the bench works in its short form: every peer answers, what arrives is exact, and it ends by itself', () => {
  const run = spawnSync(process.execPath, ['test/bench/main.ts'], {
    cwd: join(import.meta.dirname, '../..'),
    env: { ...process.env, SHORT: '1', ONLY: 'throughput,lagAndHold,newConnections' },
    timeout: 100_000,
  });
  const said = `${run.stdout.toString()}${run.stderr.toString()}`;
  expect(said).toContain('5 figures');
  expect(said).toContain('streams not exact: 0');
  expect(said).toMatch(/Sidegate \d+, bare http-proxy \d+/);
  expect(run.status).toBe(0);
}, 120_000);
