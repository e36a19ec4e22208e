import { connect, constants } from 'node:http2';
import type { IncomingHttpHeaders } from 'node:http2';

/**
 * One call of `grpc.health.v1.Health/Check` over HTTP/2 without TLS, as the kubelet makes it. The two messages are small enough
 * to be written and read by hand: a string in field 1 goes out, an enumeration in field 1 comes back.
 */
export interface HealthQuestion {
  readonly host: string;
  readonly port: number;
  /** Empty: the server as a whole. */
  readonly service: string;
  readonly signal: AbortSignal;
}

/** `grpc-N`: the call failed with that status; 12 is a server without health checks, 5 one without the service. */
export type HealthAnswer = 'serving' | 'not serving' | `grpc-${number}`;

const serving = 1;
const maxAnswerBytes = 16 * 1024;

/** @throws Error with a system's code where there is no connection, no answer, or none that is gRPC. */
export function askHealth({ host, port, service, signal }: HealthQuestion): Promise<HealthAnswer> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://${host.includes(':') ? `[${host}]` : host}:${port}`);
    const finish = (settle: () => void): void => {
      settle();
      signal.removeEventListener('abort', onAbort);
      session.destroy();
    };
    const fail = (error: unknown): void => finish(() => reject(error instanceof Error ? error : new Error('failed')));
    const onAbort = (): void => fail(new Error('timeout'));
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) return onAbort();
    session.on('error', fail);
    session.on('close', () => fail(new Error('closed')));
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: '/grpc.health.v1.Health/Check',
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
      [constants.HTTP2_HEADER_TE]: 'trailers',
      [constants.HTTP2_HEADER_USER_AGENT]: 'kube-probe/sidegate',
    });
    const chunks: Buffer[] = [];
    let bytes = 0;
    let status: string | undefined;
    const read = (headers: IncomingHttpHeaders): void => {
      const said = headers['grpc-status'];
      if (typeof said === 'string') status = said;
    };
    stream.on('response', read); // an answer without a body carries it there
    stream.on('trailers', read);
    stream.on('error', fail);
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxAnswerBytes) fail(new Error('answer too large'));
      else chunks.push(chunk);
    });
    stream.on('end', () => {
      if (status === undefined || !/^\d{1,2}$/.test(status)) fail(new Error('no grpc status'));
      else if (status !== '0') finish(() => resolve(`grpc-${Number(status)}`));
      else finish(() => resolve(statusOf(Buffer.concat(chunks)) === serving ? 'serving' : 'not serving'));
    });
    stream.end(question(service));
  });
}

/** A frame (RFC: gRPC over HTTP/2): no compression, length, message. */
function question(service: string): Buffer {
  const name = Buffer.from(service);
  const length: number[] = [];
  for (let rest = name.length; ; rest >>>= 7) {
    length.push(rest > 127 ? (rest & 127) | 128 : rest);
    if (rest <= 127) break;
  }
  const message = name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, ...length]), name]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** Field 1 of the one message, a varint; undefined where there is none, or anything else. */
function statusOf(frame: Buffer): number | undefined {
  if (frame.length < 7 || frame[0] !== 0 || frame.readUInt32BE(1) !== frame.length - 5) return undefined;
  // Statuses are below 128: one byte each for the field's key and its value.
  return frame[5] === 0x08 ? frame[6] : undefined;
}
