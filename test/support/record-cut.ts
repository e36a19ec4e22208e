// A network between sidecars and a recorder that breaks, or takes what goes one way.
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

export interface RecordCut {
  readonly port: number;
  /** Bytes that sidecars have sent through it. */
  passed(): number;
  /** While it is so, nobody gets through. */
  away: boolean;
  /** While it is so, nothing of the recorder's reaches a sidecar. */
  mute: boolean;
  /** Breaks what there is when sidecars have sent so many more bytes, in the middle of whatever that is, and is `away` then. */
  breakAfter(bytes: number): void;
  /** Breaks what there is. */
  break(): void;
  close(): void;
}

/** @param to Port of the recorder. */
export async function recordCut(to: () => number): Promise<RecordCut> {
  const sockets = new Set<Socket>();
  let passed = 0;
  let breakAt = Infinity;
  const destroy = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const server = createServer((near) => {
    if (cut.away) return void near.destroy();
    const far = connect(to(), '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.on('data', (bytes: Buffer) => {
      const most = Math.max(0, breakAt - passed);
      passed += bytes.length;
      if (bytes.length < most) {
        if (!far.write(bytes)) {
          near.pause();
          far.once('drain', () => near.resume());
        }
        return;
      }
      // What came before the break has gone.
      cut.away = true;
      breakAt = Infinity;
      far.write(bytes.subarray(0, most), destroy);
    });
    far.on('data', (bytes: Buffer) => {
      if (!cut.mute) near.write(bytes);
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const cut: RecordCut = {
    port: (server.address() as AddressInfo).port,
    passed: () => passed,
    away: false,
    mute: false,
    breakAfter(bytes) {
      breakAt = passed + bytes;
    },
    break: destroy,
    close() {
      server.close();
      destroy();
    },
  };
  return cut;
}
