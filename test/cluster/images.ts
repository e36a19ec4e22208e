// Images for the node, made without a registry. `node images.ts pause` makes the sandbox image and prints its archive.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { imageConfig, imageParts } from '../../cmd/image/contents.ts';
import type { Part } from '../../cmd/image/contents.ts';
import { downloadPackages, programEntries } from '../../cmd/image/debian.ts';
import { createLayer } from '../../cmd/image/layer.ts';
import type { Layer } from '../../cmd/image/layer.ts';
import { cachedLayer } from '../../cmd/image/layer-cache.ts';
import { ociArchive } from '../../cmd/image/oci-archive.ts';
import type { Architecture, ImageConfig } from '../../cmd/image/oci-archive.ts';
import type { TarEntry } from '../../cmd/image/tar.ts';
import { sourcesKey } from '../support/bundles.ts';
import { builtPrograms } from './programs.ts';

export interface TestImage {
  /** Its tag follows from its contents, so that a changed image is never taken for the old one. */
  readonly reference: string;
  readonly archive: string;
}

const root = join(import.meta.dirname, '../..');
const architecture: Architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
const caches = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
const folder = join(process.env['KUBE_CACHE'] ?? join(caches, 'sidegate-cluster'), 'images');
const layers = join(caches, 'sidegate-image');

function write(name: string, config: ImageConfig, parts: readonly Layer[], tag?: string): TestImage {
  const contents = JSON.stringify([config, ...parts.map((part) => part.diffId)]);
  const hash = createHash('sha256').update(contents).digest('hex').slice(0, 12);
  const reference = `localhost/sidegate-test/${name}:${tag ?? hash}`;
  const archive = join(folder, `${name}-${hash}.tar`);
  if (!existsSync(archive)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${archive}.${process.pid}`, ociArchive(reference, [{ architecture, config, layers: parts }]));
    renameSync(`${archive}.${process.pid}`, archive);
    // Each change of the sources makes another one; a running test may still need yesterday's, hardly an older one.
    for (const old of readdirSync(folder).filter((one) => one.startsWith(`${name}-`))) {
      if (statSync(join(folder, old)).mtimeMs < Date.now() - 86_400_000) rmSync(join(folder, old), { force: true });
    }
  }
  return { reference, archive };
}

/** Made once for each state of the sources: every test file of the tier asks for it. */
function writeSidegate(config: ImageConfig, name: string): TestImage {
  const note = join(folder, `sidegate-${name}-of-${sourcesKey()}`);
  if (existsSync(note)) {
    const kept = JSON.parse(readFileSync(note, 'utf8')) as TestImage;
    if (existsSync(kept.archive)) return kept;
  }
  const parts = imageParts(architecture).map((part) => cachedLayer(part, layers));
  const image = write('sidegate', config, parts);
  writeFileSync(`${note}.${process.pid}`, JSON.stringify(image));
  renameSync(`${note}.${process.pid}`, note);
  return image;
}

/** The image that `make image` makes, of the sources as they are now. */
export const sidegateImage = (): TestImage => writeSidegate(imageConfig, 'this');

/** The same programs as another release: for upgrades. */
export const nextSidegateImage = (): TestImage =>
  writeSidegate({ ...imageConfig, Env: [...(imageConfig.Env ?? []), 'SIDEGATE_TEST=next'] }, 'next');

/**
 * What callers and models of tests run: a shell (busybox), curl, nft, redis-server, Node, the OpenAI client for scripts
 * (`import OpenAI from 'openai'` below /app), and the scripted model server: `node /app/model.js [PORT]`, default 8000. As
 * root, as stock images do.
 */
export function toolsImage(): TestImage {
  const [, node] = imageParts(architecture);
  if (node === undefined) throw new Error('the image has no part for Node');
  return write('tools', { Env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'], WorkingDir: '/app', Cmd: ['/bin/sh'] }, [
    cachedLayer(toolsPart(), layers),
    cachedLayer(node, layers),
    createLayer(toolsApp()),
  ]);
}

/** The process of a pod's sandbox. Its tag is fixed, because containerd's configuration names it. */
export function pauseImage(): TestImage {
  const program = readFileSync(join(builtPrograms(), 'pause'));
  const layer = createLayer([{ kind: 'file', path: 'pause', mode: 0o755, data: program }]);
  return write('pause', { Entrypoint: ['/pause'], User: '65535:65535' }, [layer], '1');
}

function toolsPart(): Part {
  const packages = ['busybox-static', 'curl', 'nftables', 'redis-server', 'libstdc++6', 'libatomic1'];
  return {
    name: 'tools',
    key: `1 ${packages.join(' ')} ${architecture}`,
    entries() {
      const tree = downloadPackages(packages, architecture);
      try {
        const applets = execFileSync(join(tree.folder, 'bin/busybox'), ['--list'], { encoding: 'utf8' });
        const names = applets.split('\n').filter((name) => name !== '' && name !== 'busybox');
        const programs = ['bin/busybox', 'usr/bin/curl', 'usr/sbin/nft', 'usr/bin/redis-server'].map((path) => ({
          path,
        }));
        return [
          ...programEntries(tree, programs, [
            'libstdc++.so.6',
            'libatomic.so.1',
            'libm.so.6',
            'libdl.so.2',
            'libpthread.so.0',
          ]),
          ...names.map((name): TarEntry => ({ kind: 'link', path: `bin/${name}`, mode: 0o777, target: 'busybox' })),
          text('etc/passwd', 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n'),
          text('etc/group', 'root:x:0:\nnogroup:x:65534:\n'),
          text('etc/nsswitch.conf', 'hosts: files dns\n'),
          { kind: 'folder', path: 'tmp', mode: 0o1777 },
        ];
      } finally {
        tree.close();
      }
    },
  };
}

const text = (path: string, content: string): TarEntry => ({
  kind: 'file',
  path,
  mode: 0o644,
  data: Buffer.from(content),
});

function toolsApp(): TarEntry[] {
  const bundle = (contents: string): string => {
    const { outputFiles } = buildSync({
      stdin: { contents, resolveDir: root, loader: 'ts' },
      bundle: true,
      write: false,
      platform: 'node',
      target: 'node26',
      format: 'esm',
      logLevel: 'warning',
    });
    return outputFiles[0]?.text ?? '';
  };
  return [
    text('app/model.js', bundle("import './test/cluster/model-main.ts';")),
    text('app/package.json', '{"type":"module"}\n'),
    text('app/node_modules/openai/index.js', bundle("export * from 'openai'; export { default } from 'openai';")),
    text('app/node_modules/openai/package.json', '{"name":"openai","type":"module","exports":"./index.js"}\n'),
  ];
}

if (import.meta.main && process.argv[2] === 'pause') process.stdout.write(`${pauseImage().archive}\n`);
