import { execFileSync } from 'node:child_process';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, posix, relative } from 'node:path';
import { elfNeeds } from './elf.ts';
import type { Architecture } from './oci-archive.ts';
import type { TarEntry } from './tar.ts';

/** Debian packages, unpacked in a folder of their own: nothing of the machine is changed or used. */
export interface DebianTree {
  readonly folder: string;
  /** Names of the packages, the ones that were asked for and what they depend on. */
  readonly packages: readonly string[];
  close(): void;
}

/**
 * Downloads packages with all that they depend on, by apt with the machine's sources and keys (so signatures are checked)
 * but a state of its own: another architecture than the machine's works as well, and root is not needed.
 *
 * @throws Error where there is no apt, or where it fails.
 */
export function downloadPackages(names: readonly string[], architecture: Architecture): DebianTree {
  const work = mkdtempSync(join(tmpdir(), 'sidegate-debian-'));
  const close = (): void => rmSync(work, { recursive: true, force: true });
  const folder = join(work, 'root');
  for (const name of ['root', 'state/lists/partial', 'cache/archives/partial']) {
    mkdirSync(join(work, name), { recursive: true });
  }
  // No package counts as installed, so that all of the dependencies come.
  writeFileSync(join(work, 'state/status'), '');
  const apt = (...args: readonly string[]): string =>
    run('apt-get', [
      '-qq',
      '-y',
      ...[
        `APT::Architecture=${architecture}`,
        `APT::Architectures=${architecture}`,
        `Dir::State=${work}/state`,
        `Dir::State::status=${work}/state/status`,
        `Dir::Cache=${work}/cache`,
        // apt's own user may not enter a folder of ours.
        'APT::Sandbox::User=',
        'Debug::NoLocking=1',
      ].flatMap((option) => ['-o', option]),
      ...args,
    ]);
  try {
    apt('update');
    apt('--download-only', '--no-install-recommends', 'install', ...names);
    const archives = join(work, 'cache/archives');
    const files = readdirSync(archives).filter((name) => name.endsWith('.deb'));
    for (const name of files) {
      run('dpkg-deb', ['-x', join(archives, name), folder]);
      // For scanners of images: what distroless images carry in place of dpkg's own data base.
      const fields = run('dpkg-deb', [
        '-f',
        join(archives, name),
        'Package',
        'Version',
        'Architecture',
        'Source',
        'Maintainer',
      ]);
      const status = join(folder, 'var/lib/dpkg/status.d', name.split('_')[0] ?? name);
      mkdirSync(dirname(status), { recursive: true });
      writeFileSync(status, fields);
    }
    return { folder, packages: files.map((name) => name.split('_')[0] ?? name), close };
  } catch (error) {
    close();
    throw error;
  }
}

/**
 * Of the unpacked packages only what these programs need to run: themselves, their loader, their libraries and those
 * libraries' own, each at the path where it is looked for; with the licences of all packages.
 *
 * @param programs By path, in the tree; or with bytes of their own, such as a Node that comes from elsewhere.
 * @throws Error when a program or library is not in the tree.
 */
export function programEntries(
  tree: DebianTree,
  programs: readonly { readonly path: string; readonly data?: Buffer }[],
  more: readonly string[] = [],
): TarEntry[] {
  const entries = new Map<string, TarEntry>();
  const add = (path: string, given?: Buffer): void => {
    if (entries.has(path)) return;
    // Since Debian 13 packages hold /usr/lib64 only, and a link at /lib64 leads there.
    const source = exists(join(tree.folder, path)) ? path : join('usr', path);
    const data = given ?? readFileSync(realPath(tree.folder, source));
    entries.set(path, { kind: 'file', path, mode: 0o755, data });
    const needs = elfNeeds(data);
    if (needs === undefined) return;
    for (const library of needs.libraries) add(findLibrary(tree.folder, library));
    if (needs.interpreter !== undefined) add(needs.interpreter.slice(1));
  };
  for (const { path, data } of programs) add(path, data);
  for (const library of more) add(findLibrary(tree.folder, library));
  for (const path of notices(tree.folder)) {
    entries.set(path, { kind: 'file', path, mode: 0o644, data: readFileSync(join(tree.folder, path)) });
  }
  return [...entries.values()];
}

function notices(folder: string): string[] {
  const under = (path: string): string[] =>
    readdirSync(join(folder, path), { recursive: true, encoding: 'utf8' }).map((name) => join(path, name));
  return [...under('usr/share/doc'), ...under('var/lib/dpkg/status.d')].filter(
    (path) => (path.endsWith('/copyright') || path.startsWith('var/')) && lstatSync(join(folder, path)).isFile(),
  );
}

/** Libraries stand in the folder of their architecture, `lib/ARCH-linux-gnu` or `usr/lib/ARCH-linux-gnu`. */
function findLibrary(folder: string, name: string): string {
  for (const top of ['lib', 'usr/lib', 'lib64', 'usr/lib64']) {
    if (!exists(join(folder, top))) continue;
    const inside = readdirSync(join(folder, top)).filter((one) => one.endsWith('-linux-gnu'));
    const found = ['', ...inside].map((one) => posix.join(top, one, name)).find((path) => exists(join(folder, path)));
    if (found !== undefined) return found;
  }
  throw new Error(`${name} is in none of the packages: add the one that holds it`);
}

/** Follows links inside the tree: an absolute one means the tree's own root. */
function realPath(folder: string, path: string): string {
  let at = join(folder, path);
  for (let links = 0; lstatSync(at).isSymbolicLink(); links++) {
    if (links === 10) throw new Error(`${path}: too many links`);
    const target = readlinkSync(at);
    at = target.startsWith('/') ? join(folder, target) : join(dirname(at), target);
    if (relative(folder, at).startsWith('..')) throw new Error(`${path} leads out of its package`);
  }
  return at;
}

function exists(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

function run(program: string, args: readonly string[]): string {
  try {
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 24 });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      throw new Error(
        `${program} is missing: the image is made of Debian packages, on Debian or Ubuntu; elsewhere use \`docker build .\``,
        { cause: error },
      );
    }
    const words = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    throw new Error(`${program} ${args.at(-1) ?? ''} failed: ${words}`, { cause: error });
  }
}
