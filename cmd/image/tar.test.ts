import { describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { tar } from './tar.ts';
import type { TarEntry } from './tar.ts';

const file = (path: string, text = ''): TarEntry => ({ kind: 'file', path, mode: 0o644, data: Buffer.from(text) });
const list = (archive: Buffer): string[] =>
  execFileSync('tar', ['-tvf', '-', '--numeric-owner', '--utc'], { input: archive, encoding: 'utf8' })
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/\s+/g, ' '));

describe('tar', () => {
  test('writes what tar reads: modes, owner root, sizes, links', () => {
    const archive = tar([
      file('a/b.txt', 'hello'),
      { kind: 'folder', path: 'a', mode: 0o1777 },
      { kind: 'link', path: 'c', mode: 0o777, target: 'a/b.txt' },
    ]);
    expect(list(archive)).toEqual([
      'drwxrwxrwt 0/0 0 1970-01-01 00:00 a/',
      '-rw-r--r-- 0/0 5 1970-01-01 00:00 a/b.txt',
      'lrwxrwxrwx 0/0 0 1970-01-01 00:00 c -> a/b.txt',
    ]);
    expect(execFileSync('tar', ['-xOf', '-', 'a/b.txt'], { input: archive, encoding: 'utf8' })).toBe('hello');
  });

  test('does not depend on the order of its entries', () => {
    expect(tar([file('b'), file('a')])).toEqual(tar([file('a'), file('b')]));
  });

  test('contents of one block exactly end there', () => {
    expect(list(tar([file('a', 'x'.repeat(512)), file('b', 'y')]))).toHaveLength(2);
  });

  test('holds paths beyond 100 bytes, up to what ustar can', () => {
    const long = `${'d'.repeat(90)}/${'e'.repeat(60)}/${'f'.repeat(90)}`;
    expect(list(tar([file(long)]))[0]).toContain(long);
    expect(() => tar([file('x'.repeat(101))])).toThrow(RangeError);
    expect(() => tar([{ kind: 'link', path: 'l', mode: 0o777, target: 'x'.repeat(101) }])).toThrow(/link is too long/);
  });
});
