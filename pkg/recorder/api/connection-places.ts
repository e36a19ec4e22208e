import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import { plainAddress } from '../../base/index.ts';
import type { Clock } from '../../base/index.ts';

/** Connections of the audit port: what a place holds without a token is at most some 80 KB. */
export const mostConnections = 512;
/** Of one address that have shown no token that is good: an ingress before the console is one address, and so is the API server. */
export const mostUnproven = 32;

/** Requests of one connection that wait for their answers; clients send one at a time. More of them end the connection. */
export const mostPipelined = 4;
/** Whoever has not taken an answer so long after the last of it was sent does not read: the connection ends. */
const unreadMs = 60_000;

interface Place {
  readonly socket: Socket;
  readonly address: string;
  /** A token or a login was good. */
  proven: boolean;
  /** Answers that were not taken yet, of questions; of those that are whole: true. */
  readonly open: Map<ServerResponse, boolean>;
}

/** A question that is whole waits for its answer: the connection is ended for nobody. An answer that waits for its reader alone does not keep it. */
const isBusy = ({ open }: Place): boolean =>
  [...open].some(([response, isWhole]) => isWhole && !response.writableEnded);

export interface ConnectionPlaces {
  /** Who asks this has shown who they are: the connection counts no more by its address. */
  prove(request: IncomingMessage): void;
}

/**
 * Gives the places of the audit port to whoever connects. Of an address that has too many connections that have proven nothing, the one
 * makes room that has been there for longest; where there is no place at all, one of the address that has most of such, and else
 * one that has been answered. What finds no room is closed before anything is said. So is a connection that asks more before it was answered than
 * clients do, or does not take what it is answered: whoever listens for requests leaves alone what came by one that is destroyed.
 */
export function givePlaces(server: HttpServer | HttpsServer, clock: Clock): ConnectionPlaces {
  /** In the order in which they came. */
  const places = new Map<string, Place>();
  const unproven = new Map<string, number>();
  const count = (address: string, by: 1 | -1): void => {
    const now = (unproven.get(address) ?? 0) + by;
    if (now === 0) unproven.delete(address);
    else unproven.set(address, now);
  };
  const leave = (name: string, place: Place): void => {
    if (!places.delete(name)) return;
    if (!place.proven) count(place.address, -1);
    place.socket.destroy();
  };
  const longest = (isOne: (place: Place) => boolean): boolean => {
    for (const [name, place] of places) {
      if (isBusy(place) || !isOne(place)) continue;
      leave(name, place);
      return true;
    }
    return false;
  };
  /** @returns whether there is a place now */
  const makeRoom = (): boolean => {
    const addresses = [...unproven].sort(([, a], [, b]) => b - a).map(([address]) => address);
    return addresses.some((address) => longest((one) => !one.proven && one.address === address)) || longest(() => true);
  };
  // What waits to be closed still counts for Node.
  server.maxConnections = 2 * mostConnections;
  server.on('connection', (socket: Socket) => {
    const address = plainAddress(socket.remoteAddress) ?? '';
    const hasRoom =
      (unproven.get(address) ?? 0) >= mostUnproven
        ? longest((one) => !one.proven && one.address === address)
        : places.size < mostConnections || makeRoom();
    if (!hasRoom) return void socket.destroy();
    const name = nameOf(socket);
    const place: Place = { socket, address, proven: false, open: new Map() };
    places.set(name, place);
    count(address, 1);
    socket.once('close', () => {
      if (places.get(name) === place) leave(name, place);
    });
  });
  server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    const place = places.get(nameOf(request.socket));
    if (place === undefined) return;
    if (place.open.size === mostPipelined) {
      request.socket.destroy();
      return;
    }
    const whole = (): void => void place.open.set(response, true);
    place.open.set(response, false);
    // The rest of a body may never come.
    if (request.complete || bodyless(request)) whole();
    else request.once('end', whole);
    let unread: ReturnType<Clock['after']> | undefined;
    response.once('prefinish', () => {
      unread = clock.after(unreadMs, () => request.socket.destroy());
    });
    response.once('close', () => {
      request.off('end', whole);
      unread?.cancel();
      place.open.delete(response);
    });
  });
  return {
    prove(request) {
      const place = places.get(nameOf(request.socket));
      if (place === undefined || place.proven) return;
      place.proven = true;
      count(place.address, -1);
    },
  };
}

/** RFC 9112 section 6.3. */
const bodyless = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] === undefined && (headers['content-length'] ?? '0') === '0';

/** The same for a connection and for the TLS that it carries. */
const nameOf = ({ remoteAddress, remotePort, localAddress }: Socket): string =>
  `${remoteAddress ?? ''} ${remotePort ?? ''} ${localAddress ?? ''}`;
