import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openSqliteStore } from '../../../pkg/recorder/index.ts';
import { createShards } from '../../../pkg/recorder/store/search/shards.ts';
import { systemClock } from '../../../pkg/base/index.ts';

/** Words of texts and of questions: the n-th occurs about n times less often than the first. */
export const vocabulary: readonly string[] = Array.from(
  { length: 20_000 },
  (_, at) => `${'bcdfglmnprst'[at % 12]}${'aeiou'[at % 5]}${at.toString(36)}`,
);

/** A dice whose throws are the same in each run. */
export function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return Math.floor((state / 0x80000000) * sides);
  };
}

export function textOf(throwDice: (sides: number) => number, bytes: number): string {
  let text = '';
  while (text.length < bytes) {
    const share = throwDice(1_000_000) / 1_000_000;
    text += `${vocabulary[Math.min(vocabulary.length - 1, Math.floor(vocabulary.length ** share) - 1)] ?? ''} `;
  }
  return text;
}

const folder = join(import.meta.dirname, '../../../docs');
const documents = readdirSync(folder)
  .filter((name) => name.endsWith('.md'))
  .map((name) => readFileSync(join(folder, name), 'utf8'))
  .join('\n');

/** English, in pieces of this repository's documents: words drawn one by one have nothing that a compressor could find. */
export function englishOf(throwDice: (sides: number) => number, bytes: number): string {
  let text = '';
  while (text.length < bytes) {
    const at = throwDice(documents.length - 200);
    text += `${documents.slice(at, at + 200)} `;
  }
  return text;
}

export const users = 5_000;

/**
 * A store with as many sessions as so many events are (three each), for searching: the tables that a search reads, without the lines. Lines of
 * 10 million events of 2 KB would take a quarter of an hour to take in.
 */
export async function fillStore(path: string, events: number): Promise<void> {
  const store = openSqliteStore({ path, clock: systemClock });
  await store.search({ text: 'nothing', limit: 1 });
  await store.close();
  const sessions = Math.floor(events / 3);
  const throwDice = dice(7);
  const words = new DatabaseSync(`${path}-words`);
  words.exec(`PRAGMA synchronous = OFF; ATTACH '${path}' AS record; PRAGMA record.synchronous = OFF; BEGIN`);
  const names = words.prepare('INSERT INTO record.name (id, text) VALUES (?, ?)');
  for (let at = 1; at <= users; at++) names.run(at, `user-${at}`);
  const [namespace, pod, model, path_, done, refused, tag, rare, source, groups, peer, operation] = Array.from(
    { length: 12 },
    (_, at) => users + 1 + at * 100,
  ) as [number, ...number[]];
  const ranges: [number | undefined, string, number][] = [
    [namespace, 'namespace', 20],
    [pod, 'pod', 90],
    [model, 'model', 10],
    [path_, '/v1/path', 1],
    [done, 'completed', 1],
    [refused, 'refused', 1],
    [tag, 'act:allowed', 1],
    [rare, 'by:Secrets', 1],
    [source, 'spiffe://cluster.local/ns/ml/sa/default/pod/uid', 1],
    [groups, 'group', 50],
    [peer, 'peer', 1],
    [operation, 'operation', 4],
  ];
  for (const [first = 0, text, count] of ranges)
    for (let at = 0; at < count; at++) names.run(first + at, count === 1 ? text : `${text}-${at}`);
  words
    .prepare(
      `INSERT INTO record.chain (id, source, name, namespace, pod, sequence, hash) VALUES (1, ?, 'c', ?, ?, 0, '')`,
    )
    .run(source ?? 0, namespace ?? 0, pod ?? 0);
  const insert = words.prepare(
    `INSERT INTO record.session (id, chain, request, sequence, at, namespace, pod, provider, issuer, subject, groups, peer, method, path,
      dialect, operation, model, endSequence, outcome, status, code, tags, bytesIn, bytesOut, inputTokens, outputTokens, duration)
     VALUES (?, 1, ?, 1, ?, ?, ?, 1, 1, ?, ?, ?, 1, ?, 1, ?, ?, 3, ?, 200, NULL, ?, 100, 200, 5, 7, 12)`,
  );
  const tags = words.prepare('INSERT INTO record.tag (tag, session) VALUES (?, ?)');
  const index = createShards(words);
  for (let at = 1; at <= sessions; at++) {
    const request = createHash('md5').update(String(at)).digest();
    const isRare = throwDice(5_000) === 0;
    insert.run(
      at,
      request,
      Date.UTC(2026, 9, 1) + at * 100,
      (namespace ?? 0) + throwDice(20),
      (pod ?? 0) + throwDice(90),
      1 + throwDice(users),
      (groups ?? 0) + throwDice(50),
      peer ?? 0,
      path_ ?? 0,
      (operation ?? 0) + throwDice(4),
      (model ?? 0) + throwDice(10),
      (isRare ? refused : done) ?? 0,
      tag ?? 0,
    );
    tags.run((isRare ? rare : tag) ?? 0, at);
    index.put(at, textOf(throwDice, 250));
    if (at % 50_000 === 0) words.exec('COMMIT; BEGIN');
  }
  words.exec('COMMIT');
  words.close();
}
