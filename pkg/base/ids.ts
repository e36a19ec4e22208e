import { randomFillSync } from 'node:crypto';

/** Random bytes are asked for in blocks: one call for 256 ids costs what three single calls cost. */
const block = Buffer.alloc(16 * 256);
let used = block.length;

/**
 * A request id: 128 bits from the system's generator as 32 lower-case hex digits. Unguessable, so that a receipt does not
 * let its reader name another caller's session.
 */
export function randomId(): string {
  if (used === block.length) {
    randomFillSync(block);
    used = 0;
  }
  const id = block.toString('hex', used, used + 16);
  // Spent bytes do not stay in memory: who reads it later learns no id.
  block.fill(0, used, used + 16);
  used += 16;
  return id;
}
