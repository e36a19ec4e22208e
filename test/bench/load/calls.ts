import { connect } from 'node:http2';
import { maskedAnswer, prefixed, tensorAnswer, tensorRequest, textAnswer, textRequest } from '../grpc-messages.ts';
import type { CallsJob, CallsResult } from './jobs.ts';

/** So many answers are compared whole; of the others the status and the length. */
const compared = 20;
const windowBytes = 1_024 * 1_024;

/** Calls of gRPC over two connections, each as soon as the last is answered. */
export async function calls(job: CallsJob): Promise<CallsResult> {
  const { target, what, masked, concurrency } = job;
  const request = prefixed(what === 'text' ? textRequest() : tensorRequest());
  const expected = prefixed(what === 'tensor' ? tensorAnswer() : masked ? maskedAnswer() : textAnswer());
  const sessions = [0, 1].map(() => {
    const session = connect(`https://127.0.0.1:${target.port}`, {
      rejectUnauthorized: false,
      settings: { initialWindowSize: windowBytes },
    });
    session.on('error', () => undefined);
    session.on('connect', () => session.setLocalWindowSize(16 * windowBytes));
    return session;
  });
  const headers = {
    ':method': 'POST',
    ':path': '/inference.GRPCInferenceService/ModelInfer',
    'content-type': 'application/grpc',
    te: 'trailers',
    ...(target.token === undefined ? {} : { authorization: `Bearer ${target.token}` }),
  };
  let started = 0;
  const once = (at: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const stream = sessions[at % sessions.length]?.request(headers);
      if (stream === undefined) return reject(new Error('no session'));
      const chunks: Buffer[] = [];
      let length = 0;
      let status: unknown;
      stream.on('response', (head) => (status = head['grpc-status']));
      stream.on('trailers', (trailers) => (status = trailers['grpc-status']));
      stream.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (at < compared) chunks.push(chunk);
      });
      stream.on('error', reject);
      stream.on('end', () => {
        const wrong = at < compared && !Buffer.concat(chunks).equals(expected);
        if (status !== '0' || length !== expected.length || wrong)
          reject(
            new Error(`an answer of ${length} bytes (${expected.length} are right) with status ${String(status)}`),
          );
        else resolve();
      });
      stream.end(request);
    });
  const begun = performance.now();
  const worker = async (): Promise<void> => {
    while (started < job.calls && performance.now() - begun < job.seconds * 1_000) await once(started++);
  };
  try {
    await Promise.all(Array.from({ length: concurrency }, worker));
  } finally {
    for (const session of sessions) session.destroy();
  }
  return { calls: started, bytes: started * (request.length + expected.length) };
}
