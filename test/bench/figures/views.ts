import { show } from '../bench.ts';
import type { Bench, Row } from '../bench.ts';
import { median } from '../statistics.ts';
import { makeBody } from '../texts.ts';
import { streamsJob } from './streaming.ts';

/** What it costs that a caller is shown more than the record may hold: each answer is then masked by itself for the record. */
export async function twoViews(bench: Bench): Promise<Row[]> {
  const callers = ['other', 'insider'] as const;
  const answers = { other: [] as number[], insider: [] as number[] };
  const streams = { other: [] as number[], insider: [] as number[] };
  const requests = bench.short ? 50 : 5_000;
  const [count, events] = bench.short ? [4, 60] : [20, 300];
  for (let round = 0; round <= (bench.short ? 1 : 3); round++) {
    for (const caller of callers) {
      const target = bench.target(bench.sidegate, caller);
      const masked = caller === 'other';
      const whole = await bench.cost(bench.sidegate, {
        kind: 'closed',
        target,
        protocol: 'h1',
        connections: 16,
        requests,
        seconds: 10,
        body: makeBody('json 1024'),
        answer: { bytes: 1024, masked },
      });
      const job = streamsJob(bench, bench.sidegate, { count, events, everyMs: 10, perWrite: 1, rampMs: 10 });
      const streamed = await bench.cost(bench.sidegate, { ...job, target, masked });
      if (streamed.result.wrong > 0) throw new Error(`${streamed.result.wrong} streams are not what they should be`);
      // The first round warms the code.
      if (round === 0) continue;
      answers[caller].push((whole.cpu * 1000) / whole.result.requests);
      streams[caller].push((streamed.cpu * 1e6) / (count * events));
    }
  }
  const row = (work: string, costs: typeof answers): Row => {
    const [other, insider] = [median(costs.other), median(costs.insider)];
    return {
      work: `a caller who may see what the record may not, against one who may not: ${work}`,
      measured: `ratio **${show(insider / other)}** (${show(insider, 3)} and ${show(other, 3)} ms)`,
      target: '',
      reached: undefined,
    };
  };
  return [
    row('CPU of a request with a 1 KB answer', answers),
    row(`CPU of 1,000 events that each arrive in their own read (${count} streams)`, streams),
  ];
}
