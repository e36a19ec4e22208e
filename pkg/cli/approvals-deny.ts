import { clusterUsage } from './cluster-command.ts';
import type { Command } from './command.ts';
import { decideAt, deciderFaults, deciderFlags, deciderUsage } from './decide-at.ts';
import { folderUsage, storeCommand } from './folder-store.ts';

const usage = `sidegate approvals deny NAME [flags]

Appends your decision to an approval, or with grant/NAME to a grant. It is final. The policy must name you, you need the verb
approve, and it must not be your own request: what is missing is said.

${deciderUsage}${folderUsage}${clusterUsage}`;

export const approvalsDenyCommand: Command = {
  name: 'approvals deny',
  summary: 'deny what waits: NAME, or grant/NAME',
  usage,
  names: 'Undecided',
  run: storeCommand({
    usage,
    flags: { ...deciderFlags },
    positionals: { name: 'NAME', least: 1, most: 1 },
    faults: deciderFaults,
    act: (flags, store, io) => decideAt(store, flags, { decision: 'Deny', breakGlass: false }, io),
  }),
};
