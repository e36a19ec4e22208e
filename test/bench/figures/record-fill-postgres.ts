import { createHash } from 'node:crypto';
import { Secret, systemClock } from '../../../pkg/base/index.ts';
import { openPostgresStore } from '../../../pkg/recorder/index.ts';
import { groupTag } from '../../../pkg/recorder/store/postgres/append.ts';
import { openDatabase } from '../../../pkg/recorder/store/postgres/connection.ts';
import { createNames } from '../../../pkg/recorder/store/postgres/names.ts';
import { insertRows } from '../../../pkg/recorder/store/postgres/rows.ts';
import { writeWords } from '../../../pkg/recorder/store/postgres/segments.ts';
import { createWordIndex } from '../../../pkg/recorder/store/postgres/word-index.ts';
import { foldWords } from '../../../pkg/recorder/store/search/fold-words.ts';
import { dice, textOf, users } from './record-fill.ts';

const sessionsAtOnce = 10_000;

/** The same sessions as `fillStore` makes (record-fill.ts), in a database: the tables that a search reads, without the lines. */
export async function fillPostgres(address: string, events: number): Promise<void> {
  const dsn = new Secret(address);
  // Makes the tables.
  await (await openPostgresStore({ dsn, clock: systemClock })).close();
  const database = openDatabase({ dsn, schema: 'sidegate', stallMs: 3_600_000 });
  const words = createWordIndex(database);
  const throwDice = dice(7);
  const numbered = (text: string, count: number): string[] => Array.from({ length: count }, (_, at) => `${text}-${at}`);
  const [namespaces, pods, models] = [numbered('namespace', 20), numbered('pod', 90), numbered('model', 10)];
  const [groups, operations] = [numbered('group', 50).map(groupTag), numbered('operation', 4)];
  const people = Array.from({ length: users }, (_, at) => `user-${at + 1}`);
  const others = ['/v1/path', 'completed', 'refused', 'act:allowed', 'by:Secrets', 'peer', 'issuer', 'source'];
  const all = [namespaces, pods, models, groups, operations, people, others].flat();
  const { number, chain } = await database.transaction(async (run) => {
    const found = await createNames().numbers(run, all);
    const [row] = await run(
      `INSERT INTO chain (source, name, namespace, pod, sequence, hash) VALUES ($1, 'c', $2, $3, 0, '') RETURNING id`,
      [found('source'), found('namespace-0'), found('pod-0')],
    );
    return { number: found, chain: Number(row?.['id']) };
  });
  const one = (of: readonly string[]): number => number(of[throwDice(of.length)] ?? '');
  const sessions = Math.floor(events / 3);
  const rowOf = (id: number, isRare: boolean) => ({
    id,
    chain,
    request: createHash('md5').update(String(id)).digest('hex'),
    sequence: 1,
    at: Date.UTC(2026, 9, 1) + id * 100,
    namespace: one(namespaces),
    pod: one(pods),
    issuer: number('issuer'),
    subject: one(people),
    groups: [one(groups)],
    peer: number('peer'),
    path: number('/v1/path'),
    operation: one(operations),
    model: one(models),
    end_sequence: 3,
    outcome: number(isRare ? 'refused' : 'completed'),
    status: 200,
    tags: [number(isRare ? 'by:Secrets' : 'act:allowed')],
    bytes_in: 100,
    bytes_out: 200,
    input_tokens: 5,
    output_tokens: 7,
    duration: 12,
  });
  for (let from = 1; from <= sessions; from += sessionsAtOnce) {
    const ids = Array.from({ length: Math.min(sessionsAtOnce, sessions + 1 - from) }, (_, at) => from + at);
    const rows = ids.map((id) => rowOf(id, throwDice(5_000) === 0));
    const texts = new Map(ids.map((id) => [id, foldWords([textOf(throwDice, 250)])]));
    await database.transaction(async (run) => {
      await insertRows(run, 'session', rows);
      await writeWords(run, texts);
      await run('UPDATE log SET next_session = $1, sessions = $2', [from + ids.length, from + ids.length - 1]);
    }, 600_000);
    // Segments become one as they do while words are indexed.
    while ((await words.step(0, false)) === 'more');
  }
  // As the server does by itself.
  await database.vacuum('session');
  await database.write('ANALYZE');
  await database.close();
}
