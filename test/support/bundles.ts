// The processes as the image has them: bundled once for each state of the sources, by whichever test is the first to ask.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { compileCache } from './compile-cache.ts';

const root = resolve(import.meta.dirname, '../..');
const folder = join(root, 'node_modules/.cache/sidegate-bundles');

/** Another one after any change of what is bundled, or of what is bundled with it. */
export function sourcesKey(): string {
  const hash = createHash('sha256').update(`${root}\n`);
  const add = (path: string): void => {
    const { size, mtimeMs } = statSync(join(root, path));
    hash.update(`${path} ${size} ${mtimeMs}\n`);
  };
  for (const path of ['package.json', 'package-lock.json', 'tsconfig.json']) add(path);
  for (const top of ['cmd', 'pkg']) {
    const below = readdirSync(join(root, top), { recursive: true, withFileTypes: true });
    const files = below.filter((one) => one.isFile() && !one.name.endsWith('.test.ts'));
    for (const path of files.map((one) => join(one.parentPath, one.name).slice(root.length + 1)).sort()) add(path);
  }
  return hash.digest('hex').slice(0, 16);
}

/** @returns a folder with what cmd/build.ts makes of the sources as they are; it is shared: nobody writes to it, or removes it */
export function bundledProcesses(): string {
  const bundle = join(folder, sourcesKey());
  if (existsSync(bundle)) return bundle;
  mkdirSync(folder, { recursive: true });
  // A running test may still need yesterday's, hardly an older one.
  for (const old of readdirSync(folder))
    if (statSync(join(folder, old)).mtimeMs < Date.now() - 86_400_000)
      rmSync(join(folder, old), { recursive: true, force: true });
  const made = `${bundle}.${process.pid}`;
  execFileSync(process.execPath, [join(root, 'cmd/build.ts'), made], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...compileCache },
  });
  // Without it Node would read each bundle twice to find out that it is a module.
  writeFileSync(join(made, 'package.json'), '{"type":"module"}');
  try {
    renameSync(made, bundle);
  } catch (error) {
    // Another test was quicker.
    rmSync(made, { recursive: true, force: true });
    if (!existsSync(bundle)) throw error;
  }
  return bundle;
}
