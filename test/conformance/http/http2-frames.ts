import { connect as connectPlain } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Served } from './harness.ts';

// Frames by hand: a library would not send what an attacker sends (RFC 9113 section 4.1).
export const data = 0;
export const headersFrame = 1;
export const reset = 3;
export const settings = 4;
export const ping = 6;
export const goaway = 7;
export const continuation = 9;
export const endStream = 1;
export const endHeaders = 4;

export function frame(type: number, flags: number, stream: number, body: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]);
}

/** HPACK, literal without indexing, no Huffman (RFC 7541 section 6.2.2). */
export function hpack(fields: readonly (readonly [string, string])[]): Buffer {
  const text = (value: string): Buffer => {
    const bytes = Buffer.from(value, 'latin1');
    if (bytes.length < 127) return Buffer.concat([Buffer.of(bytes.length), bytes]);
    const size = [127];
    let rest = bytes.length - 127;
    for (; rest >= 128; rest = Math.floor(rest / 128)) size.push((rest % 128) + 128);
    size.push(rest);
    return Buffer.concat([Buffer.from(size), bytes]);
  };
  return Buffer.concat(fields.map(([name, value]) => Buffer.concat([Buffer.of(0), text(name), text(value)])));
}

/** A good one. */
export const request = [
  [':method', 'POST'],
  [':scheme', 'https'],
  [':authority', 'a'],
  [':path', '/v1'],
] as const;
export interface Seen {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly body: Buffer;
}

export interface RawConnection {
  readonly socket: Socket;
  /** What came, in order. */
  readonly frames: readonly Seen[];
  readonly closed: () => boolean;
}

/** How HTTP/2 comes: by ALPN, or with prior knowledge (RFC 9113 section 3.3). */
export const wires = ['TLS', 'h2c'] as const;
export type Wire = (typeof wires)[number];

export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** A connection that has said its preface and settings. @param opening in place of these. */
export async function rawConnection(
  served: Pick<Served, 'port' | 'ca'>,
  wire: Wire = 'TLS',
  opening: Buffer = Buffer.concat([preface, frame(settings, 0, 0)]),
): Promise<RawConnection> {
  const at = { port: served.port, host: '127.0.0.1' };
  const socket = wire === 'h2c' ? connectPlain(at) : connectTls({ ...at, ca: served.ca, ALPNProtocols: ['h2'] });
  const frames: Seen[] = [];
  let rest = Buffer.alloc(0);
  let closed = false;
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
      const size = rest.readUIntBE(0, 3);
      frames.push({ type: rest[3]!, flags: rest[4]!, stream: rest.readUInt32BE(5), body: rest.subarray(9, 9 + size) });
      rest = rest.subarray(9 + size);
    }
  });
  socket.on('error', () => (closed = true));
  socket.on('close', () => (closed = true));
  await new Promise((resolve) => socket.once(wire === 'h2c' ? 'connect' : 'secureConnect', resolve));
  socket.write(opening);
  return { socket, frames, closed: () => closed };
}
