import { connect } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import { spread } from '../statistics.ts';
import { agentFor, chatPath, headersFor, send, verify } from './request.ts';
import type { ClosedJob, ClosedResult } from './jobs.ts';

/** So many answers are read and checked; of the others only the status and that they end. */
const checked = 50;

type Once = (done: (error: Error | undefined, status: number, text: string) => void, keep: boolean) => void;

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
          let text = '';
          if (keep) response.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
          else response.resume();
          response.on('end', () => done(undefined, response.statusCode ?? 0, text));
          response.on('error', (error) => done(error, 0, ''));
        },
        (error) => done(error, 0, ''),
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
      if (stream === undefined) return done(new Error('no session'), 0, '');
      let status = 0;
      let text = '';
      stream.on('response', (head) => (status = head[':status'] ?? 0));
      stream.on('data', (chunk: Buffer) => {
        if (keep) text += chunk.toString('latin1');
      });
      stream.on('end', () => done(undefined, status, text));
      stream.on('error', (error) => done(error, 0, ''));
      stream.end(body);
    },
    close: () => sessions.forEach((session) => session.destroy()),
  };
}

export function closed(job: ClosedJob): Promise<ClosedResult> {
  const { once, close } = job.protocol === 'h2' ? http2(job) : http1(job);
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
      once((error, status, text) => {
        latencies[at] = performance.now() - from;
        try {
          if (error !== undefined) throw error;
          if (status !== 200) throw new Error(`status ${status}: ${text.slice(0, 300)}`);
          if (at < checked) verify(text, job.check);
        } catch (fault) {
          reject(fault as Error);
          return;
        }
        ended++;
        next();
      }, at < checked);
    };
    for (let n = 0; n < job.connections; n++) next();
  }).finally(close);
}
