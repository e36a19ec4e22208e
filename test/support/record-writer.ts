// A sidecar's record as a process of its own, to be killed at any moment: `record-writer.ts FOLDER PORT MODE`. FOLDER has
// `identity.pem`, `identity-key.pem`, `trust.pem` and `spool/`. Each line that it says is a number that `append` has returned for.
// MODE `write`: goes on for ever; `pace`: too, a session each 20 ms, and says the ids of sessions in place of numbers; `beat`: too, and says heartbeats in place of numbers, and ends in good order when it is told to, the last one said; `flush`: sends what is there, says `flushed` or
// `not flushed`, and ends; `stop`: writes some, and ends as a sidecar does that is told to.
import { mkdirSync, readFileSync, writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { join } from 'node:path';
import { openPodRecord } from '../../pkg/remote/index.ts';
import { createLogger, systemClock } from '../../pkg/base/index.ts';
import { sessionEvents } from '../../pkg/recorder/testing/chains.ts';
import { randomId } from '../../pkg/base/index.ts';
import { createIngestClientRemote } from './record-remote.ts';

// Now: who is killed leaves nothing of it to the next one.
flushCompileCache();
const [folder = '', port = '', mode = 'write', from = '1'] = process.argv.slice(2);
const spool = join(folder, 'spool');
mkdirSync(spool, { recursive: true });
const clock = systemClock;
const record = openPodRecord({
  folder: spool,
  limit: 1 << 30,
  pod: { namespace: 'ml', name: 'llama-0', uid: readFileSync(join(folder, 'uid'), 'utf8') },
  clock,
  logger: createLogger({ clock, level: 'warn', write: (line) => process.stderr.write(`${line}\n`) }),
  onEvent: () => undefined,
});
const sender = record.sendBy(createIngestClientRemote(folder, Number(port)));
if (mode === 'flush') {
  // While it waits to connect again nothing else keeps the process.
  setInterval(() => undefined, 1_000);
  process.stdout.write((await sender.flush(240_000)) ? 'flushed\n' : 'not flushed\n');
  process.exit(0);
}
if (mode === 'stop') {
  for (let n = 0; n < 20; n++) record.audit.append(sessionEvents({ id: randomId() }));
  record.audit.append([{ type: 'process', what: 'stop' }]);
  await record.finish(60_000);
  process.stdout.write(`${JSON.stringify(record.head())}\n`);
  process.exit(0);
}
let told = false;
if (mode === 'beat') process.once('SIGTERM', () => (told = true));
/** A quarter of an hour of faults would fill the spool, and leave more than could be sent at the end: what is asked here is whether all comes. */
const mostPending = 50_000;
for (let n = Number(from); ; n++) {
  while (sender.pending() > mostPending) await new Promise((resolve) => setTimeout(resolve, 20));
  if (told) {
    // While it waits for the recorder nothing else keeps the process.
    setInterval(() => undefined, 1_000);
    record.audit.append([{ type: 'process', what: 'stop' }]);
    await record.finish(200);
    process.stdout.write(`${JSON.stringify(record.head())}\n`, () => process.exit(0));
    break;
  }
  const id = randomId();
  record.audit.append(sessionEvents({ id, ask: `number ${n} ${'x'.repeat(n % 900)}`, user: `u${n}` }));
  // Not by `process.stdout`, which keeps what a busy reader does not take, and is killed with it.
  writeSync(1, mode === 'beat' ? `${JSON.stringify(record.head())}\n` : `${mode === 'pace' ? id : n}\n`);
  if (mode === 'pace') await new Promise((resolve) => setTimeout(resolve, 20));
  else if (n % 7 === 0) await new Promise((resolve) => setTimeout(resolve, n % 5));
}
