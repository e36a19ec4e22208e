import { jsonValue, parseJson } from '../../base/index.ts';
import type { JsonValue } from '../../base/index.ts';
import type { AuditClient } from './client.ts';

/** A log, wherever it comes from. */
export interface LogPages {
  /** Reads it once, from its first entry. */
  each(reader: LogReader): Promise<void>;
}

export interface LogReader {
  /** A signed head, before the last of the entries that it has signed. */
  head(text: string): void;
  /** Each entry, and the lines of its block: undefined: not asked for, as of entries that no head has signed; null: not there. */
  entry(index: number, text: string, lines: string | null | undefined): void;
}

/** Entries under a head, as it says. */
export const signedBy = (head: string): number =>
  Number(/^\{"v":1,"type":"head","size":([0-9]{1,16})/.exec(head)?.[1] ?? 0);

const textOf = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : '');
const listOf = (value: JsonValue | undefined): readonly { readonly [key: string]: JsonValue }[] =>
  Array.isArray(value)
    ? value.filter((one) => typeof one === 'object' && one !== null && !Array.isArray(one)).map((one) => one as never)
    : [];

/** Times that an export or a proof takes up what was signed while it read. */
const mostRounds = 20;

/**
 * The log as the recorder gives it: as far as its newest head reaches, then what was signed meanwhile, and at the end the entries that wait
 * for their head, where deletions of lines stand that were missed.
 */
export function logOfRecorder(audit: AuditClient, withLines: boolean): LogPages {
  /** @returns entries under the newest */
  const readHeads = async (after: number, head: LogReader['head']): Promise<number> => {
    let signed = after;
    for (;;) {
      const page = listOf((await audit.get(`/v1/log/heads?from=${signed + 1}&limit=2000`))['heads']);
      for (const one of page) {
        head(textOf(one['text']));
        signed = Math.max(signed, Number(one['size']));
      }
      if (page.length < 2_000) return signed;
    }
  };
  const linesOf = async (index: number): Promise<string | null> => {
    const { lines } = await audit.get(`/v1/log/blocks/${index}`);
    return typeof lines === 'string' ? lines : null;
  };
  /** @returns where the next one begins */
  const readEntries = async (from: number, to: number, lines: boolean, entry: LogReader['entry']): Promise<number> => {
    for (let next = from; next < to;) {
      const page = listOf((await audit.get(`/v1/log/entries?from=${next}&limit=2000`))['entries']);
      for (const one of page) {
        const index = Number(one['index']);
        if (index >= to) return next;
        const text = textOf(one['text']);
        entry(index, text, lines && text.startsWith('{"v":1,"type":"block"') ? await linesOf(index) : undefined);
        next = index + 1;
      }
      // A page of long entries ends before it is full.
      if (page.length === 0) return next;
    }
    return to;
  };
  return {
    async each({ head, entry }) {
      let [next, signed] = [0, 0];
      for (let round = 0; round < mostRounds; round++) {
        const newest = await readHeads(signed, head);
        if (newest === signed) break;
        signed = newest;
        next = await readEntries(next, signed, withLines, entry);
      }
      await readEntries(next, Number.POSITIVE_INFINITY, false, entry);
    },
  };
}

/** The log as `audit export` wrote it. */
export function logOfFile(text: string, withLines: boolean): LogPages {
  const items = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => jsonValue(parseJson(line)) as { readonly [key: string]: JsonValue });
  return {
    async each({ head, entry }) {
      for (const one of items) if (one['kind'] === 'head') head(textOf(one['text']));
      for (const { kind, index, text: entryText, lines } of items)
        if (kind === 'entry')
          // Whatever stands there: what has no lines is not one whose lines nobody asked for.
          entry(Number(index), textOf(entryText), !withLines ? undefined : typeof lines === 'string' ? lines : null);
    },
  };
}
