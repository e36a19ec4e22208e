// A model server of KServe v2 that costs next to nothing: texts are answered by one text, tensors by one tensor.
import { createServer } from 'node:http2';
import type { ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { prefixed, tensorAnswer, textAnswer } from '../grpc-messages.ts';

const windowBytes = 1_024 * 1_024;
const server = createServer({ settings: { initialWindowSize: windowBytes } });
const text = prefixed(textAnswer());
const tensor = prefixed(tensorAnswer());
server.on('session', (session) => session.setLocalWindowSize(16 * windowBytes));
server.on('stream', (opened) => {
  const stream = opened as ServerHttp2Stream;
  let bytes = 0;
  stream.on('data', (chunk: Buffer) => (bytes += chunk.length));
  stream.on('error', () => undefined);
  stream.on('end', () => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(bytes > tensor.length / 2 ? tensor : text);
  });
});
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.on('disconnect', () => process.exit(0));
