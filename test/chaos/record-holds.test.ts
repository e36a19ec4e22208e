import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { systemClock } from '../../pkg/base/index.ts';
import { openArchivedLog, restoreArchive } from '../../pkg/recorder/archive/index.ts';
import { parseLocation } from '../../pkg/recorder/archive/location.ts';
import { readKey } from '../../pkg/recorder/archive/names.ts';
import { openS3 } from '../../pkg/recorder/archive/s3.ts';
import { openPostgresStore, openSqliteStore } from '../../pkg/recorder/store/index.ts';
import type { RecordStore } from '../../pkg/recorder/store/index.ts';
import { sessionId } from '../../pkg/recorder/testing/chains.ts';
import { startPostgres } from '../support/postgres.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { startS3 } from '../support/s3-server.ts';
import type { TestS3 } from '../support/s3-server.ts';
import { pause, until } from '../support/wait.ts';
import { dice } from './recorder-world.ts';

/** `make test-chaos` asks for a thousand of all kinds. */
const kills = Math.ceil(Number(process.env['KILLS'] ?? 24) / 4);
const seed = Number(process.env['SEED'] ?? 11);

let server: TestS3;
let database: PostgresServer | undefined;
let folder: string;
const { privateKey, publicKey } = generateKeyPairSync('ed25519');
beforeEach(async () => {
  server = await startS3();
  folder = mkdtempSync(join(tmpdir(), 'sidegate-holds-'));
  writeFileSync(join(folder, 'key.pem'), privateKey.export({ format: 'pem', type: 'pkcs8' }));
  process.env['AWS_ACCESS_KEY_ID'] = server.credentials.id;
  process.env['AWS_SECRET_ACCESS_KEY'] = server.credentials.secret;
});
afterEach(async () => {
  delete process.env['AWS_ACCESS_KEY_ID'];
  delete process.env['AWS_SECRET_ACCESS_KEY'];
  await database?.stop();
  database = undefined;
  await server.close();
  rmSync(folder, { recursive: true });
});

/** @param from Number of the first session. */
function start(from: number, mode: 'write' | 'finish') {
  const program = resolve(import.meta.dirname, '../support/hold-writer.ts');
  // What the test has set is not in the environment that is passed on otherwise.
  const { env } = process;
  const shared = database === undefined ? [] : [database.dsn.reveal()];
  const child = spawn(process.execPath, [program, folder, server.endpoint, String(from), mode, ...shared], { env });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part: string) => (text += part));
  return { child, text: () => text, said: () => text.slice(0, text.lastIndexOf('\n') + 1).split('\n') };
}

/** By the number of their block: sessions on which the hold is that stood all the time. */
async function keptIn(store: RecordStore): Promise<ReadonlyMap<string, readonly number[]>> {
  const found = new Map<string, readonly number[]>();
  for (let cursor: string | undefined, more = true; more;) {
    const page = await store.search({ label: 'keep', limit: 1_000, ...(cursor === undefined ? {} : { cursor }) });
    for (const { session, source, chain } of page.sessions) {
      expect(found.has(session)).toBe(false);
      let lines = 0;
      for await (const _ of store.sessionLines(session, { source, chain })) lines++;
      expect(lines).toBe(3);
      found.set(session, await store.sessionBlocks(session, { source, chain }, 9));
    }
    ({ cursor } = page);
    more = cursor !== undefined;
  }
  return found;
}

