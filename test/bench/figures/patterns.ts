import { printed, show } from '../bench.ts';
import type { Bench, Row } from '../bench.ts';
import type { PatternCounts } from '../policy.ts';
import { median } from '../statistics.ts';
import { makeBody } from '../texts.ts';
import { answerOf } from './throughput.ts';

/** What a policy of many patterns costs: of guards, which look for them in requests, and of masks, which do in answers. */
export async function manyPatterns(bench: Bench): Promise<Row[]> {
  const many = bench.short ? 60 : 1000;
  return [
    await measure(bench, many, 'that block requests', (guards) => ({ guards })),
    await measure(bench, many, 'that are masked in answers', (masks) => ({ masks })),
  ];
}

async function measure(
  bench: Bench,
  many: number,
  what: string,
  counts: (count: number) => PatternCounts,
): Promise<Row> {
  const few = await bench.sidecar('patterns-few', bench.policy(counts(10)));
  const lots = await bench.sidecar('patterns-many', bench.policy(counts(many)));
  const costs = new Map([few, lots].map((peer): [typeof peer, number[]] => [peer, []]));
  for (let round = 0; round <= (bench.short ? 1 : 3); round++) {
    for (const peer of [few, lots]) {
      const { cpu, result } = await bench.cost(peer, {
        kind: 'closed',
        target: bench.target(peer),
        protocol: 'h1',
        connections: 16,
        requests: bench.short ? 50 : 2500,
        seconds: 5,
        body: makeBody('json 1024'),
        answer: answerOf(peer),
      });
      // The first round warms the code.
      if (round > 0) costs.get(peer)?.push((cpu * 1000) / result.requests);
    }
  }
  const [cost10, costMany] = [median(costs.get(few) ?? []), median(costs.get(lots) ?? [])];
  const memory = lots.process.resident();
  await Promise.all([few.process.stop(), lots.process.stop()]);
  return {
    work: `${many} patterns ${what} in a policy against 10: CPU of a request with a 1 KB prompt and answer`,
    measured: `ratio **${show(costMany / cost10)}** (${show(cost10, 3)} and ${show(costMany, 3)} ms); start to ready with ${many}: ${show(lots.readyAfterMs, 0)} ms, resident ${show(memory, 0)} MB`,
    target: '<= 2 times',
    reached: printed(costMany / cost10) <= 2,
  };
}
