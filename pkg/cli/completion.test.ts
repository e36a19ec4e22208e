import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { commands } from './commands.ts';
import { flagsOf, suggest } from './completion.ts';
import { run } from './index.ts';
import type { CommandIo } from './index.ts';

const complete = (...words: string[]): readonly string[] => suggest(commands, words);
const io = (out: string[], err: string[] = []): CommandIo =>
  ({ stdout: (text: string) => void out.push(text), stderr: (text: string) => void err.push(text) }) as CommandIo;

describe('what may come next', () => {
  test('are words of commands', () => {
    expect(complete('poli')).toEqual(['policy']);
    expect(complete('approvals', '')).toEqual(['list', 'watch', 'show', 'approve', 'deny']);
    expect(complete('approvals', 'd')).toEqual(['deny']);
    expect(complete('')).toContain('inject');
    expect(complete('nothing', '')).toEqual([]);
  });

  test('are flags of the command, and the values that one takes', () => {
    expect(complete('approvals', 'list', '--all')).toEqual(['--all', '--all-namespaces']);
    expect(complete('approvals', 'list', '-o', '')).toEqual(['json', 'yaml', 'wide']);
    expect(complete('approvals', 'list', '--output', 'y')).toEqual(['yaml']);
    expect(complete('approvals', 'list', '--namespace', '')).toEqual([]);
    expect(complete('approvals', 'list', '--he')).toEqual(['--help']);
  });
});

describe.each(commands.map((command) => [command.name, command] as const))('%s', (_name, command) => {
  test('takes each flag that its help names, and its help names each that it takes', async () => {
    const err: string[] = [];
    expect(await command.run(['--no-such-flag'], io([], err))).toBe(2);
    const known = /Known: (.*)/.exec(err.join(''))?.[1]?.split(', ') ?? [];
    const named = flagsOf(command.usage).map(({ long }) => long);
    expect([...new Set([...named, '--help'])].toSorted()).toEqual(known.toSorted());
  });

  test('has its help', async () => {
    const out: string[] = [];
    expect(await command.run(['--help'], io(out))).toBe(0);
    expect(out.join('')).toBe(command.usage);
  });
});

test('shells are asked by cobra’s protocol, which kubectl speaks', async () => {
  const out: string[] = [];
  await run(['__complete', 'approvals', 'd'], io(out));
  expect(out.join('')).toBe('deny\n:4\n');
  out.length = 0;
  await run(['__complete', 'policy', 'validate', 'x'], io(out));
  expect(out.join('')).toBe(':0\n');
});

test('a shell that is not known is told', async () => {
  const err: string[] = [];
  expect(await run(['completion', 'tcsh'], io([], err))).toBe(2);
  expect(err.join('')).toContain('SHELL must be one of bash, zsh, fish, kubectl');
});

test('bash completes with the script that it is given', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-completion-'));
  try {
    const out: string[] = [];
    await run(['completion', 'bash'], io(out));
    writeFileSync(join(folder, 'script'), out.join(''));
    // Stands for the program: it answers as `__complete` does, and tells what it was asked.
    writeFileSync(join(folder, 'sidegate'), '#!/bin/sh\nprintf "%s\\n" "asked:$*" deny :4\n');
    chmodSync(join(folder, 'sidegate'), 0o755);
    const line =
      'source ./script; COMP_WORDS=(./sidegate approvals d); COMP_CWORD=2; _sidegate; printf "%s\\n" "${COMPREPLY[@]}"';
    const { stdout, stderr } = spawnSync('bash', ['-c', line], { cwd: folder, encoding: 'utf8' });
    expect([stdout, stderr]).toEqual(['asked:__complete approvals d\ndeny\n', '']);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the version of the command is told without a cluster', async () => {
  const out: string[] = [];
  expect(await run(['version', '--client'], io(out))).toBe(0);
  expect(out.join('')).toBe('sidegate source\n');
});
