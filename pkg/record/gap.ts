import type { JsonNode } from '../base/index.ts';

/** How many events a line says were not recorded; 0: it is no gap. One that does not know how many counts as one. */
export function gapOf(line: JsonNode): number {
  if (line.get('type')?.text !== 'process' || line.get('what')?.text !== 'gap') return 0;
  const amount = line.get('amount')?.number ?? 0;
  return Number.isSafeInteger(amount) && amount > 0 ? amount : 1;
}

/** Lost lines that one line, or one hole, counts at most in sums: by its own word a sidecar that lies would make them so large that no real loss moves them. */
const mostCounted = 1_000_000;

/** What a sidecar says was lost, as it counts in sums. */
export const countedLoss = (events: number): number => Math.min(mostCounted, events);

/** Whether a line says that events may be lost, and that nobody knows how many: the machine had crashed. */
export const isUnknownGap = (line: JsonNode): boolean => gapOf(line) > 0 && line.get('unknown')?.text === 'true';
