// Writes what is generated: `make gen`. With --check it writes nothing and exits 1 when a file is stale: `make check`.
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { policyDoc } from '../../pkg/crd/index.ts';
import { preparedProgramsText } from '../../pkg/detect/index.ts';

const root = resolve(import.meta.dirname, '../..');

/** Each generated file with how it is made. */
const generated: Readonly<Record<string, () => string>> = {
  'docs/policy.md': () => policyDoc(readFileSync(join(root, 'manifests/support-llm.yaml'), 'utf8')),
  'pkg/detect/automaton/prepared-programs.ts': preparedProgramsText,
};

function current(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

const check = process.argv.includes('--check');
for (const [name, make] of Object.entries(generated)) {
  const path = join(root, name);
  const text = make();
  if (current(path) === text) continue;
  if (check) {
    process.stderr.write(`${name} is stale: run make gen\n`);
    process.exitCode = 1;
  } else {
    writeFileSync(path, text);
    process.stdout.write(`${name} written\n`);
  }
}
