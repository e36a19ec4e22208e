import type { Grant, GrantSource } from '../../pkg/core/index.ts';

/** Grants that a test gives and takes. */
export interface GrantList extends GrantSource {
  set(...grants: readonly Grant[]): void;
  /** How long ago they were confirmed, milliseconds. */
  age: number;
}

export function createGrantList(): GrantList {
  let grants: readonly Grant[] = [];
  const listeners = new Set<() => void>();
  return {
    age: 0,
    current: () => grants,
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    ageMs() {
      return this.age;
    },
    set(...next) {
      grants = next;
      for (const listener of listeners) listener();
    },
  };
}
