import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { silentLogger } from '../../pkg/base/index.ts';
import { RefusedError } from '../../pkg/core/index.ts';
import { createUpstream } from '../../pkg/http/index.ts';
import type { Upstream, UpstreamCall, UpstreamOptions, UpstreamRequest } from '../../pkg/http/index.ts';
import { fakeClock } from './fake-clock.ts';

/** A request that came whole, its body by Content-Length. */
export interface RawRequest {
  readonly socket: Socket;
  readonly path: string;
  /** Number of its connection, from 0. */
  readonly connection: number;
  /** How many came before it, over all connections. */
  readonly before: number;
}

/** A model server that says what the test says, byte for byte. */
export interface RawPeer {
  readonly port: number;
  /** Number of the connection and path, for each request. */
  readonly seen: string[];
  /** Every connection that ever was, in order. */
  readonly sockets: Socket[];
  readonly open: () => number;
}

/** Servers and clients of one test, ended together. */
export interface Peers {
  /** @returns The port, on 127.0.0.1. */
  listen(server: Server): Promise<number>;
  raw(answer?: (request: RawRequest) => void): Promise<RawPeer>;
  /** A client of `port`. Its time stands still unless the test gives a clock: no busy machine makes it give up. */
  upstream(port: number, options?: Partial<UpstreamOptions>): Upstream;
  end(): void;
}

export function createPeers(): Peers {
  const ends: (() => void)[] = [];
  const listen: Peers['listen'] = async (server) => {
    const sockets = new Set<Socket>();
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ends.push(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    return (server.address() as AddressInfo).port;
  };
  return {
    listen,
    async raw(answer) {
      const seen: string[] = [];
      const sockets: Socket[] = [];
      const port = await listen(
        createServer((socket) => {
          const connection = sockets.push(socket) - 1;
          let text = '';
          socket.on('data', (chunk) => {
            text += chunk.toString('latin1');
            for (;;) {
              const end = text.indexOf('\r\n\r\n');
              if (end === -1) return;
              const head = text.slice(0, end);
              const length = Number(/content-length: (\d+)/.exec(head)?.[1] ?? 0);
              if (text.length < end + 4 + length) return;
              text = text.slice(end + 4 + length);
              const path = head.split(' ')[1] ?? '';
              const before = seen.push(`${connection} ${path}`) - 1;
              answer?.({ socket, path, connection, before });
            }
          });
        }),
      );
      return { port, seen, sockets, open: () => sockets.filter((socket) => !socket.destroyed).length };
    },
    upstream(port, options = {}) {
      const upstream = createUpstream({
        url: `http://127.0.0.1:${port}`,
        clock: fakeClock(),
        logger: silentLogger,
        ...options,
      });
      ends.push(() => upstream.close());
      return upstream;
    },
    end() {
      for (const end of ends.splice(0).reverse()) end();
    },
  };
}

/** An answer with a length. */
export const ok = (body: string, more = ''): string =>
  `HTTP/1.1 200 OK\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`;

export interface Told {
  readonly call: UpstreamCall;
  /** `end STATUS BODY`, or a reason code. */
  readonly done: Promise<string>;
  /** Calls of the handler after its end: none. */
  readonly after: () => number;
  /** Bytes of the body so far. */
  readonly received: () => number;
}

/** A request, and what became of it. */
export function ask(upstream: Upstream, path: string, more: Partial<UpstreamRequest> = {}): Told {
  let status = 0;
  let body = '';
  let received = 0;
  let over = false;
  let after = 0;
  let resolve: (how: string) => void = () => undefined;
  const done = new Promise<string>((settle) => (resolve = settle));
  const finish = (how: string): void => {
    if (over) after++;
    over = true;
    resolve(how.trimEnd());
  };
  const call = upstream.send(
    { method: 'POST', path, headers: {}, body: Buffer.from('{}'), idleMs: 2_000, ...more },
    {
      head(code) {
        if (over) after++;
        status = code;
      },
      data(chunk) {
        if (over) after++;
        received += chunk.length;
        if (body.length < 100_000) body += chunk.toString('latin1');
      },
      end: () => finish(`end ${status} ${body}`),
      error: (error) => finish(error instanceof RefusedError ? error.code : 'other'),
    },
  );
  return { call, done, after: () => after, received: () => received };
}
