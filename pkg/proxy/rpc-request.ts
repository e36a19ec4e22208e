import { createGunzip, createInflate } from 'node:zlib';
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { PieceList } from '../base/index.ts';
import type { ByteChain } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import { prefixBytes } from '../dialect/index.ts';

/** The request of a unary call: one message behind its prefix, and nothing else. */

/** What messages may be compressed by; both are undone, and the model gets them as they were. */
const decoders = { gzip: createGunzip, deflate: createInflate } as const;

/**
 * @param maxBytes most that it may have when it is not compressed.
 * @param take counts what it has beyond the body, before it is kept.
 * @returns the message.
 * @throws RefusedError invalid_request, unsupported_encoding, invalid_encoding, body_too_large
 */
export async function onlyMessage(
  body: ByteChain,
  headers: IncomingHttpHeaders,
  maxBytes: number,
  take: (bytes: number) => void,
): Promise<ByteChain> {
  const bad = (detail: string): RefusedError => new RefusedError('invalid_request', { detail });
  if (body.length < prefixBytes) throw bad('message');
  const length = body.bytes(0, prefixBytes).readUInt32BE(1);
  if (length > maxBytes) throw new RefusedError('body_too_large');
  if (body.length !== prefixBytes + length) throw bad('message');
  const message = body.slice(prefixBytes);
  const encoding = headers['grpc-encoding'];
  switch (body.at(0)) {
    case 0:
      return message;
    case 1:
      if (encoding !== 'gzip' && encoding !== 'deflate') throw new RefusedError('unsupported_encoding');
      return decompressed(message, encoding, maxBytes, take);
    default:
      throw bad('flags');
  }
}

function decompressed(
  message: ByteChain,
  encoding: keyof typeof decoders,
  maxBytes: number,
  take: (bytes: number) => void,
): Promise<ByteChain> {
  const decoder = decoders[encoding]({ rejectGarbageAfterEnd: true });
  return new Promise((resolve, reject) => {
    const pieces = new PieceList();
    const fail = (error: unknown): void => {
      pieces.reset();
      decoder.destroy();
      reject(error instanceof RefusedError ? error : new RefusedError('invalid_encoding', { cause: error }));
    };
    decoder.on('error', fail);
    decoder.on('data', (chunk: Buffer) => {
      try {
        if (pieces.length + chunk.length > maxBytes) throw new RefusedError('body_too_large');
        take(chunk.length);
        pieces.push(chunk);
      } catch (error) {
        fail(error);
      }
    });
    decoder.on('end', () => resolve(pieces.chain()));
    for (const piece of message.pieces) decoder.write(piece);
    decoder.end();
  });
}

/** Most that a timer of Node's takes, 24 days: who gives more time gives as much as it takes. */
const longestTimer = 2 ** 31 - 1;

const units: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/** Milliseconds that the caller gives the call from its head on; undefined: as long as it takes. @throws RefusedError invalid_request */
export function timeoutOf(headers: IncomingHttpHeaders): number | undefined {
  const said = headers['grpc-timeout'];
  if (said === undefined) return undefined;
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(String(said)) ?? [];
  const ms = units[unit ?? ''];
  if (digits === undefined || ms === undefined) throw new RefusedError('invalid_request', { detail: 'grpc-timeout' });
  const timeout = Number(digits) * ms;
  return timeout > longestTimer ? undefined : timeout;
}

/** What the protocol wants in a request's head. @param leftMs until the caller gives up; undefined: it does not. */
export function rpcHeaders(headers: OutgoingHttpHeaders, leftMs: number | undefined): OutgoingHttpHeaders {
  return {
    ...headers,
    te: 'trailers',
    // What is compressed would have to be inflated to be read.
    'grpc-accept-encoding': 'identity',
    'grpc-timeout': leftMs === undefined ? undefined : timeoutText(leftMs),
  };
}

/** At most eight digits. */
function timeoutText(ms: number): string {
  const whole = Math.max(1, Math.floor(ms));
  return whole < 100_000_000 ? `${whole}m` : `${Math.min(99_999_999, Math.floor(whole / 1_000))}S`;
}
