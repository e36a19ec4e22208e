// `make bench`: every figure of docs/BENCHMARKS.md in one run, loopback only. SHORT=1 proves in seconds that it works and
// writes nothing; ONLY=throughput,latency runs some groups and writes nothing; OUT=FILE writes there; STRICT=1 fails where a target is missed;
// AGAIN=1 runs what failed in the whole run before, of the same commit, and writes the document.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setUp } from './bench.ts';
import type { Bench, Row } from './bench.ts';
import { newConnections } from './figures/connections.ts';
import { controllerProcess } from './figures/control-process.ts';
import { controlStreams } from './figures/control.ts';
import { footprint } from './figures/footprint.ts';
import { grpc } from './figures/grpc.ts';
import { large } from './figures/large.ts';
import { latency } from './figures/latency.ts';
import { manyPatterns } from './figures/patterns.ts';
import { record, recordSearch } from './figures/record.ts';
import { costOfEvents, crowd, firstFrames, lagAndHold, lateEvents } from './figures/streaming.ts';
import { spoolCost } from './figures/spool.ts';
import { throughput } from './figures/throughput.ts';
import { twoViews } from './figures/views.ts';
import { websocket } from './figures/sockets.ts';
import { mutations } from './figures/webhook.ts';
import { commit, keepRun, keptRun } from './kept-run.ts';
import type { KeptRun } from './kept-run.ts';
import { report, verdict } from './report.ts';
import { stopAll } from './process.ts';

const figures: Readonly<Record<string, (bench: Bench) => Promise<Row[]>>> = {
  throughput,
  grpc,
  websocket,
  latency,
  firstFrames,
  lagAndHold,
  costOfEvents,
  lateEvents,
  crowd,
  newConnections,
  large,
  manyPatterns,
  twoViews,
  footprint,
  mutations,
  controlStreams,
  controllerProcess,
  record,
  recordSearch,
  spoolCost,
};

/** It stops by itself: all groups take some 25 minutes. */
const longestMs = 45 * 60_000;

process.chdir(join(import.meta.dirname, '../..'));
const short = process.env['SHORT'] === '1';
const only = process.env['ONLY']?.split(',');
const strict = process.env['STRICT'] === '1';

let bench: Bench | undefined = undefined;
const giveUp = (why: string): void => {
  process.stderr.write(`the bench stops: ${why}\n`);
  void (bench?.close() ?? stopAll()).finally(() => process.exit(1));
};
const patience = setTimeout(() => giveUp('it takes too long'), longestMs);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => giveUp(signal));

const kept = process.env['AGAIN'] === '1' ? keptRun() : undefined;
const groups: Record<string, readonly Row[]> = { ...kept?.groups };
const failed: string[] = [];
const measured: string[] = [];
const begun = performance.now();
bench = await setUp(short);
const { say } = bench;
try {
  for (const [name, measure] of Object.entries(figures)) {
    if ((only !== undefined && !only.includes(name)) || groups[name] !== undefined) continue;
    const from = performance.now();
    try {
      const some = await measure(bench);
      groups[name] = some;
      measured.push(name);
      for (const row of some) say(`${row.work}\n    ${row.measured}\n    target ${row.target}: ${verdict(row)}`);
    } catch (error) {
      // One group that fails does not hide the others; it is named, and the run is not a success.
      failed.push(name);
      say(`${name} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
    say(`  (${name}: ${((performance.now() - from) / 1000).toFixed(1)} s)`);
  }
} finally {
  await bench.close();
  clearTimeout(patience);
}
const run: KeptRun = {
  commit: kept?.commit ?? commit(),
  date: kept?.date ?? new Date().toISOString().slice(0, 10),
  seconds: kept?.seconds ?? (performance.now() - begun) / 1000,
  groups,
  again: kept === undefined ? [] : [...kept.again, ...measured],
};
if (!short && only === undefined) keepRun(run);
const rows = Object.keys(figures).flatMap((name) => groups[name] ?? []);
const out = process.env['OUT'] ?? (short || only !== undefined ? undefined : 'docs/BENCHMARKS.md');
if (out !== undefined && failed.length === 0) writeFileSync(out, report(rows, run));
say(
  failed.length === 0
    ? `${rows.length} figures`
    : `failed: ${failed.join(', ')}${short || only !== undefined ? '' : ' (`AGAIN=1 make bench` runs these alone, and writes the document)'}`,
);
const missed = rows.filter(({ reached }) => reached === false);
if (strict) say(`targets missed: ${missed.length}`);
process.exit(failed.length === 0 && (!strict || missed.length === 0) ? 0 : 1);
