import type { DatabaseSync } from 'node:sqlite';
import { parseJson } from '../../base/index.ts';
import type { JsonNode } from '../../base/index.ts';

/** Sessions of one step: a step is one transaction, and others wait for it. */
const sessionsAStep = 200;
/** Most characters of one session that are indexed. */
const mostText = 1_000_000;

/** What a line of the record has to be found by. */
export function textOf(root: JsonNode): string {
  if (root.get('type')?.text === 'segment') return root.get('text')?.string ?? '';
  const request = root.get('request')?.items ?? [];
  return request.map((item) => item.get('text')?.string ?? '').join('\n');
}

/**
 * Brings the index of words up to date behind what is stored, which costs more than storing it.
 *
 * @param all Also sessions that go on, which otherwise wait so that a long answer is not indexed again and again.
 * @returns false when there is nothing left to do
 */
export function createIndexer(
  db: DatabaseSync,
  linesOf: (session: number) => Iterable<string>,
  now: () => number,
): (all: boolean) => boolean {
  const due = db.prepare('SELECT session FROM unindexed WHERE due <= ? LIMIT ?');
  const done = db.prepare('DELETE FROM unindexed WHERE session = ?');
  const remove = db.prepare('DELETE FROM words WHERE rowid = ?');
  const insert = db.prepare('INSERT INTO words (rowid, text) VALUES (?, ?)');
  return (all) => {
    const rows = due.all(all ? Number.MAX_SAFE_INTEGER : now(), sessionsAStep);
    for (const row of rows) {
      const session = Number(row['session']);
      let text = '';
      for (const line of linesOf(session)) {
        if (text.length >= mostText) break;
        if (!/"type":"(?:segment|start)"/.test(line)) continue;
        text += `${textOf(parseJson(line, { loneSurrogates: true }))}\n`;
      }
      // Not `run`: it reads the last row's id, which after a deletion from the index is one of the index's own, beyond 2^53.
      remove.all(session);
      // Also without any text: then it is known to have none.
      insert.all(session, text.slice(0, mostText));
      done.all(session);
    }
    return rows.length === sessionsAStep;
  };
}
