import { Secret } from '../base/index.ts';
import type { Logger } from '../base/index.ts';
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

/** Longer than any key or token in use, shorter than the headers that a model server accepts. */
const longest = 8_000;
/** None of the three can hold a slash. */
const keyOf = ({ namespace = '', name, key }: Named): string => `${namespace}/${name}/${key}`;

export function createSecrets(logger: Logger): Secrets {
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
        // Printable ASCII, no space at an end: it can neither add a header nor split a request.
        if (text.length <= longest && /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text)) return text;
        const mark = secret.fingerprint();
        const at = keyOf(ref);
        if (told.get(at) !== mark) {
          told.set(at, mark);
          logger.error('a Secret cannot be used as a credential: it is empty, too long, or no printable line', {
            namespace: ref.namespace,
            secret: ref.name,
            key: ref.key,
          });
        }
        return undefined;
      },
      close: () => undefined,
    },
  };
}
