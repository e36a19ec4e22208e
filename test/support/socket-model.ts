import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import * as library from 'ws';

/** WebSockets for tests, by the package `ws`: a model server that takes them, and callers. */

/** What tests use of the package, whose types are not installed. */
export interface Ws {
  readonly protocol: string;
  readonly readyState: number;
  send(data: string | Buffer, options?: { readonly fin?: boolean; readonly binary?: boolean }): void;
  ping(data?: string): void;
  close(code?: number, reason?: string): void;
  terminate(): void;
  on(event: 'message', listener: (data: Buffer, isBinary: boolean) => void): this;
  on(event: 'close', listener: (code: number, reason: Buffer) => void): this;
  on(event: 'ping' | 'pong', listener: (data: Buffer) => void): this;
  on(event: 'open', listener: () => void): this;
  on(event: 'error', listener: (error: Error) => void): this;
  on(event: 'upgrade', listener: (response: IncomingMessage) => void): this;
  on(event: 'unexpected-response', listener: (request: unknown, response: IncomingMessage) => void): this;
}

export interface WsServer {
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, done: (socket: Ws) => void): void;
}

export const { WebSocketServer, WebSocket } = library as unknown as {
  readonly WebSocketServer: new (options: object) => WsServer;
  readonly WebSocket: new (url: string, protocols: readonly string[], options: object) => Ws;
};

export interface SocketModel {
  readonly url: string;
  /** Of handshakes, in order. */
  readonly handshakes: readonly { readonly path: string; readonly headers: IncomingHttpHeaders }[];
  /** Messages that it got, of all sockets, in order. */
  readonly messages: readonly string[];
  /** How its sockets were closed. */
  readonly closes: readonly { readonly code: number; readonly reason: string }[];
  /** What it does with a socket. */
  onSocket: (socket: Ws) => void;
  /** What it does with a message; default nothing. */
  onMessage: (text: string, socket: Ws, isBinary: boolean) => void;
  forget(): void;
  close(): Promise<void>;
}

/** @param options of the package's server. */
export async function startSocketModel(options: object = {}): Promise<SocketModel> {
  const server = createServer();
  const sockets = new Set<Duplex>();
  const accept = new WebSocketServer({ noServer: true, ...options });
  const handshakes: { path: string; headers: IncomingHttpHeaders }[] = [];
  const messages: string[] = [];
  const closes: { code: number; reason: string }[] = [];
  server.on('upgrade', (request, socket, head) => {
    handshakes.push({ path: request.url ?? '', headers: request.headers });
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    accept.handleUpgrade(request, socket, head, (opened) => {
      opened.on('error', () => undefined);
      opened.on('message', (data, isBinary) => {
        messages.push(data.toString(isBinary ? 'latin1' : 'utf8'));
        model.onMessage(data.toString('utf8'), opened, isBinary);
      });
      opened.on('close', (code, reason) => closes.push({ code, reason: reason.toString() }));
      model.onSocket(opened);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const model: SocketModel = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    handshakes,
    messages,
    closes,
    onSocket: () => undefined,
    onMessage: () => undefined,
    forget() {
      handshakes.length = 0;
      messages.length = 0;
      closes.length = 0;
      model.onSocket = () => undefined;
      model.onMessage = () => undefined;
    },
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return model;
}

export interface SocketCaller {
  readonly socket: Ws;
  readonly heard: readonly string[];
  /** Headers of the handshake's answer. */
  readonly headers: IncomingHttpHeaders;
  /** How it ended; undefined: it has not. */
  readonly end: { readonly code: number; readonly reason: string } | undefined;
  /** Status of a refused handshake, and its body. */
  readonly refused: { readonly status: number; readonly body: string } | undefined;
  /** It stands, or was refused. */
  readonly ready: Promise<void>;
}

export function callSocket(
  to: { readonly port: number; readonly ca: string },
  path: string,
  token: string | null,
  { protocols = [], ...options }: { readonly protocols?: readonly string[]; readonly headers?: object } & object = {},
): SocketCaller {
  const headers = { ...(token !== null && { authorization: `Bearer ${token}` }), ...options.headers };
  const settings = { ca: to.ca, perMessageDeflate: true, ...options, headers };
  const socket = new WebSocket(`wss://localhost:${to.port}${path}`, protocols, settings);
  const heard: string[] = [];
  let end: SocketCaller['end'];
  let refused: SocketCaller['refused'];
  let head: IncomingHttpHeaders = {};
  const ready = Promise.withResolvers<void>();
  socket.on('upgrade', (response) => (head = response.headers));
  socket.on('open', () => ready.resolve());
  socket.on('error', () => ready.resolve());
  socket.on('message', (data) => heard.push(data.toString('utf8')));
  socket.on('close', (code, reason) => (end = { code, reason: reason.toString() }));
  socket.on('unexpected-response', (_request, response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('end', () => {
      refused = { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') };
      ready.resolve();
    });
  });
  return {
    socket,
    heard,
    get headers() {
      return head;
    },
    get end() {
      return end;
    },
    get refused() {
      return refused;
    },
    ready: ready.promise,
  };
}
