import type { Agent as HttpAgent } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../base/index.ts';

/** On a socket: its connection (and TLS) stands; and bytes read when it was last set free. */
export const ready = Symbol('ready');
export const bytesAtFree = Symbol('bytesAtFree');
export type MarkedSocket = Socket & { [ready]?: boolean; [bytesAtFree]?: number };

/** Connect time-outs, and what the resend rule needs to know of a socket: once for each connection, not for each request. */
export function guardPool(agent: HttpAgent, readyEvent: string, connectMs: number, clock: Clock): HttpAgent {
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (options, callback) => {
    const socket = connect(options, callback) as MarkedSocket | null | undefined;
    if (socket === null || socket === undefined) return socket;
    const timer = clock.after(connectMs, () => socket.destroy(new Error('connect timeout')));
    socket.once(readyEvent, () => {
      socket[ready] = true;
      timer.cancel();
    });
    socket.once('close', () => timer.cancel());
    return socket;
  };
  const keep = agent.keepSocketAlive.bind(agent);
  agent.keepSocketAlive = (stream) => {
    const socket = stream as MarkedSocket;
    socket[bytesAtFree] = socket.bytesRead;
    // Node would give what an idle connection says by itself to the next request as its answer.
    socket.on('data', onUnasked);
    socket.resume();
    // Typed as void, and yet its answer decides whether the socket is kept.
    return keep(socket);
  };
  const reuse = agent.reuseSocket.bind(agent);
  agent.reuseSocket = (stream, request) => {
    stream.off('data', onUnasked);
    reuse(stream, request);
  };
  return agent;
}

function onUnasked(this: Socket): void {
  this.destroy();
}
