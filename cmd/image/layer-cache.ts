import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Part } from './contents.ts';
import { createLayer } from './layer.ts';
import type { Layer } from './layer.ts';

/**
 * The layer of a part, made once for each key and kept in `folder` (compressing Node takes seconds). A part without a key
 * is made each time.
 */
export function cachedLayer(part: Part, folder: string): Layer {
  if (part.key === '') return createLayer(part.entries());
  const stem = join(folder, `${part.name}-${createHash('sha256').update(part.key).digest('hex').slice(0, 16)}`);
  const kept = read(stem);
  if (kept !== undefined) return kept;
  const layer = createLayer(part.entries());
  mkdirSync(folder, { recursive: true });
  // The small file last: it says that the large one is whole.
  for (const [name, data] of [
    [`${stem}.tar.gz`, layer.compressed],
    [`${stem}.diff-id`, layer.diffId],
  ] as const) {
    writeFileSync(`${name}.${process.pid}`, data);
    renameSync(`${name}.${process.pid}`, name);
  }
  return layer;
}

function read(stem: string): Layer | undefined {
  if (!existsSync(`${stem}.diff-id`)) return undefined;
  return { diffId: readFileSync(`${stem}.diff-id`, 'utf8'), compressed: readFileSync(`${stem}.tar.gz`) };
}
