// A program for tests: a spool on a small volume that something else fills to its last byte, once it is open or, with `first`, before; then another
// process writes it, with room. It says how many events were refused, and what the gaps say.
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseJson, silentLogger, systemClock } from '../../../base/index.ts';
import { gapOf } from '../../gap.ts';
import { openSpool } from '../spool.ts';

const [folder = '', when] = process.argv.slice(2);
const filler = join(folder, 'filler');
const fill = (): void => {
  try {
    for (;;) writeFileSync(filler, 'x'.repeat(4_096), { flag: 'a' });
  } catch {
    // It is full.
  }
};
if (when === 'first') fill();
const { record } = openSpool({ folder, clock: systemClock, logger: silentLogger });
const write = (): boolean => {
  try {
    const text = 'x'.repeat(10_000);
    record.append([
      { type: 'segment', session: 'a'.repeat(32), direction: 'response', lane: 'l', text, at: 1 },
      { type: 'segment', session: 'b'.repeat(32), direction: 'response', lane: 'l', text, at: 1 },
    ]);
    return true;
  } catch {
    return false;
  }
};
const before = write();
fill();
let refused = 0;
for (let n = 0; n < 100; n++) if (!write()) refused += 2;
rmSync(filler);
openSpool({ folder, clock: systemClock, logger: silentLogger });
const gaps = readdirSync(folder)
  .filter((name) => name.startsWith('record-'))
  .flatMap((name) => readFileSync(join(folder, name), 'utf8').trim().split('\n'))
  .filter((line) => line !== '')
  .map((line) => gapOf(parseJson(line)))
  .filter((events) => events > 0);
process.stdout.write(JSON.stringify({ before, refused, gaps }), () => process.exit(0));
