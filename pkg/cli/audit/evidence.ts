import { hash } from 'node:crypto';
import { CodedError, jsonValue, parseJson } from '../../base/index.ts';
import type { ConflictEntry } from '../../record/index.ts';
import { archiveFlags, archiveUsage, withArchive } from './archive.ts';
import { auditFlags, auditUsage, openAudit } from './client.ts';
import type { AuditClient } from './client.ts';
import { timeOf } from './time.ts';
import { sourceFaults } from './session-command.ts';
import { askedFlags, noPositionals } from '../asked-flags.ts';
import { clusterFlags, connectionUsage, withCluster } from '../cluster-command.ts';
import type { Command, CommandIo, ExitCode } from '../command.ts';
import type { Flags } from '../flags.ts';
import { jsonText, printable } from '../terminal-text.ts';

const usage = `sidegate audit evidence [flags]

What sidecars sent that does not go with their chains: when, which sidecar, what was wrong, and the line as it came, which the recorder keeps beside the record and
which is no part of it. Oldest first; the reading itself goes on record. Of the first 32 conflicts of a sidecar each is kept; of more, an entry each ten minutes
says how many there were and keeps the beginning of the last.

  --since TIME           10m, 6h, 7d, or 2026-11-26T12:00:00Z; with --archive a day
  --source ID            of this sidecar alone: its SPIFFE id
  -n, --namespace NAME   of sidecars of this namespace alone; default: of all
  -o, --output FORMAT    text (default) or jsonl
  --archive URL          s3://BUCKET/PREFIX: in the recorder's archive, without a recorder and on no record; --key FILE: only what the key (PEM) of the log
                         has signed
${archiveUsage}${auditUsage}${connectionUsage}
Exit code 0: shown, also where there is none. 1: what is kept of one is not what its entry says, or it cannot be read.
`;

interface Kept {
  readonly index: number;
  readonly text: string;
  readonly evidence: Uint8Array | undefined;
}

async function* ofRecorder(audit: AuditClient): AsyncGenerator<Kept> {
  for (let next: number | undefined = 0; next !== undefined;) {
    const page = (await audit.get(`/v1/log/conflicts?from=${next}`)) as {
      readonly conflicts?: readonly {
        readonly index: number;
        readonly text: string;
        readonly evidence: string | null;
      }[];
      readonly next?: number | null;
    };
    for (const { index, text, evidence } of page.conflicts ?? [])
      yield { index, text, evidence: evidence === null ? undefined : Buffer.from(evidence, 'base64') };
    const after = page.next ?? undefined;
    if (after !== undefined && after <= next) throw new CodedError('bad_answer', 'the recorder goes round in circles');
    next = after;
  }
}

/** Shows one after the other. @returns whether each is what its entry says */
async function show(found: AsyncIterable<Kept>, flags: Flags, io: CommandIo): Promise<ExitCode> {
  const since = flags.text('since');
  const from = since === undefined || flags.text('archive') !== undefined ? 0 : timeOf(since, io.now());
  const [source, namespace] = [flags.text('source'), flags.text('namespace')];
  let [count, faults] = [0, 0];
  for await (const { index, text, evidence } of found) {
    const entry = jsonValue(parseJson(text)) as unknown as ConflictEntry;
    if (entry.at < from || (source !== undefined && entry.source !== source)) continue;
    if (namespace !== undefined && !entry.source.includes(`/ns/${namespace}/sa/`)) continue;
    count++;
    const good = evidence !== undefined && hash('sha256', evidence, 'hex') === entry.evidence;
    if (!good) faults++;
    (flags.text('output') === 'jsonl' ? asJson : asText)(index, entry, evidence, good, io);
  }
  if (count === 0) io.stderr('no conflict\n');
  return faults === 0 ? 0 : 1;
}

function asJson(
  index: number,
  entry: ConflictEntry,
  evidence: Uint8Array | undefined,
  good: boolean,
  io: CommandIo,
): void {
  const { at, source, chain, sequence, what, more = 0 } = entry;
  const line = evidence === undefined ? null : Buffer.from(evidence).toString('base64');
  const shown = { entry: index, at, source, chain, line: sequence, what, more, evidence: line, asItsEntrySays: good };
  io.stdout(`${jsonText(shown)}\n`);
}

function asText(
  index: number,
  entry: ConflictEntry,
  evidence: Uint8Array | undefined,
  good: boolean,
  io: CommandIo,
): void {
  const { at, source, chain, sequence, what, more = 0 } = entry;
  const when = new Date(at).toISOString();
  io.stdout(
    `${when} entry ${index}: ${printable(what)}: line ${sequence} of chain ${printable(chain)} of ${printable(source)}\n` +
      (more > 0 ? `  ${more} more of it since the entry before, of which nothing is kept\n` : '') +
      (evidence === undefined
        ? '  NOT THERE: what came\n'
        : `  ${good ? '' : 'NOT WHAT ITS ENTRY SAYS: '}${printable(Buffer.from(evidence).toString('utf8'))}\n`),
  );
}

async function run(args: readonly string[], io: CommandIo): Promise<ExitCode> {
  const text = { kind: 'text' } as const;
  const flags = askedFlags(args, io, {
    usage,
    flags: {
      since: text,
      source: text,
      archive: text,
      key: text,
      output: { kind: 'text', short: 'o', choices: ['text', 'jsonl'] },
      ...archiveFlags,
      ...auditFlags,
      ...clusterFlags,
    },
    positionals: noPositionals,
    faults: (given) => {
      const since = given.text('since');
      if (given.text('archive') !== undefined) return sourceFaults(given);
      try {
        if (since !== undefined) timeOf(since, 0);
        return [];
      } catch (error) {
        return [(error as Error).message];
      }
    },
  });
  if (typeof flags === 'number') return flags;
  const archive = flags.text('archive');
  if (archive === undefined)
    return withCluster(flags, io, async ({ client }) =>
      show(ofRecorder(await openAudit(client, flags, io)), flags, io),
    );
  return withArchive(archive, flags, io, async (log) => {
    const { conflictsInArchive } = await import('../../recorder/index.ts');
    let faults = 0;
    const found = conflictsInArchive(log, flags.text('since'), (name, { message }) => {
      faults++;
      io.stderr(`${name}: ${message}: it is left out\n`);
    });
    const code = await show(found, flags, io);
    return faults > 0 ? 1 : code;
  });
}

export const auditEvidenceCommand: Command = {
  name: 'audit evidence',
  summary: 'what sidecars sent that does not go with their record',
  usage,
  run,
};
