import {
  admissionPolicies,
  apiServer,
  authorities,
  clocks,
  definitions,
  leader,
  options,
  replicas,
  rights,
  webhooks,
} from './check/control-plane-checks.ts';
import { admissionAsInstalled } from './check/as-installed.ts';
import type { Finding } from './check/finding.ts';
import { readPicture } from './check/picture.ts';
import type { Picture } from './check/picture.ts';
import { bypasses, governed, kubelets, neighbours, policies, sidecars, udpPorts } from './check/workload-checks.ts';
import { clusterCommand, clusterUsage, systemNamespace } from './cluster-command.ts';
import type { Command } from './command.ts';
import { answerFlags, answerUsage, doubleJson, jsonFlag, printValue } from './output.ts';
import { printable } from './terminal-text.ts';

const usage = `sidegate check [flags]

Is Sidegate well, and is every inference pod really governed? One line a check: ok, warn or fail, what was found, and what to do.
It only reads.

  --system NAMESPACE     where Sidegate is installed; default ${systemNamespace}
${answerUsage}  --json                 the same as -o json: a list of {level, check, message, hint}
  --quiet                print only what is not ok
${clusterUsage}
Exit code: 0 nothing failed (warnings do not count), 1 something did, 2 not understood.
`;

/** In the order in which one would look. */
const checks: readonly ((picture: Picture) => Finding | readonly Finding[])[] = [
  ...[apiServer, clocks, definitions, replicas, leader, authorities, webhooks, admissionPolicies, admissionAsInstalled],
  ...[options, rights],
  ...[sidecars, neighbours, governed, policies, udpPorts, bypasses, kubelets],
];

export const judge = (picture: Picture): readonly Finding[] => checks.flatMap((check) => check(picture));

function line({ level, check, message, hint }: Finding): string {
  const first = `${level.padEnd(5)} ${check.padEnd(20)} ${printable(message)}\n`;
  return hint === undefined ? first : `${first}${' '.repeat(27)}→ ${printable(hint)}\n`;
}

export const checkCommand: Command = {
  name: 'check',
  summary: 'is Sidegate well, and is every inference pod really governed?',
  usage,
  run: clusterCommand({
    usage,
    flags: { system: { kind: 'text' }, ...jsonFlag, ...answerFlags, quiet: { kind: 'switch' } },
    positionals: { name: 'nothing', least: 0, most: 0 },
    faults: doubleJson,
    async act(flags, { client }, io) {
      const findings = judge(await readPicture(client, flags.text('system') ?? systemNamespace, () => io.now()));
      const failed = findings.filter(({ level }) => level === 'fail').length;
      const warned = findings.filter(({ level }) => level === 'warn').length;
      const shown = flags.on('quiet') ? findings.filter(({ level }) => level !== 'ok') : findings;
      if (!printValue(shown, flags, io)) {
        for (const finding of shown) io.stdout(line(finding));
        io.stdout(`${findings.length} checks: ${failed} failed, ${warned} warned\n`);
      }
      return failed === 0 ? 0 : 1;
    },
  }),
};
