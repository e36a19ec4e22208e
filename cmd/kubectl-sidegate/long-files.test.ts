import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdtempSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { output } from './long-files.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-files-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('a file that is written piece by piece', () => {
  test('takes the place of the old one when it is whole, and its owner alone reads it', () => {
    const path = join(folder, 'export');
    writeFileSync(path, 'old', { mode: 0o644 });
    const file = output(path);
    file.write('new ');
    file.write('words');
    expect(readFileSync(path, 'utf8')).toBe('old');
    file.finish();
    expect(readFileSync(path, 'utf8')).toBe('new words');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(['export']);
  });

  test('is never written where somebody waits for it beside', () => {
    const path = join(folder, 'export');
    const theirs = join(folder, 'theirs');
    writeFileSync(theirs, '', { mode: 0o644 });
    symlinkSync(theirs, `${path}.part`);
    const file = output(path);
    file.write('a prompt');
    file.finish();
    expect(readFileSync(theirs, 'utf8')).toBe('');
    expect(readFileSync(path, 'utf8')).toBe('a prompt');
  });

  test('leaves nothing of what is discarded, nor of what cannot take its place', () => {
    const path = join(folder, 'export');
    const file = output(path);
    file.write('words');
    file.discard();
    expect(readdirSync(folder)).toEqual([]);
    const other = output(path);
    other.write('words');
    mkdirSync(path);
    expect(() => other.finish()).toThrow();
    expect(readdirSync(folder)).toEqual(['export']);
  });

  test('replaces what a link names', () => {
    const real = join(folder, 'real');
    const link = join(folder, 'link');
    writeFileSync(real, 'old');
    symlinkSync(real, link);
    const file = output(link);
    file.write('new');
    file.finish();
    expect(readFileSync(real, 'utf8')).toBe('new');
    expect(readdirSync(folder).toSorted()).toEqual(['link', 'real']);
  });

  test('may be a pipe', async () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const reader = spawn('cat', [pipe], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    reader.stdout.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    const file = output(pipe);
    file.write('words');
    file.finish();
    await once(reader, 'close');
    expect(text).toBe('words');
    expect(readdirSync(folder)).toEqual(['pipe']);
  });
});
