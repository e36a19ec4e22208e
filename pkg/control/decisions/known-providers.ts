import type { Clock } from '../../base/index.ts';
import type { CompiledProvider } from '../../core/index.ts';
import type { PolicySet } from '../policies/policy-index.ts';

/** Providers of the policies of pods, each once, as they were up to two seconds ago. */
export interface KnownProviders {
  of(namespace: string): readonly CompiledProvider[];
  /** Of all namespaces. */
  all(): readonly CompiledProvider[];
}

const keptMs = 2_000;
/** Whoever asks names the namespace. */
const mostKept = 1_024;

interface Kept {
  readonly until: number;
  readonly providers: readonly CompiledProvider[];
}

/** @param sets of the pods of a namespace, or of all; the same may come more than once */
export function createKnownProviders(
  clock: Pick<Clock, 'monotonic'>,
  sets: (namespace: string | undefined) => Iterable<PolicySet>,
): KnownProviders {
  /** By namespace; undefined: of all. */
  const kept = new Map<string | undefined, Kept>();
  const find = (namespace: string | undefined): readonly CompiledProvider[] => {
    const found = new Map<string, CompiledProvider>();
    for (const set of new Set(sets(namespace))) {
      if (set.kind !== 'compiled') continue;
      for (const provider of set.providers) if (!found.has(provider.id)) found.set(provider.id, provider);
    }
    return [...found.values()];
  };
  const recall = (namespace: string | undefined): readonly CompiledProvider[] => {
    const now = clock.monotonic();
    const known = kept.get(namespace);
    if (known !== undefined && now < known.until) return known.providers;
    if (kept.size >= mostKept) kept.clear();
    const providers = find(namespace);
    kept.set(namespace, { until: now + keptMs, providers });
    return providers;
  };
  return { of: recall, all: () => recall(undefined) };
}
