import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { elfNeeds } from '../../cmd/image/elf.ts';
import { nodeTierFault } from '../cluster/node.ts';

// The image as `make image` makes it, and as the Dockerfile's last stage would hold it: unpacked, compared, and run in its
// own root by chroot.

const root = join(import.meta.dirname, '../..');
let folder: string;
let archive: string;
let unpacked: string;

const node = (...args: readonly string[]): void => {
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'cmd/image/main.ts'), ...args], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
};

/** Every path below a folder with its kind, mode and contents. */
function listing(path: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(path, { recursive: true, encoding: 'utf8' }).map((name) => {
      const facts = lstatSync(join(path, name));
      const contents = facts.isFile() ? readFileSync(join(path, name)) : Buffer.alloc(0);
      const digest = createHash('sha256').update(contents).digest('hex').slice(0, 16);
      return [name, `${facts.isDirectory() ? 'folder' : 'file'} ${(facts.mode & 0o7777).toString(8)} ${digest}`];
    }),
  );
}

/** What a runtime does: the layers of the manifest, in their order, one over the other. Gives the folder. */
function unpack(from: string): string {
  const to = `${from}-unpacked`;
  const script = `
    set -e; mkdir -p "$2/oci" "$2/root"; tar -xf "$1" -C "$2/oci"
    for layer in $(grep -o '"Layers":\\[[^]]*' "$2/oci/manifest.json" | grep -o 'blobs/sha256/[0-9a-f]*'); do tar -xzpf "$2/oci/$layer" -C "$2/root"; done`;
  const { status, stderr } = spawnSync('bash', ['-c', script, 'bash', from, to], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return join(to, 'root');
}

beforeAll(() => {
  const fault = nodeTierFault();
  if (fault !== undefined) throw new Error(fault);
  folder = mkdtempSync(join(tmpdir(), 'sidegate-image-'));
  archive = join(folder, 'image.tar');
  node('--out', archive);
  unpacked = unpack(archive);
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const inside = (...command: readonly string[]): { status: number | null; stdout: string; stderr: string } => {
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  return spawnSync('chroot', ['--userspec=61337:61337', unpacked, ...command], { encoding: 'utf8', env });
};

describe('the image', () => {
  test('holds the same files with the same modes as the folder that the Dockerfile copies', () => {
    const copied = join(folder, 'copied');
    node('--root', copied);
    expect(listing(copied)).toEqual(listing(unpacked));
  }, 120_000);

  test('is the same, byte for byte, when it is made again', () => {
    const again = join(folder, 'again.tar');
    node('--out', again);
    expect(readFileSync(again).equals(readFileSync(archive))).toBe(true);
  }, 120_000);

  test('has no shell, no package manager and nothing set-user-id', () => {
    const paths = Object.entries(listing(unpacked));
    const programs = paths.flatMap(([path, facts]) => (/^file \d*[1357]\d* /.test(facts) ? [path] : []));
    expect(programs.filter((path) => !/\.so[.\d]*$/.test(path)).sort()).toEqual(['usr/bin/node', 'usr/sbin/nft']);
    expect(paths.filter(([, facts]) => /^file [2467]\d{3} /.test(facts))).toEqual([]);
  });

  test('starts each process that the build makes, by its name', () => {
    const processes = readdirSync(join(unpacked, 'app'))
      .filter((name) => name.endsWith('.js') && name !== 'main.js')
      .map((name) => name.slice(0, -3));
    expect(processes).toEqual(expect.arrayContaining(['kubectl-sidegate', 'sidecar']));
    expect(inside('/usr/bin/node', '/app/main.js')).toMatchObject({
      status: 2,
      stderr: `sidegate: name a process first: ${processes.join(', ')}\n`,
    });
    expect(inside('/usr/bin/node', '/app/main.js', 'sidecar', '--help').stdout).toContain('--policy');
    expect(inside('/usr/bin/node', '/app/main.js', 'kubectl-sidegate').stdout).toContain('sidegate policy validate');
  });

  test('runs the Node that is pinned, and an nft that reads rules', () => {
    expect(inside('/usr/bin/node', '--version').stdout).toBe(`${process.version}\n`);
    expect(inside('/usr/sbin/nft', '--version').stdout).toMatch(/^nftables v\d/);
  });

  test('for the other architecture has the same files, each program of that machine and with all that it loads', () => {
    const machines = { amd64: 62, arm64: 183 };
    const [own, other]: (keyof typeof machines)[] = process.arch === 'arm64' ? ['arm64', 'amd64'] : ['amd64', 'arm64'];
    const foreign = join(folder, 'foreign.tar');
    node('--out', foreign, '--architecture', other!);
    const there = unpack(foreign);
    const all = (path: string): readonly string[] =>
      readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) => lstatSync(join(path, name)).isFile());
    /** Under one name for the folder of libraries; the loader has a name and a place of its own on each. */
    const files = (path: string): readonly string[] =>
      all(path)
        .filter((name) => !name.includes('/ld-linux-'))
        .map((name) => name.replace(/(x86_64|aarch64)-linux-gnu/, 'ARCH'))
        .sort();
    expect(files(there)).toEqual(files(unpacked));
    for (const [path, machine] of [
      [unpacked, machines[own!]],
      [there, machines[other!]],
    ] as const) {
      const found = all(path);
      const programs = found.flatMap((name) => {
        const bytes = readFileSync(join(path, name));
        const needs = elfNeeds(bytes);
        return needs === undefined ? [] : [{ name, needs, machine: bytes.readUInt16LE(18) }];
      });
      expect(programs.length).toBeGreaterThan(5);
      expect(programs.filter((one) => one.machine !== machine)).toEqual([]);
      const missing = programs.flatMap(({ name, needs }) =>
        [...needs.libraries, ...(needs.interpreter === undefined ? [] : [needs.interpreter.slice(1)])]
          .filter((needed) => !found.some((one) => one === needed || one.endsWith(`/${needed}`)))
          .map((needed) => `${name} needs ${needed}`),
      );
      expect(missing).toEqual([]);
    }
  }, 300_000);

  test('names its Debian packages, for scanners', () => {
    const status = readFileSync(join(unpacked, 'var/lib/dpkg/status.d/libc6'), 'utf8');
    expect(status).toMatch(/^Package: libc6\nVersion: \d/);
    expect(readFileSync(join(unpacked, 'usr/share/doc/nftables/copyright'), 'utf8')).toContain('GPL');
  });
});
