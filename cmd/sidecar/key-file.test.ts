import { linkSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { keyFile } from './key-file.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-key-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('a key is made once, for its owner alone, and nothing is left beside it', () => {
  const data = join(folder, 'data');
  const first = keyFile(data, 'hash.key');
  expect(first).toHaveLength(32);
  expect(keyFile(data, 'hash.key')).toEqual(first);
  expect(keyFile(data, 'record.key')).not.toEqual(first);
  expect(readdirSync(data).sort()).toEqual(['hash.key', 'record.key']);
  expect(statSync(join(data, 'hash.key')).mode & 0o777).toBe(0o600);
});

const unable = (code: string) => (): never => {
  throw Object.assign(new Error(code), { code });
};

test.each(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'])('is kept where hard links are %s', (code) => {
  const data = join(folder, code);
  const made = keyFile(data, 'hash.key', unable(code));
  expect(made).toHaveLength(32);
  expect(keyFile(data, 'hash.key')).toEqual(made);
  expect(readdirSync(data)).toEqual(['hash.key']);
  expect(statSync(join(data, 'hash.key')).mode & 0o777).toBe(0o600);
});

test('a link that fails otherwise is an error, and leaves nothing', () => {
  const data = join(folder, 'full');
  expect(() => keyFile(data, 'hash.key', unable('ENOSPC'))).toThrow('ENOSPC');
  expect(readdirSync(data)).toEqual([]);
});

test.each([undefined, 'EPERM'])('who comes second has the key of the first (link: %s)', (code) => {
  const data = join(folder, `second-${code}`);
  const first = Buffer.alloc(32, 7);
  const late: typeof linkSync = (from, to) => {
    writeFileSync(to, first);
    if (code !== undefined) unable(code)();
    linkSync(from, to);
  };
  expect(keyFile(data, 'hash.key', late)).toEqual(first);
  expect(readdirSync(data)).toEqual(['hash.key']);
});

test.each([0, 31, 33])('a file of %i bytes is no key, and stays as it is', (bytes) => {
  const path = join(folder, `of-${bytes}`);
  writeFileSync(path, Buffer.alloc(bytes, 1));
  expect(() => keyFile(folder, `of-${bytes}`)).toThrow(`has ${bytes} bytes and not 32: remove it`);
  expect(readFileSync(path)).toHaveLength(bytes);
});
