import { jsonValue, parseJson } from '../../base/index.ts';
import type { LogEntry } from '../../record/index.ts';
import { LineConflict, readLines } from '../ingest/read-lines.ts';
import type { ArchivedEntry, RestoredEntry } from '../store/index.ts';

/** Of which nothing is kept but the entry. */
const plain: ReadonlySet<string> = new Set<LogEntry['type']>([
  'vanished',
  'read',
  'authorities',
  'retention',
  'clock',
  'ship',
  'share',
]);

/** An entry of an archive with what a store takes of it, or what is wrong with it. */
export function restoredEntry({ index, text, pod, data }: ArchivedEntry): RestoredEntry | string {
  const { v: _, ...members } = jsonValue(parseJson(text)) as unknown as LogEntry & { readonly v: number };
  const entry = members as LogEntry;
  switch (entry.type) {
    case 'block': {
      if (pod === undefined) return 'a block without its pod';
      if (data === undefined) return { entry, index, text, pod };
      try {
        const read = readLines(Buffer.from(data), { sequence: entry.first - 1, hash: entry.prev });
        if (read.last === entry.last && read.hash === entry.hash && read.list === (entry.list ?? read.list))
          return { entry, index, text, block: { ...read.block, pod } };
      } catch (error) {
        if (!(error instanceof LineConflict)) throw error;
      }
      return 'lines that are not those of their entry';
    }
    case 'hole':
      if (pod === undefined) return 'a hole without its pod';
      return { entry, index, text, pod };
    case 'conflict':
      return { entry, index, text, evidence: data ?? new Uint8Array() };
    case 'deleted':
    case 'hold':
      return { entry, index, text };
    default:
      return plain.has(entry.type) ? { entry, index, text } : 'an entry of a kind that is not known';
  }
}
