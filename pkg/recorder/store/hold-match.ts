import { cut, cutText, mostOfText } from '../bounds.ts';
import type { Hold, HoldTerms } from './port.ts';
import { cutTag, policyOf } from './retention-rules.ts';

/** What of a session holds go by. What is not known yet, or no more, may be anything: a hold that could concern it keeps it. */
export interface HeldFacts {
  /** 32 hex digits. */
  readonly session: string;
  readonly namespace: string;
  readonly pod: string;
  /** Epoch milliseconds: of its start, within what the recorder saw; what its sidecar said, where that is not believed; when its block came. */
  readonly at: number;
  readonly said: number | null;
  readonly received: number;
  /** Undefined: its start is not here. */
  readonly start:
    | {
        readonly user: string | null;
        readonly model: string | null;
        readonly groups: readonly string[];
        /** Of a namespace that it belongs to beside its own ({@link aboutOf}); {@link cutText}: of any. */
        readonly about: string | undefined;
      }
    | undefined;
  /** Of its end; undefined: it has not ended, or its end never came. */
  readonly tags: readonly string[] | undefined;
}

/** What people decided of requests of a namespace stands among Sidegate's own, and is named `NAMESPACE/NAME`. */
const ofNamespaces: ReadonlySet<string> = new Set(['Approval', 'Grant']);

/** The namespace that a change on record is about; undefined: of a session, which is about none but its own. */
export function aboutOf({
  operation,
  path,
}: {
  readonly operation: string;
  readonly path: string;
}): string | undefined {
  return ofNamespaces.has(operation) ? path.split('/')[0] : undefined;
}

/** Which of the holds that stand a session goes with. */
export interface HoldMatcher {
  readonly none: boolean;
  /** Changes with every hold that is placed or released. */
  readonly version: string;
  /** How many holds sessions were compared with so far: of those that stand, the few that name what a session has, and what is not known of it. */
  readonly compared: number;
  /** Their numbers. */
  matching(facts: HeldFacts): readonly number[];
  some(facts: HeldFacts): boolean;
}

/** Of a set of holds. Numbers are never given twice, so that another set has others in it, and is smaller or has a higher number. */
export const versionOf = (count: number, last: number): string => `${count}.${last}`;

/** What acted in a session, or would have, were its policy not in Observe mode: each looked up once, however many holds there are. */
interface Acted {
  /** `rule:NAME`, `observed:NAME`. */
  readonly rules: ReadonlySet<string>;
  /** How these begin up to the name of the rule in its policy. */
  readonly policies: ReadonlySet<string>;
  /** The last parts of their names; undefined: one was cut, of which it may have been any. */
  readonly labels: ReadonlySet<string> | undefined;
}

const kinds = ['rule', 'observed'] as const;
const beginning = /^(?:rule|observed):(?:cluster\/)?[^/]*\/?/;

/** @returns undefined: it is not known, or not all of it */
function readTags(tags: readonly string[] | undefined): Acted | undefined {
  if (tags === undefined || tags.includes(cutTag)) return undefined;
  const rules = tags.filter((tag) => beginning.test(tag));
  const labels = rules.map((tag) => (tag.length < mostOfText ? tag.slice(tag.lastIndexOf('/') + 1) : undefined));
  return {
    rules: new Set(rules),
    policies: new Set(rules.map((tag) => beginning.exec(tag)?.[0] ?? '')),
    labels: labels.includes(undefined) ? undefined : new Set(labels.filter((label) => label !== undefined)),
  };
}

/** What a session has of one kind. Undefined: it may be anything. */
type Has = ReadonlySet<string> | undefined;

/** A session as holds are looked up by it: each kind is read once, and where a hold asks for it. */
function createSeen(facts: HeldFacts): Readonly<Record<Kind, () => Has>> {
  const { start } = facts;
  const once = <Value>(read: () => Value): (() => Value) => {
    let known: { readonly value: Value } | undefined;
    return () => (known ??= { value: read() }).value;
  };
  const acted = once(() => readTags(facts.tags));
  const named = (text: string | null): Has => new Set(text === null ? [] : [text]);
  const about = start?.about;
  const namespaces = once(() =>
    about === cutText ? undefined : new Set([facts.namespace, ...(about === undefined ? [] : [about])]),
  );
  return {
    session: () => new Set([facts.session]),
    pod: once(() => new Set([facts.pod])),
    user: once(() => (start === undefined ? undefined : named(start.user))),
    group: once(() => (start === undefined || start.groups.includes(cutText) ? undefined : new Set(start.groups))),
    rule: () => acted()?.rules,
    label: () => acted()?.labels,
    policy: () => acted()?.policies,
    model: once(() => (start === undefined || start.model === cutText ? undefined : named(start.model))),
    namespace: namespaces,
    owner: namespaces,
    any: () => anything,
  };
}

