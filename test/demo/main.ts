// `make demo`: prepares a folder and the authority that callers trust, then runs the tour as any caller would run: in a
// process whose NODE_EXTRA_CA_CERTS names the bundle that `sidegate ca --bundle` writes. (Node reads that variable when it
// starts, so the tour is a process of its own.)
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../pkg/base/index.ts';
import { ensureSelfSigned } from '../../pkg/pki/index.ts';

const folder = '.demo';
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true, mode: 0o700 });

// The sidecar would make the same on its first start; here the bundle is needed before.
const data = join(folder, 'data');
await ensureSelfSigned(data, ['localhost', '127.0.0.1', '::1'], systemClock);
const bundle = join(folder, 'ca-bundle.pem');
const made = spawnSync(
  process.execPath,
  ['dist/kubectl-sidegate.js', 'ca', '--bundle', '--ca', join(data, 'ca.pem'), '--out', bundle],
  { encoding: 'utf8' },
);
if (made.status !== 0) {
  process.stderr.write(`demo: \`sidegate ca --bundle\` failed:\n${made.stderr}`);
  process.exit(1);
}

const tour = spawn(process.execPath, [join(import.meta.dirname, 'tour.ts'), folder], {
  stdio: 'inherit',
  env: { ...process.env, NODE_EXTRA_CA_CERTS: bundle },
});
// Ctrl-C reaches the whole group; a signal to this process alone is handed on, and the tour ends both.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => tour.kill('SIGTERM'));
tour.on('exit', (code) => process.exit(code ?? 1));
