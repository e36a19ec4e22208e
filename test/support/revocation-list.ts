import type { Revocation, RevocationSource } from '../../pkg/core/index.ts';

/** Revocations that a test makes. */
export interface RevocationList extends RevocationSource {
  set(...revocations: readonly Revocation[]): void;
}

export function createRevocationList(): RevocationList {
  let revocations: readonly Revocation[] = [];
  const listeners = new Set<() => void>();
  return {
    current: () => revocations,
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    set(...next) {
      revocations = next;
      for (const listener of listeners) listener();
    },
  };
}
