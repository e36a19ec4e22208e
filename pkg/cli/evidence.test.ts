import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { commands } from './commands.ts';
import { run } from './run.ts';
import type { CommandIo } from './command.ts';

/** docs/evidence.md: whatever it tells auditors to run is there, with the flags that it names. */
const page = readFileSync(join(import.meta.dirname, '../../docs/evidence.md'), 'utf8');
const first = new Set(commands.map((command) => command.name.split(' ')[0]));
const lines = [
  ...new Set(
    [...page.matchAll(/`([a-z][^`]*)`/g)]
      .map((match) => match[1] ?? '')
      // Settings of policies and of the chart have a dot or a colon in their first word.
      .filter((text) => first.has(text.split(' ')[0])),
  ),
];

test('it names commands of every kind', () => {
  expect(lines.length).toBeGreaterThan(25);
  for (const name of ['audit verify', 'audit search', 'policy test', 'access list', 'check'])
    expect(lines.some((line) => line.startsWith(name))).toBe(true);
});

test.each(lines)('%s', async (line) => {
  const words = line.split(' ');
  const command = commands.find(({ name }) => name.split(' ').every((word, at) => words[at] === word));
  expect(command?.name).toBeDefined();
  const out: string[] = [];
  const io = { stdout: (text: string) => void out.push(text), stderr: () => undefined } as unknown as CommandIo;
  expect(await run([...(command?.name.split(' ') ?? []), '--help'], io)).toBe(0);
  for (const flag of words.filter((word) => /^--?[a-z]/.test(word)))
    expect(out.join('')).toMatch(new RegExp(`(^|[\\s,])${flag}\\b`, 'm'));
});
