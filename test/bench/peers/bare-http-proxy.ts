// The peer that every ratio is taken against: the http-proxy package over TLS, and nothing else.
// node bare-http-proxy.ts UPSTREAM_URL CERT_FILE KEY_FILE
import { readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import httpProxy from 'http-proxy';

const [target = '', certFile = '', keyFile = ''] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY, scheduling: 'lifo' });
const proxy = httpProxy.createProxyServer({ target, agent });
proxy.on('error', (_error, _request, response) => {
  if ('writeHead' in response && !response.headersSent) response.writeHead(502).end();
  else response.destroy();
});
const server = createServer(
  { cert: readFileSync(certFile), key: readFileSync(keyFile), keepAliveTimeout: 120_000 },
  (request, response) => proxy.web(request, response),
);
server.listen(0, '127.0.0.1', 4096, () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.on('disconnect', () => process.exit(0));
