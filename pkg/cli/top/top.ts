import { controlPlane } from '../../contract/index.ts';
import { clusterCommand, clusterUsage, systemNamespace } from '../cluster-command.ts';
import type { Command, CommandIo, ExitCode } from '../command.ts';
import type { Flags } from '../flags.ts';
import { outputFlags, outputUsage, printObjects, printRaw, span, table } from '../output.ts';
import { printable } from '../terminal-text.ts';
import type { Column } from '../output.ts';
import { NoControllerError, openTop } from './ask.ts';
import { mergeRows, perSecond } from './figures.ts';
import type { PodFigures, PodRow } from './figures.ts';

const usage = `sidegate top [flags]

What passes through governed pods now, the busiest first. On a terminal the table is painted again each turn, until it is interrupted;
elsewhere each turn prints one.

  REQ/S, REFUSED/S       requests that ended in the last seconds, and those of them that Sidegate refused
  MASKED, HELD           how often rules masked and held since the sidecar began
  STREAMS, WAITING       streamed answers under way, and what waits for people
  POLICY, CONFIRMED      policies in force, and how long ago a controller said that they are the newest
  SEEN                   how old these figures are; "-": no controller has any, for the sidecar is not connected or is older

  -A, --all-namespaces   of every namespace
  --once                 one table, and the end
  --every SECONDS        between two turns; default 5, which is how often sidecars say them
${outputUsage}  --system NAMESPACE     where Sidegate is installed; default ${systemNamespace}
  --service-account NS/NAME   whose token asks; default that namespace's ${controlPlane.viewer}
${clusterUsage}`;

const none = '-';
const figure = (read: (figures: PodFigures) => string | number | null | undefined) => (row: PodRow) =>
  row.figures === null ? none : String(read(row.figures) ?? none);
const columns = (namespaced: boolean): readonly Column<PodRow>[] => [
  ...(namespaced ? [] : [{ title: 'NAMESPACE', read: ({ namespace }: PodRow) => namespace }]),
  { title: 'POD', read: ({ name }) => name },
  { title: 'REQ/S', read: figure((of) => perSecond(of, 'requests')?.toFixed(1)) },
  { title: 'REFUSED/S', read: figure((of) => perSecond(of, 'refused')?.toFixed(1)) },
  { title: 'MASKED', read: figure(({ masked }) => masked) },
  { title: 'HELD', read: figure(({ held }) => held) },
  { title: 'STREAMS', read: figure(({ streams }) => streams) },
  { title: 'WAITING', read: figure(({ waiting }) => waiting) },
  { title: 'REQUESTS', read: figure(({ requests }) => requests), wide: true },
  { title: 'REFUSED', read: figure(({ refused }) => refused), wide: true },
  { title: 'LIVE', read: figure(({ live }) => live), wide: true },
  { title: 'UP', read: figure(({ uptimeMs }) => span(uptimeMs)), wide: true },
  { title: 'POLICY', read: figure(({ generation }) => generation) },
  { title: 'CONFIRMED', read: figure(({ policyAgeMs }) => (policyAgeMs === null ? null : span(policyAgeMs))) },
  { title: 'SEEN', read: figure(({ ageMs }) => span(ageMs)) },
];

/** To the upper left, and what stood there is gone. */
const clear = '\u001b[H\u001b[2J';

/** As much of the table as the terminal shows. */
function paint(rows: readonly PodRow[], flags: Flags, screenRows: number, io: CommandIo): void {
  const lines = table(rows, columns(!flags.on('all-namespaces')), flags.text('output') === 'wide').split('\n');
  const shown = lines.slice(0, Math.max(2, screenRows - 2));
  const left = rows.length - (shown.length - 1);
  printRaw(`${clear}${shown.join('\n').trimEnd()}\n${left > 0 ? `and ${left} more\n` : ''}`, io);
}

const secondsOf = (flags: Flags): number => Number(flags.text('every') ?? 5);

export const topCommand: Command = {
  name: 'top',
  summary: 'what passes through governed pods now',
  usage,
  run: clusterCommand({
    usage,
    flags: {
      'all-namespaces': { kind: 'switch', short: 'A' },
      once: { kind: 'switch' },
      every: { kind: 'text' },
      system: { kind: 'text' },
      'service-account': { kind: 'text' },
      ...outputFlags,
    },
    positionals: { name: 'nothing', least: 0, most: 0 },
    faults: (flags) =>
      secondsOf(flags) >= 1 && secondsOf(flags) <= 3_600 ? [] : ['--every must be 1 to 3600 seconds'],
    async act(flags, { client, namespace }, io): Promise<ExitCode> {
      const seconds = secondsOf(flags);
      const everywhere = flags.on('all-namespaces');
      const top = openTop(client, flags, () => io.now());
      const format = flags.text('output');
      for (;;) {
        let found;
        try {
          found = await top.ask(everywhere ? undefined : namespace);
        } catch (error) {
          if (!(error instanceof NoControllerError)) throw error;
          io.stderr(`${error.message}\n`);
          return 1;
        }
        const rows = mergeRows(found.answers);
        const screenRows = flags.on('once') || format === 'json' || format === 'yaml' ? undefined : io.screenRows?.();
        const where = everywhere ? 'no pod is governed' : `no pod is governed in namespace ${namespace}`;
        if (screenRows === undefined) printObjects(rows, { flags, columns: columns(!everywhere), none: where }, io);
        else paint(rows, flags, screenRows, io);
        for (const name of found.silent)
          io.stderr(`${printable(name)} does not answer: sidecars that are connected to it stand without figures\n`);
        if (flags.on('once')) return 0;
        await io.sleep(seconds * 1_000);
      }
    },
  }),
};
