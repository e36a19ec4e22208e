/**
 * Attacks the rules from where this process stands: loopback, as the uid that port-forward dials with. What comes from
 * outside cannot be tried from inside the pod; for that the listing is compared.
 */
import { randomBytes } from 'node:crypto';
import { createServer, connect } from 'node:net';
import type { Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { errorCode } from '../../pkg/base/index.ts';
import type { CaptureSpec, PortRange } from '../../pkg/capture/index.ts';

/** What became of a connection. */
type Outcome = { readonly said: string } | { readonly failed: string };

/** Milliseconds for a connection within one kernel. */
const timeoutMs = 3_000;

/** Answers every connection with `text`; undefined where this machine has no such address. */
function answer(host: string, port: number, text: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.end(text);
    });
    server.once('error', (error) => {
      // IPv6 may be off in this kernel, node or pod.
      if (['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(errorCode(error) ?? '')) resolve(undefined);
      else reject(error);
    });
    server.listen(port, host, () => resolve(server));
  });
}

function dial(host: string, port: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    let said = '';
    socket.setTimeout(timeoutMs, () => {
      resolve({ failed: 'ETIMEDOUT' });
      socket.destroy();
    });
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => (said += text));
    socket.on('error', (error) => resolve({ failed: errorCode(error) ?? 'unknown' }));
    socket.on('end', () => socket.end());
    socket.on('close', () => resolve({ said }));
  });
}

/** Addresses of this pod by family, loopback first; link-local ones are left out, since nothing dials them without a zone. */
function addresses(family: 'IPv4' | 'IPv6'): readonly string[] {
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  const others = own.filter((one) => one.family === family && !one.internal && !one.address.startsWith('fe80:'));
  return [family === 'IPv4' ? '127.0.0.1' : '::1', ...others.map((one) => one.address)];
}

/** What is wrong when `port` of each address of the family is dialled and the listener on `listener` has to answer. */
async function redirectFaults(family: 'IPv4' | 'IPv6', port: number, listener: number): Promise<readonly string[]> {
  const nonce = randomBytes(16).toString('hex');
  const [loopback = ''] = addresses(family);
  const server = await answer(loopback, listener, nonce);
  if (server === undefined) return [];
  try {
    const faults: string[] = [];
    for (const host of addresses(family)) {
      const outcome = await dial(host, port);
      if ('failed' in outcome) faults.push(`${host} port ${port} is not redirected to ${listener}: ${outcome.failed}`);
      else if (outcome.said !== nonce)
        faults.push(`${host} port ${port} is answered by somebody else than ${listener}`);
    }
    return faults;
  } finally {
    server.close();
  }
}

/** What is wrong when a port that no rule opens can be reached. */
async function closedFaults(family: 'IPv4' | 'IPv6', port: number): Promise<readonly string[]> {
  const server = await answer(addresses(family)[0] ?? '', port, 'reached');
  if (server === undefined) return [];
  try {
    const outcome = await dial(addresses(family)[0] ?? '', port);
    const got = 'failed' in outcome ? outcome.failed : 'it was reached';
    return got === 'ECONNREFUSED'
      ? []
      : [`an undeclared port on loopback is not refused (${family}, tried on port ${port}): ${got}`];
  } finally {
    server.close();
  }
}

/** Highest first, so that it is none of the usual ones. */
function undeclaredPort(spec: CaptureSpec): number | undefined {
  const listeners = [
    ...spec.ports.flatMap(({ model, tls, loopback }) => [model, tls, loopback]),
    ...spec.helpers.map(({ listener }) => listener),
  ].map((port): PortRange => ({ first: port, last: port }));
  const used = [...listeners, ...spec.sidecarTcp, ...spec.openTcp, ...spec.proxyTcp, ...spec.dialerTcp];
  for (let port = 65_535; port > 1_024; port--)
    if (!used.some(({ first, last }) => first <= port && port <= last)) return port;
  return undefined;
}

/**
 * What does not hold, a sentence each.
 *
 * @param uid of this process, seen from the pod
 */
export async function probeRules(spec: CaptureSpec, uid: number): Promise<readonly string[]> {
  const faults: string[] = [];
  for (const family of ['IPv4', 'IPv6'] as const) {
    for (const { model, loopback } of spec.ports) faults.push(...(await redirectFaults(family, model, loopback)));
    const closed = undeclaredPort(spec);
    // Others in the pod may talk to one another as they like: only who stands for somebody outside can try this.
    const outside = uid === spec.dialerUid || spec.proxyUids.includes(uid);
    if (closed !== undefined && outside) faults.push(...(await closedFaults(family, closed)));
  }
  return faults;
}
