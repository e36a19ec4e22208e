import type { UpstreamSpec } from './policy.ts';

type UpstreamPort = UpstreamSpec['ports'][number];

/** Ports of a policy whose protocol no sidecar speaks: whatever comes to them is refused with `upstream_unsupported`. */
export function refusedPorts(upstream: UpstreamSpec | undefined): readonly UpstreamPort[] {
  return (upstream?.ports ?? []).filter(({ protocol }) => isRefused(protocol));
}

export const isRefused = (protocol: UpstreamPort['protocol']): boolean => protocol === 'H2C';

/** Field of the notice for such a port. */
export const protocolField = (port: number): string => `upstream.ports[${port}].protocol`;

/** Completes "FIELD: …". */
export function refusedProtocol(port: number, protocol: UpstreamPort['protocol']): string {
  return `${protocol} is not spoken to models yet: whatever comes to port ${port} is refused with upstream_unsupported. Name the port on which the model serves HTTP/1.1 or TLS instead`;
}
