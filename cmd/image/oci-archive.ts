import { digestOf } from './layer.ts';
import type { Layer } from './layer.ts';
import { tar } from './tar.ts';

/** `config` of an OCI image configuration (opencontainers/image-spec, config.md), as far as it is used here. */
export interface ImageConfig {
  readonly User?: string;
  readonly WorkingDir?: string;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Labels?: Readonly<Record<string, string>>;
}

/** Architectures by their names in OCI images. */
export const architectures = ['amd64', 'arm64'] as const;
export type Architecture = (typeof architectures)[number];

export interface Image {
  readonly architecture: Architecture;
  readonly config: ImageConfig;
  readonly layers: readonly Layer[];
}

const epoch = '1970-01-01T00:00:00Z';
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

/**
 * An OCI image layout (image-spec 1.1) in a tar archive: what `ctr images import`, `skopeo copy oci-archive:`, `kind load
 * image-archive` and, by its manifest.json, `docker load` take.
 *
 * @param reference Full name and tag, such as `localhost/sidegate:0.1.0`. Never `latest`, whose pull policy in Kubernetes is
 * Always.
 * @param images One for each architecture; several make an index of platforms. `docker load` takes the first.
 */
export function ociArchive(reference: string, images: readonly Image[]): Buffer {
  const blobs = new Map<string, Buffer>();
  const put = (bytes: Buffer): { digest: string; size: number } => {
    const digest = digestOf(bytes);
    blobs.set(digest, bytes);
    return { digest, size: bytes.length };
  };
  const manifests = images.map(({ architecture, config, layers }) => {
    const configBlob = put(
      json({
        created: epoch,
        architecture,
        os: 'linux',
        config,
        rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
        history: layers.map(() => ({ created: epoch })),
      }),
    );
    const manifest = {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...configBlob },
      layers: layers.map((layer) => ({
        mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
        ...put(layer.compressed),
      })),
    };
    return {
      manifest,
      descriptor: { mediaType: manifest.mediaType, ...put(json(manifest)), platform: { architecture, os: 'linux' } },
    };
  });
  const names = {
    'io.containerd.image.name': reference,
    'org.opencontainers.image.ref.name': reference,
  };
  const [first] = manifests;
  if (first === undefined) throw new RangeError('an image archive needs at least one image');
  const index = (descriptors: readonly object[]): object => ({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: descriptors,
  });
  // One name leads to one descriptor: the image itself, or an index of it for each platform.
  const root =
    manifests.length === 1
      ? first.descriptor
      : {
          mediaType: 'application/vnd.oci.image.index.v1+json',
          ...put(json(index(manifests.map((one) => one.descriptor)))),
        };
  const path = (digest: string): string => `blobs/${digest.replace(':', '/')}`;
  const file = (name: string, data: Buffer): Parameters<typeof tar>[0][number] => ({
    kind: 'file',
    path: name,
    mode: 0o644,
    data,
  });
  return tar([
    file('oci-layout', json({ imageLayoutVersion: '1.0.0' })),
    file('index.json', json(index([{ ...root, annotations: names }]))),
    file(
      'manifest.json',
      json([
        {
          Config: path(first.manifest.config.digest),
          RepoTags: [reference],
          Layers: first.manifest.layers.map((layer) => path(layer.digest)),
        },
      ]),
    ),
    ...[...blobs].map(([digest, bytes]) => file(path(digest), bytes)),
  ]);
}
