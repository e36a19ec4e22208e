import { resources } from '../kube/index.ts';
import { clusterUsage } from './cluster-command.ts';
import type { Command } from './command.ts';
import { phaseOf } from './decisions.ts';
import type { Approval } from './decisions.ts';
import { folderUsage, storeCommand } from './folder-store.ts';
import { printable } from './output.ts';

const usage = `sidegate approvals watch [flags]

Prints a line for each change of an approval, until it is interrupted.

  -A, --all-namespaces   of every namespace
  --for SECONDS          end after so long
${folderUsage}${clusterUsage}`;

const everyMs = 1_000;

export const approvalsWatchCommand: Command = {
  name: 'approvals watch',
  summary: 'a line for each change of an approval',
  usage,
  run: storeCommand({
    usage,
    flags: { 'all-namespaces': { kind: 'switch', short: 'A' }, for: { kind: 'text' } },
    positionals: { name: 'nothing', least: 0, most: 0 },
    async act(flags, { client, namespace }, io) {
      const seconds = Number(flags.text('for') ?? Number.POSITIVE_INFINITY);
      if (!(seconds > 0)) {
        io.stderr('--for must be a number of seconds\n');
        return 2;
      }
      const end = io.now() + seconds * 1_000;
      const selection = flags.on('all-namespaces') ? {} : { namespace };
      let before = new Map<string, string>();
      for (;;) {
        const now = new Map<string, string>();
        for (const one of await client.list<Approval>(resources.inferenceApprovals, selection)) {
          const { metadata, spec, status } = one;
          const state = `${phaseOf(one)} ${(status?.decisions ?? []).length}/${spec.required}`;
          now.set(metadata.uid ?? '', state);
          if (before.get(metadata.uid ?? '') === state) continue;
          const words = [
            metadata.namespace ?? '',
            metadata.name,
            state,
            spec.requester.subject,
            spec.operation,
            spec.rules.join(','),
          ];
          io.stdout(`${new Date(io.now()).toISOString()} ${printable(words.join(' '))}\n`);
        }
        before = now;
        if (io.now() >= end) return 0;
        await io.sleep(everyMs);
      }
    },
  }),
};
