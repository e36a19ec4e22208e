import { Secret } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { createQueue, isKubeError, objectKey, refOfKey, resources } from '../../kube/index.ts';
import type { KubeClient, KubeObject, ObjectRef } from '../../kube/index.ts';

/**
 * Longest value of a Secret that is used, bytes: larger than all public authorities together. A Secret of Kubernetes holds up to
 * 1 MiB, which in JSON may be six.
 */
export const longestValue = 256 * 1024;

/** Content of one Secret as it was last read. Values never leave it but as {@link Secret}. */
export interface SecretContent {
  /** Undefined: there is no such key, or its value is longer than {@link longestValue}. */
  text(key: string): Secret | undefined;
  bytes(key: string): Uint8Array | undefined;
  readonly keys: readonly string[];
  /** Those whose value is too long to be used. */
  readonly tooLong: readonly string[];
}

/**
 * The Secrets that policies name, each read by its name: when it is first named, and every 30 s. Nothing is listed or watched, and what is
 * no longer named is forgotten.
 */
export interface SecretStore {
  /** Names as `ns/name`; reads those that are new. */
  want(keys: ReadonlySet<string>): void;
  /**
   * `pending`: not read yet. `missing`: there is none, or it may not be read: after seconds where it never was, and
   * {@link SecretStoreOptions.alwaysRead} is; else after {@link forbiddenMs}.
   */
  read(key: string): SecretContent | 'missing' | 'pending';
  close(): Promise<void>;
}

export interface SecretStoreOptions {
  readonly client: Pick<KubeClient, 'get'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called when what `read` says of it has changed. */
  readonly onChange: (key: string) => void;
  /** One that may always be read: where that is forbidden too, the API server does not know the roles yet. */
  readonly alwaysRead: ObjectRef;
  /** Default 30 s. */
  readonly refreshMs?: number;
}

/**
 * An API server that starts forbids everything until it knows the roles: only what it forbids for so long, with no other answer between,
 * is ours to read no longer.
 */
export const forbiddenMs = 60_000;
/** Nor does it learn all roles at once. */
const severalRolesMs = 2_000;

interface Held {
  readonly version: string;
  readonly content: SecretContent | 'missing';
}

function contentOf(raw: KubeObject): SecretContent {
  const { data } = raw as { data?: Readonly<Record<string, unknown>> };
  const values = new Map<string, Buffer>();
  const tooLong: string[] = [];
  for (const [key, value] of Object.entries(data ?? {})) {
    if (typeof value !== 'string') continue;
    const bytes = Buffer.from(value, 'base64');
    if (bytes.length > longestValue) tooLong.push(key);
    else values.set(key, bytes);
  }
  return {
    text(key) {
      const value = values.get(key);
      return value === undefined ? undefined : new Secret(value.toString('utf8'));
    },
    bytes: (key) => values.get(key),
    keys: [...values.keys(), ...tooLong],
    tooLong,
  };
}

export function createSecretStore(options: SecretStoreOptions): SecretStore {
  const { client, clock, logger, onChange, alwaysRead, refreshMs = 30_000 } = options;
  const held = new Map<string, Held>();
  /** Since when reading it was forbidden each time; monotonic. */
  const forbiddenSince = new Map<string, number>();
  let wanted: ReadonlySet<string> = new Set();

  const set = (key: string, next: Held): void => {
    const before = held.get(key);
    if (!wanted.has(key) || (before !== undefined && before.version === next.version)) return;
    held.set(key, next);
    onChange(key);
  };
  const knowsRoles = (): Promise<boolean> =>
    client.get<KubeObject>(resources.secrets, alwaysRead).then(
      () => true,
      (error: unknown) => isKubeError(error) && error.status === 404,
    );
  const queue = createQueue({
    name: 'secrets',
    clock,
    logger,
    concurrency: 8,
    // A namespace whose policies name thousands does not keep others from theirs.
    groupOf: (key) => refOfKey(key).namespace ?? '',
    mostBackoffMs: refreshMs,
    async handle(key) {
      if (!wanted.has(key)) return undefined;
      try {
        const raw = await client.get<KubeObject>(resources.secrets, refOfKey(key));
        forbiddenSince.delete(key);
        set(key, {
          version: `${raw.metadata.uid ?? ''}/${raw.metadata.resourceVersion ?? ''}`,
          content: contentOf(raw),
        });
      } catch (error) {
        const status = isKubeError(error) ? error.status : 0;
        if (status === 403) {
          const now = clock.monotonic();
          const since = forbiddenSince.get(key) ?? now;
          forbiddenSince.set(key, since);
          // Tried again soon, and what was read stays.
          const mayPass = held.has(key) || now - since < severalRolesMs || !(await knowsRoles());
          if (now - since < forbiddenMs && mayPass) throw error;
        } else {
          forbiddenSince.delete(key);
          // Anything but that it is not there may pass as well.
          if (status !== 404) throw error;
        }
        set(key, { version: 'missing', content: 'missing' });
      }
      return refreshMs;
    },
  });

  return {
    want(keys) {
      const before = wanted;
      wanted = keys;
      for (const kept of [held, forbiddenSince]) for (const key of kept.keys()) if (!keys.has(key)) kept.delete(key);
      for (const key of keys) if (!before.has(key)) queue.add(key);
    },
    read: (key) => held.get(key)?.content ?? 'pending',
    close: () => queue.close(),
  };
}

export const secretKey = (namespace: string, name: string): string => objectKey({ namespace, name });
