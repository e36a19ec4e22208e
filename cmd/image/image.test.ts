import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { imageConfig } from './contents.ts';
import { cachedLayer } from './layer-cache.ts';
import { nodeRelease } from './node-release.ts';
import { writeTree } from './tree.ts';

const root = join(import.meta.dirname, '../..');
const read = (name: string): string => readFileSync(join(root, name), 'utf8');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-image-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('the Dockerfile and `make image` agree', () => {
  /** Instructions of the last stage, continued lines joined. */
  const stages = read('Dockerfile')
    .replace(/^#.*\n/gm, '')
    .split(/^(?=FROM )/m)
    .filter((stage) => stage.startsWith('FROM '))
    .map((stage) => stage.trim().split('\n'));
  const [build = [], final = []] = stages;
  const values = (name: string): string[] =>
    final.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1));

  test('on user, entry point, environment and folder', () => {
    expect({
      User: values('USER').join(),
      WorkingDir: values('WORKDIR').join(),
      Env: values('ENV'),
      Entrypoint: JSON.parse(values('ENTRYPOINT').join()) as unknown,
    }).toEqual(imageConfig);
  });

  test('on the files: the last stage is empty but for what cmd/image writes', () => {
    expect(stages).toHaveLength(2);
    expect(final[0]).toBe('FROM scratch');
    expect(values('COPY')).toEqual(['--from=build /root-file-system /']);
    expect(final.map((line) => line.split(' ')[0])).toEqual(['FROM', 'COPY', 'ENV', 'WORKDIR', 'USER', 'ENTRYPOINT']);
    expect(build.at(-1)).toBe('RUN node cmd/image/main.ts --architecture "$TARGETARCH" --root /root-file-system');
  });

  test('on the version of Node, which is the one that tests run on', () => {
    const { devDependencies } = JSON.parse(read('package.json')) as { devDependencies: Record<string, string> };
    expect(devDependencies['node']).toBe(nodeRelease.version);
    expect(build[0]).toContain(` node:${nodeRelease.version}-`);
  });

  test('and the build stage is sent what it reads, and no secrets or builds of the machine', () => {
    const ignored = read('.dockerignore').split('\n');
    expect(ignored).toEqual(expect.arrayContaining(['.git', '.sidegate', '.demo', 'dist', 'node_modules']));
    for (const needed of ['cmd', 'pkg', 'package.json', 'package-lock.json', 'tsconfig.json'])
      expect(ignored).not.toContain(needed);
  });
});

describe('the command', () => {
  const image = (...args: readonly string[]): { status: number | null; stderr: string; stdout: string } =>
    spawnSync(process.execPath, [join(root, 'cmd/image/main.ts'), ...args], { encoding: 'utf8', cwd: folder });

  test.each([
    [['--architecture', 'sparc'], '--architecture must be of amd64, arm64'],
    [['--architecture', ',amd64'], '--architecture must be of amd64, arm64'],
    [['--architecture', 'amd64,arm64', '--root', 'x'], '--root takes one architecture'],
    [['--reference', 'localhost/sidegate:latest'], '--reference must have a host, a name and a tag that is not latest'],
    [['--reference', 'sidegate:1'], '--reference must have a host'],
    [['--reference', 'localhost/sidegate'], '--reference must have a host'],
    [['--nonsense'], "Unknown option '--nonsense'"],
  ])('refuses %j', (args, message) => {
    const { status, stderr } = image(...args);
    expect(status).toBe(1);
    expect(stderr).toContain(message);
  });

  test('lists its settings', () => {
    const { status, stdout } = image('--help');
    expect(status).toBe(0);
    expect(stdout).toContain('--architecture');
  });
});

describe('the launcher', () => {
  const start = (...args: readonly string[]): { status: number | null; stderr: string; stdout: string } =>
    spawnSync(process.execPath, [join(folder, 'app/main.js'), ...args], { encoding: 'utf8' });
  beforeAll(() => {
    const source = read('cmd/image/launcher.ts');
    writeTree(folder, [
      { kind: 'file', path: 'app/main.js', mode: 0o644, data: Buffer.from(source) },
      { kind: 'file', path: 'app/package.json', mode: 0o644, data: Buffer.from('{"type":"module"}') },
      {
        kind: 'file',
        path: 'app/sidecar.js',
        mode: 0o644,
        data: Buffer.from('process.stdout.write(JSON.stringify(process.argv.slice(2)))'),
      },
    ]);
  });

  test('runs the process that is named, with the arguments after it', () => {
    expect(start('sidecar', '--a', 'b')).toMatchObject({ status: 0, stdout: '["--a","b"]' });
  });

  test.each([[[]], [['nothing']], [['main']], [['../app/sidecar']], [['package']], [['--help']]])(
    'refuses %j and names what there is',
    (args) => {
      expect(start(...args)).toMatchObject({
        status: 2,
        stdout: '',
        stderr: 'sidegate: name a process first: sidecar\n',
      });
    },
  );
});

describe('layers', () => {
  const part = (key: string, text: string): Parameters<typeof cachedLayer>[0] => ({
    name: 'part',
    key,
    entries: () => [{ kind: 'file', path: 'a', mode: 0o644, data: Buffer.from(text) }],
  });

  test('are kept by their key, and made anew without one', () => {
    const cache = join(folder, 'cache');
    const first = cachedLayer(part('k1', 'one'), cache);
    expect(cachedLayer(part('k1', 'changed, but the key says not'), cache)).toEqual(first);
    expect(cachedLayer(part('k2', 'two'), cache)).not.toEqual(first);
    expect(cachedLayer(part('', 'three'), cache)).not.toEqual(cachedLayer(part('', 'four'), cache));
  });

  test('half a layer in the cache is not taken for a whole one', () => {
    const cache = join(folder, 'half');
    const whole = cachedLayer(part('k', 'one'), cache);
    const names = readdirSync(cache);
    rmSync(join(cache, names.find((name) => name.endsWith('.diff-id')) ?? ''));
    writeFileSync(join(cache, names.find((name) => name.endsWith('.tar.gz')) ?? ''), 'torn');
    expect(cachedLayer(part('k', 'one'), cache)).toEqual(whole);
  });
});

test('a tree is written with its modes, whatever the umask is', () => {
  const before = process.umask(0o077);
  try {
    writeTree(folder, [
      { kind: 'folder', path: 'tree/tmp', mode: 0o1777 },
      { kind: 'file', path: 'tree/run', mode: 0o755, data: Buffer.from('') },
    ]);
  } finally {
    process.umask(before);
  }
  expect(statSync(join(folder, 'tree/tmp')).mode & 0o7777).toBe(0o1777);
  expect(statSync(join(folder, 'tree/run')).mode & 0o7777).toBe(0o755);
  expect(statSync(join(folder, 'tree')).mode & 0o7777).toBe(0o755);
});
