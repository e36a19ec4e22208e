// The peer that WebSockets are compared with: the package `ws` over TLS on one side, without it on the other, and nothing between them.
// node bare-socket-proxy.ts UPSTREAM_URL CERT_FILE KEY_FILE
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from '../../support/socket-model.ts';

const [target = '', certFile = '', keyFile = ''] = process.argv.slice(2);
const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
const server = createServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) });
server.on('upgrade', (request, stream, head) => {
  const model = new WebSocket(target.replace('http', 'ws') + (request.url ?? ''), [], { perMessageDeflate: false });
  model.on('error', () => stream.destroy());
  model.on('open', () =>
    sockets.handleUpgrade(request, stream, head, (caller) => {
      caller.on('error', () => model.terminate());
      caller.on('message', (data, binary) => model.send(data, { binary }));
      model.on('message', (data, binary) => caller.send(data, { binary }));
      caller.on('close', () => model.close());
      model.on('close', () => caller.close());
    }),
  );
});
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.on('disconnect', () => process.exit(0));
