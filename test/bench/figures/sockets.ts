import { printed, show } from '../bench.ts';
import type { Bench, Row } from '../bench.ts';
import type { Peer } from '../peers/peers.ts';
import { median } from '../statistics.ts';

const kinds = {
  echo: { what: 'of a described route, 60 bytes, each answered by one', connections: 16, window: 4, messages: 15_000 },
  answer: { what: 'of Realtime, an answer in 21 to each of the caller', connections: 16, window: 1, messages: 2_000 },
} as const;

/** Messages of WebSockets, through ours and through a proxy made of the package `ws` that looks at nothing, in turns. */
export async function websocket(bench: Bench): Promise<Row[]> {
  const { model, bare, sidegate } = await bench.sockets();
  const measure = async (peer: Peer, what: keyof typeof kinds): Promise<number> => {
    const { connections, window, messages } = kinds[what];
    const { cpu, result } = await bench.cost(peer, {
      ...{ kind: 'messages', target: bench.target(peer), what, connections, window },
      messages: bench.short ? 64 : messages,
      seconds: 6,
    });
    return result.messages / cpu;
  };
  const rows: Row[] = [];
  for (const what of ['echo', 'answer'] as const) {
    const ratios: number[] = [];
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = bench.short ? 1 : 0; round <= bench.rounds; round++) {
      const [one, other] = [await measure(bare, what), await measure(sidegate, what)];
      if (round === 0) continue; // what settles in it does not count
      ratios.push(other / one);
      ours.push(other);
      theirs.push(one);
    }
    const rate = median(ours);
    rows.push({
      work: `WebSocket: messages ${kinds[what].what}, full policy, ${kinds[what].connections} connections: messages per CPU-second, both ways`,
      measured: `Sidegate **${show(rate, 0)}**, bare ws ${show(median(theirs), 0)}; ratio ${show(median(ratios))} (median of pairs)`,
      target: '>= 10,000 on one core',
      reached: printed(rate, 0) >= 10_000,
    });
  }
  for (const peer of [bare, sidegate]) await peer.process?.stop();
  await model.stop();
  return rows;
}
