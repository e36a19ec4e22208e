import type { X509Certificate } from 'node:crypto';
import { readBundle } from '../pki/index.ts';
import type { StateFolder } from './state-file.ts';
import type { RemoteEvent } from './types.ts';

/**
 * The authorities by which the controller is known: those given at admission, then those that an authenticated controller
 * named last. Nothing else, never those of the system.
 */
export interface Trust {
  pem(): string;
  authorities(): readonly X509Certificate[];
  /** False: not a bundle, or one that would not know the controller that sent it. */
  take(pem: string, vouches: (authorities: readonly X509Certificate[]) => boolean): boolean;
}

const file = 'trust.json';

/** @throws PkiError when there is no authority at the start: an empty list would mean the system's. */
export function createTrust(initial: string, state: StateFolder, onEvent: (event: RemoteEvent) => void): Trust {
  let current = readTrust(initial);
  const stored = state.read(file);
  if (stored.kind === 'refused') onEvent('state_refused');
  if (stored.kind === 'content') {
    try {
      current = readTrust(String(stored.content));
    } catch {
      onEvent('state_refused');
    }
  }
  return {
    pem: () => current.pem,
    authorities: () => current.authorities,
    take(pem, vouches) {
      try {
        const next = readTrust(pem);
        if (next.pem === current.pem) return true;
        if (!vouches(next.authorities)) return false;
        current = next;
      } catch {
        return false;
      }
      if (!state.write(file, current.pem)) onEvent('state_unwritable');
      onEvent('trust_taken');
      return true;
    },
  };
}

/** Written out anew, so that what TLS reads from the text is what was judged here. */
function readTrust(text: string): { readonly pem: string; readonly authorities: readonly X509Certificate[] } {
  const authorities = readBundle(text);
  return { pem: authorities.map((one) => one.toString()).join(''), authorities };
}
