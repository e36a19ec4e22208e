// `make test`: lint and every jest tier that can run here, one after the other, then one closing line over all of them. A tier that cannot
// run says why, and what to do, in the last lines; where there are Linux and root, so that it could, that is a failure.
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { chosenContext } from './cluster/context.ts';
import { nodeMachineFault, nodeTierFault } from './cluster/node.ts';
import { findPrograms } from './cluster/programs.ts';
import { findChromium, noChromium } from './support/chromium.ts';
import { findCollector, noCollector } from './support/collector.ts';
import { findH2spec, noH2spec } from './support/h2spec.ts';
import { hasPgBouncer, noPgBouncer } from './support/pgbouncer.ts';
import { findPostgres, noPostgres } from './support/postgres.ts';
import { findPython, noModelServers, noPythonClients } from './support/python-environments.ts';
import { findRsyslog, noRsyslog } from './support/rsyslog.ts';
import { emptyReportFolder, secondsByTier } from './times.ts';
import type { SuiteReport } from './times.ts';

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

/** So is the store that recorders share. */
function installPostgres(): void {
  if ((findPostgres() !== undefined && hasPgBouncer()) || process.getuid?.() !== 0 || !has('apt-get')) return;
  const packages = ['postgresql', 'pgbouncer'];
  spawnSync('apt-get', ['update', '-qq'], { stdio: 'ignore' });
  spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], { stdio: 'ignore' });
  for (const service of packages) spawnSync('service', [service, 'stop'], { stdio: 'ignore' });
}

/** And the browser that opens the console. */
function installChromium(): void {
  if (findChromium() !== undefined || process.getuid?.() !== 0 || !has('apt-get')) return;
  spawnSync('apt-get', ['update', '-qq'], { stdio: 'ignore' });
  spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'chromium'], { stdio: 'ignore' });
}

/** And the receiver of syslog. */
function installRsyslog(): void {
  if (findRsyslog() !== undefined || process.getuid?.() !== 0 || !has('apt-get')) return;
  const packages = ['rsyslog', 'rsyslog-gnutls'];
  spawnSync('apt-get', ['update', '-qq'], { stdio: 'ignore' });
  spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], { stdio: 'ignore' });
  spawnSync('service', ['rsyslog', 'stop'], { stdio: 'ignore' });
}

function programsFault(names?: readonly string[]): string | undefined {
  try {
    findPrograms(names);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** It wants cgroups, mounts and some minutes: `NODE_TIER=0` does without, and says so. */
const nodeTier = process.env['NODE_TIER'] !== '0';
const nodePrograms = ['kubelet', 'containerd', 'kubectl', 'helm'];
const nodeFault = (): string | undefined =>
  chosenContext() === undefined ? (nodeMachineFault() ?? programsFault(nodePrograms)) : undefined;

/** Only what is missing: the first build takes longer than all tests together; then it is cached outside of the checkout. */
function buildCluster(): void {
  if (nodeTierFault() !== undefined || !has('go')) return;
  const whole = nodeTier && chosenContext() === undefined && nodeMachineFault() === undefined;
  spawnSync('test/cluster/build.sh', whole ? [] : ['--api-server'], { stdio: ['ignore', 'ignore', 'inherit'] });
}

const notRun: string[] = [];
/** Tiers that did not run and count as a failure each. */
let missed = 0;
/** The tiers that can run here, of those that need more than npm. */
const runnable = (tiers: Readonly<Record<string, string | undefined>>): string[] =>
  Object.entries(tiers).flatMap(([tier, fault]) => {
    if (fault === undefined) return [tier];
    notRun.push(`not run: ${tier}: ${fault}`);
    if (tier === 'node' || nodeTierFault() === undefined) missed++;
    return [];
  });
installValkey();
installPostgres();
installChromium();
installRsyslog();
// Its tests are failures then.
if (findPostgres() === undefined) notRun.push(`not run: ${noPostgres}`);
if (!hasPgBouncer()) notRun.push(`not run: ${noPgBouncer}`);
if (findChromium() === undefined) notRun.push(`not run: ${noChromium}`);
if (findRsyslog() === undefined) notRun.push(`not run: ${noRsyslog}`);
// It takes minutes to build, so it is for those who have done it: CI has the cache.
if (findCollector() === undefined) notRun.push(`not run: ${noCollector}`);
if (findH2spec() === undefined) notRun.push(`not run: ${noH2spec}`);
if (findPython('clients') === undefined) notRun.push(`not run: ${noPythonClients}`);
if (findPython('servers') === undefined) notRun.push(`not run: ${noModelServers}`);
buildCluster();
/** What its tests run; the archive of setup-envtest lacks the last two. */
const apiServerTier = ['etcd', 'kube-apiserver', 'kubectl', 'kube-controller-manager', 'helm'];
/** Jest's tiers, of one call each. */
const node = nodeTier ? runnable({ node: nodeFault() }) : [];
const groups = [
  ['unit', 'integration', 'conformance', 'fuzz', 'layers'],
  // By itself: it starts and kills processes all the time.
  ['chaos'],
  // By themselves: API servers beside them would take the time that others measure.
  runnable({ kernel: kernelFault(), chart: programsFault(['helm']), apiserver: programsFault(apiServerTier) }),
].filter((group) => group.length > 0);

const folder = emptyReportFolder();

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numRuntimeErrorTestSuites: number;
  readonly testResults: readonly SuiteReport[];
}
const nothing: Report = {
  numPassedTests: 0,
  numFailedTests: 0,
  numPendingTests: 0,
  numRuntimeErrorTestSuites: 1,
  testResults: [],
};
interface Ended {
  readonly status: number | null;
  readonly seconds: number;
}

/** @param output How its output comes: with ours, not at all, or when it has ended. */
async function runProgram(
  program: string,
  args: readonly string[],
  output: Readonly<Record<'stdout' | 'stderr', 'inherit' | 'ignore' | 'pipe'>>,
): Promise<Ended> {
  const began = performance.now();
  const child = spawn(program, args, { stdio: ['ignore', output.stdout, output.stderr] });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => (said += text));
  const status = await new Promise<number | null>((done) => {
    child.on('error', () => done(null));
    child.on('close', done);
  });
  process.stdout.write(said);
  return { status, seconds: (performance.now() - began) / 1_000 };
}

