import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The files of the console by name: what stands in this folder for browsers. The bundle holds them as texts instead (cmd/build.ts), so
 * that it needs no folder beside it.
 */
export const assetTexts: Readonly<Record<string, string>> = Object.fromEntries(
  readdirSync(import.meta.dirname)
    .filter((name) => /^[a-z-]+\.(?:html|css|js|svg)$/.test(name))
    .map((name) => [name, readFileSync(join(import.meta.dirname, name), 'utf8')]),
);
