import type { Timer } from '../base/index.ts';
import { KeySet } from './key-set.ts';
import type { KeySetOptions } from './key-set.ts';
import type { KeySourceSpec } from './key-source.ts';

/** How long a key set outlives its last user: a policy swap closes one verifier and makes another. */
const lingerMs = 600_000;

interface Entry {
  readonly keys: KeySet;
  users: number;
  linger: Timer | undefined;
}

/**
 * Key sets by where they come from, shared by verifiers, so that a policy edit fetches nothing again and an outage of
 * the issuer is survived across it.
 */
export class KeySetPool {
  readonly #options: KeySetOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(options: KeySetOptions) {
    this.#options = options;
  }

  /** The caller gives it back by `release` of the result, once. */
  acquire(spec: KeySourceSpec): { readonly keys: KeySet; release(): void } {
    const { issuer, jwksUri, ca, allowInsecureLoopback, keys } = spec;
    const name = JSON.stringify([issuer, jwksUri ?? null, ca ?? null, allowInsecureLoopback, keys ?? null]);
    let entry = this.#entries.get(name);
    if (entry === undefined) {
      entry = { keys: new KeySet(spec, this.#options), users: 0, linger: undefined };
      this.#entries.set(name, entry);
    }
    const held = entry;
    held.users++;
    held.linger?.cancel();
    held.linger = undefined;
    held.keys.start();
    return { keys: held.keys, release: () => this.#release(name, held) };
  }

  #release(name: string, entry: Entry): void {
    entry.users--;
    if (entry.users > 0) return;
    entry.keys.stop();
    entry.linger = this.#options.clock.after(lingerMs, () => this.#entries.delete(name));
  }
}
