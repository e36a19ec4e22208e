// Proves that imports between packages only go down (docs/architecture.md has the table in words).
// Run by `make lint`; exits 1 and names every arrow that points up, every cycle and every import past an index.ts.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');

/** For each folder under pkg/: the other folders that it may import. `cmd` may import all, nothing imports `cmd`. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  base: [],
  contract: [],
  core: ['base'],
  detect: ['base', 'core'],
  dialect: ['base', 'core'],
  crd: ['base', 'core'],
  wire: ['base', 'contract', 'core'],
  record: ['base', 'core', 'wire', 'pki'],
  identity: ['base', 'core'],
  http: ['base', 'core'],
  pki: ['base'],
  seal: ['base'],
  telemetry: ['base'],
  process: ['base'],
  capture: ['base', 'contract'],
  inject: ['base', 'contract', 'core', 'crd'],
  kube: ['base', 'contract', 'crd'],
  proxy: ['base', 'core', 'detect', 'dialect', 'identity', 'wire', 'http', 'pki', 'seal', 'telemetry'],
  admission: ['base', 'contract', 'core', 'crd', 'detect', 'inject', 'http', 'kube', 'pki', 'telemetry'],
  control: ['base', 'contract', 'core', 'crd', 'detect', 'identity', 'wire', 'pki', 'http', 'kube', 'telemetry'],
  recorder: [
    'base',
    'contract',
    'core',
    'detect',
    'dialect',
    'identity',
    'wire',
    'record',
    'http',
    'pki',
    'kube',
    'telemetry',
  ],
  local: ['base', 'core', 'crd'],
  probe: ['base', 'contract'],
  remote: ['base', 'contract', 'core', 'wire', 'record', 'pki'],
  valkey: ['base', 'core'],
  cli: [
    'base',
    'contract',
    'core',
    'crd',
    'detect',
    'dialect',
    'identity',
    'wire',
    'http',
    'pki',
    'inject',
    'kube',
    'local',
    'proxy',
    'record',
    'recorder',
    'seal',
  ],
};

/** Libraries with one home each: whoever wants the capability imports the home. */
const homes: Readonly<Record<string, readonly string[]>> = {
  jose: ['identity'],
  '@node-saml/node-saml': ['identity'],
  '@xmldom/xmldom': ['identity'],
  '@kubernetes/client-node': ['kube'],
  'http-proxy': ['http'],
  'prom-client': ['telemetry'],
  'node-forge': ['pki'],
  '@peculiar/x509': ['pki'],
  re2js: ['detect'],
  ajv: ['crd'],
  '@bufbuild/protobuf': ['dialect'],
  '@redis/client': ['valkey'],
  nodemailer: ['control'],
  oauth4webapi: ['recorder', 'proxy'],
  '@smithy/signature-v4': ['proxy'],
  pg: ['recorder'],
  '@aws-sdk/client-s3': ['recorder'],
};

/** Packages that know only Node (base), or nothing at all (core: no I/O, no clock, no library). */
const noLibraries = new Set(['base', 'core']);
const coreMayUse = new Set(['node:crypto']); // hashing of snapshots: pure

interface Import {
  readonly file: string;
  readonly target: string;
}

function* sources(folder: string): Generator<string> {
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) yield* sources(path);
    else if (name.endsWith('.ts')) yield path;
  }
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8');
  const found = text.matchAll(
    /^\s*(?:import|export)\b[^;'"]*?\bfrom\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)|^\s*import\s+['"]([^'"]+)['"]/gm,
  );
  return [...found].map((match) => ({ file, target: match[1] ?? match[2] ?? match[3] ?? '' }));
}

/** ['pkg', 'core'] for pkg/core/x.ts; ['cmd', 'sidecar'] for cmd/sidecar/main.ts. */
function place(path: string): { top: string; name: string } {
  const [top = '', name = ''] = relative(root, path).split('/');
  return { top, name };
}

function libraryFault(at: { top: string; name: string }, target: string): string | undefined {
  const library = target.startsWith('@') ? target.split('/').slice(0, 2).join('/') : (target.split('/')[0] ?? '');
  const home = homes[library];
  if (home !== undefined && at.top === 'pkg' && !home.includes(at.name))
    return `only pkg/${home.join(', pkg/')} imports ${library}`;
  if (at.top !== 'pkg' || !noLibraries.has(at.name)) return undefined;
  if (!target.startsWith('node:')) return `pkg/${at.name} imports no library`;
  if (at.name === 'core' && !coreMayUse.has(target)) return 'pkg/core does no I/O';
  return undefined;
}

function fault({ file, target }: Import): string | undefined {
  const at = place(file);
  if (!target.startsWith('.')) return libraryFault(at, target);
  const path = resolve(dirname(file), target);
  const to = place(path);
  if (to.top === at.top && to.name === at.name) return undefined;
  if (to.top === 'test') return 'nothing that ships imports test/';
  if (to.top === 'cmd') return 'nothing imports cmd/';
  if (to.top !== 'pkg') return undefined;
  if (at.top === 'pkg' && !(allowed[at.name] ?? []).includes(to.name))
    return `pkg/${at.name} may not import pkg/${to.name}`;
  if (relative(join(root, 'pkg', to.name), path) !== 'index.ts')
    return `import pkg/${to.name}/index.ts, not what lies behind it`;
  return undefined;
}

/** Cycles among files of one package: each file must be readable after the ones that it imports. */
function cycles(files: readonly string[]): string[] {
  const graph = new Map(
    files.map((file) => [
      file,
      importsOf(file)
        .filter((one) => one.target.startsWith('.'))
        .map((one) => resolve(dirname(file), one.target)),
    ]),
  );
  const state = new Map<string, 'open' | 'done'>();
  const found: string[] = [];
  const visit = (file: string, way: readonly string[]): void => {
    if (state.get(file) === 'done') return;
    if (state.get(file) === 'open') {
      found.push(`cycle: ${[...way.slice(way.indexOf(file)), file].map((one) => relative(root, one)).join(' -> ')}`);
      return;
    }
    state.set(file, 'open');
    for (const next of graph.get(file) ?? []) if (graph.has(next)) visit(next, [...way, file]);
    state.set(file, 'done');
  };
  for (const file of files) visit(file, []);
  return found;
}

const shipped = ['pkg', 'cmd']
  .flatMap((top) => [...sources(join(root, top))])
  .filter((file) => !file.endsWith('.test.ts'));
const unknown = [
  ...new Set(
    shipped
      .map(place)
      .filter((at) => at.top === 'pkg' && allowed[at.name] === undefined)
      .map((at) => at.name),
  ),
];
const faults = [
  ...unknown.map((name) => `pkg/${name}: not in the table of test/layers/check.ts`),
  ...shipped.flatMap(importsOf).flatMap((one) => {
    const why = fault(one);
    return why === undefined ? [] : [`${relative(root, one.file)} -> ${one.target}: ${why}`];
  }),
  ...cycles(shipped),
];
for (const line of faults) process.stderr.write(`${line}\n`);
if (faults.length > 0) process.exit(1);
process.stdout.write(`layers: ${shipped.length} files, every arrow goes down\n`);
