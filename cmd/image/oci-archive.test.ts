import { describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { createLayer } from './layer.ts';
import { ociArchive } from './oci-archive.ts';
import type { Image } from './oci-archive.ts';

const layer = (text: string): Image['layers'][number] =>
  createLayer([{ kind: 'file', path: 'usr/share/a', mode: 0o644, data: Buffer.from(text) }]);
const image = (architecture: Image['architecture']): Image => ({
  architecture,
  config: { User: '1:1', Entrypoint: ['/a'] },
  layers: [layer('one'), layer(architecture)],
});

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly architecture: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Unpacks an archive, and gives a reader of blobs that checks digest and size. */
function open(archive: Buffer): { json: (name: string) => never; blob: (of: Descriptor) => Buffer; names: string[] } {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-oci-'));
  execFileSync('tar', ['-xf', '-', '-C', folder], { input: archive });
  const files = new Map(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.includes('.') || name.startsWith('blobs/sha256/') || name === 'oci-layout')
      .map((name) => [name, readFileSync(join(folder, name))]),
  );
  rmSync(folder, { recursive: true });
  return {
    names: [...files.keys()],
    json: (name) => JSON.parse(files.get(name)?.toString('utf8') ?? '') as never,
    blob({ digest, size }) {
      const bytes = files.get(`blobs/${digest.replace(':', '/')}`) ?? Buffer.alloc(0);
      expect({ digest: `sha256:${sha256(bytes)}`, size: bytes.length }).toEqual({ digest, size });
      return bytes;
    },
  };
}

function checkImage(blob: (of: Descriptor) => Buffer, descriptor: Descriptor, architecture: string): void {
  expect(descriptor.mediaType).toBe('application/vnd.oci.image.manifest.v1+json');
  const manifest = JSON.parse(blob(descriptor).toString()) as { config: Descriptor; layers: Descriptor[] };
  const config = JSON.parse(blob(manifest.config).toString()) as { rootfs: { diff_ids: string[] } };
  expect(config).toMatchObject({ architecture, os: 'linux', config: { User: '1:1', Entrypoint: ['/a'] } });
  expect(config.rootfs.diff_ids).toEqual(manifest.layers.map((one) => `sha256:${sha256(gunzipSync(blob(one)))}`));
}

describe('an image archive', () => {
  test('of one architecture names the image, and every blob is what its digest says', () => {
    const { json, blob } = open(ociArchive('localhost/a:1', [image('amd64')]));
    const { manifests }: { manifests: Descriptor[] } = json('index.json');
    expect(manifests).toHaveLength(1);
    expect(manifests[0]?.annotations).toEqual({
      'io.containerd.image.name': 'localhost/a:1',
      'org.opencontainers.image.ref.name': 'localhost/a:1',
    });
    checkImage(blob, manifests[0] as Descriptor, 'amd64');
    expect(json('oci-layout')).toEqual({ imageLayoutVersion: '1.0.0' });
  });

  test('of several is an index by platform, and shares the layers that are equal', () => {
    const { json, blob, names } = open(ociArchive('localhost/a:1', [image('amd64'), image('arm64')]));
    const { manifests }: { manifests: Descriptor[] } = json('index.json');
    const index = JSON.parse(blob(manifests[0] as Descriptor).toString()) as { manifests: Descriptor[] };
    expect(index.manifests.map((one) => one.platform?.architecture)).toEqual(['amd64', 'arm64']);
    for (const one of index.manifests) checkImage(blob, one, one.platform?.architecture ?? '');
    // Three layers, two configurations, two manifests, one index.
    expect(names.filter((name) => name.startsWith('blobs/sha256/'))).toHaveLength(8);
  });

  test('tells docker load, which reads another file, the same', () => {
    const { json, names } = open(ociArchive('localhost/a:1', [image('amd64')]));
    const [docker]: [{ Config: string; RepoTags: string[]; Layers: string[] }] = json('manifest.json');
    expect(docker.RepoTags).toEqual(['localhost/a:1']);
    expect(docker.Layers).toHaveLength(2);
    for (const name of [docker.Config, ...docker.Layers]) expect(names).toContain(name);
  });

  test('is the same bytes for the same contents', () => {
    expect(ociArchive('localhost/a:1', [image('amd64')])).toEqual(ociArchive('localhost/a:1', [image('amd64')]));
  });

  test('of nothing is refused', () => {
    expect(() => ociArchive('localhost/a:1', [])).toThrow(/at least one image/);
  });

  test('a layer holds the folders that lead to its files', () => {
    const { compressed } = createLayer([{ kind: 'file', path: 'a/b/c', mode: 0o600, data: Buffer.from('x') }]);
    const names = execFileSync('tar', ['-tf', '-'], { input: gunzipSync(compressed), encoding: 'utf8' });
    expect(names.trimEnd().split('\n')).toEqual(['a/', 'a/b/', 'a/b/c']);
  });
});
