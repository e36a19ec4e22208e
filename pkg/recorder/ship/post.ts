import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { CodedError, onUnaskedUpgrade } from '../../base/index.ts';
import { NotTaken, tooSlow } from './receiver.ts';

/** What posting needs beside the body; secrets are read at each call, as they may be rotated. */
export interface PostOptions {
  readonly url: URL;
  readonly headers: () => Readonly<Record<string, string>>;
  /** PEM of authorities beside the public ones. */
  readonly ca: () => string | undefined;
  readonly timeoutMs: number;
}

export interface PostAnswer {
  readonly status: number;
  /** `content-type`; empty where there is none. */
  readonly type: string;
  /** At most 1 MiB of it. */
  readonly body: Buffer;
  /** There was more of it, which was not read. */
  readonly isCut: boolean;
}

const mostAnswer = 1_048_576;

/**
 * Posts and reads the answer. Redirects are not followed.
 *
 * @throws CodedError without the address: `unreachable`; {@link tooSlow}, where the connection stood and no answer came in time, or it was closed
 *   before one
 */
export function post(options: PostOptions, type: string, body: Buffer, signal: AbortSignal): Promise<PostAnswer> {
  const { url, timeoutMs } = options;
  const ca = options.ca();
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    let stood = false;
    const failed = (error: NodeJS.ErrnoException): void => {
      const code = stood && !signal.aborted ? tooSlow : 'unreachable';
      reject(new CodedError(code, `no answer from the receiver (${error.code ?? error.name})`));
    };
    const call = send(
      url,
      {
        method: 'POST',
        headers: { 'content-type': type, 'content-length': body.length, ...options.headers() },
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
        ...(ca === undefined ? {} : { ca }),
      },
      (response) => {
        const parts: Buffer[] = [];
        let size = 0;
        const { statusCode: status = 0, headers } = response;
        const done = (isCut: boolean): void =>
          resolve({
            status,
            type: headers['content-type'] ?? '',
            body: Buffer.concat(parts).subarray(0, mostAnswer),
            isCut,
          });
        response.on('data', (part: Buffer) => {
          parts.push(part);
          size += part.length;
          if (size <= mostAnswer) return;
          done(true);
          response.destroy();
        });
        response.on('error', failed);
        response.on('end', () => done(false));
      },
    );
    call.on('error', failed);
    onUnaskedUpgrade(call, () => reject(new CodedError('not_taken', 'the receiver answers 101')));
    // Behind the handshake, or on a connection that is used again.
    call.on('socket', (socket) => {
      const stands = (): void => void (stood = true);
      if (!socket.connecting) return stands();
      socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', stands);
    });
    call.end(body);
  });
}

/** Statuses that say that a batch is not taken as it is. */
const never = new Set([400, 413, 422]);
/** Statuses of credentials, of load and of what stands behind a gateway, which say nothing of what was sent: they may be mended. */
const ofReceiver = new Set([401, 408, 429, 502, 503, 504]);

/**
 * @throws NotTaken where it may work later, and what was sent may be why it did not
 * @throws CodedError where it may work later
 */
export function readStatus(status: number): 'taken' | 'refused' {
  if (status >= 200 && status < 300) return 'taken';
  if (never.has(status)) return 'refused';
  const message = `the receiver answers ${status}`;
  throw ofReceiver.has(status) ? new CodedError('not_taken', message) : new NotTaken(status, message);
}
