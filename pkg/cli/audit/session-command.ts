import type { ArchivedLog, ArchivedSession } from '../../recorder/index.ts';
import { askedFlags } from '../asked-flags.ts';
import { clusterFlags, connectionUsage, withCluster } from '../cluster-command.ts';
import type { CommandIo, ExitCode } from '../command.ts';
import type { FlagSpec, Flags } from '../flags.ts';
import { archiveFlags, archiveUsage, withArchive } from './archive.ts';
import { auditFlags, auditUsage, linePages, openAudit, sessionFlags, sessionUsage } from './client.ts';

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
                         has signed; --since DAY (2026-11-26): not in segments that end before it. It reads from the newest one back to the session's start
${archiveUsage}${auditUsage}${connectionUsage}`;

/** A command about the session that its argument names, in a cluster or in an archive. */
export function sessionCommand(command: {
  readonly usage: string;
  readonly flags: Readonly<Record<string, FlagSpec>>;
  readonly faults?: (flags: Flags) => readonly string[];
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
    if (archive === undefined)
      return withCluster(flags, io, async ({ client }) => {
        const audit = await openAudit(client, flags, io);
        return command.act(id, () => linePages(audit, id, flags, io), flags, io);
      });
    return withArchive(archive, flags, io, async (log) => {
      const { session, faults } = await archivedSession(log, id, flags, io);
      if (session.lines.length === 0) {
        io.stderr('there is no such session\n');
        return 1;
      }
      const code = await command.act(id, () => inOnePage(session.lines), flags, io);
      return faults > 0 ? 1 : code;
    });
  };
}

/** What is wrong with the flags that say where to look. */
export const sourceFaults = (flags: Flags): readonly string[] => [
  ...(/^[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(flags.text('since') ?? '2026-11-26') ? [] : ['--since is a day: 2026-11-26']),
  ...(flags.text('archive') === undefined && flags.text('since') !== undefined ? ['--since goes with --archive'] : []),
];

/** Looks for a session in an archive; the person is told of segments that are left out, and of several chains. */
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
  if (found.chains > 1)
    io.stderr(
      `${found.chains} chains have lines under this id, which one sidecar chose and others may have taken: --chain and --namespace name one\n`,
    );
  return { session: found, faults };
}

async function* inOnePage(lines: readonly string[]): AsyncGenerator<readonly string[]> {
  yield lines;
}

/** All of them. */
export async function allLines(lines: SessionLines): Promise<readonly string[]> {
  const all: string[] = [];
  for await (const page of lines()) for (const line of page) all.push(line);
  return all;
}
