import { spread } from '../statistics.ts';
import { agentFor, ask, expectedAnswer, verify } from './request.ts';
import type { BesideJob, BesideResult, ConnectsJob, ConnectsResult, PacedJob, PacedResult } from './jobs.ts';

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));

export async function paced(job: PacedJob): Promise<PacedResult> {
  const agents = job.targets.map((target) => agentFor(target, 4));
  const expected = job.answers.map(expectedAnswer);
  const latencies = job.targets.map((): number[] => []);
  const warm = 10;
  const total = job.perSecond * job.seconds;
  const gap = 1000 / (job.perSecond * job.targets.length);
  const begun = performance.now();
  const open: Promise<void>[] = [];
  for (let n = 0; n < total; n++) {
    for (const [at, target] of job.targets.entries()) {
      await wait(begun + (n * job.targets.length + at) * gap - performance.now());
      const agent = agents[at];
      if (agent === undefined) continue;
      const from = performance.now();
      open.push(
        ask(target, agent, job.body).then((text) => {
          if (n >= warm) latencies[at]?.push(performance.now() - from);
          verify(text, expected[at] ?? '');
        }),
      );
    }
  }
  await Promise.all(open);
  agents.forEach((agent) => agent.destroy());
  return { latencies: latencies.map(spread) };
}

export async function connects(job: ConnectsJob): Promise<ConnectsResult> {
  const expected = expectedAnswer(job.answer);
  const latencies: number[] = [];
  let left = job.count;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const agent = agentFor(job.target, 0);
      const from = performance.now();
      const text = await ask(job.target, agent, job.body);
      latencies.push(performance.now() - from);
      verify(text, expected);
      agent.destroy();
    }
  };
  await Promise.all(Array.from({ length: job.concurrency }, worker));
  return { latency: spread(latencies) };
}

export async function beside(job: BesideJob): Promise<BesideResult> {
  const bigAgent = agentFor(job.target, 1);
  const smallAgent = agentFor(job.target, 8);
  const [bigAnswer, smallAnswer] = [expectedAnswer(job.bigAnswer), expectedAnswer(job.smallAnswer)];
  const big: number[] = [];
  const small: number[] = [];
  let busy = true;
  const bigs = async (): Promise<void> => {
    const body = job.bigBody;
    if (body === undefined) await wait(job.seconds * 1000);
    else
      for (let n = 0; n < job.bigs; n++) {
        const from = performance.now();
        const text = await ask(job.target, bigAgent, body);
        big.push(performance.now() - from);
        verify(text, bigAnswer);
      }
    busy = false;
  };
  const smalls = async (): Promise<void> => {
    const open: Promise<void>[] = [];
    const begun = performance.now();
    for (let n = 0; busy; n++) {
      await wait(begun + n * job.everyMs - performance.now());
      const from = performance.now();
      open.push(
        ask(job.target, smallAgent, job.smallBody).then((text) => {
          small.push(performance.now() - from);
          verify(text, smallAnswer);
        }),
      );
    }
    await Promise.all(open);
  };
  await Promise.all([bigs(), smalls()]);
  bigAgent.destroy();
  smallAgent.destroy();
  return { big: spread(big), small: spread(small) };
}
