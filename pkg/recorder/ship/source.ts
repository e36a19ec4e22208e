import { parseJson } from '../../base/index.ts';
import type { JsonNode } from '../../base/index.ts';
import type { RecordStore, SessionChain } from '../store/index.ts';
import { entryLeaf, lineType } from '../../record/index.ts';
import { changeEvent } from './change-event.ts';
import { processEvent } from './process-event.ts';
import { damagedEvent, entryEvent, sessionEvent, shippedStart } from './event.ts';
import type { LogPlace, ShippedEvent, ShippedStart } from './event.ts';
import { createUnendedSessions } from './unended.ts';
import type { LaterEvent } from './unended.ts';

/** How far a receiver has come: the entry of the log that is read next, and how many of its events were taken. */
export interface Position {
  readonly entry: number;
  readonly events: number;
  /** Hash of the entry before it, hex, by which it is known whether the log is the one that was shipped. Absent: not known. */
  readonly last?: string;
}

export interface Batch {
  readonly events: readonly ShippedEvent[];
  /** Where the next one begins. */
  readonly next: Position;
}

/** Reads the log from a position on. */
export interface EventSource {
  /** Empty: nothing is there yet. `next` may be further all the same. */
  read(from: Position, atMost: number): Promise<Batch>;
  /** Entries of the log. */
  size(): Promise<number>;
  /** Whether the log is the one that this position is of, as far as it says. */
  has(position: Position): Promise<boolean>;
}

export type ShippedStore = Pick<
  RecordStore,
  'entries' | 'blockLines' | 'sessionLines' | 'log' | 'openSessions' | 'search'
>;

/** Entries that are looked at in one go. */
const mostEntries = 64;
/** Starts of sessions that go on, so that their lines need not be looked up. */
const mostStarts = { sessions: 4_096, characters: 4 * 1024 * 1024 };
/** Of those that were looked up: an end may name the session of another. */
const mostLookedUp = 64;

/** Types of lines that say something to a receiver. */
const shipped = new Set(['start', 'end', 'change', 'process']);

const hashOf = (text: string): string => entryLeaf(text).toString('hex');
const lengthOf = ({ groups, ...texts }: ShippedStart): number =>
  [...groups, ...Object.values(texts)].reduce((sum, text) => sum + (text?.length ?? 0), 0);

