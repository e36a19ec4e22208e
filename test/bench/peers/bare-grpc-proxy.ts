// The peer that calls of gRPC are compared with: node:http2 over TLS on one side, without it on the other, and nothing between them.
// node bare-grpc-proxy.ts UPSTREAM_URL CERT_FILE KEY_FILE
import { readFileSync } from 'node:fs';
import { connect, createSecureServer } from 'node:http2';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';

const [target = '', certFile = '', keyFile = ''] = process.argv.slice(2);
const windowBytes = 1_024 * 1_024;
const model = connect(target, { settings: { initialWindowSize: windowBytes } });
model.on('connect', () => model.setLocalWindowSize(16 * windowBytes));
const server = createSecureServer({
  cert: readFileSync(certFile),
  key: readFileSync(keyFile),
  settings: { initialWindowSize: windowBytes },
});
server.on('session', (session) => session.setLocalWindowSize(16 * windowBytes));
server.on('stream', (opened, { ':path': path = '', ':method': method = '', 'content-type': type = '' }) => {
  const stream = opened as ServerHttp2Stream;
  const call = model.request({ ':path': path, ':method': method, 'content-type': type, te: 'trailers' });
  let trailers: IncomingHttpHeaders = {};
  call.on('response', (headers) => stream.respond(headers, { waitForTrailers: true }));
  call.on('trailers', (headers) => (trailers = headers));
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  stream.pipe(call);
  call.pipe(stream);
});
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.on('disconnect', () => process.exit(0));
