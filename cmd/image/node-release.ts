import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Architecture } from './oci-archive.ts';

/** The Node that the image runs: the version that package.json names, pinned by what npm calls `integrity`. */
export const nodeRelease = {
  version: '26.10.0',
  integrity: {
    amd64: 'sha512-OmAztarr1gK4PD+sNyoku4N5Q40d8eqMuLjNa/zRvxF33aCsVKVIQLs4V5HYPWSWWlMiTdkmbZE/6Phigma0hw==',
    arm64: 'sha512-idArV/cmqW9M9ODyGlbOIiyxFourDh1mJB0SdKCdMbSZjjef9CLEN3o1/eE4yf+B0+5BD+F74MpTTHiB3XXTBQ==',
  },
} as const;

/** npm's names of architectures. */
const npmNames: Readonly<Record<Architecture, string>> = { amd64: 'x64', arm64: 'arm64' };

export interface NodeFiles {
  readonly program: Buffer;
  readonly licence: Buffer;
}

const fetched = new Map<Architecture, NodeFiles>();

/**
 * Fetches Node with npm, once in a process: the package `node` is only a shim that installs `node-linux-ARCH`, where the
 * program is.
 *
 * @throws Error when npm fails, or when what came is not what is pinned.
 */
export function fetchNode(architecture: Architecture): NodeFiles {
  const files = fetched.get(architecture) ?? fetch(architecture);
  fetched.set(architecture, files);
  return files;
}

function fetch(architecture: Architecture): NodeFiles {
  const name = `node-linux-${npmNames[architecture]}@${nodeRelease.version}`;
  const work = mkdtempSync(join(tmpdir(), 'sidegate-node-'));
  try {
    execFileSync('npm', ['pack', '--silent', '--ignore-scripts', name], {
      cwd: work,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const file = join(work, `node-linux-${npmNames[architecture]}-${nodeRelease.version}.tgz`);
    const integrity = `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`;
    if (integrity !== nodeRelease.integrity[architecture]) {
      throw new Error(`${name} is not what cmd/image/node-release.ts pins: it has ${integrity}`);
    }
    execFileSync('tar', ['-xzf', file, 'package/bin/node', 'package/LICENSE'], { cwd: work });
    return {
      program: readFileSync(join(work, 'package/bin/node')),
      licence: readFileSync(join(work, 'package/LICENSE')),
    };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
