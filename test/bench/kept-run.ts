import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Row } from './bench.ts';

/** A whole run, as it is kept so that groups which failed can be run again. */
export interface KeptRun {
  /** Of the sources; with what is not committed a run cannot go on. */
  readonly commit: string;
  /** YYYY-MM-DD. */
  readonly date: string;
  readonly seconds: number;
  /** The rows of each group that ran to its end. */
  readonly groups: Readonly<Record<string, readonly Row[]>>;
  /** Groups that failed in the run and were measured by themselves. */
  readonly again: readonly string[];
}

/** `make build` empties dist/. */
const path = 'node_modules/.cache/sidegate-bench.json';

/** The short name of the commit; `with changes` where sources differ from it. */
export function commit(): string {
  try {
    const dirty = execFileSync('git', ['status', '--porcelain', '--', 'pkg', 'cmd']).toString() !== '';
    return execFileSync('git', ['rev-parse', '--short', 'HEAD']).toString().trim() + (dirty ? ' with changes' : '');
  } catch {
    return 'unknown';
  }
}

export function keepRun(run: KeptRun): void {
  mkdirSync('node_modules/.cache', { recursive: true });
  writeFileSync(path, JSON.stringify(run));
}

/** @throws {Error} There is none, or it is of other sources. */
export function keptRun(): KeptRun {
  let run: KeptRun;
  try {
    run = JSON.parse(readFileSync(path, 'utf8')) as KeptRun;
  } catch {
    throw new Error(`AGAIN=1 goes on with a whole run, and ${path} has none: run \`make bench\``);
  }
  if (run.commit !== commit() || run.commit.includes(' '))
    throw new Error(`AGAIN=1 goes on with a run of ${run.commit}, and the sources are ${commit()}: run \`make bench\``);
  return run;
}
