import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** A TLS record as anybody on the way sees it: when, how long, and that it is application data. Nothing is decrypted. */
export interface WireRecord {
  /** When its last byte came. */
  readonly at: number;
  readonly from: 'client' | 'server';
  /** Bytes of the record with its header of five. */
  readonly bytes: number;
}

/**
 * A TCP relay between a client and a TLS server: what an observer of the network has. Of TLS 1.3 only records of the outer
 * type application data are kept (RFC 8446 section 5.2), so the last messages of the handshake are among them.
 */
export interface WireTap {
  readonly port: number;
  readonly records: readonly WireRecord[];
  close(): Promise<void>;
}

const applicationData = 23;
const headerBytes = 5;

/** @param now The time that the observer tells, in milliseconds. */
export async function startWireTap(targetPort: number, now: () => number): Promise<WireTap> {
  const records: WireRecord[] = [];
  const sockets = new Set<Socket>();
  const watch = (socket: Socket, to: Socket, from: WireRecord['from']): void => {
    sockets.add(socket);
    // Relayed as it comes: Nagle would join what left apart.
    socket.setNoDelay(true);
    let rest = Buffer.alloc(0);
    socket.on('data', (bytes: Buffer) => {
      const at = now();
      to.write(bytes);
      rest = Buffer.concat([rest, bytes]);
      while (rest.length >= headerBytes && rest.length >= headerBytes + rest.readUInt16BE(3)) {
        const size = headerBytes + rest.readUInt16BE(3);
        if (rest[0] === applicationData) records.push({ at, from, bytes: size });
        rest = rest.subarray(size);
      }
    });
    socket.on('end', () => to.end());
    socket.on('error', () => to.destroy());
    socket.on('close', () => sockets.delete(socket));
  };
  const server = createServer((client) => {
    const target = connect(targetPort, '127.0.0.1');
    watch(client, target, 'client');
    watch(target, client, 'server');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    records,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
