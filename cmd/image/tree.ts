import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withFolders } from './tar.ts';
import type { TarEntry } from './tar.ts';

/** Writes entries below a folder, with their modes whatever the umask is; owners are whoever runs this. */
export function writeTree(folder: string, entries: readonly TarEntry[]): void {
  mkdirSync(folder, { recursive: true });
  for (const entry of withFolders(entries)) {
    const path = join(folder, entry.path);
    if (entry.kind === 'link') {
      symlinkSync(entry.target, path);
      continue;
    }
    if (entry.kind === 'folder') mkdirSync(path, { recursive: true });
    else writeFileSync(path, entry.data);
    chmodSync(path, entry.mode);
  }
}
