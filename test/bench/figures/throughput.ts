import { interleaved, printed, show } from '../bench.ts';
import type { Bench, Row } from '../bench.ts';
import { makeBody } from '../texts.ts';
import type { Expected } from '../load/jobs.ts';
import type { Peer } from '../peers/peers.ts';

/** What comes of an answer of the model behind each peer: masked behind Sidegate, whole behind the others. */
export const answerOf = (peer: Peer, bytes = 1024): Expected => ({ bytes, masked: peer.name === 'sidegate' });

export async function throughput(bench: Bench): Promise<Row[]> {
  const body = makeBody('json 1024');
  const requests = bench.short ? 100 : 20_000;
  const measure =
    (protocol: 'h1' | 'h2') =>
    async (peer: Peer): Promise<number> => {
      const target = bench.target(peer);
      const { cpu, result } = await bench.cost(peer, {
        kind: 'closed',
        target,
        protocol,
        connections: 64,
        requests,
        seconds: 6,
        body,
        answer: answerOf(peer),
      });
      return result.requests / cpu;
    };
  // Caches, inlining and connection pools settle in a round that does not count.
  const floor = await bench.floor();
  const http1Peers = [...bench.proxies, floor];
  await interleaved(1, http1Peers, measure('h1'));
  const h1 = await interleaved(bench.rounds, http1Peers, measure('h1'));
  await floor.process?.stop();
  const http2Peers = bench.proxies.filter((peer) => peer.name !== 'bare');
  await interleaved(1, http2Peers, measure('h2'));
  const h2 = await interleaved(bench.rounds, http2Peers, measure('h2'));

  const [ours = Number.NaN, bare = Number.NaN, nginx = Number.NaN] = [
    h1.get('sidegate'),
    h1.get('bare'),
    h1.get('nginx'),
  ];
  const least = h1.get('floor') ?? Number.NaN;
  const ours2 = h2.get('sidegate') ?? Number.NaN;
  const work = '1 KB JSON answers, keep-alive, 64 connections, full policy';
  return [
    {
      work: `${work}: requests per CPU-second, HTTP/1.1`,
      measured:
        `Sidegate ${show(ours, 0)}, bare http-proxy ${show(bare, 0)}, nginx ${show(nginx, 0)}; ` +
        `ratio to bare **${show(ours / bare)}**; CPU ${show(1000 / ours, 3)} ms a request, of which ${show(1000 / least, 3)} ms are ` +
        'the floor (node:https and our client with nothing between them)',
      target: '>= 0.75 of bare http-proxy over TLS (aim 1.05)',
      reached: printed(ours / bare) >= 0.75,
    },
    {
      work: `${work}: requests per CPU-second, HTTP/2 (64 streams on 4 connections)`,
      measured:
        `Sidegate ${show(ours2, 0)}, nginx ${show(h2.get('nginx') ?? Number.NaN, 0)}; ` +
        `ratio to bare over HTTP/1.1 **${show(ours2 / bare)}**, to Sidegate over HTTP/1.1 ${show(ours2 / ours)}`,
      target: 'a row of its own',
      reached: undefined,
    },
  ];
}