const runLint = (): Promise<Ended> =>
  // Behind the tests beside it, which have limits of time.
  runProgram('nice', ['-n', '19', 'make', '--no-print-directory', 'lint'], { stdout: 'pipe', stderr: 'pipe' });

async function runJest(projects: readonly string[]): Promise<Ended & { readonly report: Report }> {
  const file = join(folder, `${projects[0]}.json`);
  const jest = await runProgram(
    process.execPath,
    [
      '--experimental-vm-modules',
      '--no-warnings=ExperimentalWarning',
      'node_modules/jest/bin/jest.js',
      '--json',
      `--outputFile=${file}`,
      // Somebody's one cluster: what one file installs there would stand in the way of another.
      ...(projects.includes('node') && chosenContext() !== undefined ? ['--runInBand'] : []),
      '--selectProjects',
      ...projects,
    ],
    { stdout: 'ignore', stderr: 'inherit' },
  );
  try {
    return { ...jest, report: JSON.parse(readFileSync(file, 'utf8')) as Report };
  } catch {
    process.stderr.write('jest wrote no report\n');
    return { ...jest, report: nothing };
  }
}
/** A line for each test of a file that did not pass; for the file, where it could not be loaded. */
function failures({ name, status, assertionResults }: SuiteReport): string[] {
  const file = relative('.', name);
  const bad = assertionResults.filter((test) => test.status !== 'passed');
  if (bad.length === 0) return status === 'passed' ? [] : [`failed: ${file}\n`];
  return bad.map((test) => `failed: ${file}: ${test.fullName}\n`);
}
// The node's tests wait for a kubelet most of the time; lint waits for nothing, and what is left of it takes the gaps of the next tests.
const linted = runLint();
const results: Awaited<ReturnType<typeof runJest>>[] = [];
for (const group of node.length === 0 ? groups : [node, ...groups]) results.push(await runJest(group));
const lint = await linted;

const sum = (count: (one: Report) => number): number => results.reduce((total, one) => total + count(one.report), 0);
// A suite that could not even load, and a skipped test, prove nothing: both are failures. So is a tier that could have run (Linux, root),
// and the node tier wherever nobody said NODE_TIER=0.
const failed =
  sum((one) => one.numFailedTests + one.numRuntimeErrorTestSuites + one.numPendingTests) +
  (lint.status === 0 ? 0 : 1) +
  missed;
if (!nodeTier) process.stdout.write('not run: node: NODE_TIER=0\n');
if (nodeTier && chosenContext() !== undefined)
  process.stdout.write(
    'not run: bypass, pod and smoke of the node tier: they need the network of a node of their own, not CLUSTER\n',
  );
for (const line of notRun) process.stdout.write(`${line}\n`);
// Said once more at the end: of some ten thousand lines, the first that says what failed is far away.
if (lint.status !== 0) process.stdout.write('failed: make lint\n');
for (const line of results.flatMap(({ report }) => report.testResults.flatMap(failures))) process.stdout.write(line);
process.stdout.write('seconds of the clock, and of its files one after the other:\n');
const row = (seconds: number, what: string): boolean =>
  process.stdout.write(`${seconds.toFixed(0).padStart(7)}  ${what}\n`);
row(lint.seconds, 'lint, beside the first of these');
for (const { seconds, report } of results) {
  const tiers = [...secondsByTier(report.testResults)].map(([tier, own]) => `${tier} ${own.toFixed(0)}`);
  row(seconds, tiers.join(', '));
}
const passed = sum((one) => one.numPassedTests) + (lint.status === 0 ? 1 : 0);
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 && results.every((one) => one.status === 0) && passed > 1 ? 0 : 1);