/** @param isController Whether a source is a controller, which alone says who decided what. */
export function createEventSource(store: ShippedStore, isController: (source: string) => boolean): EventSource {
  const starts = new Map<string, ShippedStart>();
  const lookedUp = new Map<string, ShippedStart | undefined>();
  let characters = 0;
  /** Undefined: it is none, since somebody has changed it in the store. */
  const parse = (text: string, loneSurrogates = true): JsonNode | undefined => {
    try {
      return parseJson(text, { loneSurrogates });
    } catch {
      return undefined;
    }
  };

  const keyOf = (session: string, { source, chain }: SessionChain): string => `${source} ${chain} ${session}`;
  const keep = (key: string, start: ShippedStart): void => {
    if (starts.size >= mostStarts.sessions || characters >= mostStarts.characters) {
      starts.clear();
      characters = 0;
    }
    const before = starts.get(key);
    starts.set(key, start);
    characters += lengthOf(start) - (before === undefined ? 0 : lengthOf(before));
  };
  /** A session's first line, where it is its start. */
  const lookUp = async (session: string, of: SessionChain): Promise<ShippedStart | undefined> => {
    for await (const line of store.sessionLines(session, of)) {
      const start = lineType(line) === 'start' ? parse(line) : undefined;
      return start && shippedStart(start);
    }
    return undefined;
  };
  const takeKept = (key: string): ShippedStart | undefined => {
    const kept = starts.get(key);
    if (kept === undefined) return undefined;
    starts.delete(key);
    characters -= lengthOf(kept);
    return kept;
  };
  const lookUpOnce = async (session: string, of: SessionChain): Promise<ShippedStart | undefined> => {
    const key = keyOf(session, of);
    if (!lookedUp.has(key)) {
      const found = await lookUp(session, of);
      if (lookedUp.size >= mostLookedUp) lookedUp.clear();
      lookedUp.set(key, found);
    }
    return lookedUp.get(key);
  };
  const startFor = async (session: string, of: SessionChain): Promise<ShippedStart | undefined> =>
    takeKept(keyOf(session, of)) ?? lookUpOnce(session, of);
  /** Whose start has to be looked up is made when it is its turn: a block may end thousands that began in others. */
  const ended = (end: JsonNode, session: string, of: SessionChain, place: LogPlace): LaterEvent => {
    const kept = takeKept(keyOf(session, of));
    return kept !== undefined
      ? sessionEvent(end, kept, of.source, place)
      : async () => sessionEvent(end, await lookUpOnce(session, of), of.source, place);
  };

  const unended = createUnendedSessions(store, startFor);

  const eventsOfBlock = async (lines: string, of: SessionChain, place: LogPlace): Promise<LaterEvent[]> => {
    const events: LaterEvent[] = [];
    // Behind the block's own, so that these keep their places where retention has deleted some of them when the block is read again.
    const neverEnded: LaterEvent[] = [];
    let damaged = !lines.startsWith('{');
    for (const line of lines.split('\n')) {
      const type = lineType(line);
      if (type === undefined || !shipped.has(type)) continue;
      const root = parse(line);
      damaged ||= root === undefined;
      if (root === undefined) continue;
      const session = root.get('session')?.string ?? '';
      if (type === 'start') keep(keyOf(session, of), shippedStart(root));
      else if (type === 'end') events.push(ended(root, session, of, place));
      else if (type === 'process') {
        if (root.get('what')?.string === 'start')
          neverEnded.push(...(await unended.before(root.get('seq')?.number ?? 0, of, place)));
        const befell = processEvent(root, of.source, place);
        if (befell !== undefined) events.push(befell);
      } else if (isController(of.source)) events.push(changeEvent(root, of.source, place));
    }
    return [...events, ...(damaged ? [damagedEvent(of.source, place)] : []), ...neverEnded];
  };

  /** Of an entry that does not say when it came: about when, so that a receiver looks at its event at all. */
  const timeAround = async (entry: number): Promise<number> => {
    const before =
      entry === 0 ? [] : await store.entries(Math.max(0, entry - mostEntries), Math.min(entry, mostEntries));
    for (const { text } of [...before.toReversed(), ...(await store.entries(entry + 1, mostEntries))]) {
      const at = parse(text, false)?.get('at')?.number;
      if (at !== undefined) return at;
    }
    return 0;
  };

  const eventsOf = async (text: string, entry: number): Promise<readonly LaterEvent[]> => {
    const root = parse(text, false);
    if (root?.get('type')?.string === undefined) return [damagedEvent('', { entry, at: await timeAround(entry) })];
    const own = entryEvent(text, entry);
    const of = { source: root.get('source')?.string ?? '', chain: root.get('chain')?.string ?? '' };
    const place = { entry, at: root.get('at')?.number ?? 0 };
    if (own !== undefined) {
      if (root.get('type')?.string !== 'vanished') return [own];
      const why = root.get('ended')?.boolean === true ? 'lost' : 'killed';
      return [own, ...(await unended.before((root.get('stored')?.number ?? 0) + 1, of, place, why))];
    }
    if (root.get('type')?.string !== 'block') return [];
    const lines = await store.blockLines(entry);
    // Deleted by retention before it was shipped: the entry that says so is shipped itself.
    if (lines === undefined) return [];
    return eventsOfBlock(Buffer.from(lines).toString('utf8'), of, place);
  };

  /** Events of the entry that the last batch did not come to the end of. */
  let begun: { readonly entry: number; readonly text: string; readonly all: readonly LaterEvent[] } | undefined;
  const eventsOnce = async (text: string, entry: number): Promise<readonly LaterEvent[]> =>
    begun?.entry === entry && begun.text === text ? begun.all : eventsOf(text, entry);

  return {
    async read(from, atMost) {
      const { entry, events: taken } = from;
      const events: ShippedEvent[] = [];
      let next = from;
      for (const { index, text } of await store.entries(entry, mostEntries)) {
        const all = await eventsOnce(text, index);
        begun = undefined;
        // A place beyond an entry's events is none: what comes twice is known, what never comes is not.
        const skipped = index === entry && taken <= all.length ? taken : 0;
        const room = atMost - events.length;
        for (const one of all.slice(skipped, skipped + room))
          events.push(typeof one === 'function' ? await one() : one);
        if (all.length - skipped > room) {
          begun = { entry: index, text, all };
          return { events, next: { ...next, entry: index, events: skipped + room } };
        }
        next = { entry: index + 1, events: 0, last: hashOf(text) };
        if (events.length === atMost) break;
      }
      return { events, next };
    },
    size: async () => (await store.log()).size,
    async has({ entry, last }) {
      if (entry === 0 || last === undefined) return true;
      const [before] = await store.entries(entry - 1, 1);
      return before?.index === entry - 1 && hashOf(before.text) === last;
    },
  };
}
