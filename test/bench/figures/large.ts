import { show } from '../bench.ts';
import type { Bench, Row } from '../bench.ts';
import { median } from '../statistics.ts';
import { makeBody } from '../texts.ts';

const kib = 1024;

/** Cost by size, and whether others wait meanwhile. */
export async function large(bench: Bench): Promise<Row[]> {
  const sizes = bench.short ? [64 * kib, 256 * kib] : [256 * kib, 512 * kib, 1024 * kib];
  const rounds = bench.short ? 1 : 3;
  const target = bench.target(bench.sidegate);
  const small = makeBody('json 1024');
  const quiet = await bench.run({
    kind: 'beside',
    target,
    bigBody: undefined,
    bigs: 0,
    smallBody: small,
    everyMs: 20,
    seconds: bench.short ? 0.5 : 4,
  });
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
          check: { holds: '[confidential]', lacks: '4111' },
        });
        costs.push((cpu * 1000 * 1024 * kib) / (result.requests * size));
      }
      perMb.push(median(costs));
    }
    const busy = await bench.run({
      kind: 'beside',
      target,
      bigBody: body(sizes.at(-1) ?? 0),
      bigs: bench.short ? 2 : 40,
      smallBody: small,
      everyMs: 20,
      seconds: 0,
    });
    const growth = (perMb.at(-1) ?? Number.NaN) / (perMb[0] ?? Number.NaN);
    const stall = busy.small.max - quiet.small.p50;
    rows.push(
      {
        work: `1 MB ${what}: CPU ms per MB at ${sizes.map((size) => `${size / kib} KiB`).join(', ')}`,
        measured: `${perMb.map((cost) => show(cost, 1)).join(', ')}; last to first **${show(growth)}**; a 1 MB ${what} takes ${show(busy.big.p50, 1)} ms`,
        target: 'linear (within 25%)',
        reached: growth <= 1.25,
      },
      {
        work: `1 MB ${what}: stall of other requests, worst of ${busy.small.count}`,
        measured: `**+${show(stall, 1)} ms** over the quiet median (p99 ${show(busy.small.p99, 1)} ms; quiet: p50 ${show(quiet.small.p50, 1)}, p99 ${show(quiet.small.p99, 1)}, max ${show(quiet.small.max, 1)} ms)`,
        target: '<= 20 ms',
        reached: stall <= 20,
      },
    );
  }
  return rows;
}
