// A model server of WebSockets that costs next to nothing: what is said to its echo comes back, and each question is answered in pieces.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from '../../support/socket-model.ts';
import { answerTo, echoPath } from '../socket-messages.ts';

const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
const server = createServer();
server.on('upgrade', (request, stream, head) => {
  const isEcho = request.url === echoPath;
  sockets.handleUpgrade(request, stream, head, (socket) => {
    let number = 0;
    socket.on('error', () => undefined);
    socket.on('message', (data) => {
      if (isEcho) socket.send(data.toString('utf8'));
      else for (const text of answerTo(number++)) socket.send(text);
    });
  });
});
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.on('disconnect', () => process.exit(0));
