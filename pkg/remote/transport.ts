import type { X509Certificate } from 'node:crypto';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { CodedError, jsonValue, parseJson } from '../base/index.ts';
import type { Clock, Secret } from '../base/index.ts';
import type { TlsMaterial } from '../pki/index.ts';
import { streamPath, streamProtocol } from '../wire/index.ts';

export type ConnectErrorCode =
  /** No connection, or it broke. */
  | 'unreachable'
  /** No answer in time. */
  | 'timeout'
  /** What answered is not the controller: its certificate is not from our authorities, or has another name. */
  | 'untrusted'
  /** The controller did not take token or certificate. */
  | 'unauthenticated'
  /** It did, and this pod or address may not. */
  | 'not_allowed'
  /** It asks to come again. */
  | 'try_again'
  | 'protocol';

export class ConnectError extends CodedError<ConnectErrorCode> {
  constructor(code: ConnectErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(code, message, options);
    this.name = 'ConnectError';
  }
}

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  /** DNS name that the certificate must have. */
  readonly name: string;
  /** PEM, at least one. */
  readonly trust: string;
  readonly proof:
    | { readonly kind: 'certificate'; readonly material: TlsMaterial }
    | { readonly kind: 'token'; readonly token: Secret };
  readonly localAddress: string | undefined;
  /** What is asked for; default the controller's stream. */
  readonly endpoint?: { readonly path: string; readonly protocol: string };
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Ends the attempt. */
  readonly signal: AbortSignal;
}

export interface Connected {
  readonly socket: TLSSocket;
  /** What came with the answer. */
  readonly head: Buffer;
  readonly peer: X509Certificate;
}

/**
 * A connection to the controller (or the recorder) that has become a stream.
 *
 * Not a byte of the request, and so nothing of the token, is given to the socket before the peer's certificate is judged.
 *
 * @throws ConnectError
 */
export async function connectStream(options: ConnectOptions): Promise<Connected> {
  let socket: TLSSocket | undefined;
  let timedOut = false;
  const end = (): void => void socket?.destroy();
  const timer = options.clock.after(options.timeoutMs, () => {
    timedOut = true;
    end();
  });
  options.signal.addEventListener('abort', end, { once: true });
  try {
    socket = openSocket(options);
    await secured(socket);
    const peer = socket.getPeerX509Certificate();
    if (!socket.authorized || peer === undefined) throw new ConnectError('untrusted', 'the peer is not the controller');
    const head = await upgraded(socket, options);
    return { socket, head, peer };
  } catch (error) {
    socket?.destroy();
    if (timedOut) throw new ConnectError('timeout', 'the controller did not answer in time');
    throw error;
  } finally {
    timer.cancel();
    options.signal.removeEventListener('abort', end);
  }
}

function openSocket({ host, port, name, trust, proof, localAddress }: ConnectOptions): TLSSocket {
  const socket = connect({
    host,
    port,
    servername: name,
    // An empty list would be replaced by the system's authorities; trust.ts has at least one.
    ca: trust,
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['http/1.1'],
    rejectUnauthorized: true,
    ...(localAddress === undefined ? {} : { localAddress }),
    ...(proof.kind === 'certificate' ? { cert: proof.material.cert, key: proof.material.key } : {}),
  });
  socket.setKeepAlive(true, 30_000);
  socket.setNoDelay(true);
  return socket;
}

function secured(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.on('error', (cause: Error & { readonly code?: string }) => {
      const code = cause.code ?? '';
      // Names of OpenSSL's verdicts, and Node's on names; the rest are the network's.
      const verdict =
        /CERT|SIGNATURE|ISSUER|CRL|CHAIN|PURPOSE|ALTNAME|UNABLE_TO/.test(code) && !code.startsWith('ERR_SSL_');
      reject(
        verdict
          ? new ConnectError('untrusted', `the peer is not the controller (${code})`, { cause })
          : new ConnectError('unreachable', `no connection to the controller (${code || 'closed'})`, { cause }),
      );
    });
    socket.once('close', () => reject(new ConnectError('unreachable', 'the connection was closed')));
  });
}

function upgraded(socket: TLSSocket, { name, proof, endpoint }: ConnectOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const protocol = endpoint?.protocol ?? streamProtocol;
    const sent = request({
      createConnection: () => socket,
      method: 'GET',
      path: endpoint?.path ?? streamPath,
      headers: {
        host: name,
        connection: 'Upgrade',
        upgrade: protocol,
        ...(proof.kind === 'token' ? { authorization: `Bearer ${proof.token.reveal()}` } : {}),
      },
      maxHeaderSize: 16_384,
    });
    sent.once('upgrade', (response, _socket, head) => {
      if (response.headers.upgrade === protocol) resolve(head);
      else reject(new ConnectError('protocol', 'the controller speaks another protocol'));
    });
    sent.once('response', (response) => {
      void refusal(response).then(reject);
    });
    sent.once('error', (cause) => reject(new ConnectError('unreachable', 'the connection broke', { cause })));
    sent.once('close', () => reject(new ConnectError('unreachable', 'the connection was closed')));
    sent.end();
  });
}

const longestBody = 4_096;

async function refusal(response: IncomingMessage): Promise<ConnectError> {
  let body = '';
  try {
    for await (const chunk of response.setEncoding('latin1')) {
      body += chunk as string;
      if (body.length > longestBody) break;
    }
  } catch {
    // The status says enough.
  }
  const reason = readReason(body);
  switch (response.statusCode) {
    case 401:
      return new ConnectError('unauthenticated', 'the controller does not know this pod by what it showed');
    case 403:
      return new ConnectError('not_allowed', 'the controller does not let this pod in from here');
    case 503:
      return new ConnectError('try_again', 'the controller is not ready');
    default:
      return new ConnectError(
        'protocol',
        reason === 'version' ? 'the controller speaks another version' : 'an answer that is not in the protocol',
      );
  }
}

function readReason(body: string): string | undefined {
  try {
    const value = jsonValue(parseJson(body, { maxDepth: 2, maxNodes: 16 }));
    const reason = typeof value === 'object' && value !== null && !Array.isArray(value) ? value['reason'] : undefined;
    return typeof reason === 'string' ? reason : undefined;
  } catch {
    return undefined;
  }
}
