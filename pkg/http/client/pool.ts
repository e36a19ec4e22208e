import type { Duplex } from 'node:stream';
import type { ConnectionOptions } from 'node:tls';
import type { Clock, Timer } from '../../base/index.ts';
import { Connection } from './connection.ts';
import type { ConnectionHome } from './connection.ts';

/**
 * Connections to one address, kept for the next request. The one used last is used next: those that are not needed grow
 * old and go.
 */
export interface PoolOptions {
  readonly clock: Clock;
  readonly address: { readonly host: string; readonly port: number };
  readonly tls: ConnectionOptions | undefined;
  /** See {@link ConnectionHome}. */
  readonly tunnel?: (() => Duplex) | undefined;
  readonly maxSockets: number;
  readonly limits: ConnectionHome['limits'] & { readonly idleSocketMs: number };
}

/** Gets a connection as soon as there is one; undefined: the pool was closed before. */
export type Waiting = (connection: Connection | undefined) => void;

const readBufferBytes = 64 * 1024;
/** A connection goes so long before its server said that it would end it: what is sent in between is lost (as in node:http). */
const beforeServerMs = 1000;

export class Pool implements ConnectionHome {
  readonly clock: Clock;
  readonly limits: PoolOptions['limits'];
  readonly address: PoolOptions['address'];
  readonly tls: ConnectionOptions | undefined;
  readonly tunnel: (() => Duplex) | undefined;
  session: Buffer | undefined = undefined;
  verifiedAt = Number.NEGATIVE_INFINITY;
  readonly readBuffer = Buffer.alloc(readBufferBytes);
  readonly #maxSockets: number;
  readonly #all = new Set<Connection>();
  readonly #idle: Connection[] = [];
  readonly #queue = new Set<Waiting>();
  #sweep: Timer | undefined;
  #closed = false;

  constructor(options: PoolOptions) {
    this.clock = options.clock;
    this.limits = options.limits;
    this.address = options.address;
    this.tls = options.tls;
    this.tunnel = options.tunnel;
    this.#maxSockets = options.maxSockets;
  }

  /** @throws Error when the pool is closed. */
  take(waiting: Waiting): void {
    if (this.#closed) throw new Error('the upstream is closed');
    const connection = this.#youngest();
    if (connection !== undefined) waiting(connection);
    else if (this.#all.size < this.#maxSockets) waiting(this.#open());
    else this.#queue.add(waiting);
  }

  /** One that has carried no request, past the bound by one if need be: the place of the one that has just gone may be taken. */
  fresh(waiting: Waiting): void {
    if (this.#closed) throw new Error('the upstream is closed');
    waiting(this.#open());
  }

  cancel(waiting: Waiting): void {
    this.#queue.delete(waiting);
  }

  close(): void {
    this.#closed = true;
    this.#sweep?.cancel();
    const waiting = [...this.#queue];
    this.#queue.clear();
    for (const connection of [...this.#all]) connection.fail(new Error('the upstream is closed'));
    for (const one of waiting) one(undefined);
  }

  freed(connection: Connection, keepAliveMs: number | undefined): void {
    const announced = keepAliveMs === undefined ? Number.POSITIVE_INFINITY : keepAliveMs - beforeServerMs;
    const idleMs = Math.min(this.limits.idleSocketMs, announced);
    if (this.#closed || idleMs <= 0) return connection.destroy();
    const [next] = this.#queue;
    if (next !== undefined) {
      this.#queue.delete(next);
      next(connection);
      return;
    }
    connection.idleUntil = this.clock.monotonic() + idleMs;
    this.#idle.push(connection);
    this.#sweep ??= this.clock.after(idleMs, this.#onSweep);
  }

  gone(connection: Connection): void {
    if (!this.#all.delete(connection)) return;
    const at = this.#idle.lastIndexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
    const [next] = this.#queue;
    // Past the bound by resends: only as many are opened as have gone.
    if (next === undefined || this.#closed || this.#all.size >= this.#maxSockets) return;
    this.#queue.delete(next);
    next(this.#open());
  }

  #open(): Connection {
    const connection = new Connection(this);
    this.#all.add(connection);
    return connection;
  }

  #youngest(): Connection | undefined {
    const now = this.clock.monotonic();
    for (;;) {
      const connection = this.#idle.pop();
      if (connection === undefined || now < connection.idleUntil) return connection;
      connection.destroy();
    }
  }

  /** The oldest stand first, but for those whose server said less. */
  readonly #onSweep = (): void => {
    this.#sweep = undefined;
    const now = this.clock.monotonic();
    let soonest = Number.POSITIVE_INFINITY;
    for (const connection of [...this.#idle]) {
      if (connection.idleUntil <= now) connection.destroy();
      else soonest = Math.min(soonest, connection.idleUntil);
    }
    if (soonest !== Number.POSITIVE_INFINITY) this.#sweep = this.clock.after(soonest - now, this.#onSweep);
  };
}
