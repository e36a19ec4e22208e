// A program for tests: fills a small spool, goes on while it is full, says how many events were refused, and is killed.
import { silentLogger, systemClock } from '../../../base/index.ts';
import { boundSpool } from '../bounded.ts';
import { openSpool } from '../spool.ts';

const [folder = ''] = process.argv.slice(2);
const spool = openSpool({ folder, clock: systemClock, logger: silentLogger });
const sink = boundSpool(spool.record, { folder, limit: 300_000, clock: systemClock, logger: silentLogger });
let refused = 0;
for (let n = 0; n < 1_000; n++)
  try {
    const session = n.toString(16).padStart(32, '0');
    const text = 'x'.repeat(4_000);
    sink.append([{ type: 'segment', session, direction: 'response', lane: 'l', text, at: 1 }]);
  } catch {
    refused++;
  }
process.stdout.write(String(refused), () => process.kill(process.pid, 'SIGKILL'));
