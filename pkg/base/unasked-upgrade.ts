import type { ClientRequest } from 'node:http';

/**
 * Ends a call whose answer is 101, which nobody asked for. Of such an answer that nobody listens for Node's client closes the connection, and gives
 * neither an answer nor an error; nor does anything come of it when a time limit destroys the call: who waits for it waits for ever.
 *
 * @param refuse Ends the waiting.
 */
export function onUnaskedUpgrade(call: ClientRequest, refuse: () => void): void {
  call.on('upgrade', (_response, socket) => {
    socket.destroy();
    refuse();
  });
}
