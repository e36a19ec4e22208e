import { CodedError, describeError } from '../../base/index.ts';
import { readLogKeys } from '../../record/index.ts';
import type { LogKeys } from '../../record/index.ts';
import type { ArchivedLog } from '../../recorder/index.ts';
import type { CommandIo, ExitCode } from '../command.ts';
import type { FlagSpec, Flags } from '../flags.ts';
import { printable } from '../terminal-text.ts';

/** Flags of commands that read an archive. */
export const archiveFlags = {
  endpoint: { kind: 'text' },
  region: { kind: 'text' },
  'path-style': { kind: 'switch' },
  'endpoint-ca': { kind: 'text' },
  log: { kind: 'text' },
} as const satisfies Readonly<Record<string, FlagSpec>>;

export const archiveUsage = `  --endpoint URL         of another S3 than Amazon's; --path-style: the bucket stands in the path; --endpoint-ca FILE: PEM of its authorities
  --region NAME          of the bucket; default AWS_REGION. Credentials are those that the AWS SDK finds: environment, shared files, web identity
  --log ID               which log, where the archive has several
`;

/** The public keys in the file that the flag `--key` names; undefined: none does. @throws as a file that cannot be read, or has no key */
export function keyOf(flags: Flags, io: CommandIo): LogKeys | undefined {
  const file = flags.text('key');
  return file === undefined ? undefined : readLogKeys(io.readFile(file));
}

/** Names that are told one by one. */
const mostTold = 10;

/** What others have laid over objects of the archive: the commands read what is below, and somebody has tried to hide it. */
function tellCovered(log: ArchivedLog, io: Pick<CommandIo, 'stderr'>): void {
  const all = [...log.covered];
  for (const [name, how] of all.slice(0, mostTold))
    io.stderr(
      `covered: ${printable(name)}: somebody has ${how === 'written' ? 'written over it' : 'deleted it'} in the bucket; what was written first was read\n`,
    );
  if (all.length > mostTold) io.stderr(`covered: and ${all.length - mostTold} more objects\n`);
}

/** Opens the archive at `s3://bucket/prefix`, and closes it; says in words what went wrong, and on stderr which objects are covered. */
export async function withArchive(
  url: string,
  flags: Flags,
  io: CommandIo,
  act: (log: ArchivedLog, key: LogKeys | undefined) => Promise<ExitCode>,
): Promise<ExitCode> {
  // With its library, which no other command needs.
  const { openArchive, openArchivedLog, parseLocation } = await import('../../recorder/index.ts');
  try {
    const key = keyOf(flags, io);
    const objects = await openArchive(
      parseLocation(url, {
        region: flags.text('region'),
        endpoint: flags.text('endpoint'),
        pathStyle: flags.on('path-style'),
        ca: flags.text('endpoint-ca'),
      }),
    );
    try {
      const log = await openArchivedLog(objects, flags.text('log'), key);
      try {
        return await act(log, key);
      } finally {
        // Also where it fails, which may be by what hides it.
        tellCovered(log, io);
      }
    } finally {
      objects.close();
    }
  } catch (error) {
    io.stderr(`${error instanceof CodedError ? error.message : describeError(error)}\n`);
    return 1;
  }
}
