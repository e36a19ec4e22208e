import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { printed, show } from '../bench.ts';
import type { Bench, Row } from '../bench.ts';
import type { Peer } from '../peers/peers.ts';
import type { RecordingOptions, RecordingTell } from '../peers/recording.ts';
import { otherCore, portOf, proxyCore, start } from '../process.ts';
import type { Measured } from '../process.ts';
import { median } from '../statistics.ts';
import { makeBody } from '../texts.ts';
import { bundled, server } from './record.ts';

/**
 * What the way to the recorder costs a sidecar: the record in a spool that a stream empties, read again, proven and sent by TLS until it
 * is acknowledged, against the same record in a file. Two sidecars that are alike in all else, in turns.
 */
export async function spoolCost(bench: Bench): Promise<Row[]> {
  const bundle = await bundled({ recording: 'test/bench/peers/recording.ts' });
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-bench-spool-'));
  const recorder = server(bundle, otherCore);
  try {
    mkdirSync(join(folder, 'store'));
    mkdirSync(join(folder, 'spool'));
    writeFileSync(join(folder, 'policy.yaml'), bench.policy());
    const opened = await recorder.ask({ ask: 'open', folder: join(folder, 'store'), sidecars: 1 }, 'open');
    const [identity] = opened.identities;
    if (identity === undefined) throw new Error('the recorder made no identity');
    const { uid, cert, key } = identity;
    const start_ = async (name: string, path: string, to: RecordingOptions['recorder']): Promise<Recording> => {
      const file = join(folder, `${name}.json`);
      const common = { ...bench.certificate, upstream: `http://127.0.0.1:${String(bench.direct.port)}` };
      const options: RecordingOptions = { ...common, policy: join(folder, 'policy.yaml'), path, recorder: to };
      writeFileSync(file, JSON.stringify(options));
      const running = start({
        core: proxyCore,
        command: process.execPath,
        args: [join(bundle, 'recording.js'), file],
        ipc: true,
        onLine: (line) => process.stderr.write(`${name}: ${line}\n`),
      });
      const peer: Peer = { name: 'sidegate', tls: true, port: await portOf(running), process: running };
      return { peer, running };
    };
    const file = await start_('file', join(folder, 'audit.jsonl'), undefined);
    const spool = await start_('spool', join(folder, 'spool'), {
      port: opened.port,
      ca: opened.ca,
      uid,
      identity: { cert, key },
    });
    const costs = { file: [] as number[], spool: [] as number[] };
    const requests = bench.short ? 50 : 5_000;
    for (let round = 0; round <= bench.rounds; round++) {
      for (const [name, one] of [
        ['file', file],
        ['spool', spool],
      ] as const) {
        const before = one.running.cpu();
        const { requests: done } = await bench.run({
          kind: 'closed',
          target: bench.target(one.peer),
          protocol: 'h1',
          connections: 64,
          requests,
          seconds: 10,
          body: makeBody('json 1024'),
          answer: { bytes: 1024, masked: true },
        });
        await flush(one.running);
        // The first round warms the code.
        if (round > 0 || bench.short) costs[name].push(((one.running.cpu() - before) * 1000) / done);
      }
    }
    const ratios = costs.file.map((cost, at) => cost / (costs.spool[at] ?? Number.NaN));
    const ratio = median(ratios);
    return [
      {
        work: '1 KB JSON answers, 64 connections: requests per CPU-second of a sidecar whose record goes through its spool to the recorder until it is acknowledged, against one whose record is a file',
        measured: `ratio **${show(ratio)}** (${show(median(costs.spool), 3)} and ${show(median(costs.file), 3)} ms a request, in turns; pairs ${show(Math.min(...ratios))} to ${show(Math.max(...ratios))})`,
        target: '>= 0.95',
        reached: printed(ratio) >= 0.95,
      },
    ];
  } finally {
    await recorder.process.stop();
    for (const path of [bundle, folder]) rmSync(path, { recursive: true, force: true });
  }
}

interface Recording {
  readonly peer: Peer;
  readonly running: Measured;
}

/** @throws where what was recorded does not arrive. */
function flush({ child }: Measured): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('message', (told: RecordingTell) => {
      if ('flushed' in told && told.flushed) resolve();
      else reject(new Error('the record did not arrive'));
    });
    child.send({});
  });
}
