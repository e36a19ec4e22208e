import { createSessionCount } from '../../record/index.ts';
import type { ArchivedLog, ArchivedSession } from '../../recorder/index.ts';
import { askedFlags } from '../asked-flags.ts';
import { clusterFlags, connectionUsage, withCluster } from '../cluster-command.ts';
import type { CommandIo, ExitCode } from '../command.ts';
import type { FlagSpec, Flags } from '../flags.ts';
import { printable } from '../terminal-text.ts';
import { archiveFlags, archiveUsage, withArchive } from './archive.ts';
import { isDay } from './time.ts';
import { auditFlags, auditUsage, linePages, openAudit, sessionFlags, sessionUsage } from './client.ts';
import type { LineChain, LinePage } from './client.ts';

/** The lines of one session, as they were hashed: some at a time, in their order. */
export type SessionLines = () => AsyncIterable<readonly string[]>;

/** Flags of every command about one session. */
const sourceFlags = {
  archive: { kind: 'text' },
  key: { kind: 'text' },
  since: { kind: 'text' },
  ...archiveFlags,
  ...sessionFlags,
  ...auditFlags,
  ...clusterFlags,
} as const satisfies Readonly<Record<string, FlagSpec>>;

export const sessionSourceUsage = `${sessionUsage}  --archive URL          s3://BUCKET/PREFIX: in the recorder's archive, without a recorder and on no record; --key FILE: only what the key (PEM) of the log
                         has signed; --since DAY (2026-11-26): not in segments that end before it. It reads all others: give the day
${archiveUsage}${auditUsage}${connectionUsage}`;

/**
 * A command about the session that its argument names, in a cluster or in an archive. Where lines of it are missing, as its end says, the person is
 * told, and it fails; so it does where several sidecars recorded under its id and no chain is named.
 */
export function sessionCommand(command: {
  readonly usage: string;
  readonly flags: Readonly<Record<string, FlagSpec>>;
  readonly faults?: (flags: Flags) => readonly string[];
  /** Told of lines of several chains, all of them; default: it is told of those of one alone, and of others there is no more than their names. */
  readonly manyChains?: true;
  act(id: string, lines: SessionLines, flags: Flags, io: CommandIo): Promise<ExitCode>;
}) {
  return async (args: readonly string[], io: CommandIo): Promise<ExitCode> => {
    const flags = askedFlags(args, io, {
      usage: command.usage,
      flags: { ...command.flags, ...sourceFlags },
      positionals: { name: 'ID', least: 1, most: 1 },
      faults: (given) => [
        ...(/^[0-9a-f]{32}$/.test(given.positionals[0] ?? '') ? [] : ['ID is a request id: 32 hex digits']),
        ...sourceFaults(given),
        ...(command.faults?.(given) ?? []),
      ],
    });
    if (typeof flags === 'number') return flags;
    const [id = ''] = flags.positionals;
    const archive = flags.text('archive');
    const act = async (pages: () => AsyncIterable<LinePage>): Promise<ExitCode> => {
      let whole = true;
      const onIncomplete = (): void => {
        whole = false;
      };
      try {
        const shown = command.manyChains === true ? pages() : ofOneChain(pages());
        const code = await command.act(id, () => countedLines(shown, io, onIncomplete), flags, io);
        return whole ? code : 1;
      } catch (error) {
        if (!(error instanceof ManyChains)) throw error;
        tellChains(error.chains, io);
        return 1;
      }
    };
    if (archive === undefined)
      return withCluster(flags, io, async ({ client }) => {
        const audit = await openAudit(client, flags, io);
        return act(() => linePages(audit, id, flags));
      });
    return withArchive(archive, flags, io, async (log) => {
      const { session, faults } = await archivedSession(log, id, flags, io);
      if (session.lines.length === 0) {
        io.stderr('there is no such session\n');
        return 1;
      }
      const code = await act(() => inOnePage(session));
      return faults > 0 ? 1 : code;
    });
  };
}

/** What is wrong with the flags that say where to look. */
export const sourceFaults = (flags: Flags): readonly string[] => [
  ...(isDay(flags.text('since') ?? '2026-11-26') ? [] : ['--since is a day: 2026-11-26']),
  ...(flags.text('archive') === undefined && flags.text('since') !== undefined ? ['--since goes with --archive'] : []),
];

/** Looks for a session in an archive; the person is told of segments that are left out. */
export async function archivedSession(
  log: ArchivedLog,
  session: string,
  flags: Flags,
  io: Pick<CommandIo, 'stderr'>,
): Promise<{ readonly session: ArchivedSession; readonly faults: number }> {
  const { sessionInArchive } = await import('../../recorder/index.ts');
  let faults = 0;
  const [chain, namespace, from] = ['chain', 'namespace', 'since'].map((name) => flags.text(name));
  const found = await sessionInArchive(log, { session, chain, namespace, from }, (name, { message }) => {
    faults++;
    io.stderr(`${name}: ${message}: it is left out\n`);
  });
  return { session: found, faults };
}

async function* inOnePage(page: LinePage): AsyncGenerator<LinePage> {
  yield page;
}

/** Lines of several chains, of which one alone was to be told. */
class ManyChains extends Error {
  readonly chains: readonly LineChain[];

  constructor(chains: readonly LineChain[]) {
    super('many chains');
    this.name = 'ManyChains';
    this.chains = chains;
  }
}

/** All pages, before anything of them is told: where one of them has lines of a second chain, none is. @throws ManyChains */
async function* ofOneChain(pages: AsyncIterable<LinePage>): AsyncGenerator<LinePage> {
  const all: LinePage[] = [];
  for await (const page of pages) all.push(page);
  const chains = all.at(-1)?.chains ?? [];
  if (chains.length > 1) throw new ManyChains(chains);
  yield* all;
}

const mostNamed = 20;

function tellChains(chains: readonly LineChain[], io: Pick<CommandIo, 'stderr'>): void {
  io.stderr(
    `${chains.length} chains have lines under this id, which one sidecar chose and others may have taken: --chain and --namespace name one\n`,
  );
  for (const { chain, source } of chains.slice(0, mostNamed))
    io.stderr(`  ${printable(chain)} of ${printable(source)}\n`);
  if (chains.length > mostNamed) io.stderr(`  and ${chains.length - mostNamed} more\n`);
}

/**
 * The lines of the pages. Behind the last one the person is told where lines are missing, as the session's end says, and where several sidecars
 * recorded under its id: one of them may lie.
 *
 * @param onIncomplete Told where not all of its lines are there
 */
async function* countedLines(
  pages: AsyncIterable<LinePage>,
  io: Pick<CommandIo, 'stderr'>,
  onIncomplete: () => void,
): AsyncGenerator<readonly string[]> {
  const count = createSessionCount();
  let chains: readonly LineChain[] = [];
  for await (const page of pages) {
    for (const line of page.lines) count.line(line);
    ({ chains } = page);
    yield page.lines;
  }
  if (chains.length > 1) {
    // Whose line is whose is not said: what is missing of one is not seen.
    tellChains(chains, io);
    return onIncomplete();
  }
  const { fault, counted } = count.verdict();
  if (fault !== undefined) {
    io.stderr(`INCOMPLETE: ${fault}\n`);
    onIncomplete();
  }
  if (!counted) io.stderr('its sidecar did not say how many lines it has: whether some are missing is not seen\n');
}

/** All of them. */
export async function allLines(lines: SessionLines): Promise<readonly string[]> {
  const all: string[] = [];
  for await (const page of lines()) for (const line of page) all.push(line);
  return all;
}
