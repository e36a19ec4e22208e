import { auditFlags, auditUsage } from './audit/client.ts';
import { clusterFlags, clusterUsage } from './cluster-command.ts';
import type { Command, CommandIo, ExitCode } from './command.ts';
import { askedFlags } from './asked-flags.ts';
import { backtestFlags, backtestUsage, runBacktest } from './policy-backtest.ts';
import { casesUsage, runCases } from './policy-cases-report.ts';
import { podFlags, podUsage, policiesOfPod } from './policy-pod.ts';
import { readPolicies } from './read-policies.ts';

const usage = `sidegate policy test FILE... --against WHAT | --cases FILE [flags]

Decides recorded sessions again, under the policies of the files, and says what would be otherwise: newly refused, held or masked, newly allowed or let
through unmasked, by rule and by caller, with examples. Nothing is sent to a model.

${backtestUsage}${casesUsage}
${podUsage}\
  -o, --output FORMAT  text (default), json, or with --cases junit
${auditUsage}${clusterUsage}
Exit code: 0 nothing would be otherwise but for what --accept names, or all cases came as expected; 1 something would, a case did not, or the files
have faults; 2 not understood.
`;

const specs = {
  ...backtestFlags,
  output: { kind: 'text', short: 'o', choices: ['text', 'json', 'junit'] },
  cases: { kind: 'text' },
  ...podFlags,
  ...auditFlags,
  ...clusterFlags,
} as const;

function run(args: readonly string[], io: CommandIo): ExitCode | Promise<ExitCode> {
  const flags = askedFlags(args, io, {
    usage,
    flags: specs,
    positionals: { name: 'FILE', least: 1, most: 1000 },
    faults: (asked) => [
      ...(asked.on('cases') === asked.on('against')
        ? ['--against or --cases is needed, one of them: which sessions of the record, or a file of cases']
        : []),
      ...(asked.text('output') === 'junit' && !asked.on('cases') ? ['-o junit goes with --cases'] : []),
    ],
  });
  if (typeof flags === 'number') return flags;
  const { policies: given, faults } = readPolicies(flags.positionals, io);
  if (faults.length > 0) {
    io.stderr(`${faults.join('\n')}\n`);
    return 1;
  }
  const [cases, output] = [flags.text('cases'), flags.text('output')];
  const governing = policiesOfPod(given, flags, io);
  if ('fault' in governing) {
    io.stderr(`${governing.fault}\n`);
    return 2;
  }
  const { policies } = governing;
  const hosted = flags.on('hosted');
  if (cases !== undefined) return runCases(policies, { file: cases, format: output, hosted }, io);
  return runBacktest(policies, flags, io);
}

export const policyTestCommand: Command = {
  name: 'policy test',
  summary: 'what policies would have changed, by the record; or whether cases come as expected',
  usage,
  run,
};
