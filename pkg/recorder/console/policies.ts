import { describeError, parseJson } from '../../base/index.ts';
import type { Clock, JsonValue, Logger } from '../../base/index.ts';
import type { Person } from '../api/people.ts';
import { owned } from '../bounds.ts';
import type { RecordStore, SessionSummary } from '../store/index.ts';
import type { Health, PolicyHealth, PolicyState } from './policy-health.ts';

/**
 * Which policies were in force, as the records of the last day say: the start of each session names them. And how those are that are there
 * now, as the controller says; while it does not, that is said.
 */
export interface PolicyView {
  of(person: Pick<Person, 'namespaces'>): Promise<JsonValue>;
}

type Store = Pick<RecordStore, 'search' | 'sessionLines'>;

const dayMs = 86_400_000;
/** Sessions that are looked at, the newest: for all namespaces together. */
const mostSessions = 1_000;
const mostNamespaces = 20;
/** Whoever asks again within it is told the same. */
const keptMs = 10_000;
const mostKept = 32;
/** Characters of what the start of a session says was in force, and policies of one sidecar and of all: what is more is not shown. */
const mostGeneration = 8_192;
const mostOfChain = 100;
const mostPolicies = 1_000;
/** Characters of a name in Kubernetes. */
const longestName = 253;

interface Seen {
  readonly namespace: string | null;
  readonly name: string;
  readonly generation: number;
  sessions: number;
  last: number;
}

interface Policies {
  readonly found: Map<string, Seen>;
  /** False: there were more than are shown. */
  complete: boolean;
}

