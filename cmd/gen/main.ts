// Writes what is generated: `make gen`. With --check it writes nothing and exits 1 when a file is stale: `make check`.
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { definitionYaml, policyDoc, resourceDefinitions } from '../../pkg/crd/index.ts';
import { preparedProgramsText } from '../../pkg/detect/index.ts';
import { cliDoc } from './cli-doc.ts';
import { definitionTemplate } from './chart-definitions.ts';
import { chartReadme } from './chart-readme.ts';
import { grpcDescriptors } from './grpc-descriptors.ts';
import { findHelm, installManifest } from './install-manifest.ts';

const root = resolve(import.meta.dirname, '../..');
const helm = findHelm(root);

/** Each generated file with how it is made. */
const generated: Readonly<Record<string, () => string>> = {
  'docs/policy.md': () => policyDoc(readFileSync(join(root, 'manifests/support-llm.yaml'), 'utf8')),
  'docs/cli.md': cliDoc,
  'pkg/detect/automaton/prepared-programs.ts': preparedProgramsText,
  'pkg/dialect/grpc/descriptors.ts': () => grpcDescriptors(root),
  ...Object.fromEntries(
    resourceDefinitions().map((one) => [`crds/${one.metadata.name}.yaml`, () => definitionYaml(one)]),
  ),
  'charts/sidegate/README.md': () => chartReadme(readFileSync(join(root, 'charts/sidegate/values.yaml'), 'utf8')),
  ...Object.fromEntries(
    resourceDefinitions().map((one) => [
      `charts/sidegate/templates/crds/${one.metadata.name}.yaml`,
      () => definitionTemplate(one),
    ]),
  ),
  // Last: it is rendered from what stands above.
  ...(helm === undefined ? {} : { 'manifests/install.yaml': () => installManifest(root, helm) }),
};
if (helm === undefined) process.stderr.write('no helm (make cluster-build): manifests/install.yaml is left as it is\n');

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
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    process.stdout.write(`${name} written\n`);
  }
}

// Folders that hold nothing but generated files: one whose source is gone would still be applied.
for (const folder of ['crds', 'charts/sidegate/templates/crds']) {
  for (const file of readdirSync(join(root, folder))) {
    const name = `${folder}/${file}`;
    if (name in generated) continue;
    if (check) {
      process.stderr.write(`${name} is no longer generated: run make gen\n`);
      process.exitCode = 1;
    } else {
      rmSync(join(root, name));
      process.stdout.write(`${name} removed\n`);
    }
  }
}
