import type { Duplex } from 'node:stream';
import type { Clock } from '../base/index.ts';

/** A peer that was refused has so long to read why and to close. */
const patienceMs = 1_000;

/** Says `text` and closes: a peer that does not close its own half is cut off, so that refusals cost no sockets. */
export function refuseSocket(socket: Duplex, text: string, clock: Clock): void {
  const cut = clock.after(patienceMs, () => socket.destroy());
  socket.once('close', () => cut.cancel());
  // Else what the peer still sends would wait unread, and the end of it would never be seen.
  socket.resume();
  socket.end(text);
}
