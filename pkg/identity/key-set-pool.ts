import { hash } from 'node:crypto';
import type { Timer } from '../base/index.ts';
import { KeySet } from './key-set.ts';
import type { KeyAnswer, KeySetOptions } from './key-set.ts';
import type { KeySourceSpec } from './key-source.ts';

/** How long a key set outlives its last user: a policy swap closes one verifier and makes another. */
const lingerMs = 600_000;

/** The keys of one source, for whoever proves signatures. */
export interface KeyFinder {
  /** Equal where the source is. */
  readonly name: string;
  /** See {@link KeySet.find}. */
  find(keyId: string | undefined, algorithm: string): KeyAnswer | Promise<KeyAnswer>;
  /** See {@link KeySet.newer}. */
  newer(algorithm: string): ReturnType<KeySet['newer']>;
}

/** Whoever holds key sets for others. */
export interface KeySetHolder {
  /** The caller gives it back by `release` of the result, once. */
  acquire(spec: KeySourceSpec): { readonly keys: KeyFinder; release(): void };
}

/** Equal for what gives the same keys; short, whatever the source holds. */
export const sourceName = ({ issuer, jwksUri, ca, allowInsecureLoopback, keys }: KeySourceSpec): string =>
  hash('sha256', JSON.stringify([issuer, jwksUri ?? null, ca ?? null, allowInsecureLoopback, keys ?? null]), 'base64');

interface Entry {
  readonly keys: KeySet;
  users: number;
  linger: Timer | undefined;
}

/**
 * Key sets by where they come from, shared by verifiers, so that a policy edit fetches nothing again and an outage of
 * the issuer is survived across it.
 */
export class KeySetPool implements KeySetHolder {
  readonly #options: KeySetOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(options: KeySetOptions) {
    this.#options = options;
  }

  acquire(spec: KeySourceSpec): { readonly keys: KeyFinder; release(): void } {
    const name = sourceName(spec);
    let entry = this.#entries.get(name);
    if (entry === undefined) {
      entry = { keys: new KeySet(name, spec, this.#options), users: 0, linger: undefined };
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
