import type { Clock, Logger } from '../base/index.ts';
import type { SecretRef, Snapshot, UpstreamSpec } from '../core/index.ts';
import { RefusedError } from '../core/index.ts';
import type { Http2Upstream, Passthrough, ProxyAddress, Upstream, WebSocketUpstream } from '../http/index.ts';
import {
  createHttp2Upstream,
  createNegotiatedUpstream,
  createPassthrough,
  createUpstream,
  createWebSocketUpstream,
  proxyAddress,
} from '../http/index.ts';

/** Where a request goes that policy lets through. */
export interface ModelTarget {
  /** Its address, with the path that it puts before each request's. */
  readonly url: string;
  readonly upstream: Upstream;
  /** Joins WebSockets and bodies that a policy passes uninspected. */
  readonly passthrough: Passthrough;
  /** Its WebSockets that are read message by message. Absent: it takes none. */
  readonly socket?: WebSocketUpstream | undefined;
  /** Where its calls of gRPC go. Absent: it speaks HTTP/1.1 alone. */
  readonly rpc?: Http2Upstream | undefined;
  /** It is a hosted endpoint: only callers whom access really allows may reach it. */
  readonly hosted: boolean;
}

/** What a listener forwards to, as the policy in force says it. */
export interface ModelTargets {
  /** @throws RefusedError port_not_named, upstream_unsupported, credential_unavailable */
  find(snapshot: Snapshot): ModelTarget;
  close(): void;
}

/** One model server, wherever the policy says that it is: of a sidecar that runs on its own. Hosted is also what a policy calls so. */
export function fixedTarget(target: ModelTarget): ModelTargets {
  const hosted = { ...target, hosted: true };
  return {
    find: ({ upstream }) => (upstream?.hosted === undefined ? target : hosted),
    close() {
      closeAll(target);
    },
  };
}

function closeAll({ upstream, passthrough, rpc }: ModelTarget): void {
  upstream.close();
  passthrough.close();
  rpc?.close();
}

export interface PortTargetsOptions {
  /** The governed port. */
  readonly port: number;
  /** Address on which the model is dialled, asked for each request; default 127.0.0.1. */
  readonly host?: () => string;
  /** Authorities (PEM) that a `caSecretRef` names; undefined: missing. Asked for each request. */
  readonly authorities: (ref: SecretRef) => string | undefined;
  /** The proxy that the environment has for a hosted endpoint, where the policy names none. Absent: none. @throws TypeError for one that is not spoken to */
  readonly proxyOf?: ((url: URL) => ProxyAddress | undefined) | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What makes two targets one: connections are kept while this stays. */
interface Place {
  readonly url: string;
  readonly ca: string | undefined;
  readonly serverName: string | undefined;
  readonly hosted: boolean;
  readonly proxy?: string;
  /** What goes there over HTTP/2: nothing, calls of gRPC, or all. */
  readonly rpc: 'none' | 'calls' | 'all';
}

/**
 * The model behind a governed port: on loopback, with the protocol that the policy names for the port; or the policy's hosted
 * endpoint. Where policies name ports and not this one, nothing is reached through it.
 *
 * A policy that changes the target does not touch requests under way: connections of the old one end when they are idle.
 */
export function createPortTargets(options: PortTargetsOptions): ModelTargets {
  const { port, clock, logger } = options;
  let known: { readonly key: string; readonly target: ModelTarget } | undefined;
  const authorities = (ref: SecretRef | undefined): string | undefined => {
    if (ref === undefined) return undefined;
    const pem = options.authorities(ref);
    if (pem === undefined) throw new RefusedError('credential_unavailable', { detail: 'caSecretRef' });
    return pem;
  };
  const placeOf = (upstream: UpstreamSpec | undefined): Place => {
    if (upstream?.hosted !== undefined)
      return {
        url: upstream.hosted.url,
        ca: undefined,
        serverName: undefined,
        hosted: true,
        ...(upstream.hosted.proxy !== undefined && { proxy: upstream.hosted.proxy }),
        rpc: 'calls',
      };
    const ports = upstream?.ports ?? [];
    const named = ports.find(({ containerPort }) => containerPort === port);
    if (ports.length > 0 && named === undefined) throw new RefusedError('port_not_named');
    const host = options.host?.() ?? '127.0.0.1';
    const at = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    const plainAt = { url: `http://${at}`, ca: undefined, serverName: undefined, hosted: false };
    switch (named?.protocol) {
      case 'H2C':
        return { ...plainAt, rpc: 'all' };
      case 'TLS':
        return {
          url: `https://${at}`,
          ca: authorities(named.caSecretRef),
          serverName: named.serverName,
          hosted: false,
          rpc: 'calls',
        };
      default:
        return { ...plainAt, rpc: named?.protocol === 'HTTP1' ? 'none' : 'calls' };
    }
  };
  const proxyTo = ({ url, hosted, proxy }: Place): ProxyAddress | undefined => {
    if (!hosted) return undefined; // it is in this pod
    if (proxy !== undefined) return proxyAddress(proxy);
    try {
      return options.proxyOf?.(new URL(url));
    } catch (cause) {
      // Never straight, past a proxy that somebody wanted.
      throw new RefusedError('upstream_unreachable', { detail: 'proxy', cause });
    }
  };
  const open = (place: Place): ModelTarget => {
    const { url, ca, serverName, hosted, rpc } = place;
    const proxy = proxyTo(place);
    const { origin, pathname } = new URL(url);
    const tls = { ...(ca === undefined ? {} : { ca }), ...(serverName === undefined ? {} : { serverName }) };
    const http2 = rpc === 'none' ? undefined : createHttp2Upstream({ url, tls, proxy, clock, offersHttp1: hosted });
    if (http2 !== undefined && rpc === 'all')
      return { url, upstream: http2, passthrough: noPassthrough, rpc: http2, hosted };
    const http1 = createUpstream({ url, tls, proxy, clock, logger });
    const passthrough = proxy === undefined ? createPassthrough({ target: origin, tls, clock, logger }) : noPassthrough;
    return {
      url,
      upstream:
        hosted && http2 !== undefined && url.startsWith('https:')
          ? createNegotiatedUpstream({ http2, http1, clock })
          : http1,
      passthrough: underPath(passthrough, pathname.replace(/\/$/, '')),
      socket: createWebSocketUpstream({ url, tls, proxy, clock }),
      rpc: http2,
      hosted,
    };
  };
  return {
    find(snapshot) {
      const place = placeOf(snapshot.upstream);
      const key = JSON.stringify(place);
      if (known?.key !== key) known = { key, target: open(place) };
      return known.target;
    },
    close() {
      if (known !== undefined) closeAll(known.target);
    },
  };
}

/** Of a model that is spoken to over HTTP/2 alone, or through a proxy: what would pass uninspected is refused, since that goes straight and over HTTP/1.1. */
export const noPassthrough: Passthrough = {
  web: (_exchange, _route, watch) => watch.failed(new RefusedError('upstream_unsupported')),
  ws: (_upgrade, _route, watch) => watch.failed(new RefusedError('upstream_unsupported')),
  close: () => undefined,
};

/** As the upstream does it: the path of the endpoint's URL stands before each request's. */
function underPath(passthrough: Passthrough, prefix: string): Passthrough {
  if (prefix === '') return passthrough;
  return {
    web: (exchange, route, watch) => passthrough.web(exchange, { ...route, path: prefix + route.path }, watch),
    ws: (upgrade, route, watch) => passthrough.ws(upgrade, { ...route, path: prefix + route.path }, watch),
    close: () => passthrough.close(),
  };
}
