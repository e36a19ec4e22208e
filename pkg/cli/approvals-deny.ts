import { clusterCommand, clusterUsage } from './cluster-command.ts';
import type { Command } from './command.ts';
import { decide } from './decisions.ts';

const usage = `sidegate approvals deny NAME [flags]

Appends your decision to an approval, or with grant/NAME to a grant. It is final. The policy must name you, you need the verb
approve, and it must not be your own request: what is missing is said.

  --comment TEXT         why; stands in the record
${clusterUsage}`;

export const approvalsDenyCommand: Command = {
  name: 'approvals deny',
  summary: 'deny what waits: NAME, or grant/NAME',
  usage,
  run: clusterCommand({
    usage,
    flags: { comment: { kind: 'text' } },
    positionals: { name: 'NAME', least: 1, most: 1 },
    act: (flags, cluster, io) =>
      decide(
        cluster,
        flags.positionals[0] ?? '',
        { decision: 'Deny', comment: flags.text('comment'), breakGlass: false },
        io,
      ),
  }),
};
