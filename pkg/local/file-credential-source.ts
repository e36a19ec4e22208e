import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Secret, describeError } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import { credentialFault } from '../core/index.ts';
import type { CredentialSource, SecretRef } from '../core/index.ts';

/**
 * The model's credential from a file beside the process, read again when it changes.
 *
 * Guarantee: `read` gives printable ASCII without line breaks or nothing, so that a value can neither add a header nor
 * split a request, of a length that the scanner finds again in answers; a file that is missing or holds anything else gives
 * nothing, and requests are refused.
 * The value itself is in no log line and no error. Limit: a change is seen after at most one period.
 */

type SecretKindRef = Extract<SecretRef, { readonly kind: 'Secret' }>;

export interface FileCredentialOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where Secrets of the cluster come from. Default: there is no cluster, so they are missing. */
  readonly secretResolver?: (ref: SecretKindRef) => string | undefined;
  /** How often the files are read again; default 1 s. */
  readonly pollMs?: number;
  /** A file could not be used: once for each fault. */
  readonly onRefused?: () => void;
}

interface Entry {
  value: Secret | undefined;
  /** The wording of what is wrong, so that it is logged once. */
  fault: string | undefined;
}

export function fileCredentialSource(options: FileCredentialOptions): CredentialSource {
  const { clock, logger } = options;
  const entries = new Map<string, Entry>();
  let reading = false;

  const settle = (path: string, entry: Entry, content: Buffer | unknown): void => {
    let value: Secret | undefined;
    let fault: string | undefined;
    if (Buffer.isBuffer(content)) {
      // One line feed at the end is how editors and `echo` end a file; latin1 keeps each byte a character to be judged.
      const text = content.toString('latin1').replace(/\r?\n$/, '');
      fault = credentialFault(text);
      if (fault === undefined) value = new Secret(text);
    } else fault = describeError(content);
    if (fault !== entry.fault && fault !== undefined) {
      logger.error('a credential file cannot be used', { path, fault });
      options.onRefused?.();
    }
    if (value !== undefined && entry.value?.reveal() !== value.reveal()) {
      logger.info('a credential was read', { path, fingerprint: value.fingerprint() });
    }
    entry.value = value;
    entry.fault = fault;
  };

  const first = (path: string): Entry => {
    const entry: Entry = { value: undefined, fault: undefined };
    entries.set(path, entry);
    try {
      settle(path, entry, readFileSync(path));
    } catch (error) {
      settle(path, entry, error);
    }
    return entry;
  };

  const refresh = async (): Promise<void> => {
    if (reading) return;
    reading = true;
    try {
      for (const [path, entry] of entries) {
        // Catches inside: one file that cannot be read must not stop the next.
        const content: unknown = await readFile(path).catch((error: unknown) => error);
        settle(path, entry, content);
      }
    } finally {
      reading = false;
    }
  };
  const timer = clock.every(options.pollMs ?? 1000, () => {
    refresh().catch((error: unknown) =>
      logger.error('credentials were not read again', { error: describeError(error) }),
    );
  });

  return {
    read(ref) {
      if (ref.kind === 'Secret') return options.secretResolver?.(ref);
      return (entries.get(ref.path) ?? first(ref.path)).value?.reveal();
    },
    close() {
      timer.cancel();
      entries.clear();
    },
  };
}
