import { parseJson } from '../../base/index.ts';
import type { RecordStore, SessionChain } from '../store/index.ts';
import { common, known, sessionEvent } from './event.ts';
import type { LogPlace, ShippedEvent, ShippedStart } from './event.ts';

/**
 * Sessions that will never end: their sidecar was killed. It is known once their chain goes on with a new process, or their pod is gone. What is open
 * of a chain is asked of the store, so that nothing has to be remembered beside a receiver's place.
 */
export interface UnendedSessions {
  /**
   * A process began with a line of the chain, or the chain is over: events of what began before that line, behind the process before, and has not
   * ended. Each is made when it is its turn: their starts have to be looked up.
   */
  before(sequence: number, of: SessionChain, place: LogPlace, why?: NoEnd): Promise<readonly LaterEvent[]>;
}

/** Why no end will come; `lost`: the sidecar stopped in good order, and its last lines were lost with its pod. */
export type NoEnd = 'killed' | 'lost';

const words: Readonly<Record<NoEnd, { readonly one: string; readonly more: string }>> = {
  killed: { one: 'it never ended: its sidecar was killed', more: 'of a sidecar that was killed never ended' },
  lost: {
    one: 'its end was lost with its pod, whose sidecar stopped in good order',
    more: 'have ends that were lost with their pod, whose sidecar stopped in good order',
  },
};

/** An event, or how it is made. */
export type LaterEvent = ShippedEvent | (() => Promise<ShippedEvent>);

export type UnendedStore = Pick<RecordStore, 'openSessions' | 'search'>;

/** Of one process: more than one has at once. How many more there are one event says. */
const mostSessions = 1_000;
/** Chains of which it is remembered where their last process began. */
const mostChains = 4_096;
/** Pages that are looked through for it where it is not. */
const mostPages = 10;
const longestTime = 8.64e15;

export function createUnendedSessions(
  store: UnendedStore,
  startFor: (session: string, of: SessionChain) => Promise<ShippedStart | undefined>,
): UnendedSessions {
  /** Of chains: up to which of their lines it was told of, and behind which line that began. */
  const told = new Map<string, { readonly upTo: number; readonly after: number }>();
  /** The process before: of all that the record has of the chain. */
  const lookUp = async ({ source, chain }: SessionChain, before: number): Promise<number> => {
    let cursor: string | undefined;
    for (let pages = 0; pages < mostPages; pages++) {
      const page = await store.search({
        ...{ source, chain, operation: 'Process', code: 'start', limit: 1_000 },
        ...(cursor !== undefined && { cursor }),
      });
      const earlier = page.sessions.map(({ sequence }) => sequence).filter((sequence) => sequence < before);
      if (earlier.length > 0) return Math.max(...earlier);
      ({ cursor } = page);
      if (cursor === undefined) break;
    }
    return 0;
  };
  const keep = (key: string, upTo: number, after: number): void => {
    told.delete(key);
    told.set(key, { upTo, after });
    const [oldest] = told.keys();
    if (told.size > mostChains && oldest !== undefined) told.delete(oldest);
  };
  /** Behind which line the process began that the one at `sequence` follows; undefined: not known. A batch may end within the events of one entry. */
  const knownAfter = (key: string, upTo: number): number | undefined => {
    const before = told.get(key);
    if (before === undefined || before.upTo > upTo) return undefined;
    return before.upTo === upTo ? before.after : before.upTo;
  };

  return {
    async before(sequence, of, place, why = 'killed') {
      const key = `${of.source} ${of.chain}`;
      const known = knownAfter(key, sequence - 1);
      let after = known ?? 0;
      let open = await store.openSessions(of, { after, before: sequence }, mostSessions);
      if (known === undefined && open.count > 0) {
        after = await lookUp(of, sequence);
        if (after > 0) open = await store.openSessions(of, { after, before: sequence }, mostSessions);
      }
      keep(key, sequence - 1, after);
      const events: LaterEvent[] = open.sessions.map(
        (session) => async () => unendedEvent(session, await startFor(session, of), of.source, { ...place, why }),
      );
      const more = open.count - open.sessions.length;
      if (more > 0) events.push(moreEvent(more, sequence, of.source, { ...place, why }));
      return events;
    },
  };
}

/** @param start undefined where its line is not here any more */
function unendedEvent(
  session: string,
  start: ShippedStart | undefined,
  source: string,
  place: LogPlace & { readonly why: NoEnd },
): ShippedEvent {
  const time = new Date(Math.min(longestTime, place.at)).toISOString();
  const event = sessionEvent(parseJson(JSON.stringify({ session, time, outcome: 'open' })), start, source, place);
  const { 'event.duration': _, ...fields } = event.fields;
  return {
    ...event,
    severity: 'warning',
    message: `${event.message.replace(/(: )?: open *$/, '')}: ${words[place.why].one}`,
    fields: { ...fields, 'event.type': ['access'] },
  };
}

function moreEvent(
  sessions: number,
  sequence: number,
  source: string,
  place: LogPlace & { readonly why: NoEnd },
): ShippedEvent {
  return {
    entry: place.entry,
    id: `unended-${String(place.entry)}-${String(sequence)}`,
    at: place.at,
    logged: place.at,
    severity: 'alert',
    action: 'record.unended',
    message: `${String(sessions)} more sessions ${words[place.why].more}`,
    fields: {
      ...common(source),
      ...known({
        'event.kind': 'alert',
        'event.category': ['process'],
        'event.type': ['info'],
        'sidegate.amount': sessions,
      }),
    },
  };
}
