import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { formatFault, parsePolicies } from '../pkg/crd/index.ts';

// What is true of the bundles and not of the source: what is compiled ahead, and what is not loaded at a start.

const root = resolve(import.meta.dirname, '..');
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-build-'));
  execFileSync(process.execPath, [join(root, 'cmd/build.ts'), folder]);
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
});
afterAll(() => rmSync(folder, { recursive: true }));

const broken = `apiVersion: sidegate.dev/v1alpha1
kind: InferencePolicy
metadata: { name: NotLower, namespace: team }
spec:
  mode: Enforc
  limits: { response: [{ maxBytes: -1, maxDuration: soon }] }
  access:
  - { effect: Allow, subjects: [{ group: 7 }], operation: [Chat] }
`;

/** Starts that end by themselves, with what the process had loaded and used by then. */
function run(name: string, args: readonly string[]): { stdout: string; stderr: string; loaded: readonly string[] } {
  const atExit = `process.on('exit', () => require('node:fs').writeFileSync('loaded', process.moduleLoadList.join('\\n')))`;
  writeFileSync(join(folder, 'at-exit.cjs'), atExit);
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--require', join(folder, 'at-exit.cjs'), join(folder, `${name}.js`), ...args],
    { cwd: folder, encoding: 'utf8' },
  );
  return { stdout, stderr, loaded: readFileSync(join(folder, 'loaded'), 'utf8').split('\n') };
}

/** The text of a program and of all that it imports before it does anything; some begin by loading their `run.ts`. */
function startOf(name: string): string {
  const seen = new Map<string, string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    const text = readFileSync(path, 'utf8');
    seen.set(path, text);
    for (const pattern of [
      /^(?:import|export)\b[^;'"]*?['"](\.{1,2}\/[^'"]+)['"]/gm,
      /^await import\("([^"]*\/run-[^"]*)"\)/gm,
    ])
      for (const [, target = ''] of text.matchAll(pattern)) visit(resolve(dirname(path), target));
  };
  visit(join(folder, `${name}.js`));
  return [...seen.values()].join('\n');
}

const sources = (): readonly string[] =>
  [folder, join(folder, 'chunks')].flatMap((from) =>
    readdirSync(from)
      .filter((name) => name.endsWith('.js'))
      .map((name) => readFileSync(join(from, name), 'utf8')),
  );

describe('the bundles', () => {
  test('of init and pause do what their sources do', async () => {
    expect(run('init', []).stderr).toContain('--uid is missing: uid of the sidecar');
    const pause = spawn(process.execPath, [join(folder, 'pause.js')]);
    const ended = new Promise((done) => pause.on('close', (code, signal) => done({ code, signal })));
    await new Promise((done) => pause.stdout.once('data', done));
    expect(pause.exitCode).toBeNull();
    pause.kill('SIGTERM');
    expect(await ended).toEqual({ code: 0, signal: null });
  });

  test('find in a broken policy what the source finds, in the same words', () => {
    writeFileSync(join(folder, 'broken.yaml'), broken);
    const faults = parsePolicies(broken, 'broken.yaml').faults.map(formatFault);
    expect(faults.length).toBeGreaterThan(5);
    const { stderr } = run('kubectl-sidegate', ['policy', 'validate', 'broken.yaml']);
    expect(stderr.split('\n').filter((line) => line.startsWith('broken.yaml'))).toEqual(faults);
  });

  test('hold the compiled schema and no compiler of schemas', () => {
    expect(sources().filter((text) => text.includes('validateResource'))).not.toEqual([]);
    expect(sources().filter((text) => text.includes('node_modules/ajv/dist/compile/'))).toEqual([]);
  });

  test('hold of prom-client what counts and renders, not what it can do besides', () => {
    expect(sources().filter((text) => text.includes('node_modules/prom-client/lib/registry.js'))).not.toEqual([]);
    // The client of Valkey has it too, in a chunk that is loaded only where limits are shared.
    const others = sources().filter((text) => !text.includes('node_modules/@redis/client/'));
    expect(others.filter((text) => /node_modules\/(@opentelemetry|prom-client\/lib\/cluster)/.test(text))).toEqual([]);
  });

  test('load the SAML library only where SAML is configured', () => {
    const saml = 'node_modules/@node-saml/node-saml/';
    expect(sources().filter((text) => text.includes(saml))).toHaveLength(1);
    for (const name of ['sidecar', 'controller', 'recorder', 'webhook', 'kubectl-sidegate']) {
      const start = startOf(name);
      expect(start.length).toBeGreaterThan(50_000);
      expect(start).not.toContain(saml);
    }
  });

  test('hold the files of the web console as texts, where the console is', () => {
    expect(sources().filter((text) => text.includes('Skip to the page'))).toHaveLength(1);
    expect(startOf('recorder')).toContain('Skip to the page');
    expect(startOf('kubectl-sidegate')).not.toContain('Skip to the page');
  });

  test('load no undici, which nothing here uses', () => {
    expect(run('sidecar', ['--help']).stdout).toContain('--policy');
    // An address of nobody's: it ends when everything is loaded and it would listen.
    const nowhere = ['--policy', 'broken.yaml', '--upstream', 'http://127.0.0.1:1', '--listen', '192.0.2.1:1'];
    const { stderr, loaded } = run('sidecar', nowhere);
    expect(stderr).toContain('EADDRNOTAVAIL');
    expect(loaded).toContain('NativeModule http');
    expect(loaded.filter((name) => name.includes('undici'))).toEqual([]);
  });
});
