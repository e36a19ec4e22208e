import { expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** All but `controllerProcess`: it needs an API server, which a machine that runs this tier may not have. */
const groups =
  'throughput,grpc,websocket,latency,firstFrames,lagAndHold,costOfEvents,lateEvents,crowd,newConnections,large,manyPatterns,twoViews,footprint,mutations,' +
  'controlStreams,record,recordSearch,spoolCost';

test('the bench works in its short form: every peer answers, what arrives is exact, and it ends by itself', () => {
  const run = spawnSync(process.execPath, ['test/bench/main.ts'], {
    cwd: join(import.meta.dirname, '../..'),
    env: { ...process.env, SHORT: '1', ONLY: groups },
    timeout: 300_000,
  });
  const said = `${run.stdout.toString()}${run.stderr.toString()}`;
  expect(said).not.toMatch(/^failed|\w+ failed: /m);
  expect(said).toContain('47 figures');
  for (const group of groups.split(',')) expect(said).toContain(`(${group}: `);
  expect(said.match(/streams not exact: 0/g)).toHaveLength(3);
  expect(said).toMatch(/Sidegate \d+, bare http-proxy \d+/);
  expect(run.status).toBe(0);
}, 320_000);
