import { selectorText } from '../core/index.ts';
import { clusterUsage } from './cluster-command.ts';
import type { Command } from './command.ts';
import { notHeldOf, phaseOf, targetOf } from './decisions.ts';
import type { Approval, Grant } from './decisions.ts';
import { folderUsage, storeCommand } from './folder-store.ts';
import { outputFlags, outputUsage, printObjects, span } from './output.ts';
import { printable } from './terminal-text.ts';

const usage = `sidegate approvals show NAME [flags]

What is to be decided: who asks for what, the text in question as nobody may see more of it, who may decide and who has.
With grant/NAME of a grant: who gets what, on which pods, from when until when, and why.

${outputUsage}${folderUsage}${clusterUsage}`;

type Lines = readonly (readonly [string, string])[];

const phaseLine = (one: Approval | Grant, now: number): string =>
  `${phaseOf(one)}, ${span(Date.parse(one.spec.expiresAt) - now)} left`;

const whoDecides = (required: number, approvers: readonly object[]): string =>
  `${required} of ${approvers.map((one) => JSON.stringify(one)).join(' or ')}`;

const decisionLines = ({ status }: Approval | Grant): Lines =>
  (status?.decisions ?? []).map(({ decision, at, user, caller, comment, breakGlass }) => [
    decision === 'Deny' ? 'Denied' : 'Approved',
    `${at} by ${user ?? `${caller?.subject ?? ''} of ${caller?.issuer ?? ''}`}${breakGlass === true ? ' (break-glass)' : ''}${comment === undefined ? '' : `: ${comment}`}`,
  ]);

const textOf = (lines: Lines): string =>
  lines.map(([title, value]) => `${`${title}:`.padEnd(13)} ${printable(value)}\n`).join('');

function describeApproval(approval: Approval, now: number): string {
  const { spec, metadata } = approval;
  const { requester } = spec;
  const text = textOf([
    ['Name', metadata.name],
    ['Phase', phaseLine(approval, now)],
    [
      'Caller',
      `${requester.subject} of ${requester.issuer}${requester.kubernetesUser === undefined ? '' : `, to Kubernetes ${requester.kubernetesUser}`}`,
    ],
    ['Asks for', `${spec.operation}${spec.model === undefined ? '' : ` on ${spec.model}`} (${spec.direction})`],
    ['Pod', spec.pod.name],
    ['Because of', spec.rules.join(', ')],
    ['Digest', spec.digest],
    ['Session', spec.session ?? '-'],
    ['Who decides', whoDecides(spec.required, spec.approvers)],
    ...decisionLines(approval),
  ]);
  const excerpt = (spec.excerpt ?? '').split('\n').map((line) => `  ${printable(line)}\n`);
  return `${text}Text:\n${excerpt.join('')}`;
}

function describeGrant(grant: Grant, now: number): string {
  const { spec, status, metadata } = grant;
  const { required, approvers, kubernetesUser } = status ?? {};
  const held = notHeldOf(grant);
  const undecidable = status?.conditions?.find((one) => one.type === 'Decidable' && one.status === 'False');
  return textOf([
    ['Name', metadata.name],
    ['Phase', phaseLine(grant, now)],
    [
      'Caller',
      `${spec.subject} of ${spec.issuer}${kubernetesUser === undefined ? '' : `, to Kubernetes ${kubernetesUser}`}`,
    ],
    ...(held === undefined ? [] : [['Holds', held.message] as const]),
    ['Asked by', spec.requestedBy],
    ['Operations', spec.operations.join(', ')],
    ['Models', spec.models.join(', ')],
    ['Pods', selectorText(spec.selector ?? {}) || 'every inference pod'],
    ['From', spec.notBefore ?? 'from approval on'],
    ['Until', spec.expiresAt],
    ['Reason', spec.reason],
    [
      'Who decides',
      required === undefined || approvers === undefined
        ? `not said yet${undecidable === undefined ? '' : `: ${undecidable.message}`}`
        : whoDecides(required, approvers),
    ],
    ...decisionLines(grant),
  ]);
}

export const approvalsShowCommand: Command = {
  name: 'approvals show',
  summary: 'what is to be decided, and by whom: NAME, or grant/NAME',
  usage,
  names: 'Decidable',
  run: storeCommand({
    usage,
    flags: outputFlags,
    positionals: { name: 'NAME', least: 1, most: 1 },
    async act(flags, { client, namespace }, io) {
      const { resource, name } = targetOf(flags.positionals[0] ?? '');
      const found = await client.get<Approval | Grant>(resource, { namespace, name });
      if (flags.text('output') === undefined || flags.text('output') === 'wide')
        io.stdout(
          'requester' in found.spec
            ? describeApproval(found as Approval, io.now())
            : describeGrant(found as Grant, io.now()),
        );
      else printObjects([found], { flags, columns: [], none: '', single: true }, io);
      return 0;
    },
  }),
};
