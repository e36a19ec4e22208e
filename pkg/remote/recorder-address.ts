import type { RecorderMessage } from '../wire/index.ts';

/** Where the record goes, as the controller last said. */
export interface RecorderAddress {
  take(message: RecorderMessage): void;
  current(): string | undefined;
  subscribe(listener: () => void): () => void;
}

export function createRecorderAddress(): RecorderAddress {
  let address: string | undefined;
  const listeners = new Set<() => void>();
  return {
    take({ recorder }) {
      // Said again on each connection: only a change is one.
      if (address === recorder?.url) return;
      address = recorder?.url;
      for (const listener of [...listeners]) listener();
    },
    current: () => address,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
