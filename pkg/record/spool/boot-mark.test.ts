import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../base/index.ts';

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
