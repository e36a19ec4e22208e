// `make test`: lint and every jest tier, one after the other, then one closing line over all of them.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = mkdtempSync(join(tmpdir(), 'sidegate-test-'));
const report = join(folder, 'jest.json');

const lint = spawnSync('make', ['--no-print-directory', 'lint'], { stdio: 'inherit' });
const jest = spawnSync(
  process.execPath,
  [
    '--experimental-vm-modules',
    '--no-warnings=ExperimentalWarning',
    'node_modules/jest/bin/jest.js',
    '--json',
    `--outputFile=${report}`,
  ],
  { stdio: ['ignore', 'ignore', 'inherit'] },
);

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numRuntimeErrorTestSuites: number;
}
let result: Report = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numRuntimeErrorTestSuites: 1 };
try {
  result = JSON.parse(readFileSync(report, 'utf8')) as Report;
} catch {
  process.stderr.write('jest wrote no report\n');
}
rmSync(folder, { recursive: true, force: true });

// A suite that could not even load, and a skipped test, prove nothing: both are failures.
const failed =
  result.numFailedTests + result.numRuntimeErrorTestSuites + result.numPendingTests + (lint.status === 0 ? 0 : 1);
const passed = result.numPassedTests + (lint.status === 0 ? 1 : 0);
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 && jest.status === 0 && passed > 1 ? 0 : 1);
