// What is left of the sidecar when it looks at nothing: node:https, our own client to the model, and whole bodies both ways.
// Below this no code of ours gets. node floor.ts UPSTREAM_URL CERT_FILE KEY_FILE
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { silentLogger, systemClock } from '../../../pkg/base/index.ts';
import { createUpstream } from '../../../pkg/http/index.ts';

const [url = '', certFile = '', keyFile = ''] = process.argv.slice(2);
const upstream = createUpstream({ url, clock: systemClock, logger: silentLogger });
const server = createServer(
  { cert: readFileSync(certFile), key: readFileSync(keyFile), keepAliveTimeout: 120_000 },
  (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
      let status = 502;
      const answer: Buffer[] = [];
      upstream.send(
        {
          method: request.method ?? 'POST',
          path: request.url ?? '/',
          headers: { 'content-type': request.headers['content-type'] },
          body,
          idleMs: 60_000,
        },
        {
          head: (given) => (status = given),
          data: (chunk) => answer.push(chunk),
          end() {
            const whole = Buffer.concat(answer);
            response
              .writeHead(status, { 'content-type': 'application/json', 'content-length': whole.length })
              .end(whole);
          },
          error: () => response.destroy(),
        },
      );
    });
  },
);
server.listen(0, '127.0.0.1', 4096, () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.on('disconnect', () => process.exit(0));
