import { aboutOf } from '../hold-match.ts';
import type { HeldFacts, HoldMatcher } from '../hold-match.ts';
import { isLabelTag } from '../search/label-tags.ts';
import type { HeldCount } from '../port.ts';
import type { Row, Run } from './connection.ts';
import type { Names } from './names.ts';

// What of sessions in a database holds go by.

/** Of a session `s`. Without its start there is no `peer`, which every start has. */
export const factColumns =
  's.request, s.namespace, s.pod, s.at, s.said, s.peer, s.subject, s.model, s.path, s.operation, s.groups, s.end_sequence, s.tags';
const ofGroups = 'group:'.length;

const listOf = (value: unknown): readonly number[] => (Array.isArray(value) ? value.map(Number) : []);

/** @returns reads a row of {@link factColumns}, of a session in a block that was received then */
export async function factsReader(
  run: Run,
  names: Names,
  rows: readonly Row[],
): Promise<(row: Row, received: number) => HeldFacts> {
  const numbers = new Set<number>();
  for (const row of rows) {
    for (const column of ['namespace', 'pod', 'subject', 'model', 'path', 'operation'])
      if (row[column] !== null) numbers.add(Number(row[column]));
    for (const column of ['groups', 'tags']) for (const number of listOf(row[column])) numbers.add(number);
  }
  const text = await names.texts(run, numbers);
  const optional = (value: unknown): string | null => (value === null ? null : text(Number(value)));
  return (row, received) => ({
    session: String(row['request']).replaceAll('-', ''),
    namespace: text(Number(row['namespace'])),
    pod: text(Number(row['pod'])),
    at: Number(row['at']),
    said: row['said'] === null ? null : Number(row['said']),
    received,
    start:
      row['peer'] === null
        ? undefined
        : {
            user: optional(row['subject']),
            model: optional(row['model']),
            groups: listOf(row['groups']).map((number) => text(number).slice(ofGroups)),
            about: aboutOf({ operation: optional(row['operation']) ?? '', path: optional(row['path']) ?? '' }),
          },
    tags:
      row['end_sequence'] === null
        ? undefined
        : listOf(row['tags'])
            .map(text)
            .filter((tag) => !isLabelTag(tag)),
  });
}

/** Sessions whose blocks are read at once. */
const window = 1_000;

/**
 * Counts what goes with holds, newest sessions first, as far as the time goes.
 *
 * @returns `whole` false: the time was over
 */
export async function countHeld(run: Run, names: Names, holds: HoldMatcher, forMs: number): Promise<HeldCount> {
  const until = performance.now() + forMs;
  const blocks = new Set<number>();
  const sessions = new Set<number>();
  const counts = (whole: boolean): HeldCount => ({ sessions: sessions.size, blocks: blocks.size, whole });
  const [row] = await run('SELECT coalesce(max(id), 0) AS id FROM session');
  for (let last = Number(row?.['id']); last > 0; last -= window) {
    if (performance.now() >= until) return counts(false);
    const parts = await run(
      `SELECT s.id, p.block, p.received AS came, ${factColumns} FROM session s JOIN part p ON p.session = s.id WHERE s.id > $1 AND s.id <= $2`,
      [last - window, last],
    );
    const factsOf = await factsReader(run, names, parts);
    for (const part of parts) {
      if (!holds.some(factsOf(part, Number(part['came'])))) continue;
      blocks.add(Number(part['block']));
      sessions.add(Number(part['id']));
    }
  }
  return counts(true);
}
