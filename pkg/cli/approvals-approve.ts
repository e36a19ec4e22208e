import { clusterUsage } from './cluster-command.ts';
import type { Command } from './command.ts';
import { decideAt, deciderFaults, deciderFlags, deciderUsage } from './decide-at.ts';
import { folderUsage, storeCommand } from './folder-store.ts';

const usage = `sidegate approvals approve NAME [flags]

Appends your decision to an approval, or with grant/NAME to a grant. It is final. The policy must name you, you need the verb
approve, and it must not be your own request: what is missing is said.

  --break-glass          override how many are required: for the break-glass group, with --dir for those whom the sidecar was started
                         with (--break-glass-issuer); recorded loudly
${deciderUsage}${folderUsage}${clusterUsage}`;

export const approvalsApproveCommand: Command = {
  name: 'approvals approve',
  summary: 'approve what waits: NAME, or grant/NAME',
  usage,
  names: 'Undecided',
  run: storeCommand({
    usage,
    flags: { ...deciderFlags, 'break-glass': { kind: 'switch' } },
    positionals: { name: 'NAME', least: 1, most: 1 },
    faults: deciderFaults,
    act: (flags, store, io) => decideAt(store, flags, { decision: 'Approve', breakGlass: flags.on('break-glass') }, io),
  }),
};
