// `make test-times`: where the time of the last `make test` went, file by file. Its reports stay until the next one.
import { mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';

/** What `jest --json` writes of a file. */
export interface SuiteReport {
  /** Its path. */
  readonly name: string;
  readonly status: string;
  /** Milliseconds of the wall clock. */
  readonly startTime: number;
  readonly endTime: number;
  readonly assertionResults: readonly {
    readonly fullName: string;
    readonly status: string;
    readonly duration?: number | null;
  }[];
}

const root = resolve(import.meta.dirname, '..');
/** Beside what else is made anew at any time, and is in no commit. */
const folder = join(root, 'node_modules/.cache/sidegate-test-reports');

/** An empty folder for the reports of a run, one file for each call of jest. */
export function emptyReportFolder(): string {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** The tier of a test file, as jest.config.js has it. */
export function tierOf(path: string): string {
  const [first = '', second = ''] = relative(root, path).split('/');
  if (first === 'test') return second;
  return first === 'cmd' && second === 'init' ? 'kernel' : 'unit';
}

export const secondsOf = ({ startTime, endTime }: SuiteReport): number => (endTime - startTime) / 1_000;

/** Seconds that the files of each tier took, one after the other, the longest tier first. */
export function secondsByTier(suites: readonly SuiteReport[]): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  for (const suite of suites) sums.set(tierOf(suite.name), (sums.get(tierOf(suite.name)) ?? 0) + secondsOf(suite));
  return new Map([...sums].sort(([, one], [, other]) => other - one));
}

const seconds = (value: number): string => value.toFixed(1).padStart(8);

if (import.meta.main) {
  const files = Number(process.argv[2] ?? 40);
  let reports: string[] = [];
  try {
    reports = readdirSync(folder);
  } catch {
    // Said below.
  }
  if (reports.length === 0) {
    process.stderr.write('there is no report of a run: `make test` writes them\n');
    process.exit(1);
  }
  const suites = reports.flatMap((name) => {
    const { testResults } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as { testResults: SuiteReport[] };
    return testResults;
  });
  const write = (line: string): void => void process.stdout.write(`${line}\n`);
  write(' seconds  tier');
  for (const [tier, sum] of secondsByTier(suites)) write(`${seconds(sum)}  ${tier}`);
  write(`\n seconds  file, with the longest of its tests`);
  for (const suite of suites.toSorted((one, other) => secondsOf(other) - secondsOf(one)).slice(0, files)) {
    write(`${seconds(secondsOf(suite))}  ${relative(root, suite.name)}`);
    const [longest] = suite.assertionResults.toSorted((one, other) => (other.duration ?? 0) - (one.duration ?? 0));
    if (longest !== undefined) write(`${seconds((longest.duration ?? 0) / 1_000)}    ${longest.fullName}`);
  }
}
