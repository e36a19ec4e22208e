// `make image`: the one image of all processes, without a base image, as an archive; or, for the Dockerfile, as a folder.
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { imageConfig, imageParts } from './contents.ts';
import { cachedLayer } from './layer-cache.ts';
import { architectures, ociArchive } from './oci-archive.ts';
import type { Architecture } from './oci-archive.ts';
import { writeTree } from './tree.ts';

const usage = `image: makes the image of all processes

  --architecture  amd64, arm64, or both joined by a comma (default: this machine's)
  --reference     name and tag in the archive (default localhost/sidegate:0.1.0)
  --out           the archive (default dist/image/sidegate.tar)
  --root          write the root file system to this folder instead, for one architecture
  --cache         folder for layers that seldom change (default ~/.cache/sidegate-image)
  --refresh       make them anew: newer Debian packages
`;

const isArchitecture = (name: string): name is Architecture => (architectures as readonly string[]).includes(name);

function run(): void {
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean' },
      architecture: { type: 'string', default: '' },
      reference: { type: 'string', default: 'localhost/sidegate:0.1.0' },
      out: { type: 'string', default: 'dist/image/sidegate.tar' },
      root: { type: 'string' },
      cache: {
        type: 'string',
        default: join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'sidegate-image'),
      },
      refresh: { type: 'boolean', default: false },
    },
  });
  if (values.help === true) {
    process.stdout.write(usage);
    return;
  }
  // Docker's old builder gives the Dockerfile no TARGETARCH: then empty means this machine's too.
  const own = process.arch === 'x64' ? 'amd64' : process.arch;
  const asked = (values.architecture === '' ? own : values.architecture).split(/[, ]+/);
  const known = asked.filter(isArchitecture);
  if (known.length !== asked.length) throw new Error(`--architecture must be of ${architectures.join(', ')}`);
  if (/:latest$|\/[^:]*$|^[^/]*$/.test(values.reference)) {
    // containerd completes a name without a host, and Kubernetes always pulls `latest`: neither would find this image.
    throw new Error('--reference must have a host, a name and a tag that is not latest, as localhost/sidegate:0.1.0');
  }
  if (values.root !== undefined) {
    const [only, ...others] = known;
    if (only === undefined || others.length > 0) throw new Error('--root takes one architecture');
    writeTree(
      values.root,
      imageParts(only).flatMap((part) => part.entries()),
    );
    return;
  }
  if (values.refresh) rmSync(values.cache, { recursive: true, force: true });
  const images = known.map((architecture) => ({
    architecture,
    config: imageConfig,
    layers: imageParts(architecture).map((part) => cachedLayer(part, values.cache)),
  }));
  const archive = ociArchive(values.reference, images);
  mkdirSync(dirname(values.out), { recursive: true });
  writeFileSync(`${values.out}.new`, archive);
  renameSync(`${values.out}.new`, values.out);
  process.stdout.write(`${values.out}: ${values.reference}, ${known.join(', ')}, ${archive.length} bytes\n`);
}

try {
  run();
} catch (error) {
  process.stderr.write(`image: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
