import type { Http2Upstream, Passthrough, Upstream, WebSocketUpstream } from '../http/index.ts';
import { createDataPlane } from './data-plane.ts';
import type { DataPlane, DataPlaneOptions } from './data-plane.ts';
import { outer } from './loopback.ts';
import { fixedTarget } from './model-target.ts';

/** A sidecar that runs on its own: one listener before one model server. */
export interface SidecarOptions extends DataPlaneOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Where `upstream` leads: what is signed names it. */
  readonly upstreamUrl: string;
  readonly upstream: Upstream;
  readonly passthrough: Passthrough;
  /** Where calls of gRPC go; absent: nowhere. */
  readonly rpc?: Http2Upstream;
  /** Where WebSockets go that are read message by message; absent: nowhere. */
  readonly socket?: WebSocketUpstream;
  /** The model is somebody else's; default: where the policy says so. */
  readonly hosted?: boolean;
}

export interface Sidecar extends Pick<DataPlane, 'live' | 'ready' | 'flushRecord' | 'drain'> {
  readonly port: number;
}

export async function startSidecar(options: SidecarOptions): Promise<Sidecar> {
  const { host, port, upstream, passthrough, rpc, socket, hosted = false } = options;
  const plane = createDataPlane(options);
  const door = await plane.open({
    host,
    port,
    entrance: outer,
    model: fixedTarget({ url: options.upstreamUrl, upstream, passthrough, rpc, socket, hosted }),
  });
  return {
    port: door.port,
    get live() {
      return plane.live;
    },
    ready: () => plane.ready(),
    flushRecord: () => plane.flushRecord(),
    drain: (graceMs) => plane.drain(graceMs),
  };
}
