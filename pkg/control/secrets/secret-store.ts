import { Secret } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { createQueue, isKubeError, objectKey, refOfKey, resources } from '../../kube/index.ts';
import type { KubeClient, KubeObject, ObjectRef } from '../../kube/index.ts';

/**
 * Longest value of a Secret that is used, bytes: larger than all public authorities together. A Secret of Kubernetes holds up to
 * 1 MiB, which in JSON may be six.
 */
export const longestValue = 256 * 1024;

/** Values that policies name in Secrets of one namespace, together, bytes: more than the sidecar of any pod takes. */
export const mostOfNamespace = 8 * 1024 * 1024;

/** What policies name of one Secret, as it was last read. Values never leave it but as {@link Secret}. */
export interface SecretContent {
  /** Undefined: there is no such key, none names it, or its value is longer than {@link longestValue}. */
  text(key: string): Secret | undefined;
  bytes(key: string): Uint8Array | undefined;
  /** Those that are named and are there. */
  readonly keys: readonly string[];
  /** Those whose value is too long to be used. */
  readonly tooLong: readonly string[];
}

/**
 * The Secrets that policies name, each read by its name: when it is first named, and every 30 s. Nothing is listed or watched, no key is
 * kept that is not named, and what is no longer named is forgotten.
 */
export interface SecretStore {
  /** The keys that are named of each Secret, by `ns/name`; reads what is new. */
  want(named: NamedKeys): void;
  /**
   * `pending`: not all that is named of it was read yet. `too_much`: it is not kept, since Secrets of its namespace are more than
   * {@link mostOfNamespace} without it. `missing`: there is none, or it may not be read: after seconds where it never was, and
   * {@link SecretStoreOptions.alwaysRead} is; else after {@link forbiddenMs}.
   */
  read(key: string): SecretContent | 'missing' | 'too_much' | 'pending';
  close(): Promise<void>;
}

export type NamedKeys = ReadonlyMap<string, ReadonlySet<string>>;

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
  readonly content: SecretContent | 'missing' | 'too_much';
  /** What was looked for in it. */
  readonly named: ReadonlySet<string>;
  readonly bytes: number;
}

function contentOf(
  raw: KubeObject,
  named: ReadonlySet<string>,
): { readonly content: SecretContent; readonly bytes: number } {
  const { data } = raw as { data?: Readonly<Record<string, unknown>> };
  const values = new Map<string, Buffer>();
  const tooLong: string[] = [];
  let size = 0;
  for (const [key, value] of Object.entries(data ?? {})) {
    if (typeof value !== 'string' || !named.has(key)) continue;
    const bytes = Buffer.from(value, 'base64');
    if (bytes.length > longestValue) {
      tooLong.push(key);
      continue;
    }
    values.set(key, bytes);
    size += bytes.length;
  }
  const content: SecretContent = {
    text(key) {
      const value = values.get(key);
      return value === undefined ? undefined : new Secret(value.toString('utf8'));
    },
    bytes: (key) => values.get(key),
    keys: [...values.keys(), ...tooLong],
    tooLong,
  };
  return { content, bytes: size };
}

const none: ReadonlySet<string> = new Set();
/** Whether all that is named now was named then. */
const covers = (then: ReadonlySet<string> | undefined, now: ReadonlySet<string> = none): boolean =>
  then !== undefined && [...now].every((key) => then.has(key));

export function createSecretStore(options: SecretStoreOptions): SecretStore {
  const { client, clock, logger, onChange, alwaysRead, refreshMs = 30_000 } = options;
  const held = new Map<string, Held>();
  /** Since when reading it was forbidden each time; monotonic. */
  const forbiddenSince = new Map<string, number>();
  let wanted: NamedKeys = new Map();
  /** Secrets in which all was looked for that is named now. Known ahead: each value of each pod asks. */
  const covered = new Set<string>();
  /** Bytes of what is held, by namespace. */
  const used = new Map<string, number>();

  const keep = (key: string, next: Held | undefined): void => {
    const namespace = refOfKey(key).namespace ?? '';
    const now = (used.get(namespace) ?? 0) - (held.get(key)?.bytes ?? 0) + (next?.bytes ?? 0);
    if (now > 0) used.set(namespace, now);
    else used.delete(namespace);
    if (next === undefined) held.delete(key);
    else held.set(key, next);
  };
  const judge = (key: string): void => {
    const one = held.get(key);
    if (one !== undefined && covers(one.named, wanted.get(key))) covered.add(key);
    else covered.delete(key);
  };
  const set = (key: string, next: Held): void => {
    const before = held.get(key);
    if (!wanted.has(key) || (before !== undefined && before.version === next.version)) return;
    keep(key, next);
    judge(key);
    onChange(key);
  };
  const found = (key: string, raw: KubeObject, named: ReadonlySet<string>): Held => {
    const { content, bytes } = contentOf(raw, named);
    const others = (used.get(refOfKey(key).namespace ?? '') ?? 0) - (held.get(key)?.bytes ?? 0);
    const fits = others + bytes <= mostOfNamespace;
    const { uid = '', resourceVersion = '' } = raw.metadata;
    const version = [uid, resourceVersion, fits ? 'whole' : 'none', ...[...named].sort()].join('/');
    return fits ? { version, content, named, bytes } : { version, content: 'too_much', named, bytes: 0 };
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
      const named = wanted.get(key);
      if (named === undefined) return undefined;
      try {
        const raw = await client.get<KubeObject>(resources.secrets, refOfKey(key));
        forbiddenSince.delete(key);
        set(key, found(key, raw, named));
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
        set(key, { version: 'missing', content: 'missing', named, bytes: 0 });
      }
      return refreshMs;
    },
  });

  return {
    want(next) {
      const before = wanted;
      wanted = next;
      for (const key of forbiddenSince.keys()) if (!next.has(key)) forbiddenSince.delete(key);
      for (const key of held.keys()) {
        if (!next.has(key)) keep(key, undefined);
        judge(key);
      }
      for (const [key, named] of next) if (!covers(before.get(key), named)) queue.add(key);
    },
    read(key) {
      const one = held.get(key);
      return one === undefined || (one.content !== 'missing' && !covered.has(key)) ? 'pending' : one.content;
    },
    close: () => queue.close(),
  };
}

export const secretKey = (namespace: string, name: string): string => objectKey({ namespace, name });
