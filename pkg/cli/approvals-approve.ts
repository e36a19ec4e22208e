import { clusterCommand, clusterUsage } from './cluster-command.ts';
import type { Command } from './command.ts';
import { decide } from './decisions.ts';

const usage = `sidegate approvals approve NAME [flags]

Appends your decision to an approval, or with grant/NAME to a grant. It is final. The policy must name you, you need the verb
approve, and it must not be your own request: what is missing is said.

  --comment TEXT         why; stands in the record
  --break-glass          override how many are required: for the break-glass group, and recorded loudly
${clusterUsage}`;

export const approvalsApproveCommand: Command = {
  name: 'approvals approve',
  summary: 'approve what waits: NAME, or grant/NAME',
  usage,
  run: clusterCommand({
    usage,
    flags: { comment: { kind: 'text' }, 'break-glass': { kind: 'switch' } },
    positionals: { name: 'NAME', least: 1, most: 1 },
    act: (flags, cluster, io) =>
      decide(
        cluster,
        flags.positionals[0] ?? '',
        { decision: 'Approve', comment: flags.text('comment'), breakGlass: flags.on('break-glass') },
        io,
      ),
  }),
};
