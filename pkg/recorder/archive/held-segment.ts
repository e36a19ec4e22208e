import { aboutOf, createHoldMatcher, seenTime } from '../store/index.ts';
import type { Block, EndFacts, HeldFacts, Hold, StartFacts } from '../store/index.ts';
import { restoredEntry } from './restored-entry.ts';
import type { Segment } from './segment.ts';

/**
 * Which holds want a segment, by what stands in it alone: the store has deleted what it knew of these sessions. One that began in a segment before, or
 * ended in one behind it, may be any of what is not known of it.
 *
 * @param pause Between blocks, which take some tens of milliseconds each.
 * @returns numbers of holds; of all, where it cannot be read
 */
export async function heldInSegment(
  segment: Segment,
  holds: readonly Hold[],
  pause: () => Promise<void>,
): Promise<readonly number[]> {
  const matcher = createHoldMatcher(holds);
  const starts = new Map<string, StartFacts | undefined>();
  const ends = new Map<string, EndFacts>();
  const parts: {
    readonly key: string;
    readonly session: string;
    readonly pod: Block['pod'];
    readonly received: number;
  }[] = [];
  for await (const one of segment.entries()) {
    if (one.data === undefined) continue;
    const read = restoredEntry(one);
    if (typeof read === 'string') return holds.map(({ id }) => id);
    if (!('block' in read)) continue;
    const { entry, block } = read;
    const keyOf = (session: string): string => `${entry.source} ${entry.chain} ${session}`;
    // As the store takes them: the first start counts, where none of its session's blocks came before it, and the first end.
    const begun = new Map(block.starts.map((start) => [start.session, start]));
    for (const session of block.sessions)
      if (!starts.has(keyOf(session))) starts.set(keyOf(session), begun.get(session));
    for (const end of block.ends) if (!ends.has(keyOf(end.session))) ends.set(keyOf(end.session), end);
    for (const session of block.sessions)
      parts.push({ key: keyOf(session), session, pod: block.pod, received: entry.at });
    await pause();
  }
  const found = new Set<number>();
  for (const { key, session, pod, received } of parts) {
    const start = starts.get(key);
    const { at, said } = seenTime(start?.at ?? received, received);
    const facts: HeldFacts = {
      session,
      namespace: pod.namespace,
      pod: pod.name,
      at,
      said,
      received,
      start:
        start === undefined
          ? undefined
          : { user: start.subject, model: start.model, groups: start.groups, about: aboutOf(start) },
      tags: ends.get(key)?.tags,
    };
    for (const id of matcher.matching(facts)) found.add(id);
    if (found.size === holds.length) break;
  }
  return [...found];
}
