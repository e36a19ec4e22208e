import { parseJson } from '../../base/index.ts';
import type { Clock, JsonValue } from '../../base/index.ts';
import type { Person } from '../api/people.ts';
import { owned } from '../bounds.ts';
import type { RecordStore, SessionSummary } from '../store/index.ts';

/** Which policies were in force, as the records of the last day say: the start of each session names them. */
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

export function createPolicyView(store: Store, clock: Clock): PolicyView {
  const kept = new Map<string, { readonly until: number; readonly answer: Promise<JsonValue> }>();
  return {
    of({ namespaces }) {
      const key = namespaces.join(' ');
      const now = clock.monotonic();
      const known = kept.get(key);
      if (known !== undefined && now < known.until) return known.answer;
      if (kept.size >= mostKept) kept.clear();
      const answer = policiesOf(store, namespaces, clock.now() - dayMs);
      kept.set(key, { until: now + keptMs, answer });
      answer.catch(() => kept.delete(key));
      return answer;
    },
  };
}

async function policiesOf(store: Store, namespaces: readonly string[], since: number): Promise<JsonValue> {
  const asked = namespaces.includes('*') ? [undefined] : namespaces.slice(0, mostNamespaces);
  const limit = Math.ceil(mostSessions / Math.max(1, asked.length));
  const pages = await Promise.all(
    asked.map((namespace) => store.search({ since, limit, ...(namespace !== undefined && { namespace }) })),
  );
  const sessions = pages.flatMap((page) => page.sessions);
  const chains = Map.groupBy(sessions, ({ source, chain }) => `${source} ${chain}`);
  const seen: Policies = { found: new Map(), complete: true };
  for (const chain of chains.values()) await countChain(store, chain, seen);
  const policies = [...seen.found.values()]
    .toSorted(
      (one, other) =>
        (one.namespace ?? '').localeCompare(other.namespace ?? '') ||
        one.name.localeCompare(other.name) ||
        other.generation - one.generation,
    )
    .map(({ last, ...policy }) => ({ ...policy, lastSeen: new Date(last).toISOString() }));
  return {
    policies,
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
