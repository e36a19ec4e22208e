// `make test`: lint and every jest tier that can run here, one after the other, then one closing line over all of them. A tier that cannot
// run says why, and what to do, in the last lines: those of the kernel count as failures where there is root to run them, and those of the
// cluster run wherever it was built before (`make cluster-build`), since its first build takes longer than everything else.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeTierFault } from './cluster/node.ts';
import { findPrograms } from './cluster/programs.ts';

const has = (tool: string): boolean => spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0;

/** nft and ip are small Debian packages: where root and apt are there, they are installed rather than asked for. */
function kernelFault(): string | undefined {
  const fault = nodeTierFault();
  if (fault !== undefined)
    return fault.replace('the node tier', 'the kernel tier').replace('make test-node', 'make test');
  const missing = (): string[] => ['nft', 'ip', 'unshare', 'nsenter', 'setpriv'].filter((tool) => !has(tool));
  if (missing().length > 0 && has('apt-get')) {
    spawnSync('apt-get', ['update', '-qq'], { stdio: 'ignore' });
    spawnSync('apt-get', ['install', '-y', '-qq', 'nftables', 'iproute2', 'util-linux'], { stdio: 'ignore' });
  }
  const left = missing();
  return left.length === 0
    ? undefined
    : `the kernel tier needs ${left.join(', ')}: install nftables, iproute2 and util-linux`;
}

/** Shared limits are tested on a real server, which is a small Debian package too. */
function installValkey(): void {
  if (has('valkey-server') || has('redis-server') || process.getuid?.() !== 0 || !has('apt-get')) return;
  spawnSync('apt-get', ['update', '-qq'], { stdio: 'ignore' });
  spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'redis-server'], { stdio: 'ignore' });
  // Its service is not ours to run.
  spawnSync('service', ['redis-server', 'stop'], { stdio: 'ignore' });
}

function programsFault(names?: readonly string[]): string | undefined {
  try {
    findPrograms(names);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const projects = ['unit', 'integration', 'conformance', 'fuzz', 'layers'];
const notRun: string[] = [];
const take = (tier: string, fault: string | undefined): void => {
  if (fault === undefined) projects.push(tier);
  else notRun.push(`not run: ${tier}: ${fault}`);
};
const kernel = kernelFault();
installValkey();
take('kernel', kernel);
take('chart', programsFault(['helm']));
take('apiserver', programsFault(['etcd', 'kube-apiserver', 'kubectl', 'kube-controller-manager', 'helm']));
notRun.push('not run: node: `make test-node` runs it (Linux, root, the cluster built)');

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
    '--selectProjects',
    ...projects,
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
  result.numFailedTests +
  result.numRuntimeErrorTestSuites +
  result.numPendingTests +
  (lint.status === 0 ? 0 : 1) +
  (kernel === undefined || process.getuid?.() !== 0 ? 0 : 1);
for (const line of notRun) process.stdout.write(`${line}\n`);
const passed = result.numPassedTests + (lint.status === 0 ? 1 : 0);
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 && jest.status === 0 && passed > 1 ? 0 : 1);
