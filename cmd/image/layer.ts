import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { tar, withFolders } from './tar.ts';
import type { TarEntry } from './tar.ts';

/** A layer as it stands in an archive. */
export interface Layer {
  /** Of the tar archive, `sha256:…`: what the image's configuration names. */
  readonly diffId: string;
  /** gzip: what every runtime and registry takes. */
  readonly compressed: Buffer;
}

export const digestOf = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

export function createLayer(entries: readonly TarEntry[]): Layer {
  const archive = tar(withFolders(entries));
  return { diffId: digestOf(archive), compressed: gzipSync(archive) };
}
