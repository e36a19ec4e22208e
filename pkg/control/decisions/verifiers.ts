import { canonical, sha256 } from '../../core/index.ts';
import type { CompiledProvider, IdentityVerifier, IdentityVerifierFactory } from '../../core/index.ts';

/** Verifiers by what they verify with; the one that was not used for longest goes. */
export interface Verifiers {
  of(providers: readonly CompiledProvider[]): IdentityVerifier;
}

const most = 256;

export function createVerifiers(make: IdentityVerifierFactory): Verifiers {
  const known = new Map<string, IdentityVerifier>();
  return {
    of(providers) {
      const key = sha256(canonical(providers));
      const found = known.get(key) ?? make(providers);
      known.delete(key);
      known.set(key, found);
      const [oldest] = known.keys();
      if (known.size > most && oldest !== undefined) {
        known.get(oldest)?.close();
        known.delete(oldest);
      }
      return found;
    },
  };
}
