import { resources } from '../kube/index.ts';
import { clusterUsage } from './cluster-command.ts';
import type { Command } from './command.ts';
import { grantColumns, phaseOf } from './decisions.ts';
import type { Grant } from './decisions.ts';
import { folderUsage, storeCommand } from './folder-store.ts';
import { outputFlags, outputUsage, printObjects } from './output.ts';

const usage = `sidegate access list [flags]

Grants that wait or hold. "(on some pods)", "(on no pod)": on the others policies were edited since, -o wide says how; ask anew for these.

  --all                  also what is denied, over or withdrawn
  -A, --all-namespaces   of every namespace
${outputUsage}${folderUsage}${clusterUsage}`;

export const accessListCommand: Command = {
  name: 'access list',
  summary: 'access for a time: what waits and what holds',
  usage,
  run: storeCommand({
    usage,
    flags: { all: { kind: 'switch' }, 'all-namespaces': { kind: 'switch', short: 'A' }, ...outputFlags },
    positionals: { name: 'nothing', least: 0, most: 0 },
    async act(flags, { client, namespace, where }, io) {
      const everywhere = flags.on('all-namespaces');
      const found = await client.list<Grant>(resources.inferenceGrants, everywhere ? {} : { namespace });
      const items = found.filter((one) => flags.on('all') || ['Pending', 'Approved'].includes(phaseOf(one)));
      const none = everywhere ? 'there are no grants' : `there are no grants in ${where}`;
      printObjects(items, { flags, columns: grantColumns(io.now(), !everywhere), none }, io);
      return 0;
    },
  }),
};