export interface PolicyViewOptions {
  readonly store: Store;
  /** Undefined: that is not shown. */
  readonly health: PolicyHealth | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

export function createPolicyView({ store, health, clock, logger }: PolicyViewOptions): PolicyView {
  /** Undefined: the controller does not say. */
  const healthOf = async (namespaces: readonly string[]): Promise<Health | undefined> => {
    try {
      return await health?.of(namespaces.includes('*') ? undefined : namespaces.slice(0, mostNamespaces));
    } catch (error) {
      logger.warn('the controller does not say how policies are', { error: describeError(error) });
      return undefined;
    }
  };
  const viewOf = async (namespaces: readonly string[]): Promise<JsonValue> => {
    const [seen, now] = await Promise.all([policiesOf(store, namespaces, clock.now() - dayMs), healthOf(namespaces)]);
    const { policies, complete } = withHealth(seen, now, namespaces.includes('*'));
    return { policies, complete, ...(health !== undefined && { health: now !== undefined }) };
  };
  const kept = new Map<string, { readonly until: number; readonly answer: Promise<JsonValue> }>();
  return {
    of({ namespaces }) {
      const key = namespaces.join(' ');
      const now = clock.monotonic();
      const known = kept.get(key);
      if (known !== undefined && now < known.until) return known.answer;
      if (kept.size >= mostKept) kept.clear();
      const answer = viewOf(namespaces);
      kept.set(key, { until: now + keptMs, answer });
      answer.catch(() => kept.delete(key));
      return answer;
    },
  };
}

interface Row {
  readonly namespace: string | null;
  readonly name: string;
  readonly generation: number;
  readonly sessions: number;
  readonly lastSeen: string | null;
}

interface Rows {
  readonly rows: readonly Row[];
  readonly complete: boolean;
}

const byName = (one: Omit<Row, 'lastSeen' | 'sessions'>, other: Omit<Row, 'lastSeen' | 'sessions'>): number =>
  (one.namespace ?? '').localeCompare(other.namespace ?? '') ||
  one.name.localeCompare(other.name) ||
  other.generation - one.generation;

/** @param all Whoever asks may read everything; else the platform's policies are those that their sessions ran under, and no message of them is shown: it may name others' pods. */
function withHealth({ rows, complete }: Rows, now: Health | undefined, all: boolean) {
  const keyOf = (of: { readonly namespace?: string | null | undefined; readonly name: string }): string =>
    JSON.stringify([of.namespace ?? null, of.name]);
  const seen = new Set(rows.map(keyOf));
  const shown = (now?.policies ?? []).filter((one) => all || one.namespace !== undefined || seen.has(keyOf(one)));
  const byKey = new Map(shown.map((one) => [keyOf(one), one]));
  const judged = (row: Row): JsonValue => {
    const state = byKey.get(keyOf(row));
    // What an older generation was like nobody says.
    return state?.generation === row.generation ? { ...row, ...healthOf(state, all) } : { ...row };
  };
  const has = new Set(rows.map((row) => `${keyOf(row)} ${row.generation}`));
  const unseen = shown
    .filter((one) => !has.has(`${keyOf(one)} ${one.generation}`))
    .map(({ namespace, name, generation }) => ({
      namespace: namespace ?? null,
      name,
      generation,
      sessions: 0,
      lastSeen: null,
    }));
  return {
    policies: [...rows, ...unseen].toSorted(byName).slice(0, mostPolicies).map(judged),
    complete: complete && now?.complete !== false && rows.length + unseen.length <= mostPolicies,
  };
}

const healthOf = (
  { namespace, observed, conditions }: PolicyState,
  all: boolean,
): { readonly [key: string]: JsonValue } => ({
  observed: observed ?? null,
  conditions: conditions.map((one) => ({ ...one, message: all || namespace !== undefined ? one.message : '' })),
});

async function policiesOf(store: Store, namespaces: readonly string[], since: number): Promise<Rows> {
  const asked = namespaces.includes('*') ? [undefined] : namespaces.slice(0, mostNamespaces);
  const limit = Math.ceil(mostSessions / Math.max(1, asked.length));
  const pages = await Promise.all(
    asked.map((namespace) => store.search({ since, limit, ...(namespace !== undefined && { namespace }) })),
  );
  const sessions = pages.flatMap((page) => page.sessions);
  const chains = Map.groupBy(sessions, ({ source, chain }) => `${source} ${chain}`);
  const seen: Policies = { found: new Map(), complete: true };
  for (const chain of chains.values()) await countChain(store, chain, seen);
  const rows = [...seen.found.values()]
    .toSorted(byName)
    .map(({ last, ...policy }) => ({ ...policy, lastSeen: new Date(last).toISOString() }));
  return {
    rows,
    // The console says of what part of the day it speaks.
    complete: seen.complete && asked.length === namespaces.length && pages.every(({ cursor }) => cursor === undefined),
  };
}

/**
 * Sessions of one sidecar, of which few have to be read: where two of them were under the same policies, so were all between, since
 * generations only rise.
 */
async function countChain(store: Store, chain: readonly SessionSummary[], seen: Policies): Promise<void> {
  const ordered = chain.toSorted((one, other) => one.sequence - other.sequence);
  const read = new Map<number, Promise<string | undefined>>();
  const at = (index: number): Promise<string | undefined> => {
    const found = read.get(index) ?? generationOf(store, ordered[index]);
    read.set(index, found);
    return found;
  };
  const own = new Set<string>();
  const count = (session: SessionSummary, generation: string | undefined): void => {
    if (generation === undefined) seen.complete = false;
    for (const one of policiesIn(generation ?? '', session.namespace)) {
      const key = JSON.stringify([one.namespace, one.name, one.generation]);
      own.add(key);
      const known = seen.found.get(key) ?? { ...one, name: owned(one.name), sessions: 0, last: 0 };
      if (own.size > mostOfChain || (known.sessions === 0 && seen.found.size >= mostPolicies)) {
        own.delete(key);
        seen.complete = false;
        return;
      }
      known.sessions++;
      known.last = Math.max(known.last, session.at);
      seen.found.set(key, known);
    }
  };
  const walk = async (from: number, to: number): Promise<void> => {
    const [first, last] = await Promise.all([at(from), at(to)]);
    if (first === last || to - from < 2) {
      ordered.slice(from, to + 1).forEach((session, n) => count(session, n === to - from ? last : first));
      return;
    }
    const middle = Math.floor((from + to) / 2);
    await walk(from, middle);
    await walk(middle + 1, to);
  };
  if (ordered.length > 0) await walk(0, ordered.length - 1);
}

/**
 * `support-llm@7+cluster/base@2`; '' where its start is not there any more, or it is no session of a model; undefined: longer than one is
 * taken to be.
 */
async function generationOf(store: Store, session: SessionSummary | undefined): Promise<string | undefined> {
  if (session === undefined) return '';
  for await (const line of store.sessionLines(session.session, session)) {
    const generation = parseJson(line, { loneSurrogates: true }).get('generation')?.string ?? '';
    return generation.length > mostGeneration ? undefined : owned(generation);
  }
  return '';
}

/** Policies of namespaces are those of the pod's own. */
function policiesIn(generation: string, namespace: string): readonly Pick<Seen, 'namespace' | 'name' | 'generation'>[] {
  return generation.split('+').flatMap((one) => {
    const [, platform, name, number] = /^(cluster\/)?(.+)@([0-9]{1,15})$/.exec(one) ?? [];
    if (name === undefined || name.length > longestName) return [];
    return [{ namespace: platform === undefined ? namespace : null, name, generation: Number(number) }];
  });
}
