import { printed, show } from '../bench.ts';
import type { Bench, Row } from '../bench.ts';
import { makeBody } from '../texts.ts';
import { median } from '../statistics.ts';
import { answerOf } from './throughput.ts';

export async function latency(bench: Bench): Promise<Row[]> {
  const peers = [bench.direct, ...bench.proxies];
  const seen = peers.map(() => ({ p50: [] as number[], p99: [] as number[] }));
  for (let round = 0; round < (bench.short ? 1 : 3); round++) {
    const { latencies } = await bench.run({
      kind: 'paced',
      targets: peers.map((peer) => bench.target(peer)),
      perSecond: 50,
      seconds: bench.short ? 1 : 12,
      body: makeBody('json 1024'),
      answers: peers.map((peer) => answerOf(peer)),
    });
    latencies.forEach(({ p50, p99 }, at) => {
      seen[at]?.p50.push(p50);
      seen[at]?.p99.push(p99);
    });
  }
  const p50 = seen.map((one) => median(one.p50));
  const p99 = seen.map((one) => median(one.p99));
  const added = (values: readonly number[], at: number): number =>
    (values[at] ?? Number.NaN) - (values[0] ?? Number.NaN);
  const ours = peers.indexOf(bench.sidegate);
  const listed = peers
    .map((peer, at) =>
      at === 0
        ? `direct ${show(p50[0] ?? 0)} / ${show(p99[0] ?? 0)}`
        : `${peer.name} +${show(added(p50, at))} / +${show(added(p99, at))}`,
    )
    .join(', ');
  return [
    {
      work: 'added latency at 50 requests/s (each of the peers in turn, 1 KB answers)',
      measured: `p50 **+${show(added(p50, ours))} ms**, p99 **+${show(added(p99, ours))} ms** (p50 / p99 in ms: ${listed})`,
      target: 'p50 <= 0.9 ms, p99 <= 2 ms',
      reached: printed(added(p50, ours)) <= 0.9 && printed(added(p99, ours)) <= 2,
    },
  ];
}
