import { appendFileSync, closeSync, fsyncSync, openSync, readFileSync, renameSync, statSync, writeSync } from 'node:fs';
import { errorCode, parseJson } from '../../base/index.ts';
import type { JsonNode } from '../../base/index.ts';
import { beginning, isSamePlace } from './book.ts';
import type { ShipBook } from './book.ts';
import { eventText } from './event.ts';
import type { Position } from './source.ts';

/** Longest file of what was never taken; then it becomes `FILE.old`, in place of the one before. */
const mostBytes = 8 * 1024 * 1024;

const isCount = (value: number | undefined): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

/**
 * The book of a receiver beside the embedded store, which one recorder has for itself: the turn is always its own.
 *
 * @param path Begins the names of its files: `PATH.cursor`, and `PATH.dead.jsonl` with what was never taken, as JSON lines.
 */
export function fileBook(path: string): ShipBook {
  const cursor = `${path}.cursor`;
  const dead = `${path}.dead.jsonl`;
  const read = (): Position => {
    let text: string;
    try {
      text = readFileSync(cursor, 'utf8');
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return beginning;
      throw error;
    }
    const root = parsed(text);
    const [entry, events] = [root?.get('entry')?.number, root?.get('events')?.number];
    if (!isCount(entry) || !isCount(events)) throw new Error(`${cursor} is no cursor`);
    const last = root?.get('last')?.string;
    return { entry, events, ...(last !== undefined && { last }) };
  };
  /** Undefined: what a machine leaves that crashed as it wrote. */
  const parsed = (text: string): JsonNode | undefined => {
    try {
      return parseJson(text);
    } catch {
      return undefined;
    }
  };
  const write = (position: Position): void => {
    const temporary = `${cursor}.new`;
    const file = openSync(temporary, 'w', 0o600);
    try {
      writeSync(file, `${JSON.stringify(position)}\n`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, cursor);
  };
  let position: Position | undefined;
  return {
    async take() {
      position ??= read();
      return position;
    },
    async move(to, from) {
      if (from !== undefined && position !== undefined && !isSamePlace(position, from)) return false;
      write(to);
      position = to;
      return true;
    },
    async again(entry) {
      const to = { entry, events: 0 };
      write(to);
      position = to;
    },
    async keepDead(events) {
      const size = statSync(dead, { throwIfNoEntry: false })?.size ?? 0;
      if (size > mostBytes) renameSync(dead, `${dead}.old`);
      // On the disk, as the cursor is that moves over them next.
      const file = openSync(dead, 'a', 0o600);
      try {
        appendFileSync(file, events.map((event) => `${eventText(event)}\n`).join(''));
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
    },
    close: () => Promise.resolve(),
  };
}
