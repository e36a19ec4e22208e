import { connect } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import { spread } from '../statistics.ts';
import { agentFor, chatPath, expectedAnswer, headersFor, send, verify } from './request.ts';
import type { ClosedJob, ClosedResult } from './jobs.ts';

/** So many answers are compared whole; of the others the status and the length. */
const compared = 50;

/** `text` is undefined where it was not to be kept. */
interface Answer {
  readonly status: number;
  readonly length: number;
  readonly text: string | undefined;
}
type Once = (done: (answer: Answer | Error) => void, keep: boolean) => void;

/** Counts what comes, and keeps it where it is asked to. */
function reader(keep: boolean): { take(chunk: Buffer): void; answer(status: number): Answer } {
  let [text, length] = ['', 0];
  return {
    take(chunk) {
      length += chunk.length;
      if (keep) text += chunk.toString('latin1');
    },
    answer: (status) => ({ status, length, text: keep ? text : undefined }),
  };
}

function http1(job: ClosedJob): { once: Once; close: () => void } {
  const { target, body } = job;
  const agent = agentFor(target, job.connections);
  const headers = headersFor(target, body);
  return {
    once(done, keep) {
      send(
        target,
        agent,
        body,
        headers,
        (response) => {
          const { take, answer } = reader(keep);
          response.on('data', take);
          response.on('end', () => done(answer(response.statusCode ?? 0)));
          response.on('error', done);
        },
        done,
      );
    },
    close: () => agent.destroy(),
  };
}

/** A few sessions that share the streams, as SDKs do. */
function http2(job: ClosedJob): { once: Once; close: () => void } {
  const { target, body } = job;
  const sessions: ClientHttp2Session[] = Array.from({ length: Math.min(4, job.connections) }, () => {
    const session = connect(`https://127.0.0.1:${target.port}`, { rejectUnauthorized: false });
    session.on('error', () => undefined);
    return session;
  });
  let next = 0;
  const headers = { ':method': 'POST', ':path': chatPath, ...headersFor(target, body) };
  return {
    once(done, keep) {
      const stream = sessions[next++ % sessions.length]?.request(headers);
      if (stream === undefined) return done(new Error('no session'));
      let status = 0;
      const { take, answer } = reader(keep);
      stream.on('response', (head) => (status = head[':status'] ?? 0));
      stream.on('data', take);
      stream.on('end', () => done(answer(status)));
      stream.on('error', done);
      stream.end(body);
    },
    close: () => sessions.forEach((session) => session.destroy()),
  };
}

export function closed(job: ClosedJob): Promise<ClosedResult> {
  const { once, close } = job.protocol === 'h2' ? http2(job) : http1(job);
  const expected = expectedAnswer(job.answer);
  const latencies = new Float64Array(job.requests);
  const begun = performance.now();
  return new Promise<ClosedResult>((resolve, reject) => {
    let started = 0;
    let ended = 0;
    const next = (): void => {
      if (started === job.requests || performance.now() - begun > job.seconds * 1000) {
        if (ended === started) {
          const seconds = (performance.now() - begun) / 1000;
          resolve({ requests: ended, seconds, latency: spread(latencies.subarray(0, ended)) });
        }
        return;
      }
      const at = started++;
      const from = performance.now();
      once((answer) => {
        latencies[at] = performance.now() - from;
        try {
          if (answer instanceof Error) throw answer;
          const { status, length, text } = answer;
          if (status !== 200) throw new Error(`status ${status}: ${text?.slice(0, 300)}`);
          if (text !== undefined) verify(text, expected);
          if (length !== expected.length) throw new Error(`an answer has ${length} bytes, not ${expected.length}`);
        } catch (fault) {
          reject(fault as Error);
          return;
        }
        ended++;
        next();
      }, at < compared);
    };
    for (let n = 0; n < job.connections; n++) next();
  }).finally(close);
}
