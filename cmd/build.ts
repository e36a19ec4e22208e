// Bundles every process into one file under dist/: what the image holds, and what `make run` and the demo start.
import { build } from 'esbuild';

await build({
  entryPoints: { sidecar: 'cmd/sidecar/main.ts', 'kubectl-sidegate': 'cmd/kubectl-sidegate/main.ts' },
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  target: 'node26',
  format: 'esm',
  sourcemap: 'linked',
  legalComments: 'linked',
  // CommonJS dependencies ask for `require` at run time.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  logLevel: 'warning',
});
