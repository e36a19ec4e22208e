import { describeError } from '../../base/index.ts';
import { clusterCommand, connectionUsage } from '../cluster-command.ts';
import type { Command, CommandIo } from '../command.ts';
import type { Flags } from '../flags.ts';
import { auditFlags, auditUsage, openAudit } from './client.ts';
import { timeOf } from './time.ts';

const usage = `sidegate audit ship RECEIVER --again --since TIME --reason TEXT [flags]

Sends a receiver of the log (recorder.ship) again what it had taken, since it has lost it. What it gets twice has the same event.id and event.sequence.
It stands in the log, with who and why. Who does it needs \`update\` on records.sidegate.dev: bind the account whose token asks to the ClusterRole
sidegate-record-investigator, and name it with --service-account.

  --again                what it is about
  --since TIME           from what the recorder had then on: 10m, 6h, 7d, or 2026-11-26T12:00:00Z
  --from NUMBER          or from this entry of the log (event.sequence) on; 0: all that is kept
  --reason TEXT          why
${auditUsage}${connectionUsage}`;

const text = { kind: 'text' } as const;

/** Where to begin. @throws Error in words, for a time that is none */
function beginOf(flags: Flags, now: number): { readonly since: number } | { readonly entry: number } | undefined {
  const [since, from] = [flags.text('since'), flags.text('from')];
  if ((since === undefined) === (from === undefined)) return undefined;
  return since === undefined ? { entry: Number(from) } : { since: timeOf(since, now) };
}

function faultsOf(flags: Flags, { now }: Pick<CommandIo, 'now'>): readonly string[] {
  try {
    return [
      ...(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(flags.positionals[0] ?? '')
        ? []
        : ['RECEIVER is the name of one']),
      ...(flags.on('again') ? [] : ['--again is missing']),
      ...(beginOf(flags, now()) === undefined ? ['either --since or --from is needed'] : []),
      ...(/^[0-9]{1,15}$/.test(flags.text('from') ?? '0') ? [] : ['--from is the number of an entry']),
      ...(flags.on('reason') ? [] : ['--reason is missing']),
    ];
  } catch (error) {
    return [describeError(error)];
  }
}

export const auditShipCommand: Command = {
  name: 'audit ship',
  summary: 'send a receiver of the log again what it had taken',
  usage,
  run: clusterCommand({
    usage,
    namespaced: false,
    flags: { again: { kind: 'switch' }, since: text, from: text, reason: text, ...auditFlags },
    positionals: { name: 'RECEIVER', least: 1, most: 1 },
    faults: faultsOf,
    async act(flags, { client }, io) {
      const [receiver = ''] = flags.positionals;
      const begin = beginOf(flags, io.now());
      const body = { ...begin, reason: flags.text('reason') ?? '' };
      const { entry, entries } = await (await openAudit(client, flags, io)).post(`/v1/ship/${receiver}/again`, body);
      io.stdout(`${receiver}: again from entry ${Number(entry)} on, ${Number(entries)} entries\n`);
      return 0;
    },
  }),
};
