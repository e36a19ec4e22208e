import { Secret } from '../base/index.ts';
import type { LimitStoreMessage } from '../wire/index.ts';
import type { LimitStoreTarget } from './types.ts';

/** Where limits are counted over all pods, as the controller last said. */
export interface LimitStoreTargets {
  take(message: LimitStoreMessage): void;
  current(): LimitStoreTarget | undefined;
  subscribe(listener: () => void): () => void;
}

export function createLimitStoreTargets(): LimitStoreTargets {
  let target: LimitStoreTarget | undefined;
  let text = 'null';
  const listeners = new Set<() => void>();
  return {
    take({ store }) {
      // Said again on each connection: only a change is one.
      const now = JSON.stringify(store);
      if (now === text) return;
      text = now;
      target =
        store === null
          ? undefined
          : {
              url: store.url,
              username: store.username ?? undefined,
              password: store.password === null ? undefined : new Secret(store.password),
              ca: store.ca ?? undefined,
            };
      for (const listener of [...listeners]) listener();
    },
    current: () => target,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
