import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { createLogger, silentLogger } from '../../base/index.ts';

// Which files were on the disk, and when: a name that is not there after a crash is a crash that nobody sees.

const did: string[] = [];
jest.unstable_mockModule('node:fs', () => ({
  ...fs,
  fsyncSync(fd: number) {
    did.push(`fsync ${fs.readlinkSync(`/proc/self/fd/${fd}`)}`);
    fs.fsyncSync(fd);
  },
  renameSync(from: string, to: string) {
    did.push(`rename ${to}`);
    fs.renameSync(from, to);
  },
}));
const { readBootMark } = await import('./boot-mark.ts');
const { openSpool } = await import('./spool.ts');

const [before, now] = ['1', '2'].map((digit) => digit.repeat(36)) as [string, string];
let folder: string;
beforeEach(() => {
  folder = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'sidegate-boot-')));
  did.length = 0;
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

test('a mark is on the disk under its name when it is taken', () => {
  readBootMark(folder, before, silentLogger).take();
  expect(did).toEqual([`fsync ${join(folder, 'boot.new')}`, `rename ${join(folder, 'boot')}`, `fsync ${folder}`]);
  expect(readBootMark(folder, before, silentLogger).crashed).toBe(false);
  expect(readBootMark(folder, now, silentLogger).crashed).toBe(true);
});

test('a mark that cannot be written is tried again, each second, until it is there', async () => {
  const clock = fakeClock();
  let said = 0;
  const logger = createLogger({ level: 'warn', clock, write: () => said++ });
  // In the place of the file that is written first.
  fs.mkdirSync(join(folder, 'boot.new'));
  const spool = openSpool({ folder, clock, logger, bootId: () => now });
  clock.advance(5_000);
  expect([fs.existsSync(join(folder, 'boot')), said]).toEqual([false, 1]);
  fs.rmdirSync(join(folder, 'boot.new'));
  clock.advance(1_000);
  expect(readBootMark(folder, before, silentLogger).crashed).toBe(true);
  expect(clock.pending).toBe(0);
  await spool.record.close();
  spool.closed();
  expect(fs.existsSync(join(folder, 'boot'))).toBe(false);
});
