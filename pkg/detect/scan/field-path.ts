import { CodedError } from '../../base/index.ts';
import type { ScanRule } from '../../core/index.ts';

/**
 * Field paths of policies: `$.a.b`, `$.items[*].card`, `$.items[0]`, `$.a.*`, `**.ssn` (at any depth, arrays included), `$.**.x`.
 * A path matches a value; what lies inside of a matched value falls under it too.
 */
type Segment =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'anyIndex' }
  | { readonly kind: 'any' }
  | { readonly kind: 'deep' };

/** Names longer than this are not compared: no rule names one. */
export const longestName = 256;

/** @throws CodedError `invalid_field_path` that names the path */
export function parseFieldPath(path: string): readonly Segment[] {
  const refuse = (): never => {
    throw new CodedError('invalid_field_path', `field path ${path}: expected $.a.b, $.items[*].c or **.name`);
  };
  let rest = path.startsWith('$') ? path.slice(1) : path.startsWith('**.') ? `.${path}` : refuse();
  const segments: Segment[] = [];
  while (rest.length > 0) {
    const match = /^\.(\*\*|\*|[^.[\]*]+)|^\[(\*|[0-9]{1,9})\]/u.exec(rest) ?? refuse();
    const [whole, name, index] = match;
    if (name === '**') segments.push({ kind: 'deep' });
    else if (name === '*') segments.push({ kind: 'any' });
    else if (name !== undefined) {
      if (name.length > longestName) refuse();
      segments.push({ kind: 'name', name });
    } else if (index === '*') segments.push({ kind: 'anyIndex' });
    else segments.push({ kind: 'index', index: Number(index) });
    rest = rest.slice(whole.length);
  }
  if (segments.at(-1)?.kind === 'deep') refuse();
  return segments;
}

/** Where a walk through a value stands. States are shared; following a key costs one lookup, however many rules there are. */
export interface PathState {
  /** Rules whose path ends here, rising. */
  readonly rules: readonly number[];
  readonly key: (name: string) => PathState;
  readonly item: (index: number) => PathState;
  /** Rules of which a path ends at some element of a list that stands here, rising. */
  readonly itemRules: () => readonly number[];
}

/** The walk over all field paths of some rules; undefined when none has any. */
export function compileFieldPaths(
  rules: readonly ScanRule[],
  wanted: (rule: number) => boolean,
): PathState | undefined {
  const paths = rules.flatMap((rule, index) =>
    wanted(index) ? rule.fields.map((path) => ({ rule: index, segments: parseFieldPath(path) })) : [],
  );
  if (paths.length === 0) return undefined;
  const names = new Set<string>();
  const indices = new Set<number>();
  for (const segment of paths.flatMap((path) => path.segments)) {
    if (segment.kind === 'name') names.add(segment.name);
    if (segment.kind === 'index') indices.add(segment.index);
  }

  /** A position is path * stride + segment. */
  const stride = Math.max(...paths.map((path) => path.segments.length)) + 1;
  const states = new Map<string, PathState>();
  const segmentAt = (position: number): Segment | undefined =>
    paths[Math.floor(position / stride)]?.segments[position % stride];

  const stateOf = (positions: ReadonlySet<number>): PathState => {
    // `**` stands for no step as well.
    const all = new Set<number>();
    for (const position of positions) {
      let at = position;
      all.add(at);
      while (segmentAt(at)?.kind === 'deep') all.add(++at);
    }
    const sorted = [...all].sort((a, b) => a - b);
    const name = sorted.join();
    let state = states.get(name);
    if (state === undefined) states.set(name, (state = makeState(sorted)));
    return state;
  };

  const makeState = (positions: readonly number[]): PathState => {
    const ended = positions.filter((at) => segmentAt(at) === undefined);
    const byKey = new Map<string, PathState>();
    const byItem = new Map<number, PathState>();
    const follow = (takes: (segment: Segment) => boolean): PathState => {
      const next = new Set<number>();
      for (const at of positions) {
        const segment = segmentAt(at);
        if (segment === undefined) continue;
        if (segment.kind === 'deep') next.add(at);
        else if (takes(segment)) next.add(at + 1);
      }
      return stateOf(next);
    };
    const cached = <Key>(cache: Map<Key, PathState>, key: Key, takes: (segment: Segment) => boolean): PathState => {
      let state = cache.get(key);
      if (state === undefined) cache.set(key, (state = follow(takes)));
      return state;
    };
    let ofItems: readonly number[] | undefined;
    const item = (index: number): PathState => {
      const known = indices.has(index);
      return cached(byItem, known ? index : -1, (segment) =>
        segment.kind === 'index' ? known && segment.index === index : segment.kind !== 'name',
      );
    };
    return {
      rules: [...new Set(ended.map((at) => paths[Math.floor(at / stride)]?.rule ?? 0))].sort((a, b) => a - b),
      key: (name) => {
        const known = names.has(name);
        return cached(byKey, known ? `=${name}` : '', (segment) =>
          segment.kind === 'name' ? known && segment.name === name : segment.kind === 'any',
        );
      },
      item,
      itemRules: () =>
        (ofItems ??= [...new Set([-1, ...indices].flatMap((index) => item(index).rules))].sort((a, b) => a - b)),
    };
  };
  return stateOf(new Set(paths.map((_, index) => index * stride)));
}
