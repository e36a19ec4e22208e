export { clientAddress, noProxies, trustedProxies } from './client-address.ts';
export type { TrustedProxies } from './client-address.ts';
export { acceptEncoding } from './content-coding.ts';
export { drain } from './drain.ts';
export type { DrainLimits } from './drain.ts';
export { refusalHead } from './error-table.ts';
export type { RefusalHead } from './error-table.ts';
export type {
  Exchange,
  Http2Upstream,
  OpenCall,
  Upstream,
  UpstreamCall,
  UpstreamHandler,
  UpstreamRequest,
} from './exchange.ts';
export { createListener } from './listener.ts';
export type { Listener, ListenerLimits, ListenerOptions, TlsMaterialSource, TlsVersion } from './listener.ts';
export { normaliseTarget } from './path.ts';
export { allowedMethods } from './framing.ts';
export type { NormalisedTarget } from './path.ts';
export { createPassthrough } from './passthrough.ts';
export type { Passthrough, PassthroughOptions } from './passthrough.ts';
export type { PassthroughRoute, PassthroughTraffic, PassthroughWatch } from './passthrough-route.ts';
export { BodyBudget } from './request-body.ts';
export type { BodyLimits, NoRoom } from './request-body.ts';
export { everyHeader, isHopByHop, requestHeadersToModel, responseHeadersToCaller } from './response-headers.ts';
export type { AcceptOptions, UpgradeRequest } from './upgrade.ts';
export { createWebSocketUpstream, unauthorized } from './websocket/upstream.ts';
export type { WebSocketUpstream } from './websocket/upstream.ts';
export { offeredProtocols } from './websocket/handshake.ts';
export { WebSocketFault } from './websocket/frame-reader.ts';
export type { WebSocket, WebSocketWatch } from './websocket/web-socket.ts';
export { createHttp2Upstream } from './http2-upstream.ts';
export { createNegotiatedUpstream } from './negotiated-upstream.ts';
export type { ProxyAddress } from './client/tunnel.ts';
export { proxyAddress, proxyFromEnvironment } from './proxy-environment.ts';
export { createUpstream } from './upstream.ts';
export type { UpstreamLimits, UpstreamOptions } from './upstream.ts';
