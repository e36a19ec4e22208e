import { resources } from '../kube/index.ts';
import { clusterUsage } from './cluster-command.ts';
import type { Command } from './command.ts';
import { phaseOf } from './decisions.ts';
import type { Approval } from './decisions.ts';
import { folderUsage, storeCommand } from './folder-store.ts';
import { outputFlags, outputUsage, printable, printObjects, span } from './output.ts';

const usage = `sidegate approvals show NAME [flags]

What is to be decided: who asks for what, the text in question as nobody may see more of it, who may decide and who has.

${outputUsage}${folderUsage}${clusterUsage}`;

function describe(approval: Approval, now: number): string {
  const { spec, status, metadata } = approval;
  const { requester } = spec;
  const who = spec.approvers.map((one) => JSON.stringify(one)).join(' or ');
  const lines: [string, string][] = [
    ['Name', metadata.name],
    ['Phase', `${phaseOf(approval)}, ${span(Date.parse(spec.expiresAt) - now)} left`],
    [
      'Caller',
      `${requester.subject} of ${requester.issuer}${requester.kubernetesUser === undefined ? '' : `, to Kubernetes ${requester.kubernetesUser}`}`,
    ],
    ['Asks for', `${spec.operation}${spec.model === undefined ? '' : ` on ${spec.model}`} (${spec.direction})`],
    ['Pod', spec.pod.name],
    ['Because of', spec.rules.join(', ')],
    ['Digest', spec.digest],
    ['Session', spec.session ?? '-'],
    ['Who decides', `${spec.required} of ${who}`],
  ];
  const decisions = (status?.decisions ?? []).map(
    ({ decision, at, user, caller, comment, breakGlass }): [string, string] => [
      decision === 'Deny' ? 'Denied' : 'Approved',
      `${at} by ${user ?? `${caller?.subject ?? ''} of ${caller?.issuer ?? ''}`}${breakGlass === true ? ' (break-glass)' : ''}${comment === undefined ? '' : `: ${comment}`}`,
    ],
  );
  const text = [...lines, ...decisions]
    .map(([title, value]) => `${`${title}:`.padEnd(13)} ${printable(value)}\n`)
    .join('');
  const excerpt = (spec.excerpt ?? '').split('\n').map((line) => `  ${printable(line)}\n`);
  return `${text}Text:\n${excerpt.join('')}`;
}

export const approvalsShowCommand: Command = {
  name: 'approvals show',
  summary: 'what is to be decided, and by whom',
  usage,
  names: 'Approval',
  run: storeCommand({
    usage,
    flags: outputFlags,
    positionals: { name: 'NAME', least: 1, most: 1 },
    async act(flags, { client, namespace }, io) {
      const name = flags.positionals[0] ?? '';
      const found = await client.get<Approval>(resources.inferenceApprovals, { namespace, name });
      if (flags.text('output') === undefined || flags.text('output') === 'wide') io.stdout(describe(found, io.now()));
      else printObjects([found], { flags, columns: [], none: '', single: true }, io);
      return 0;
    },
  }),
};
