import { interleaved, printed, show } from '../bench.ts';
import type { Bench, Row } from '../bench.ts';
import { makeBody } from '../texts.ts';
import { answerOf } from './throughput.ts';

export async function newConnections(bench: Bench): Promise<Row[]> {
  const count = bench.short ? 30 : 600;
  const body = makeBody('json 1024');
  const costs = await interleaved(bench.short ? 1 : 3, bench.proxies, async (peer) => {
    const { cpu } = await bench.cost(peer, {
      kind: 'connects',
      target: bench.target(peer),
      count,
      concurrency: 8,
      body,
      answer: answerOf(peer),
    });
    return (cpu * 1000) / count;
  });
  const [ours = Number.NaN, bare = Number.NaN] = [costs.get('sidegate'), costs.get('bare')];
  const nginx = costs.get('nginx');
  return [
    {
      work: 'new TLS connection + request: CPU ms (P-256, TLS 1.3, nothing resumed)',
      measured:
        `**${show(ours, 3)} ms**, bare ${show(bare, 3)} ms (ratio ${show(ours / bare)})` +
        (nginx === undefined
          ? '; nginx is not installed here'
          : `, nginx ${show(nginx, 3)} ms (ratio ${show(ours / nginx)})`),
      target: "<= 2.5 times nginx's CPU",
      reached: nginx === undefined ? undefined : printed(ours / nginx) <= 2.5,
    },
  ];
}
