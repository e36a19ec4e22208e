import { compareResourceVersions, objectKey } from './objects.ts';
import type { KubeObject } from './objects.ts';

/** What happened to an object. `before` and `after` are what `transform` made of it. */
export interface Change<T> {
  readonly key: string;
  readonly before: T | undefined;
  readonly after: T | undefined;
}

/** Values of one object in one index; objects are found by any of them. */
export type IndexFunction<T> = (object: T) => readonly string[];

interface Entry<T> {
  readonly object: T;
  readonly version: string;
}

/** Objects by key and by indices. Knows nothing of where they come from. */
export interface Store<T> {
  readonly size: number;
  get(key: string): T | undefined;
  values(): IterableIterator<T>;
  /** Objects with that value in that index. @throws when there is no such index. */
  by(index: string, value: string): readonly T[];
  /** Takes an object of a list or a watch. Undefined: it is no newer than what is there. */
  put(raw: KubeObject): Change<T> | undefined;
  remove(raw: KubeObject): Change<T> | undefined;
  /** Makes the store hold exactly these; returns what that changed. */
  replace(all: readonly { readonly key: string; readonly version: string; readonly object: T }[]): readonly Change<T>[];
  /** By `make`, unless this very version is held. */
  prepare<Made extends T | undefined>(
    raw: KubeObject,
    make: (raw: KubeObject) => Made,
  ): { readonly key: string; readonly version: string; readonly object: T | Made };
}

export function createStore<T>(
  transform: (raw: KubeObject) => T,
  indices: Readonly<Record<string, IndexFunction<T>>>,
): Store<T> {
  const entries = new Map<string, Entry<T>>();
  const indexed = new Map(Object.keys(indices).map((name) => [name, new Map<string, Set<string>>()]));

  const unindex = (key: string, object: T): void => {
    for (const [name, of] of Object.entries(indices)) {
      const index = indexed.get(name);
      for (const value of of(object)) {
        const keys = index?.get(value);
        keys?.delete(key);
        if (keys?.size === 0) index?.delete(value);
      }
    }
  };
  const set = (key: string, version: string, object: T): Change<T> => {
    const before = entries.get(key)?.object;
    if (before !== undefined) unindex(key, before);
    entries.set(key, { object, version });
    for (const [name, of] of Object.entries(indices)) {
      const index = indexed.get(name);
      for (const value of of(object)) {
        const keys = index?.get(value);
        if (keys === undefined) index?.set(value, new Set([key]));
        else keys.add(key);
      }
    }
    return { key, before, after: object };
  };
  const drop = (key: string): Change<T> | undefined => {
    const before = entries.get(key)?.object;
    if (before === undefined) return undefined;
    unindex(key, before);
    entries.delete(key);
    return { key, before, after: undefined };
  };
  const prepare = <Made extends T | undefined>(
    raw: KubeObject,
    make: (raw: KubeObject) => Made,
  ): { key: string; version: string; object: T | Made } => {
    const key = objectKey(raw.metadata);
    const version = raw.metadata.resourceVersion ?? '';
    const held = entries.get(key);
    // A list brings mostly what is known.
    return { key, version, object: held !== undefined && held.version === version ? held.object : make(raw) };
  };

  return {
    get size() {
      return entries.size;
    },
    get: (key) => entries.get(key)?.object,
    *values() {
      for (const { object } of entries.values()) yield object;
    },
    by(name, value) {
      const index = indexed.get(name);
      if (index === undefined) throw new RangeError(`there is no index ${name}`);
      return [...(index.get(value) ?? [])].flatMap((key) => {
        const entry = entries.get(key);
        return entry === undefined ? [] : [entry.object];
      });
    },
    put(raw) {
      const { key, version, object } = prepare(raw, transform);
      const held = entries.get(key);
      if (held !== undefined && compareResourceVersions(version, held.version) <= 0) return undefined;
      return set(key, version, object);
    },
    remove: (raw) => drop(objectKey(raw.metadata)),
    replace(all) {
      const keep = new Set(all.map((one) => one.key));
      const gone = [...entries.keys()].flatMap((key) => (keep.has(key) ? [] : (drop(key) ?? [])));
      const changed = all.flatMap(({ key, version, object }) =>
        entries.get(key)?.version === version ? [] : [set(key, version, object)],
      );
      return [...gone, ...changed];
    },
    prepare,
  };
}
