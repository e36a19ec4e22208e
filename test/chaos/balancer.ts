import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** In place of a Service: each connection goes to the next of these ports that takes it. */
export async function startBalancer(
  ports: readonly number[],
): Promise<{ readonly port: number; close(): Promise<void> }> {
  let turn = 0;
  const open = new Set<Socket>();
  const forward = (from: Socket, left: number): void => {
    const to = connect(ports[turn++ % ports.length] ?? 0, '127.0.0.1');
    const end = (): void => void from.destroy();
    to.once('error', () => (left > 1 ? forward(from, left - 1) : end()));
    to.once('connect', () => {
      to.removeAllListeners('error').on('error', end).once('close', end);
      from.once('close', () => to.destroy());
      from.pipe(to).pipe(from);
    });
  };
  const server = createServer((from) => {
    open.add(from);
    from.on('error', () => undefined).once('close', () => open.delete(from));
    forward(from, ports.length);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        for (const socket of open) socket.destroy();
      }),
  };
}
