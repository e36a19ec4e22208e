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

describe('names that the cluster knows', () => {
  const object = (name: string, phase?: string): object => ({
    metadata: { name },
    ...(phase !== undefined && { status: { phase } }),
  });
  const lists: Readonly<Record<string, readonly object[]>> = {
    'inferenceapprovals ml': [object('b-1'), object('a-1', 'Approved'), object('c;rm -rf')],
    'inferencegrants ml': [object('night'), object('day', 'Denied')],
    'deployments ml': [object('llama')],
    'statefulsets ml': [],
    'namespaces ': [object('ml'), object('prod')],
    'inferenceapprovals other': [object('o-1')],
  };
  let closed = 0;
  const cluster = (list: (key: string) => Promise<readonly object[]>, late = false): CommandIo =>
    ({
      openCluster: () =>
        Promise.resolve({
          namespace: 'ml',
          client: {
            list: ({ plural }: { plural: string }, { namespace = '' } = {}) => list(`${plural} ${namespace}`),
            close: () => closed++,
          },
        }),
      // Nobody is patient where nobody answers.
      sleep: () => (late ? Promise.resolve() : new Promise(() => undefined)),
    }) as unknown as CommandIo;
  const answered = cluster((key) =>
    lists[key] === undefined ? Promise.reject(new Error('forbidden')) : Promise.resolve(lists[key]),
  );
  const asked = async (line: string, from = answered): Promise<string> => {
    const out: string[] = [];
    expect(await run(['__complete', ...line.split(' ')], { ...from, stdout: (text) => void out.push(text) })).toBe(0);
    return out.join('').replaceAll('\n', ' ').trim();
  };

  test.each([
    ['approvals show ', 'a-1 b-1 grant/day grant/night :4'],
    ['approvals approve ', 'b-1 grant/night :4'],
    ['approvals deny g', 'grant/night :4'],
    ['approvals show -n other ', 'o-1 :4'],
    ['approvals show --namespace=other ', 'o-1 :4'],
    ['approvals list -n ', 'ml prod :4'],
    ['access revoke ', 'day night :4'],
    ['enable dep', 'deployment/llama :4'],
    ['approvals approve --comment ', ':0'],
    ['policy validate ', ':0'],
    ['approvals show -n none ', ':0'],
  ])('%s', async (line, suggested) => {
    expect(await asked(line)).toBe(suggested);
  });

  test('are closed after, and none where the cluster is not there or does not answer in time', async () => {
    expect(closed).toBeGreaterThan(0);
    const none = { ...answered, openCluster: () => Promise.reject(new Error('no cluster')) };
    expect(await asked('approvals show ', none)).toBe(':0');
    expect(
      await asked(
        'approvals show ',
        cluster(() => new Promise(() => undefined), true),
      ),
    ).toBe(':0');
  });

  test('are those of a folder where one is named', async () => {
    const folder = {
      ...answered,
      folder: { names: () => ['x-1.yaml', '.x-2.yaml'], isWritableByOthers: () => false },
      now: () => 0,
      readFile: () => 'kind: InferenceApproval\nmetadata: { name: x-1 }\n',
    } as unknown as CommandIo;
    expect(await asked('approvals show --dir waits ', folder)).toBe('x-1 :4');
  });
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
    // Of a language that is not there bash says so.
    const env = { ...process.env, LC_ALL: 'C' };
    const { stdout, stderr } = spawnSync('bash', ['-c', line], { cwd: folder, env, encoding: 'utf8' });
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
