// Bundles every process under dist/ (or the folder that the first argument names): what the image holds, and what `make run` and the demo start. What a process loads only
// when it needs it (certificate issuing, PKCS#12, WebSockets) stands in chunks of its own, so that its text is not in memory.
import { rmSync } from 'node:fs';
import { build } from 'esbuild';

const outdir = process.argv[2] ?? 'dist';
rmSync(outdir, { recursive: true, force: true });

await build({
  entryPoints: { sidecar: 'cmd/sidecar/main.ts', 'kubectl-sidegate': 'cmd/kubectl-sidegate/main.ts' },
  outdir,
  bundle: true,
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
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
