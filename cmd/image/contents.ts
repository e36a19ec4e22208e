import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { transformSync } from 'esbuild';
import { downloadPackages, programEntries } from './debian.ts';
import { fetchNode, nodeRelease } from './node-release.ts';
import type { Architecture, ImageConfig } from './oci-archive.ts';
import type { TarEntry } from './tar.ts';

const root = join(import.meta.dirname, '../..');

/** Reserved for the sidecar in every inference pod: never 1337, 2102 or 65532, which belong to meshes and distroless. */
export const user = 61_337;

/** How the image runs; the Dockerfile states the same, and a test compares them. */
export const imageConfig: ImageConfig = {
  User: `${user}:${user}`,
  WorkingDir: '/',
  Env: ['PATH=/usr/sbin:/usr/bin'],
  Entrypoint: ['/usr/bin/node', '/app/main.js'],
};

/** nft for `init`; two libraries for Node. */
const packages = ['nftables', 'libstdc++6', 'libatomic1'];

/** One part of the root file system: a layer, and what it is made of (equal keys, equal contents). */
export interface Part {
  readonly name: string;
  readonly key: string;
  entries(): readonly TarEntry[];
}

/** Everything in the image, from what changes least to what changes most. */
export function imageParts(architecture: Architecture): readonly Part[] {
  return [systemPart(architecture), nodePart(architecture), appPart()];
}

const textFile = (path: string, text: string): TarEntry => ({
  kind: 'file',
  path,
  mode: 0o644,
  data: Buffer.from(text),
});

/** nft, and the libraries of nft and Node: no shell, no package manager. */
function systemPart(architecture: Architecture): Part {
  return {
    name: 'system',
    key: `2 ${packages.join(' ')} ${architecture} node ${nodeRelease.version}`,
    entries() {
      const tree = downloadPackages(packages, architecture);
      try {
        const node = { path: 'usr/bin/node', data: fetchNode(architecture).program };
        return [
          ...programEntries(tree, [{ path: 'usr/sbin/nft' }, node]).filter((entry) => entry.path !== node.path),
          textFile('etc/passwd', `root:x:0:0::/:/none\nsidegate:x:${user}:${user}::/:/none\n`),
          textFile('etc/group', `root:x:0:\nsidegate:x:${user}:\n`),
          textFile('etc/nsswitch.conf', 'hosts: files dns\n'),
          // nft knows protocols by these names alone, and lists a rule with a number where it finds none.
          textFile('etc/protocols', 'icmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\nipv6-icmp 58 IPv6-ICMP\n'),
          { kind: 'folder', path: 'tmp', mode: 0o1777 },
        ];
      } finally {
        tree.close();
      }
    },
  };
}

function nodePart(architecture: Architecture): Part {
  return {
    name: 'node',
    key: `1 ${nodeRelease.integrity[architecture]}`,
    entries() {
      const { program, licence } = fetchNode(architecture);
      return [
        { kind: 'file', path: 'usr/bin/node', mode: 0o755, data: program },
        { kind: 'file', path: 'usr/share/doc/node/LICENSE', mode: 0o644, data: licence },
      ];
    },
  };
}

/** The bundles that cmd/build.ts makes, whichever processes those are, and the launcher. Never kept: it is made anew. */
function appPart(): Part {
  return {
    name: 'app',
    key: '',
    entries() {
      // Inside the checkout: names of chunks follow from the way to the sources, which is then the same on every machine.
      const caches = join(root, 'node_modules/.cache');
      mkdirSync(caches, { recursive: true });
      const built = mkdtempSync(join(caches, 'sidegate-build-'));
      try {
        execFileSync(process.execPath, [join(root, 'cmd/build.ts'), built], { cwd: root, stdio: 'inherit' });
        return [
          ...readdirSync(built, { recursive: true, encoding: 'utf8' })
            // Maps are for debuggers and three quarters of the size; stack traces do not use them.
            .filter((name) => statSync(join(built, name)).isFile() && !name.endsWith('.map'))
            .map((name): TarEntry => ({
              kind: 'file',
              path: `app/${name}`,
              mode: 0o644,
              data: readFileSync(join(built, name)),
            })),
          textFile('app/main.js', launcher()),
          // Without it Node would read each bundle twice to find out that it is a module.
          textFile('app/package.json', '{"type":"module"}\n'),
        ];
      } finally {
        rmSync(built, { recursive: true, force: true });
      }
    },
  };
}

function launcher(): string {
  const source = readFileSync(join(import.meta.dirname, 'launcher.ts'), 'utf8');
  return transformSync(source, { loader: 'ts', format: 'esm', target: 'node26' }).code;
}
