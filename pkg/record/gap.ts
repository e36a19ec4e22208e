import type { JsonNode } from '../base/index.ts';

/** How many events a line says were not recorded; 0: it is no gap. */
export function gapOf(line: JsonNode): number {
  if (line.get('type')?.text !== 'process' || line.get('what')?.text !== 'gap') return 0;
  const amount = line.get('amount')?.number ?? 0;
  return Number.isSafeInteger(amount) && amount > 0 ? amount : 1;
}
