import type { Identity } from '../core/index.ts';

/** Whose memory it is: a name for each caller, and one for all together who proved nothing. */
export function ownerOf(caller: Identity | undefined): string {
  return caller === undefined ? '' : `${caller.issuer}\n${caller.subject}`;
}
