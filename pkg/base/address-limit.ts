import type { Server } from 'node:net';

/** Closes each connection beyond the `most` that one address has open, so that no single neighbour takes all places of a port. */
export function limitByAddress(server: Server, most: number): void {
  const held = new Map<string, number>();
  server.on('connection', (socket) => {
    // An IPv4 address is the same one where a socket maps it into IPv6.
    const neighbour = (socket.remoteAddress ?? '').replace(/^::ffff:/, '');
    const count = (held.get(neighbour) ?? 0) + 1;
    held.set(neighbour, count);
    socket.on('close', () => {
      const left = (held.get(neighbour) ?? 1) - 1;
      if (left === 0) held.delete(neighbour);
      else held.set(neighbour, left);
    });
    if (count > most) socket.destroy();
  });
}
