import { printed, show } from '../bench.ts';
import type { Bench, Row } from '../bench.ts';
import type { Peer } from '../peers/peers.ts';
import { median } from '../statistics.ts';

/** Unary calls of gRPC (KServe v2), ours and those of a proxy of node:http2 that looks at nothing, in turns. */
export async function grpc(bench: Bench): Promise<Row[]> {
  const { model, bare, sidegate } = await bench.rpc();
  const measure = async (peer: Peer, what: 'text' | 'tensor'): Promise<{ calls: number; bytes: number }> => {
    const { cpu, result } = await bench.cost(peer, {
      kind: 'calls',
      target: bench.target(peer),
      what,
      masked: peer.name === 'sidegate',
      concurrency: what === 'text' ? 64 : 4,
      calls: bench.short ? 40 : what === 'text' ? 20_000 : 1_000,
      seconds: 6,
    });
    return { calls: result.calls / cpu, bytes: result.bytes / cpu };
  };
  const ratios: number[] = [];
  const rates: Record<'ours' | 'bare' | 'tensor' | 'bareTensor', number[]> = {
    ours: [],
    bare: [],
    tensor: [],
    bareTensor: [],
  };
  for (let round = bench.short ? 1 : 0; round <= bench.rounds; round++) {
    const [theirs, ours] = [await measure(bare, 'text'), await measure(sidegate, 'text')];
    const [bareTensor, tensor] = [await measure(bare, 'tensor'), await measure(sidegate, 'tensor')];
    if (round === 0) continue; // what settles in it does not count
    ratios.push(ours.calls / theirs.calls);
    rates.ours.push(ours.calls);
    rates.bare.push(theirs.calls);
    rates.tensor.push(tensor.bytes / 1e6);
    rates.bareTensor.push(bareTensor.bytes / 1e6);
  }
  for (const peer of [bare, sidegate]) await peer.process?.stop();
  await model.stop();
  const ratio = median(ratios);
  const tensors = median(rates.tensor);
  return [
    {
      work: 'gRPC: unary ModelInfer, 1 KB of text each way, full policy, 64 at once: calls per CPU-second',
      measured: `Sidegate ${show(median(rates.ours), 0)}, bare node:http2 ${show(median(rates.bare), 0)}; ratio **${show(ratio)}** (median of pairs)`,
      target: '>= 0.5 of a bare Node gRPC proxy',
      reached: printed(ratio) >= 0.5,
    },
    {
      work: 'gRPC: unary ModelInfer, 1 MB of FP32 each way, full policy, 4 at once: MB per CPU-second, both ways together',
      measured: `Sidegate **${show(tensors, 0)}**, bare node:http2 ${show(median(rates.bareTensor), 0)}`,
      target: '>= 500 MB/s on one core',
      reached: printed(tensors, 0) >= 500,
    },
  ];
}
