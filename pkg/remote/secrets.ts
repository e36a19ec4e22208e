import { Secret } from '../base/index.ts';
import type { Logger } from '../base/index.ts';
import { credentialFault } from '../core/index.ts';
import type { CredentialSource, SecretRef } from '../core/index.ts';
import type { SecretsMessage } from '../wire/index.ts';

/** Secrets of the cluster that the pod's policies name: in memory only, replaced whole. */
export interface Secrets {
  take(message: SecretsMessage): void;
  read(ref: SecretRef): Secret | undefined;
  readonly credentials: CredentialSource;
  subscribe(listener: () => void): () => void;
  clear(): void;
}

interface Named {
  readonly namespace?: string | undefined;
  readonly name: string;
  readonly key: string;
}

/** None of the three can hold a slash. */
const keyOf = ({ namespace = '', name, key }: Named): string => `${namespace}/${name}/${key}`;

/** @param onRefused A value could not be used as a credential: once for each value. */
export function createSecrets(logger: Logger, onRefused?: () => void): Secrets {
  let values = new Map<string, Secret>();
  const listeners = new Set<() => void>();
  /** References that were found unusable: told once for each content. */
  const told = new Map<string, string>();
  const read = (ref: SecretRef): Secret | undefined => (ref.kind === 'Secret' ? values.get(keyOf(ref)) : undefined);

  return {
    read,
    take(message) {
      values = new Map(message.values.map((one) => [keyOf(one), new Secret(one.value)]));
      for (const listener of [...listeners]) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    clear() {
      values.clear();
      listeners.clear();
    },
    credentials: {
      read(ref) {
        const secret = read(ref);
        if (secret === undefined || ref.kind !== 'Secret') return undefined;
        // One line feed at the end is how editors and `echo` end a text.
        const text = secret.reveal().replace(/\r?\n$/, '');
        const fault = credentialFault(text);
        if (fault === undefined) return text;
        const mark = secret.fingerprint();
        const at = keyOf(ref);
        if (told.get(at) !== mark) {
          told.set(at, mark);
          logger.error('a Secret cannot be used as a credential', {
            namespace: ref.namespace,
            secret: ref.name,
            key: ref.key,
            fault,
          });
          onRefused?.();
        }
        return undefined;
      },
      close: () => undefined,
    },
  };
}
