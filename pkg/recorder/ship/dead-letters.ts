import { appendFileSync, renameSync, statSync } from 'node:fs';
import { eventText } from './event.ts';
import type { ShippedEvent } from './event.ts';

/** Longest file; then it becomes `FILE.old`, in place of the one before. */
const mostBytes = 8 * 1024 * 1024;

/** Keeps what a receiver never took, as JSON lines, for people. */
export function deadLetters(path: string): (events: readonly ShippedEvent[]) => void {
  return (events) => {
    const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    if (size > mostBytes) renameSync(path, `${path}.old`);
    appendFileSync(path, events.map((event) => `${eventText(event)}\n`).join(''), { mode: 0o600 });
  };
}
