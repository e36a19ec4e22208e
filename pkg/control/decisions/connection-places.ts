import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:https';
import type { Socket } from 'node:net';
import { plainAddress } from '../../base/index.ts';
import type { TrustedProxies } from '../../http/index.ts';
import { networkOf } from './unproven.ts';

/** Connections in all. */
const mostConnections = 256;
/** Of one network: an ingress is one. */
const mostOfNetwork = 64;
/** Behind trusted proxies are many people: all such proxies together leave a quarter for others. */
const mostOfProxies = (mostConnections * 3) / 4;

interface Place {
  readonly socket: Socket;
  readonly network: string;
  /** `silent`: nothing was asked that is whole. `idle`: it was answered. `busy`: it waits for an answer, and is ended for nobody. */
  state: 'silent' | 'idle' | 'busy';
}

/**
 * Gives a server's places to whoever connects. Where there is none left, of all or of a network, the connection makes room that has asked
 * nothing for longest, of the network that has most of such; where all have asked, the one that has been answered. Who has a whole request
 * waiting keeps the place. What finds no room is closed before anything is said.
 */
export function givePlaces(server: Server, proxies: TrustedProxies): void {
  /** In the order in which they came. */
  const places = new Map<string, Place>();
  const leave = (name: string, { socket }: Place): void => {
    places.delete(name);
    socket.destroy();
  };
  /** @returns whether there is a place now */
  const makeRoom = (network?: string): boolean => {
    for (const state of ['silent', 'idle'] as const) {
      const found = [...places].filter(
        ([, one]) => one.state === state && (network === undefined || one.network === network),
      );
      const networks = [...Map.groupBy(found, ([, one]) => one.network).values()];
      const [first] = networks.sort((a, b) => b.length - a.length)[0] ?? [];
      if (first === undefined) continue;
      leave(...first);
      return true;
    }
    return false;
  };
  // What waits to be closed still counts for Node.
  server.maxConnections = 2 * mostConnections;
  server.on('connection', (socket: Socket) => {
    const from = plainAddress(socket.remoteAddress) ?? '';
    const [network, most] = proxies.has(from) ? ['proxies', mostOfProxies] : [networkOf(from), mostOfNetwork];
    const count = [...places.values()].filter((one) => one.network === network).length;
    if (count >= most ? !makeRoom(network) : places.size >= mostConnections && !makeRoom())
      return void socket.destroy();
    const name = nameOf(socket);
    const place: Place = { socket, network, state: 'silent' };
    places.set(name, place);
    socket.once('close', () => {
      if (places.get(name) === place) places.delete(name);
    });
  });
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const place = places.get(nameOf(request.socket));
    if (place === undefined) return;
    const { state } = place;
    // The rest of a body may never come.
    const whole = (): void => void (place.state = 'busy');
    if (request.complete || bodyless(request)) whole();
    else request.once('end', whole);
    response.once('close', () => {
      request.off('end', whole);
      place.state = response.writableFinished ? 'idle' : state;
    });
  });
}

/** RFC 9112 section 6.3. */
const bodyless = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] === undefined && (headers['content-length'] ?? '0') === '0';

/** The same for a connection and for the TLS that it carries. */
const nameOf = ({ remoteAddress, remotePort, localAddress }: Socket): string =>
  `${remoteAddress ?? ''} ${remotePort ?? ''} ${localAddress ?? ''}`;
