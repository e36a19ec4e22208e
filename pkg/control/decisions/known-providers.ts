import type { Clock } from '../../base/index.ts';
import type { CompiledProvider } from '../../core/index.ts';
import type { PolicySet } from '../policies/policy-index.ts';

/** Providers of the policies of pods, each once. */
export interface KnownProviders {
  of(namespace: string): readonly CompiledProvider[];
  /** Of all namespaces, as they were up to two seconds ago. */
  all(): readonly CompiledProvider[];
}

const keptMs = 2_000;

/** @param sets of the pods of a namespace, or of all; the same may come more than once */
export function createKnownProviders(
  clock: Pick<Clock, 'monotonic'>,
  sets: (namespace: string | undefined) => Iterable<PolicySet>,
): KnownProviders {
  let everywhere: { readonly until: number; readonly providers: readonly CompiledProvider[] } | undefined;
  const find = (namespace: string | undefined): readonly CompiledProvider[] => {
    const found = new Map<string, CompiledProvider>();
    for (const set of new Set(sets(namespace))) {
      if (set.kind !== 'compiled') continue;
      for (const provider of set.providers) if (!found.has(provider.id)) found.set(provider.id, provider);
    }
    return [...found.values()];
  };
  return {
    of: find,
    all() {
      if (everywhere === undefined || clock.monotonic() >= everywhere.until)
        everywhere = { until: clock.monotonic() + keptMs, providers: find(undefined) };
      return everywhere.providers;
    },
  };
}
