// A program for tests: a store on a small volume that is filled, in two ways. It says what it saw in one line of JSON.
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { systemClock } from '../../../base/index.ts';
import { readLines } from '../../ingest/read-lines.ts';
import { sessionEvents, sessionId, testChain, testTime } from '../../testing/chains.ts';
import { openSqliteStore } from '../sqlite.ts';
import { deleteOld } from './delete-old.ts';

const [folder = ''] = process.argv.slice(2);
const filler = join(folder, 'filler');
const reserveBytes = 4 * 1024 * 1024;
const source = 'spiffe://cluster.local/ns/ml/sa/default/pod/uid-1';
const store = openSqliteStore({ path: join(folder, 'record.db'), clock: systemClock, reserveBytes });
const chain = testChain();
let kept = 0;
/** The block that was not taken: it is sent again. */
let waiting: Parameters<typeof store.append>[0] | undefined;
const next = (): Parameters<typeof store.append>[0] => {
  const before = chain.point();
  const at = testTime + kept;
  const lines = chain.lines(sessionEvents({ id: sessionId(kept), ask: randomBytes(100_000).toString('base64') }), at);
  const { block, first, last, prev, hash } = readLines(lines, before);
  return [
    {
      entry: { type: 'block', at, source, chain: chain.name, first, last, prev, hash },
      block: { ...block, pod: { namespace: 'ml', name: 'llama-0' } },
    },
  ];
};
/** @returns what it was refused by */
const fill = async (atMost: number): Promise<string> => {
  for (let n = 0; n < atMost; n++) {
    waiting ??= next();
    try {
      await store.append(waiting);
    } catch (error) {
      return (error as Error).message;
    }
    kept++;
    waiting = undefined;
  }
  return 'nothing';
};
/** That lines are kept for other days from now on, and who signs them; what it was refused by. */
const rule = async (all: number): Promise<string> => {
  const at = testTime + kept;
  try {
    await store.append([
      { entry: { type: 'retention', at, days: { all, namespaces: {}, policies: {} }, seals: 'all' } },
    ]);
    await store.append([{ entry: { type: 'authorities', at, bundle: 'x'.repeat(8_000) } }]);
    return 'nothing';
  } catch (error) {
    return (error as Error).message;
  }
};
const volume = async () => {
  const { volume: said } = await store.stats();
  return { full: said?.full, reserve: said?.reserveBytes };
};
const remove = async (before: number): Promise<number> => {
  let all = 0;
  for (let some = 1; some > 0; all += some)
    some = await deleteOld(store, { before: testTime + before, of: { allBut: [] } }, testTime + kept, 50);
  return all;
};

const began = await volume();
const grown = { refused: await fill(10_000), ...(await volume()), kept };
const room = { deleted: await remove(Math.floor(kept / 2)), ...(await volume()), refused: await fill(20) };
const again = { refused: await fill(10_000), rule: await rule(30), kept };
// Somebody else takes what is left, to the last byte, when not even SQLite's own log has any.
while (await store.sweep());
const { bavail, bsize } = statfsSync(folder);
try {
  writeFileSync(filler, randomBytes(bavail * bsize));
} catch {
  // It is as full as it can be.
}
const before = (await volume()).reserve ?? 0;
const refused = await fill(1);
const ruled = await rule(20);
const deleted = await remove(kept - 20);
const drained = { refused, rule: ruled, deleted, released: ((await volume()).reserve ?? 0) < before };
const resumed = { refused: await fill(20), ...(await volume()) };
rmSync(filler);
const { full, reserve } = await volume();
const position = await store.position(source, chain.name);
let found = 0;
for (let cursor: string | undefined; ;) {
  const page = await store.search({ limit: 1_000, ...(cursor === undefined ? {} : { cursor }) });
  found += page.sessions.length;
  ({ cursor } = page);
  if (cursor === undefined) break;
}
const whole = position?.sequence === kept * 3 && found + room.deleted + drained.deleted === kept;
await store.close();
process.stdout.write(JSON.stringify({ began, grown, room, again, drained, resumed, end: { full, reserve }, whole }));
