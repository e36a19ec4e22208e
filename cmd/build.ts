// Bundles every process under dist/ (or the folder that the first argument names): what the image holds, and what `make run` and
// the demo start. What a process loads only when it needs it (certificate issuing, PKCS#12, WebSockets) stands in chunks of its
// own, so that its text is not in memory.
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import standalone from 'ajv/dist/standalone/index.js';
import { build } from 'esbuild';
import type { Plugin } from 'esbuild';
import { jsonValue, parseJson } from '../pkg/base/index.ts';
import { resourceJsonSchema, validatorOptions } from '../pkg/crd/index.ts';

const root = join(import.meta.dirname, '..');
const outdir = process.argv[2] ?? 'dist';
const { version } = jsonValue(parseJson(readFileSync(join(root, 'package.json'), 'utf8'))) as { version: string };
rmSync(outdir, { recursive: true, force: true });

/**
 * `import` of a built-in module reads every export of it, also those that are loaded when first read: of node:http that is
 * undici, which cost 70 ms of each start and 4 MB. `process.getBuiltinModule` reads none, and only the exports in use stay.
 */
const lazyBuiltins: Plugin = {
  name: 'lazy-builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === 'import-statement' ? { path, namespace: 'builtin' } : { path, external: true },
    );
    onLoad({ filter: /^/, namespace: 'builtin' }, ({ path }) => {
      const names = Object.keys(process.getBuiltinModule(path) ?? {}).filter(
        (name) => name !== 'default' && /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name),
      );
      const contents = [
        `const builtin = process.getBuiltinModule(${JSON.stringify(path)});`,
        'const get = (name) => builtin[name];',
        'export default builtin;',
        ...names.map((name, at) => `const _${at} = /* @__PURE__ */ get('${name}'); export { _${at} as ${name} };`),
      ];
      return { contents: contents.join('\n'), loader: 'js' };
    });
  },
};

/** Puts the code that ajv compiles the policy's schema to in place of pkg/crd/validator.ts, which compiles at every start. */
const compiledSchema: Plugin = {
  name: 'compiled-schema',
  setup({ onLoad }) {
    onLoad({ filter: /\/pkg\/crd\/validator\.ts$/ }, () => {
      const ajv = new Ajv({ ...validatorOptions, code: { source: true, esm: true } });
      ajv.addSchema(resourceJsonSchema(), 'policy');
      return { contents: standalone.default(ajv, { validateResource: 'policy' }), loader: 'js', resolveDir: root };
    });
  },
};

/** Puts the files of the web console, as texts, in place of what reads them from their folder. */
const consoleTexts: Plugin = {
  name: 'console-texts',
  setup({ onLoad }) {
    onLoad({ filter: /\/console\/assets\/texts\.ts$/ }, async ({ path }) => {
      const { assetTexts } = (await import(path)) as { readonly assetTexts: Readonly<Record<string, string>> };
      return { contents: `export const assetTexts = ${JSON.stringify(assetTexts)};`, loader: 'js' };
    });
  },
};

/**
 * Parts of prom-client that nothing here uses (statistics of clusters, pushing, quantiles, spans of OpenTelemetry), with what they
 * load in turn: 3 MB. Whoever begins to use one is told here.
 */
const withoutUnused: Plugin = {
  name: 'without-unused',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(\.\/lib\/(cluster|pushgateway|summary)|@opentelemetry\/api)$/ }, ({ path, importer }) =>
      importer.includes('/node_modules/prom-client/') ? { path, namespace: 'unused' } : undefined,
    );
    onLoad({ filter: /^/, namespace: 'unused' }, ({ path }) => ({
      contents: `module.exports = new Proxy(function () {}, {
        get() { throw new Error(${JSON.stringify(`${path} is left out of the bundle (cmd/build.ts)`)}); },
        construct() { throw new Error(${JSON.stringify(`${path} is left out of the bundle (cmd/build.ts)`)}); },
      });`,
      loader: 'js',
    }));
  },
};

await build({
  absWorkingDir: root,
  entryPoints: {
    controller: 'cmd/controller/main.ts',
    init: 'cmd/init/main.ts',
    'kubectl-sidegate': 'cmd/kubectl-sidegate/main.ts',
    pause: 'cmd/pause/main.ts',
    'pkcs12-open': 'pkg/pki/pkcs12-thread.ts',
    recorder: 'cmd/recorder/main.ts',
    'recorder-search': 'pkg/recorder/store/search/reader-thread.ts',
    'saml-signature': 'pkg/identity/saml/signature-thread.ts',
    sidecar: 'cmd/sidecar/main.ts',
    webhook: 'cmd/webhook/main.ts',
  },
  outdir,
  bundle: true,
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  // Which build it is, for status.
  define: { 'process.env.SIDEGATE_VERSION': JSON.stringify(version) },
  platform: 'node',
  target: 'node26',
  format: 'esm',
  sourcemap: 'linked',
  legalComments: 'linked',
  // CommonJS dependencies ask for `require` at run time.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  plugins: [lazyBuiltins, compiledSchema, consoleTexts, withoutUnused],
  logLevel: 'warning',
});
