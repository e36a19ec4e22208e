// What a sidecar sees of the pod's ports from where it stands: as the one user who reaches the model.
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { errorCode } from '../../pkg/base/index.ts';
import type { Clock, Logger, Timer } from '../../pkg/base/index.ts';

/** What became of a connection: `refused`, nothing listens; `ours`, it came back to a listener of the sidecar's. */
export type Reached = 'refused' | 'somebody' | 'ours' | 'nobody';

export interface DialOptions {
  readonly host: string;
  readonly port: number;
  readonly clock: Clock;
  /** Whether a connection with this `address port` on our side has arrived at a listener of the sidecar's. */
  readonly arrivedFrom: (peer: string) => boolean;
}

/** Within one kernel: whoever takes longer drops packets. */
const timeoutMs = 1_000;
/** Until a listener of this process has accepted, once the kernel says that the connection stands. */
const arrivalMs = 50;

export function dialOwnPort({ host, port, clock, arrivedFrom }: DialOptions): Promise<Reached> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const timers: Timer[] = [];
    const finish = (what: Reached): void => {
      for (const timer of timers) timer.cancel();
      socket.destroy();
      resolve(what);
    };
    timers.push(clock.after(timeoutMs, () => finish('nobody')));
    socket.on('error', (error) => finish(errorCode(error) === 'ECONNREFUSED' ? 'refused' : 'nobody'));
    socket.on('connect', () => {
      const own = `${socket.localAddress ?? ''} ${socket.localPort ?? 0}`;
      timers.push(clock.after(arrivalMs, () => finish(arrivedFrom(own) ? 'ours' : 'somebody')));
    });
  });
}

export interface PathCheckOptions extends Pick<DialOptions, 'clock' | 'arrivedFrom'> {
  readonly ports: readonly number[];
  readonly hosts: readonly string[];
  readonly logger: Logger;
}

/**
 * Why the sidecar's own way to the models does not hold; empty when it does. Where the rules of the pod take the sidecar for
 * somebody else, its request to the model comes back to itself (`redirect_loop`), or goes nowhere (`model_port_dropped`).
 * That the model does not listen yet is no fault: it starts after the sidecar.
 */
export async function pathFaults({
  ports,
  hosts,
  clock,
  arrivedFrom,
  logger,
}: PathCheckOptions): Promise<readonly string[]> {
  const faults = new Set<string>();
  for (const port of ports) {
    for (const host of hosts) {
      const reached = await dialOwnPort({ host, port, clock, arrivedFrom });
      const fault = reached === 'ours' ? 'redirect_loop' : reached === 'nobody' ? 'model_port_dropped' : undefined;
      if (fault === undefined) continue;
      logger.error('the way to the model does not hold', { host, port, fault });
      faults.add(fault);
    }
  }
  return [...faults];
}

export interface ExposureWatchOptions extends Pick<DialOptions, 'clock'> {
  readonly ports: readonly number[];
  /** The pod's own addresses: what answers there answers everybody. */
  readonly hosts: readonly string[];
  readonly logger: Logger;
}

export interface ExposureWatch {
  /** Model ports that answer on the pod's address; undefined until each was tried. */
  exposed(): readonly number[] | undefined;
  close(): void;
}

const lookMs = 2_000;

/**
 * Capture mode NamedPort has no rules in the kernel: whatever listens on the pod's address is open to everybody past the
 * sidecar. Looked at for as long as the pod lives, since the model may begin to listen at any time.
 */
export function watchExposure({ ports, hosts, clock, logger }: ExposureWatchOptions): ExposureWatch {
  let exposed: readonly number[] | undefined;
  let looking = false;
  const look = async (): Promise<void> => {
    if (looking) return;
    looking = true;
    const now: number[] = [];
    for (const port of ports) {
      const dials = hosts.map((host) => dialOwnPort({ host, port, clock, arrivedFrom: () => false }));
      if ((await Promise.all(dials)).includes('somebody')) now.push(port);
    }
    if (now.join() !== (exposed ?? []).join())
      logger.warn(
        now.length > 0
          ? 'a model port is open past the sidecar: let the model listen on 127.0.0.1'
          : 'no model port is open past the sidecar any more',
        {
          ports: now.join(),
        },
      );
    exposed = now;
    looking = false;
  };
  void look();
  const timer = clock.every(lookMs, () => void look());
  return { exposed: () => exposed, close: () => timer.cancel() };
}

/** All addresses of the pod but loopback; link-local ones are left out, since nothing dials them without a zone. */
export function podAddresses(podIp: string): readonly string[] {
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  const others = own.filter(({ internal, address }) => !internal && !address.startsWith('fe80:'));
  return [...new Set([podIp, ...others.map(({ address }) => address)])];
}

export interface ModelSearchOptions extends Pick<DialOptions, 'clock' | 'arrivedFrom'> {
  readonly ports: readonly number[];
  /** In this order; the first stands until the model was found. */
  readonly hosts: readonly string[];
}

export interface ModelSearch {
  /** Where the model of a port listens. */
  hostOf(port: number): string;
  close(): void;
}

const searchMs = 1_000;

/** Models may listen on loopback or on the pod's address alone. Each is looked for until it has been found. */
export function findModels({ ports, hosts, clock, arrivedFrom }: ModelSearchOptions): ModelSearch {
  const found = new Map<number, string>();
  let looking = false;
  const look = async (): Promise<void> => {
    if (looking) return;
    looking = true;
    for (const port of ports.filter((one) => !found.has(one))) {
      for (const host of hosts) {
        if ((await dialOwnPort({ host, port, clock, arrivedFrom })) !== 'somebody') continue;
        found.set(port, host);
        break;
      }
    }
    looking = false;
    if (found.size === ports.length) timer.cancel();
  };
  const timer = clock.every(searchMs, () => void look());
  void look();
  return { hostOf: (port) => found.get(port) ?? hosts[0] ?? '127.0.0.1', close: () => timer.cancel() };
}
