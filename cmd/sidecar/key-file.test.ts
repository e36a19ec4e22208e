import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
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

test.each([0, 31, 33])('a file of %i bytes is no key, and stays as it is', (bytes) => {
  const path = join(folder, `of-${bytes}`);
  writeFileSync(path, Buffer.alloc(bytes, 1));
  expect(() => keyFile(folder, `of-${bytes}`)).toThrow(`has ${bytes} bytes and not 32: remove it`);
  expect(readFileSync(path)).toHaveLength(bytes);
});
