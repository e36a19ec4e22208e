import type { OutgoingHttpHeaders } from 'node:http';
import { ByteChain } from '../base/index.ts';
import { prefixBytes, readTrailers, rpcTypes, trailerFlag } from '../dialect/index.ts';
import type { Trailers } from '../dialect/index.ts';
import type { Exchange } from '../http/index.ts';

/**
 * The exchange of a caller of gRPC: what is written to it are messages and, last, the frame that says how the call ended, which becomes the
 * trailers of HTTP/2. A refusal before anything left is an answer of trailers alone. The status of HTTP is always 200, as the protocol wants.
 */

/** Whether a request comes as gRPC: with trailers, and in any of its codecs and its variant for browsers. */
export function comesAsRpc({ protocol, headers }: Pick<Exchange, 'protocol' | 'headers'>): boolean {
  return protocol === 'h2' && isAnyRpcType(headers['content-type']);
}

/** In whatever codec, and however it comes. */
export const isAnyRpcType = (type: string | undefined): boolean => /^\s*application\/grpc/i.test(type ?? '');

/** With protobuf, the one codec that is read. */
export const isRpcType = (type: string | undefined): boolean =>
  rpcTypes.has((type?.split(';', 1)[0] ?? '').trim().toLowerCase());

const contentType = 'application/grpc';

/** An end that nobody said: the caller must not take what came for all. */
const unsaid: Trailers = { 'grpc-status': '13' };

export class RpcExchange implements Exchange {
  readonly #exchange: Exchange;
  readonly #frames = new FrameReader();

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  respond(_status: number, headers: OutgoingHttpHeaders, body: string | Uint8Array): void {
    this.#frames.read(bytesOf(body));
    const { 'retry-after': after, 'x-should-retry': should, ...rest } = headers;
    const pushback = should === 'false' ? '-1' : after === undefined ? undefined : String(Number(after) * 1_000);
    for (const name of ofHttp) Reflect.deleteProperty(rest, name);
    const head = {
      ...rest,
      'content-type': contentType,
      ...(pushback !== undefined && { 'grpc-retry-pushback-ms': pushback }),
      ...unsaid,
      ...this.#frames.trailers,
    };
    this.#exchange.respond(200, head, '');
  }

  start(_status: number, headers: OutgoingHttpHeaders): void {
    this.#exchange.trailers?.(() => ({ ...unsaid, ...this.#frames.trailers }));
    this.#exchange.start(200, headers);
  }

  write(chunk: string | Uint8Array): boolean {
    const bytes = this.#frames.read(bytesOf(chunk));
    return bytes.length === 0 ? this.#exchange.backlogBytes === 0 : this.#exchange.write(bytes);
  }

  end(chunk?: string | Uint8Array): void {
    const bytes = chunk === undefined ? undefined : this.#frames.read(bytesOf(chunk));
    this.#exchange.end(bytes);
  }

  get startedAt(): number {
    return this.#exchange.startedAt;
  }
  get protocol(): Exchange['protocol'] {
    return this.#exchange.protocol;
  }
  get encrypted(): boolean {
    return this.#exchange.encrypted;
  }
  get peer(): string {
    return this.#exchange.peer;
  }
  get method(): string {
    return this.#exchange.method;
  }
  get target(): string {
    return this.#exchange.target;
  }
  get headers(): Exchange['headers'] {
    return this.#exchange.headers;
  }
  get clientCertificate(): Uint8Array | undefined {
    return this.#exchange.clientCertificate;
  }
  get bytesIn(): number {
    return this.#exchange.bytesIn;
  }
  get bytesOut(): number {
    return this.#exchange.bytesOut;
  }
  get backlogged(): boolean {
    return this.#exchange.backlogged;
  }
  get backlogBytes(): number {
    return this.#exchange.backlogBytes;
  }
  nextMessage: NonNullable<Exchange['nextMessage']> = (limits) =>
    this.#exchange.nextMessage?.(limits) ?? Promise.resolve(undefined);
  readBody: Exchange['readBody'] = (limits) => this.#exchange.readBody(limits);
  readPieces: NonNullable<Exchange['readPieces']> = async (limits) =>
    (await this.#exchange.readPieces?.(limits)) ?? ByteChain.of(await this.#exchange.readBody(limits));
  releaseBody: Exchange['releaseBody'] = () => this.#exchange.releaseBody();
  destroy: Exchange['destroy'] = () => this.#exchange.destroy();
  breakOff: Exchange['breakOff'] = () => this.#exchange.breakOff();
  onDrain: Exchange['onDrain'] = (listener) => this.#exchange.onDrain(listener);
  onClose: Exchange['onClose'] = (listener) => this.#exchange.onClose(listener);
}

/** Fields that say something about a body of JSON, or ask for a credential as HTTP does. */
const ofHttp = ['content-type', 'cache-control', 'x-content-type-options'];

const bytesOf = (chunk: string | Uint8Array): Uint8Array =>
  typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk;

const noBytes = new Uint8Array(0);

/**
 * Takes the last frame out of what is written. Messages may be cut anywhere; that one comes whole and last, as we write it. Where policies only
 * observe, a model's bytes may say something like it: what does not end with these bytes leaves as it is.
 */
class FrameReader {
  trailers: Trailers | undefined = undefined;
  #prefix: number[] = [];
  /** Bytes that are still to come of the frame under way. */
  #left = 0;

  /** @returns the bytes of messages among these. */
  read(bytes: Uint8Array): Uint8Array {
    let at = 0;
    while (at < bytes.length) {
      if (this.#left > 0) {
        const end = Math.min(bytes.length, at + this.#left);
        this.#left -= end - at;
        at = end;
        continue;
      }
      // The end is the last frame, so what stands before it in these bytes leaves as it is.
      if (this.#prefix.length === 0 && bytes[at] === trailerFlag && endsWith(bytes, at)) return this.#last(bytes, at);
      this.#prefix.push(bytes[at++] ?? 0);
      if (this.#prefix.length < prefixBytes) continue;
      this.#left = Buffer.from(this.#prefix).readUInt32BE(1);
      this.#prefix = [];
    }
    return bytes;
  }

  #last(bytes: Uint8Array, at: number): Uint8Array {
    this.trailers = readTrailers(Buffer.from(bytes.subarray(at + prefixBytes)).toString('latin1'));
    return at === 0 ? noBytes : bytes.subarray(0, at);
  }
}

/** Whether these bytes end with the frame that begins at `at`. */
function endsWith(bytes: Uint8Array, at: number): boolean {
  const left = bytes.length - at - prefixBytes;
  return left >= 0 && Buffer.from(bytes.subarray(at + 1, at + prefixBytes)).readUInt32BE() === left;
}
