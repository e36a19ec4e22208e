import { jsonValue, parseJson } from '../../base/index.ts';
import type { JsonNode } from '../../base/index.ts';
import type { RecordStore, SessionChain } from '../store/index.ts';
import { changeEvent } from './change-event.ts';
import { entryEvent, sessionEvent } from './event.ts';
import type { ShippedEvent } from './event.ts';

/** How far a receiver has come: the entry of the log that is read next, and how many of its events were taken. */
export interface Position {
  readonly entry: number;
  readonly events: number;
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
}

export type ShippedStore = Pick<RecordStore, 'entries' | 'blockLines' | 'sessionLines' | 'log'>;

/** Entries that are looked at in one go. */
const mostEntries = 64;
/** Starts of sessions that go on, so that their lines need not be looked up. */
const mostStarts = 4_096;

const endOf = /"type":"end","session":"[0-9a-f]{32}"/;
const changeOf = /"type":"change","session":"[0-9a-f]{32}"/;
const startOf = /"type":"start","session":"([0-9a-f]{32})"/;

/** What {@link sessionEvent} asks of a start. */
const startFields = [
  'time',
  'generation',
  'caller',
  'peer',
  'method',
  'path',
  'operation',
  'model',
  'dialect',
] as const;

/** A start that can be kept: of the line, which has the request's texts, nothing is left in memory. */
function withoutTexts(start: JsonNode): JsonNode {
  const fields = startFields.map((name) => [name, start.get(name)] as const);
  const kept = fields.flatMap(([name, node]) => (node === undefined ? [] : [[name, jsonValue(node)]]));
  return parseJson(JSON.stringify(Object.fromEntries(kept)), { loneSurrogates: true });
}

export function createEventSource(store: ShippedStore): EventSource {
  const starts = new Map<string, JsonNode>();
  const parse = (line: string): JsonNode => parseJson(line, { loneSurrogates: true });

  const keyOf = (session: string, { source, chain }: SessionChain): string => `${source} ${chain} ${session}`;
  const startFor = async (session: string, of: SessionChain): Promise<JsonNode | undefined> => {
    const key = keyOf(session, of);
    const kept = starts.get(key);
    if (kept !== undefined) {
      starts.delete(key);
      return kept;
    }
    for await (const line of store.sessionLines(session, of)) if (startOf.test(line)) return parse(line);
    return undefined;
  };

  const eventsOfBlock = async (lines: string, of: SessionChain, entry: number): Promise<ShippedEvent[]> => {
    const events: ShippedEvent[] = [];
    for (const line of lines.split('\n')) {
      const session = startOf.exec(line)?.[1];
      if (session !== undefined) {
        if (starts.size >= mostStarts) starts.clear();
        starts.set(keyOf(session, of), withoutTexts(parse(line)));
      } else if (endOf.test(line)) {
        const end = parse(line);
        const start = await startFor(end.get('session')?.string ?? '', of);
        events.push(sessionEvent(end, start, of.source, entry));
      } else if (changeOf.test(line)) events.push(changeEvent(parse(line), of.source, entry));
    }
    return events;
  };

  const eventsOf = async (text: string, entry: number): Promise<readonly ShippedEvent[]> => {
    const own = entryEvent(text, entry);
    if (own !== undefined) return [own];
    const root = parseJson(text);
    if (root.get('type')?.string !== 'block') return [];
    const lines = await store.blockLines(entry);
    // Deleted by retention before it was shipped: the entry that says so is shipped itself.
    if (lines === undefined) return [];
    const of = { source: root.get('source')?.string ?? '', chain: root.get('chain')?.string ?? '' };
    return eventsOfBlock(Buffer.from(lines).toString('utf8'), of, entry);
  };

  return {
    async read({ entry, events: taken }, atMost) {
      const events: ShippedEvent[] = [];
      let next: Position = { entry, events: taken };
      for (const { index, text } of await store.entries(entry, mostEntries)) {
        const all = await eventsOf(text, index);
        const skipped = index === entry ? taken : 0;
        const room = atMost - events.length;
        events.push(...all.slice(skipped, skipped + room));
        if (all.length - skipped > room) return { events, next: { entry: index, events: skipped + room } };
        next = { entry: index + 1, events: 0 };
        if (events.length === atMost) break;
      }
      return { events, next };
    },
    size: async () => (await store.log()).size,
  };
}
