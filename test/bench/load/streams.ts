import { makeText } from '../texts.ts';
import { spread } from '../statistics.ts';
import { agentFor, headersFor, send } from './request.ts';
import type { Agent } from './request.ts';
import type { FirstsJob, FirstsResult, StreamsJob, StreamsResult, Target } from './jobs.ts';

const micros = (): number => Number(process.hrtime.bigint() / 1000n);

/** Frames of one stream: when the model wrote each, and when it was read here (microseconds, one clock). */
interface Seen {
  readonly written: number[];
  readonly read: number[];
  text: string;
}

const createdKey = '"created":';
const contentKey = '"content":"';

/** Reads a stream; `onFrame` is told of each frame's text as it arrives. */
function readStream(
  target: Target,
  agent: Agent,
  body: string,
  onFrame?: (content: string, at: number) => void,
): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const seen: Seen = { written: [], read: [], text: '' };
    let rest = '';
    let done = false;
    const frame = (data: string, now: number): void => {
      if (data.startsWith('data: [DONE]')) {
        done = true;
        return;
      }
      if (!data.startsWith('data: ')) return; // A comment.
      const at = data.indexOf(createdKey);
      if (at === -1) throw new Error(`an event of another shape: ${data.slice(0, 200)}`);
      seen.written.push(Number(data.slice(at + createdKey.length, data.indexOf(',', at))));
      seen.read.push(now);
      const content = data.indexOf(contentKey);
      const from = content + contentKey.length;
      // The texts of the bench need no escapes.
      const text = content === -1 ? '' : data.slice(from, data.indexOf('"', from));
      seen.text += text;
      onFrame?.(text, now);
    };
    send(
      target,
      agent,
      body,
      headersFor(target, body),
      (response) => {
        if (response.statusCode !== 200) {
          response.resume();
          reject(new Error(`status ${response.statusCode}`));
          return;
        }
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          const now = micros();
          const text = rest + chunk;
          let from = 0;
          try {
            for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n', from)) {
              frame(text.slice(from, end), now);
              from = end + 2;
            }
          } catch (error) {
            reject(error as Error);
          }
          rest = text.slice(from);
        });
        response.on('error', reject);
        response.on('end', () => (done ? resolve(seen) : reject(new Error('a stream ended without [DONE]'))));
      },
      reject,
    );
  });
}

export async function firsts(job: FirstsJob): Promise<FirstsResult> {
  const agents = job.targets.map((target) => agentFor(target, 1));
  const frame = job.targets.map((): number[] => []);
  const text = job.targets.map((): number[] => []);
  for (let n = 0; n < job.repeats + 2; n++) {
    for (const [at, target] of job.targets.entries()) {
      const agent = agents[at];
      if (agent === undefined) continue;
      const from = micros();
      let firstFrame: number | undefined;
      let firstText: number | undefined;
      await readStream(target, agent, job.body, (content, now) => {
        firstFrame ??= now;
        if (content !== '') firstText ??= now;
      });
      // The first two open the connection and warm the code.
      if (n < 2) continue;
      frame[at]?.push(((firstFrame ?? Number.NaN) - from) / 1000);
      text[at]?.push(((firstText ?? Number.NaN) - from) / 1000);
    }
  }
  agents.forEach((agent) => agent.destroy());
  return { frame: frame.map(spread), text: text.map(spread) };
}

/** At each write: how many characters of the earlier writes had not been read yet. `lengths` are those of the model's frames. */
function heldBack({ written, read }: Seen, lengths: readonly number[]): number[] {
  const all: number[] = [];
  let got = 0;
  let open = 0;
  for (let at = 0; at + 1 < written.length; at++) {
    open += lengths[at] ?? 0;
    const next = written[at + 1] ?? 0;
    while (got < read.length && (read[got] ?? 0) < next) open -= lengths[got++] ?? 0;
    all.push(Math.max(0, open));
  }
  return all;
}

/** The most that were under way at the model at one time. */
function mostAtOnce(all: readonly Seen[]): number {
  const steps = all.flatMap(({ written }) => [
    { at: written[0] ?? 0, by: 1 },
    { at: written.at(-1) ?? 0, by: -1 },
  ]);
  steps.sort((a, b) => a.at - b.at || a.by - b.by);
  let now = 0;
  let most = 0;
  for (const { by } of steps) most = Math.max(most, (now += by));
  return most;
}

export async function streams(job: StreamsJob): Promise<StreamsResult> {
  const agent = agentFor(job.target, job.count);
  const { tokens, expected } = makeText(job.events, job.valueEvery);
  const wanted = job.masked ? expected : tokens.join('');
  // The frame with the role comes first, the one with the finish reason last: neither has text.
  const lengths = [0, ...tokens.map((token) => token.length), 0];
  const begun = performance.now();
  const settled = await Promise.allSettled(
    Array.from({ length: job.count }, async (_, n) => {
      await new Promise((resolve) => setTimeout(resolve, (n * job.rampMs) / job.count));
      return readStream(job.target, agent, job.body);
    }),
  );
  agent.destroy();
  const all = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failure = settled.find((one) => one.status === 'rejected');
  // Some that break off are a result; all that do are a fault of the bench.
  if (failure !== undefined && all.length === 0) throw failure.reason;
  const latency: number[] = [];
  const lag: number[] = [];
  const held: number[] = [];
  let wrong = settled.length - all.length;
  for (const seen of all) {
    if (seen.text !== wanted || seen.written.length !== lengths.length) wrong++;
    seen.read.forEach((now, at) => latency.push((now - (seen.written[at] ?? 0)) / 1000));
    seen.read.forEach((now, at) => lag.push((now - (seen.written[job.decidedBy?.[at] ?? at] ?? 0)) / 1000));
    for (const one of heldBack(seen, lengths)) held.push(one);
  }
  return {
    latency: spread(latency),
    lag: spread(lag),
    held: spread(held),
    atOnce: mostAtOnce(all),
    exact: settled.length - wrong,
    failure: failure === undefined ? undefined : String(failure.reason),
    wrong,
    frames: latency.length,
    seconds: (performance.now() - begun) / 1000,
  };
}
