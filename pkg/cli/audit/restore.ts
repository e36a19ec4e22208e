import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Secret, systemClock } from '../../base/index.ts';
import type { RecordStore } from '../../recorder/index.ts';
import { archiveFlags, archiveUsage, withArchive } from './archive.ts';
import { askedFlags, noPositionals } from '../asked-flags.ts';
import type { Command, CommandIo, ExitCode } from '../command.ts';
import type { Flags } from '../flags.ts';
import { printable } from '../terminal-text.ts';

const usage = `sidegate audit restore --from s3://BUCKET/PREFIX --key FILE (--data FOLDER | --database FILE) [flags]

Makes the recorder's store again from its archive. It does not begin while a recorder uses the store, or did within the last 15 s, and none starts on it
meanwhile, nor within a minute of a restoration that was killed. Each segment is proven before it is written: by its signature, by the tree before
and after it, by the signed head that it ends at, and each line by its hash. It ends at the first segment that is missing, changed or cut off and
names it; the store is then whole up to there, and the same command goes on from it. What the key has not signed for its name is left out, and named on stderr.

  --from URL             the archive
  --key FILE             public key (PEM) of the log: ConfigMap sidegate-log, or your own copy
  --data FOLDER          where the embedded store is made: /var/lib/sidegate of the recorder's volume
  --database FILE        file with postgres://user:password@host:5432/database; --database-ca FILE: PEM of its authorities
${archiveUsage}
Exit code 0: all that the archive's last head has signed is in the store. 1: it is not.
`;

async function openStore(flags: Flags, io: CommandIo): Promise<RecordStore> {
  const { openPostgresStore, openSqliteStore } = await import('../../recorder/index.ts');
  const [data, database, ca] = [flags.text('data'), flags.text('database'), flags.text('database-ca')];
  if (database !== undefined) {
    const dsn = new Secret(io.readFile(database).trim());
    return openPostgresStore({
      ...{ dsn, clock: systemClock, use: 'restoration' },
      ...(ca === undefined ? {} : { ca: io.readFile(ca) }),
    });
  }
  mkdirSync(data ?? '.', { recursive: true, mode: 0o700 });
  return openSqliteStore({ path: join(data ?? '.', 'record.db'), clock: systemClock });
}

async function run(args: readonly string[], io: CommandIo): Promise<ExitCode> {
  const text = { kind: 'text' } as const;
  const flags = askedFlags(args, io, {
    usage,
    flags: { from: text, key: text, data: text, database: text, 'database-ca': text, ...archiveFlags },
    positionals: noPositionals,
    faults: (given) => [
      ...['from', 'key'].flatMap((name) => (given.text(name) === undefined ? [`--${name} is missing`] : [])),
      ...((given.text('data') === undefined) === (given.text('database') === undefined)
        ? ['give either --data or --database']
        : []),
    ],
  });
  if (typeof flags === 'number') return flags;
  return withArchive(flags.text('from') ?? '', flags, io, async (log, publicKey) => {
    if (publicKey === undefined) return 2;
    const { restoreArchive } = await import('../../recorder/index.ts');
    const store = await openStore(flags, io);
    try {
      const { entries, segments, events, fault } = await restoreArchive({
        log,
        store,
        publicKey,
        onSkipped: (name, why) => io.stderr(`${printable(`left out: ${name}: ${why}`)}\n`),
      });
      io.stdout(
        `${segments} segments with ${events} lines were put into the store, which has ${entries} entries now\n`,
      );
      if (fault === undefined) return 0;
      io.stdout(`${printable(`${fault.fault}: ${fault.segment ?? `entry ${fault.entry}`}: ${fault.what}`)}\n`);
      return 1;
    } finally {
      await store.close();
    }
  });
}

export const auditRestoreCommand: Command = {
  name: 'audit restore',
  summary: 'make the recorder’s store again from its archive',
  usage,
  run,
};
