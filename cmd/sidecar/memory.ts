import { setFlagsFromString } from 'node:v8';

/**
 * How much memory and processor time V8 and malloc may take beside each model server. docs/adr/0011-memory.md has what each
 * setting costs and gives. What whoever starts the process sets, in arguments, NODE_OPTIONS or environment, stays as it is.
 */

export interface Launch {
  /** Flags of Node, before the program's name. */
  readonly execArgv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** By how many percent of what lives the old generation grows before it is collected. */
export const growingPercent = 75;

/** Read while V8 starts: set later, `--no-maglev` lacks what V8 derives from it, and requests cost half as much again. */
const launchFlags: readonly string[] = [
  // New objects have two halves of at most 8 MB (32 by default): most of a request's are gone before a half is full.
  '--max-semi-space-size=8',
  // The old generation grows by three quarters before it is collected (by default up to four times what lives).
  `--heap-growing-percent=${growingPercent}`,
  // Of the compilers between interpreter and optimizing one: on this work it costs more than it gives.
  '--no-maglev',
  // V8 makes what often outlives a collection old from the start. Frames of a stream do, waiting for the next, and are gone with it:
  // the old generation filled with them.
  '--no-allocation-site-pretenuring',
  // For `settle`, below; nothing else asks for a collection.
  '--expose-gc',
];

/** Read by malloc before any code runs. */
const launchEnvironment: Readonly<Record<string, string>> = {
  // Threads share arenas, so that not each of them keeps memory that it has freed.
  MALLOC_ARENA_MAX: '2',
  // What is free at the heap's end goes back. glibc raises the limit with the largest block that it saw, which is one body.
  MALLOC_TRIM_THRESHOLD_: '131072',
};

/** What a flag sets, whatever it sets it to: `--no-maglev` and `--maglev` set the same. */
const setBy = (flag: string): string =>
  flag
    .replace(/=.*$/s, '')
    .replaceAll('_', '-')
    .replace(/^--no-?/, '--');

/** Whether this flag was given, and not as we give it. */
export function isSet(flag: string, { execArgv, env }: Launch, ours: string): boolean {
  const given = [...execArgv, ...(env['NODE_OPTIONS'] ?? '').split(/\s+/)];
  return given.some((one) => setBy(one) === flag && one.replaceAll('_', '-') !== `${flag}=${ours}`);
}

function notSet(flags: readonly string[], { execArgv, env }: Launch): readonly string[] {
  const set = new Set([...execArgv, ...(env['NODE_OPTIONS'] ?? '').split(/\s+/)].map(setBy));
  return flags.filter((flag) => !set.has(setBy(flag)));
}

/** How the process should have been started; undefined when it was. */
export function wantedLaunch(launch: Launch): Launch | undefined {
  const flags = notSet(launchFlags, launch);
  const unset = Object.entries(launchEnvironment).filter(([name]) => launch.env[name] === undefined);
  if (flags.length === 0 && unset.length === 0) return undefined;
  return { execArgv: [...flags, ...launch.execArgv], env: { ...launch.env, ...Object.fromEntries(unset) } };
}

/**
 * Keeps V8 from optimizing while the process starts: nothing of that is worth it, and the optimizing compiler's own code (8 MB)
 * then stays out of memory until there is traffic.
 *
 * @returns lets V8 optimize what runs often, and gives back what the start took and does not need any more: its objects, and the
 * young generation (9 MB), which grew on them. Call it when the process is up; it takes 15 ms.
 */
export function deferOptimizing(launch: Launch): () => void {
  const ours = notSet(['--opt'], launch).length > 0;
  if (ours) setFlagsFromString('--no-opt');
  return () => {
    // Only this kind makes the young generation small again.
    void globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    if (ours) setFlagsFromString('--opt');
  };
}
