import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { DatabaseSync } from 'node:sqlite';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createNames } from './names.ts';
import { migrate } from './schema.ts';

let db: DatabaseSync;
beforeEach(() => {
  db = new DatabaseSync(':memory:');
  migrate(db);
});
afterEach(() => db.close());

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const heapAfter = (run: () => void): number => {
  collect();
  const before = process.memoryUsage().heapUsed;
  run();
  collect();
  return process.memoryUsage().heapUsed - before;
};

test('a name is kept without the line that it came in', () => {
  const names = createNames(db);
  const grown = heapAfter(() => {
    for (let n = 0; n < 100; n++) {
      const line = Buffer.from(`name ${n} `.repeat(32 * 1024)).toString();
      names.number(line.slice(0, 60));
    }
  });
  expect(grown).toBeLessThan(8 * 1024 * 1024);
  expect(names.text(1)).toMatch(/^name 0 /);
});

test('long names, as lists of tags are, fill a few MB and are found all the same', () => {
  const names = createNames(db);
  const tags = (n: number): string => Array.from({ length: 64 }, (_, at) => `${n} ${at}`.padEnd(256)).join('\n');
  const grown = heapAfter(() => {
    for (let n = 0; n < 2_000; n++) expect(names.number(tags(n))).toBe(n + 1);
  });
  expect(grown).toBeLessThan(16 * 1024 * 1024);
  expect(names.text(names.find(tags(7)) ?? 0)).toBe(tags(7));
});
