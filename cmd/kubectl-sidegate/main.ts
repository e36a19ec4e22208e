// The person's hand: `kubectl sidegate …` as a kubectl plugin, `sidegate …` by itself.
import { readFileSync, writeFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../pkg/base/index.ts';
import { run } from '../../pkg/cli/index.ts';
import { checkPattern } from '../../pkg/detect/index.ts';
import { ask } from './ask.ts';
import { folderIo } from './folder-io.ts';
import { loginIo } from './login-io.ts';
import { lines, output } from './long-files.ts';
import { openCluster } from './open-cluster.ts';

// Whoever reads no more (`| head`) has what they wanted; it is no fault of this program.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(1);
});

process.exitCode = await run(process.argv.slice(2), {
  stdout: (text) => process.stdout.write(text),
  stderr: (text) => process.stderr.write(text),
  readFile: (path) => readFileSync(path, 'utf8'),
  writeFile: (path, text) => writeFileSync(path, text),
  lines,
  output,
  checkPattern: (pattern, maxLength) => checkPattern(pattern, maxLength)?.message,
  publicRoots: rootCertificates,
  now: () => systemClock.now(),
  sleep: (milliseconds, signal) => sleep(milliseconds, undefined, signal === undefined ? {} : { signal }),
  screenRows: () => (process.stdout.isTTY ? process.stdout.rows : undefined),
  screenColumns: () => (process.stdout.isTTY ? process.stdout.columns : undefined),
  openCluster,
  login: loginIo(),
  folder: folderIo(),
  ask,
});
