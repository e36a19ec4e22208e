/** RFC 6902 patches of single elements: what others have added meanwhile, and fields that we do not know, are never in them. */
import { isRecord } from './pod.ts';
import { sameJson } from './same-json.ts';

export type PatchOperation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'move'; readonly from: string; readonly path: string };

/** RFC 6901. */
const under = (path: string, key: string | number): string =>
  `${path}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;

/** The operations that make `after` of `before`, in order. */
export function patchBetween(before: unknown, after: unknown, path = ''): readonly PatchOperation[] {
  if (sameJson(before, after)) return [];
  if (Array.isArray(before) && Array.isArray(after)) return listPatch(before, after, path);
  if (isRecord(before) && isRecord(after)) return objectPatch(before, after, path);
  return [{ op: 'replace', path, value: after }];
}

function objectPatch(
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
  path: string,
): readonly PatchOperation[] {
  const removed = Object.keys(before)
    .filter((key) => !Object.hasOwn(after, key))
    .map((key): PatchOperation => ({ op: 'remove', path: under(path, key) }));
  const set = Object.entries(after).flatMap(([key, value]) => {
    const at = under(path, key);
    const had = before[key];
    if (Object.hasOwn(before, key) && !(had === null && Array.isArray(value))) return patchBetween(had, value, at);
    // A list that was not there: the list first, then its elements one by one, as for one that was.
    return Array.isArray(value)
      ? [{ op: 'add', path: at, value: [] } as const, ...listPatch([], value, at)]
      : [{ op: 'add', path: at, value } as const];
  });
  return [...removed, ...set];
}

/** The names of a list whose elements all have one of their own: containers, volumes, variables. */
function namesIn(list: readonly unknown[]): readonly string[] | undefined {
  const names = list.map((item) => (isRecord(item) && typeof item['name'] === 'string' ? item['name'] : undefined));
  const all = names.filter((name) => name !== undefined);
  return all.length === list.length && new Set(all).size === all.length ? all : undefined;
}

function listPatch(before: readonly unknown[], after: readonly unknown[], path: string): readonly PatchOperation[] {
  const [names, wanted] = [namesIn(before), namesIn(after)];
  if (names !== undefined && wanted !== undefined) return namedPatch(before, after, wanted, path);
  const shared = Math.min(before.length, after.length);
  return [
    ...after.slice(0, shared).flatMap((item, at) => patchBetween(before[at], item, under(path, at))),
    ...after.slice(shared).map((value, at): PatchOperation => ({ op: 'add', path: under(path, shared + at), value })),
    // From the end, so that the places before stay what they are.
    ...before
      .slice(shared)
      .map((_, at): PatchOperation => ({ op: 'remove', path: under(path, before.length - 1 - at) })),
  ];
}

/** Elements are found again by their names, wherever they stand: a container that moves is moved, not rewritten. */
function namedPatch(
  before: readonly unknown[],
  after: readonly unknown[],
  wanted: readonly string[],
  path: string,
): readonly PatchOperation[] {
  const operations: PatchOperation[] = [];
  const now = [...before];
  const names = [...(namesIn(before) ?? [])];
  for (let at = now.length - 1; at >= 0; at--) {
    if (wanted.includes(names[at] ?? '')) continue;
    operations.push({ op: 'remove', path: under(path, at) });
    now.splice(at, 1);
    names.splice(at, 1);
  }
  wanted.forEach((name, at) => {
    const from = names.indexOf(name, at);
    if (from === -1) {
      operations.push({ op: 'add', path: under(path, at), value: after[at] });
      now.splice(at, 0, after[at]);
      names.splice(at, 0, name);
      return;
    }
    if (from !== at) {
      operations.push({ op: 'move', from: under(path, from), path: under(path, at) });
      now.splice(at, 0, ...now.splice(from, 1));
      names.splice(at, 0, ...names.splice(from, 1));
    }
    operations.push(...patchBetween(now[at], after[at], under(path, at)));
  });
  return operations;
}
