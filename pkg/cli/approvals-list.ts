import { resources } from '../kube/index.ts';
import { clusterUsage } from './cluster-command.ts';
import type { Command } from './command.ts';
import { approvalColumns, phaseOf } from './decisions.ts';
import type { Approval } from './decisions.ts';
import { folderUsage, storeCommand } from './folder-store.ts';
import { outputFlags, outputUsage, printObjects } from './output.ts';

const usage = `sidegate approvals list [flags]

What waits for people, oldest first.

  --all                  also what is decided or over
  -A, --all-namespaces   of every namespace
${outputUsage}${folderUsage}${clusterUsage}`;

export const approvalsListCommand: Command = {
  name: 'approvals list',
  summary: 'what waits for people',
  usage,
  run: storeCommand({
    usage,
    flags: { all: { kind: 'switch' }, 'all-namespaces': { kind: 'switch', short: 'A' }, ...outputFlags },
    positionals: { name: 'nothing', least: 0, most: 0 },
    async act(flags, { client, namespace, where }, io) {
      const everywhere = flags.on('all-namespaces');
      const found = await client.list<Approval>(resources.inferenceApprovals, everywhere ? {} : { namespace });
      const items = [...found]
        .filter((one) => flags.on('all') || phaseOf(one) === 'Pending')
        .sort((a, b) => (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? ''));
      const none = everywhere ? 'nothing waits' : `nothing waits in ${where}`;
      printObjects(items, { flags, columns: approvalColumns(io.now(), !everywhere), none }, io);
      return 0;
    },
  }),
};
