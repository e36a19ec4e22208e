import { show } from '../bench.ts';
import type { Bench, Row } from '../bench.ts';
import { median } from '../statistics.ts';
import { makeBody } from '../texts.ts';
import { jsonCheck } from './throughput.ts';

export async function manyPatterns(bench: Bench): Promise<Row[]> {
  const many = bench.short ? 100 : 1000;
  const few = await bench.sidecar('patterns-few', bench.policy(10));
  const lots = await bench.sidecar('patterns-many', bench.policy(many));
  const requests = bench.short ? 100 : 2500;
  const costs = new Map([few, lots].map((peer): [typeof peer, number[]] => [peer, []]));
  for (let round = 0; round <= (bench.short ? 1 : 3); round++) {
    for (const peer of [few, lots]) {
      const { cpu, result } = await bench.cost(peer, {
        kind: 'closed',
        target: bench.target(peer),
        protocol: 'h1',
        connections: 16,
        requests,
        seconds: 5,
        body: makeBody('json 1024'),
        check: jsonCheck(peer),
      });
      // The first round warms the code.
      if (round > 0) costs.get(peer)?.push((cpu * 1000) / result.requests);
    }
  }
  const [cost10, cost1000] = [median(costs.get(few) ?? []), median(costs.get(lots) ?? [])];
  const memory = lots.process.resident();
  await Promise.all([few.process.stop(), lots.process.stop()]);
  return [
    {
      work: `${many} patterns in a policy against 10: CPU of a request with a 1 KB prompt and answer`,
      measured: `ratio **${show(cost1000 / cost10)}** (${show(cost10, 3)} and ${show(cost1000, 3)} ms); start to ready with ${many}: ${show(lots.readyAfterMs, 0)} ms, resident ${show(memory, 0)} MB`,
      target: '<= 2 times',
      reached: cost1000 / cost10 <= 2,
    },
  ];
}
