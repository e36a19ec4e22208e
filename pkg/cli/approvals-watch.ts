import { silentLogger, systemClock } from '../base/index.ts';
import type { Logger } from '../base/index.ts';
import { createCache, resources } from '../kube/index.ts';
import type { KubeClient } from '../kube/index.ts';
import { clusterUsage } from './cluster-command.ts';
import type { Command, CommandIo, ExitCode } from './command.ts';
import { phaseOf } from './decisions.ts';
import type { Approval } from './decisions.ts';
import type { Flags } from './flags.ts';
import { folderUsage, storeCommand } from './folder-store.ts';
import { jsonText, printable } from './terminal-text.ts';

const usage = `sidegate approvals watch [flags]

Prints a line for each change of an approval, until it is interrupted. Of a cluster it is told of them as they come; a folder is looked at each
second.

  -o, --output FORMAT    text or jsonl; default text. jsonl: {"at": TIME, "approval": {…}}, one a line
  -A, --all-namespaces   of every namespace
  --for SECONDS          end after so long from the start; code 1 where the API server has shown nothing until then
${folderUsage}${clusterUsage}`;

const everyMs = 1_000;
/** One timer lasts no longer than 24 days. */
const longestSleepMs = 86_400_000;

/** @returns prints an approval where it is another than it was */
function printer(format: string | undefined, io: CommandIo) {
  const before = new Map<string, string>();
  return {
    show(one: Approval): void {
      const { metadata, spec, status } = one;
      const state = `${phaseOf(one)} ${(status?.decisions ?? []).length}/${spec.required}`;
      const key = metadata.uid ?? metadata.name;
      if (before.get(key) === state) return;
      before.set(key, state);
      const at = new Date(io.now()).toISOString();
      if (format === 'jsonl') return io.stdout(`${jsonText({ at, approval: one })}\n`);
      const { requester, operation, rules } = spec;
      const words = [metadata.namespace ?? '', metadata.name, state, requester.subject, operation, rules.join(',')];
      io.stdout(`${at} ${printable(words.join(' '))}\n`);
    },
    forget({ metadata }: Pick<Approval, 'metadata'>): void {
      before.delete(metadata.uid ?? metadata.name);
    },
    /** Forgets all that are not among these. */
    keep(present: readonly Approval[]): void {
      const keys = new Set(present.map(({ metadata }) => metadata.uid ?? metadata.name));
      for (const key of before.keys()) if (!keys.has(key)) before.delete(key);
    },
  };
}

/** @throws AbortError once the signal says so */
async function sleepUntil(end: number, io: CommandIo, signal: AbortSignal): Promise<void> {
  for (let left = end - io.now(); left > 0; left = end - io.now())
    await io.sleep(Math.min(left, longestSleepMs), signal);
}

/** Said to the person where a watch does not come back by itself at once. */
const tellingLogger = (io: Pick<CommandIo, 'stderr'>): Logger => ({
  ...silentLogger,
  warn: (_, fields) =>
    io.stderr(`the API server tells of no changes now, and is asked again: ${String(fields?.['error'] ?? '')}\n`),
  with: () => tellingLogger(io),
});

interface Watching {
  readonly client: KubeClient;
  readonly namespace: string | undefined;
  readonly shown: ReturnType<typeof printer>;
  /** Settles at the end; undefined: there is none. */
  readonly over: Promise<void> | undefined;
  /** Ends what waits. */
  readonly signal: AbortSignal;
}

/** @throws KubeError where the first question is refused; what ends a watch later is waited out. */
async function watchCluster(
  { client, namespace, shown, over, signal }: Watching,
  io: Pick<CommandIo, 'stderr' | 'sleep'>,
): Promise<ExitCode> {
  const selection = { namespace };
  /** Whether it came before the end. */
  const inTime = (work: Promise<unknown>): Promise<boolean> =>
    Promise.race([work.then(() => true), ...(over === undefined ? [] : [over.then(() => false)])]);
  const late = (): ExitCode => {
    io.stderr('the API server has not shown what there is within --for\n');
    return 1;
  };
  // A cache asks for ever: whoever may not look, or asks nobody, is told so.
  if (!(await inTime(client.page(resources.inferenceApprovals, selection, { limit: 1, signal })))) return late();
  const cache = createCache<Approval>({
    client,
    resource: resources.inferenceApprovals,
    namespace,
    clock: systemClock,
    logger: tellingLogger(io),
    transform: (raw) => raw as Approval,
    oversized: () => undefined,
  });
  cache.subscribe(({ before, after }) => {
    if (after !== undefined) shown.show(after);
    else if (before !== undefined) shown.forget(before);
  });
  try {
    if (!(await inTime(cache.whenSynced()))) return late();
    if (over !== undefined) await over;
    else for (;;) await io.sleep(longestSleepMs, signal);
  } finally {
    await cache.stop();
  }
  return 0;
}

const secondsOf = (flags: Flags): number => Number(flags.text('for') ?? Number.POSITIVE_INFINITY);

export const approvalsWatchCommand: Command = {
  name: 'approvals watch',
  summary: 'a line for each change of an approval',
  usage,
  run: storeCommand({
    usage,
    flags: {
      output: { kind: 'text', short: 'o', choices: ['text', 'jsonl'] },
      'all-namespaces': { kind: 'switch', short: 'A' },
      for: { kind: 'text' },
    },
    positionals: { name: 'nothing', least: 0, most: 0 },
    faults: (flags) => (secondsOf(flags) > 0 ? [] : ['--for must be a number of seconds']),
    async act(flags, { client, namespace, cluster }, io) {
      const end = io.now() + secondsOf(flags) * 1_000;
      const shown = printer(flags.text('output'), io);
      if (cluster !== undefined) {
        const ending = new AbortController();
        const { signal } = ending;
        const over = Number.isFinite(end) ? sleepUntil(end, io, signal) : undefined;
        over?.catch(() => undefined);
        const from = flags.on('all-namespaces') ? undefined : namespace;
        try {
          return await watchCluster({ client: cluster, namespace: from, shown, over, signal }, io);
        } finally {
          // What sleeps keeps the process.
          ending.abort();
        }
      }
      for (;;) {
        const present = await client.list<Approval>(resources.inferenceApprovals, { namespace });
        shown.keep(present);
        present.forEach((one) => shown.show(one));
        if (io.now() >= end) return 0;
        await io.sleep(everyMs);
      }
    },
  }),
};
