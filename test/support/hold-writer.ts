// A recorder's store that takes in, signs, archives, deletes by age and holds all at once, to be killed: `hold-writer.ts FOLDER ENDPOINT FROM MODE [DSN]`.
// It says what is on the disk: `wrote N`, `placed ID`, `released ID`; in mode `finish` it writes nothing, and ends with `finished` once all is done.
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Secret, silentLogger, systemClock } from '../../pkg/base/index.ts';
import { startArchiver, startHoldKeeper } from '../../pkg/recorder/archive/index.ts';
import { parseLocation } from '../../pkg/recorder/archive/location.ts';
import { openS3 } from '../../pkg/recorder/archive/s3.ts';
import { keepHeads } from '../../pkg/recorder/log/heads.ts';
import { openPostgresStore, openSqliteStore } from '../../pkg/recorder/store/index.ts';
import type { BlockPlace } from '../../pkg/recorder/store/index.ts';
import { blockOf } from '../../pkg/recorder/store/testing/blocks.ts';
import { sessionId, testChain } from '../../pkg/recorder/testing/chains.ts';

const [folder = '', endpoint = '', from = '0', mode = '', dsn] = process.argv.slice(2);
const say = (text: string): void => void writeSync(1, `${text}\n`);
const key = createPrivateKey(readFileSync(join(folder, 'key.pem')));
const clock = systemClock;
const store =
  dsn === undefined
    ? openSqliteStore({ path: join(folder, 'record.db'), clock })
    : await openPostgresStore({ dsn: new Secret(dsn), clock });
const objects = () => openS3(parseLocation('s3://records/log', { endpoint, region: 'eu-central-1', pathStyle: true }));
const archiver = startArchiver({
  ...{ store, objects: objects(), key, clock, logger: silentLogger, random: () => -0.45 },
  lock: { mode: 'COMPLIANCE', days: 30 },
});
const keeper = startHoldKeeper({
  ...{ store, objects: objects(), keys: [createPublicKey(key)], clock, logger: silentLogger, ageMs: 0 },
  random: () => -0.45,
});
const heads = keepHeads({ store, key, clock, logger: silentLogger, onSigned: () => archiver.kick() });
const who = { who: 'eve', reason: 'case 7' };
let after: BlockPlace | undefined;
const deleteSome = async (): Promise<void> => {
  const rule = { before: clock.now() - 100, of: { allBut: [] }, archivedOnly: true };
  const step = await store.deleteOld({ ...rule, ...(after && { after }) }, clock.now(), 5);
  // From the beginning at times: holds come and go.
  after = step.more ? step.reached : undefined;
};
const [standing] = await store.holds();
if (standing === undefined)
  say(`placed ${await store.placeHold({ ...who, at: clock.now(), terms: { label: 'keep' } })}`);

const chain = testChain(`run ${from}`);
if (mode === 'write')
  for (let n = Number(from); ; n++) {
    const rule = n % 3 === 0 ? 'support/keep' : 'support/other';
    await store.append([blockOf(chain, [{ id: sessionId(n), rule, user: n % 2 === 0 ? 'bob' : 'ana' }], clock.now())]);
    say(`wrote ${n}`);
    if (n % 4 === 0) await heads.sign();
    if (n % 7 === 0) {
      const other = (await store.holds()).find(({ terms }) => terms.user === 'bob');
      if (other === undefined)
        say(`placed ${await store.placeHold({ ...who, at: clock.now(), terms: { user: 'bob' } })}`);
      else if (await store.releaseHold({ ...who, at: clock.now(), id: other.id })) say(`released ${other.id}`);
    }
    await deleteSome();
    keeper.kick();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }

for (const { id, terms } of await store.holds())
  if (terms.user !== undefined) await store.releaseHold({ ...who, at: clock.now(), id });
await heads.sign();
for (let quiet = false; !quiet; await new Promise((resolve) => setTimeout(resolve, 20))) {
  archiver.kick();
  keeper.kick();
  const [{ size }, { entries }, { holds, toFree }] = await Promise.all([
    store.log(),
    store.archived(),
    store.archiveHolds.counts(),
  ]);
  quiet = entries === size && toFree === 0 && holds.every((one) => one.waiting === 0 && one.lookedTo === entries);
}
await keeper.close();
await archiver.close();
for (let more = true, place: BlockPlace | undefined; more;) {
  const rule = { before: clock.now() + 1, of: { allBut: [] }, archivedOnly: true };
  const step = await store.deleteOld({ ...rule, ...(place && { after: place }) }, clock.now(), 50);
  ({ reached: place, more } = step);
}
heads.close();
await store.close();
say('finished');
process.exit(0);
