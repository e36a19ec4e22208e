import { damagedLines, unpacked } from '../compress.ts';
import { linesOfSession } from '../search/session-lines.ts';
import type { Run } from './connection.ts';

/** Blocks that are read at once: of 2 MiB at most, compressed. */
const blocksAtOnce = 8;

/** The lines of a session in one chain that are behind `after`, in their order. */
export async function* sessionLines(
  run: Run,
  id: string,
  source: number,
  chain: string,
  after: number,
): AsyncIterable<string> {
  for (let last = -1; ;) {
    const blocks = await run(
      `SELECT DISTINCT p.block, b.data, b.size FROM session s JOIN chain c ON c.id = s.chain
       JOIN part p ON p.session = s.id JOIN block b ON b.received = p.received AND b.id = p.block
       WHERE s.request = $1 AND c.source = $2 AND c.name = $3 AND p.block > $4 AND b.last > $5 ORDER BY p.block LIMIT $6`,
      [id, source, chain, last, after, blocksAtOnce],
    );
    for (const block of blocks) {
      last = Number(block['block']);
      yield* linesOfSession(block, id, after);
    }
    if (blocks.length < blocksAtOnce) return;
  }
}

/** Sessions of a chain without an end that began between two of its lines: the first of them, and how many there are. */
export async function openSessions(
  run: Run,
  { source, chain }: { readonly source: number; readonly chain: string },
  { after, before }: { readonly after: number; readonly before: number },
  atMost: number,
): Promise<{ readonly sessions: readonly string[]; readonly count: number }> {
  const rows = await run(
    `SELECT s.request, (count(*) OVER ())::integer AS count FROM chain c JOIN session s ON s.chain = c.id
     WHERE c.source = $1 AND c.name = $2 AND s.sequence > $3 AND s.sequence < $4 AND s.end_sequence IS NULL
     ORDER BY s.sequence, s.id LIMIT $5`,
    [source, chain, after, before, atMost],
  );
  return {
    sessions: rows.map((row) => String(row['request']).replaceAll('-', '')),
    count: Number(rows[0]?.['count'] ?? 0),
  };
}

/** Entries of the blocks of a chain that have lines of a session. */
export async function sessionBlocks(
  run: Run,
  id: string,
  source: number,
  chain: string,
  atMost: number,
): Promise<readonly number[]> {
  const rows = await run(
    `SELECT p.block FROM session s JOIN chain c ON c.id = s.chain JOIN part p ON p.session = s.id
     WHERE s.request = $1 AND c.source = $2 AND c.name = $3 ORDER BY p.block LIMIT $4`,
    [id, source, chain, atMost],
    { prepared: true },
  );
  return rows.map((row) => Number(row['block']));
}

export async function blockLines(run: Run, entry: number): Promise<Uint8Array | undefined> {
  // The day that it is in is that of its entry.
  const [block] = await run(
    `SELECT b.data, b.size FROM entry e JOIN block b ON b.id = e.id AND b.received = substring(e.text FROM '"at":([0-9]+)')::bigint
     WHERE e.id = $1`,
    [entry],
    { prepared: true },
  );
  if (!(block?.['data'] instanceof Uint8Array)) return undefined;
  return unpacked(block['data'], Number(block['size'])) ?? damagedLines;
}

export async function lineHash(run: Run, source: number, chain: string, sequence: number): Promise<string | undefined> {
  const [block] = await run(
    `SELECT b.first, b.size, b.data FROM chain c JOIN block b ON b.chain = c.id
     WHERE c.source = $1 AND c.name = $2 AND b.last >= $3 AND b.first <= $3 ORDER BY b.last LIMIT 1`,
    [source, chain, sequence],
  );
  if (!(block?.['data'] instanceof Uint8Array)) return undefined;
  const lines = unpacked(block['data'], Number(block['size']))?.toString('latin1').split('\n');
  // The line ends with its hash, a quote and a brace.
  return lines?.[sequence - Number(block['first'])]?.slice(-66, -2);
}
