import { printed, show } from '../bench.ts';
import type { Bench, Row } from '../bench.ts';
import { median } from '../statistics.ts';
import { makeBody } from '../texts.ts';
import { answerOf } from './throughput.ts';

/** Start, and memory idle and under load. */
export async function footprint(bench: Bench): Promise<Row[]> {
  const starts: number[] = [];
  const idles: number[] = [];
  for (let n = 0; n < (bench.short ? 1 : 7); n++) {
    const fresh = await bench.sidecar('footprint');
    starts.push(fresh.readyAfterMs);
    await new Promise((resolve) => setTimeout(resolve, bench.short ? 100 : 1500));
    idles.push(fresh.process.resident());
    await fresh.process.stop();
  }

  const h1 = await underLoad(bench, 'h1');
  const h2 = await underLoad(bench, 'h2');
  const [start, idle] = [median(starts), median(idles)];
  return [
    {
      work: 'process start to ready',
      measured: `**${show(start, 0)} ms** (worst of ${starts.length}: ${show(Math.max(...starts), 0)} ms)`,
      target: '<= 400 ms',
      reached: printed(start, 0) <= 400,
    },
    {
      work: 'resident memory, idle',
      measured: `**${show(idle, 0)} MB**`,
      target: '<= 80 MB',
      reached: printed(idle, 0) <= 80,
    },
    ...rows('HTTP/1.1, 64 connections', h1),
    ...rows('HTTP/2, 64 streams on 4 connections', h2),
  ];
}

interface Load {
  /** The most that was seen, MB. */
  readonly most: number;
  /** Requests served when `after` was taken. */
  readonly counts: readonly number[];
  readonly after: readonly number[];
}

/** A sidecar of its own for each protocol, so that neither is measured on the other's heap. */
async function underLoad(bench: Bench, protocol: 'h1' | 'h2'): Promise<Load> {
  const loaded = await bench.sidecar(`memory-${protocol}`);
  const step = bench.short ? 64 : 20_000;
  const after: number[] = [];
  const counts: number[] = [];
  let served = 0;
  let most = 0;
  const sampler = setInterval(() => (most = Math.max(most, loaded.process.resident())), 200);
  for (let n = 0; n < 5; n++) {
    const { requests } = await bench.run({
      kind: 'closed',
      target: bench.target(loaded),
      protocol,
      connections: 64,
      requests: step,
      seconds: 25,
      body: makeBody('json 1024'),
      answer: answerOf(loaded),
    });
    served += requests;
    counts.push(served);
    after.push(loaded.process.resident());
  }
  clearInterval(sampler);
  await loaded.process.stop();
  return { most, counts, after };
}

function rows(over: string, { most, counts, after }: Load): Row[] {
  const growth = (after.at(-1) ?? Number.NaN) / (after[0] ?? Number.NaN);
  return [
    {
      work: `resident memory under the 1 KB load, ${over}: the most seen`,
      measured: `**${show(most, 0)} MB**`,
      target: '<= 130 MB',
      reached: printed(most, 0) <= 130,
    },
    {
      work: `resident memory, ${over}: after ${counts.map((one) => one.toLocaleString('en')).join(', ')} requests`,
      measured: `${after.map((one) => show(one, 0)).join(', ')} MB; last to first ${show(growth)}`,
      target: 'flat (within 10%)',
      reached: printed(growth) <= 1.1,
    },
  ];
}