test.each([
  ['a recorder that archives, deletes by age and holds', 1],
  ['one of two recorders on a database that archive, delete by age and hold', 2],
] as const)(
  `kill -9 of %s, ${kills} times: nothing held is lost, and nothing is twice`,
  async (_, recorders) => {
    if (recorders > 1) database = await startPostgres();
    const throwDice = dice(seed);
    const wrote: number[] = [];
    let standing = 0;
    const running: ReturnType<typeof start>[] = [];
    const kill = async (one: ReturnType<typeof start>): Promise<void> => {
      const closed = once(one.child, 'close');
      one.child.kill('SIGKILL');
      await closed;
      // Until then it was at work, whatever became of the other.
      expect([one.child.exitCode, one.text().slice(-2_000)]).toEqual([null, expect.anything()]);
      for (const line of one.said()) {
        const [, number] = /^wrote ([0-9]+)$/.exec(line) ?? [];
        if (number !== undefined) wrote.push(Number(number));
        if (line.startsWith('placed')) standing++;
      }
    };
    let begun = 0;
    for (let n = 0; n < kills; n++) {
      while (running.length < recorders) {
        const one = start(begun++ * 1_000_000, 'write');
        await until(() => one.text().includes('wrote') || one.child.exitCode !== null, 'a session', 120_000);
        running.push(one);
      }
      await pause(throwDice(1_500));
      for (const one of running.splice(throwDice(recorders), 1)) await kill(one);
    }
    for (const one of running) await kill(one);
    const last = start(0, 'finish');
    await once(last.child, 'close');
    expect(last.said()).toContain('finished');
    expect(standing).toBeGreaterThan(0);
    const kept = wrote.filter((n) => n % 3 === 0).map(sessionId);
    expect(kept.length).toBeGreaterThanOrEqual(kills);

    const store: RecordStore =
      database === undefined
        ? openSqliteStore({ path: join(folder, 'record.db'), clock: systemClock })
        : await openPostgresStore({ dsn: database.dsn, clock: systemClock });
    const found = await keptIn(store);
    expect(kept.filter((session) => !found.has(session))).toEqual([]);
    // Of each kill one more, which it could not tell any more.
    expect(found.size - kept.length).toBeLessThanOrEqual(begun);
    const { size } = await store.log();
    const entries = await store.entries(0, size);
    const deleted = entries.flatMap(({ text }) => /"type":"deleted".*"entry":([0-9]+)/.exec(text)?.[1] ?? []);
    expect(new Set(deleted).size).toBe(deleted.length);
    const blocks = entries.filter(({ text }) => text.includes('"type":"block"')).length;
    // All others are deleted, once.
    expect(deleted).toHaveLength(blocks - found.size);

    const segments = [...server.objects].filter(([name]) => name.includes('/segments/'));
    const firsts = segments.map(([name]) => readKey(name)?.number ?? 0).sort((one, other) => one - other);
    const heldFirsts = new Set(segments.filter(([, { held }]) => held === true).map(([name]) => readKey(name)?.number));
    const without = [...found.values()]
      .flat()
      .filter((block) => !heldFirsts.has(firsts.findLast((first) => first <= block)));
    expect(without).toEqual([]);
    const wanted = new Set([...found.values()].flat().map((block) => firsts.findLast((first) => first <= block)));
    // Of a segment that was looked at when its lines were deleted each session is known whole: nothing else is held.
    expect([...heldFirsts].filter((first) => !wanted.has(first))).toEqual([]);
    expect(await store.archiveHolds.todo(9)).toEqual([]);
    expect((await store.holds()).map(({ terms }) => terms)).toEqual([{ label: 'keep' }]);
    const archived = await store.archived();
    await store.close();

    // The archive is the log, and a store that is made from it has all that, too.
    const again = openSqliteStore({ path: join(folder, 'again.db'), clock: systemClock });
    const objects = openS3(
      parseLocation('s3://records/log', { endpoint: server.endpoint, region: 'eu-central-1', pathStyle: true }),
    );
    const log = await openArchivedLog(objects, undefined, publicKey);
    expect(await restoreArchive({ log, store: again, publicKey })).toMatchObject({
      entries: archived.entries,
      fault: undefined,
    });
    objects.close();
    const restored = await keptIn(again);
    expect([...found.keys()].filter((session) => !restored.has(session))).toEqual([]);
    await again.close();
  },
  300_000 + kills * 30_000,
);