/** Of every session. */
const anything: ReadonlySet<string> = new Set(['']);

type Kind = keyof typeof wantedBy;

/** What a hold names of each kind, as sessions have it: one of these is enough. That by which sessions differ most comes first. Undefined: it names none. */
const wantedBy = {
  session: ({ session }: HoldTerms) => one(session),
  user: ({ user }: HoldTerms) => one(user),
  group: ({ group }: HoldTerms) => one(group),
  rule: ({ rule }: HoldTerms) => tagsOf(rule),
  label: ({ label }: HoldTerms) => one(label),
  pod: ({ pod }: HoldTerms) => one(pod),
  policy: ({ policy }: HoldTerms) => (policy === undefined ? undefined : tagsOf(policyOf(policy).rules)),
  model: ({ model }: HoldTerms) => one(model),
  namespace: ({ namespace }: HoldTerms) => one(namespace),
  /** Whose its policy is. */
  owner: ({ policy }: HoldTerms) => (policy === undefined ? undefined : one(policyOf(policy).owner)),
  any: () => [...anything],
};

const one = (text: string | undefined): readonly string[] | undefined => (text === undefined ? undefined : [cut(text)]);
const tagsOf = (names: string | undefined): readonly string[] | undefined =>
  names === undefined ? undefined : kinds.map((kind) => cut(`${kind}:${names}`));

const order = Object.keys(wantedBy) as readonly Kind[];

interface Wanting {
  readonly id: number;
  readonly terms: Pick<HoldTerms, 'since' | 'until'>;
  /** What it names beside that by which it is looked up. */
  readonly others: readonly { readonly kind: Kind; readonly keys: readonly string[] }[];
}

/** By its time, or by when its block came, whichever keeps it; without its start it may have begun at any time before that. */
const isWithin = ({ start, at, received, said }: HeldFacts, { since, until }: Wanting['terms']): boolean =>
  (since === undefined || at >= since || received >= since) &&
  (until === undefined || start === undefined || at < until || received < until || (said !== null && said < until));

/** Holds that are looked up by one kind. */
interface Index {
  readonly kind: Kind;
  readonly all: Wanting[];
  readonly byKey: Map<string, Wanting[]>;
}

function indexOf(holds: readonly Pick<Hold, 'id' | 'terms'>[]): readonly Index[] {
  const indexes = order.map((kind): Index => ({ kind, all: [], byKey: new Map() }));
  for (const { id, terms } of holds) {
    const named = order.flatMap((kind) => {
      const keys = wantedBy[kind](terms);
      return keys === undefined ? [] : [{ kind, keys }];
    });
    const [first, ...others] = named;
    const index = indexes.find(({ kind }) => kind === first?.kind);
    if (first === undefined || index === undefined) continue;
    const hold = { id, terms, others: others.filter(({ kind }) => kind !== 'any') };
    index.all.push(hold);
    for (const key of new Set(first.keys)) {
      const list = index.byKey.get(key) ?? [];
      index.byKey.set(key, list);
      list.push(hold);
    }
  }
  return indexes.filter(({ all }) => all.length > 0);
}

/** Lists of those that a session may go with. */
function* candidates({ all, byKey }: Index, has: Has): Iterable<readonly Wanting[]> {
  if (has === undefined) return void (yield all);
  // Whichever are fewer: callers have a thousand groups, and there are a thousand holds.
  if (has.size < byKey.size) for (const key of has) yield byKey.get(key) ?? [];
  else for (const [key, list] of byKey) if (has.has(key)) yield list;
}

export function createHoldMatcher(holds: readonly Pick<Hold, 'id' | 'terms'>[]): HoldMatcher {
  const indexes = indexOf(holds);
  let compared = 0;
  function* matching(facts: HeldFacts): Iterable<number> {
    const seen = createSeen(facts);
    const isOther = ({ kind, keys }: Wanting['others'][number]): boolean => {
      const has = seen[kind]();
      return has !== undefined && !keys.some((key) => has.has(key));
    };
    for (const index of indexes)
      for (const list of candidates(index, seen[index.kind]()))
        for (const { id, terms, others } of list) {
          compared++;
          if (isWithin(facts, terms) && !others.some(isOther)) yield id;
        }
  }
  return {
    none: holds.length === 0,
    version: versionOf(
      holds.length,
      holds.reduce((last, { id }) => Math.max(last, id), 0),
    ),
    get compared() {
      return compared;
    },
    matching: (facts) => [...new Set(matching(facts))],
    some(facts) {
      for (const _ of matching(facts)) return true;
      return false;
    },
  };
}
