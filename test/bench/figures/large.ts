import { printed, show } from '../bench.ts';
import type { Bench, Row } from '../bench.ts';
import type { BesideResult } from '../load/jobs.ts';
import type { Peer } from '../peers/peers.ts';
import { median } from '../statistics.ts';
import { makeBody } from '../texts.ts';
import { answerOf } from './throughput.ts';

const kib = 1024;

/** Cost by size, and whether others wait meanwhile. */
export async function large(bench: Bench): Promise<Row[]> {
  const sizes = bench.short ? [64 * kib, 256 * kib] : [256 * kib, 512 * kib, 1024 * kib];
  const largest = sizes.at(-1) ?? 0;
  const rounds = bench.short ? 1 : 3;
  const target = bench.target(bench.sidegate);
  /** Bytes of the answer to a big request. */
  const answerBytes = { prompt: (): number => 1024, answer: (size: number): number => size };
  /** Small requests through a peer, with big ones beside them or without. */
  const beside = async (peer: Peer, bigBody: string | undefined, bytes = 0): Promise<BesideResult> =>
    await bench.run({
      kind: 'beside',
      target: bench.target(peer),
      bigBody,
      bigs: bigBody === undefined ? 0 : bench.short ? 2 : 40,
      bigAnswer: answerOf(peer, bytes),
      smallBody: makeBody('json 1024'),
      smallAnswer: answerOf(peer),
      everyMs: 20,
      seconds: bench.short ? 0.5 : 4,
    });
  // What the client and the model server take for a big body themselves is in the figures of all.
  const peers = [bench.direct, bench.bare, bench.sidegate];
  const quiet = new Map<Peer, BesideResult>();
  for (const peer of peers) quiet.set(peer, await beside(peer, undefined));
  const rows: Row[] = [];
  for (const what of ['prompt', 'answer'] as const) {
    const body = (size: number): string =>
      what === 'prompt' ? makeBody('json 1024', { bytes: size }) : makeBody(`json ${size}`);
    const perMb: number[] = [];
    for (const size of sizes) {
      const costs: number[] = [];
      for (let round = 0; round < rounds; round++) {
        const requests = bench.short ? 2 : Math.ceil((8 * 1024 * kib) / size);
        const { cpu, result } = await bench.cost(bench.sidegate, {
          kind: 'closed',
          target,
          protocol: 'h1',
          connections: 1,
          requests,
          seconds: 10,
          body: body(size),
          answer: answerOf(bench.sidegate, answerBytes[what](size)),
        });
        costs.push((cpu * 1000 * 1024 * kib) / (result.requests * size));
      }
      perMb.push(median(costs));
    }
    const stalls = new Map<Peer, number[]>(peers.map((peer) => [peer, []]));
    const takes: number[] = [];
    let count = 0;
    for (let round = 0; round < rounds; round++) {
      for (const peer of peers) {
        const busy = await beside(peer, body(largest), answerBytes[what](largest));
        stalls.get(peer)?.push(busy.small.max - (quiet.get(peer)?.small.p50 ?? Number.NaN));
        if (peer !== bench.sidegate) continue;
        takes.push(busy.big.p50);
        count += busy.small.count;
      }
    }
    const growth = (perMb.at(-1) ?? Number.NaN) / (perMb[0] ?? Number.NaN);
    const of = (peer: Peer): readonly number[] => stalls.get(peer) ?? [];
    // The worst of all, less what client and model server usually take at worst: a bad moment of direct excuses nothing.
    const added = Math.max(...of(bench.sidegate)) - median(of(bench.direct));
    const list = (peer: Peer): string =>
      of(peer)
        .map((one) => show(one, 1))
        .join(', ');
    rows.push(
      {
        work: `1 MB ${what}: CPU ms per MB at ${sizes.map((size) => `${size / kib} KiB`).join(', ')}`,
        measured: `${perMb.map((cost) => show(cost, 1)).join(', ')}; last to first **${show(growth)}**; a 1 MB ${what} takes ${show(median(takes), 1)} ms`,
        target: 'linear (within 25%)',
        reached: printed(growth) <= 1.25,
      },
      {
        work: `1 MB ${what}: stall of other requests, worst of all ${count}, added to direct (the median of its rounds' worst)`,
        measured:
          `**+${show(added, 1)} ms** (over the quiet median, by round: direct ${list(bench.direct)}; bare ${list(bench.bare)}; ` +
          `Sidegate ${list(bench.sidegate)} ms)`,
        target: '<= 20 ms',
        reached: printed(added, 1) <= 20,
      },
    );
  }
  return rows;
}
