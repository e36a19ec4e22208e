import { createFrameReader } from './frames.ts';
import { maxDownBytes } from './messages.ts';
import { readDownMessage } from './read-down.ts';
import { WireError } from './wire-error.ts';

/**
 * Whether a sidecar takes the frame: it is no longer, and no other in form, than its reader allows. One that is not taken ends the
 * stream, and would again after every reconnect: it must not be sent.
 */
export function isTaken(frame: Buffer): boolean {
  try {
    createFrameReader({ maxBytes: maxDownBytes, onFrame: (root) => void readDownMessage(root) }).push(frame);
    return true;
  } catch (error) {
    if (error instanceof WireError) return false;
    throw error;
  }
}
