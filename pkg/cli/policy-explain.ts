import { CodedError } from '../base/index.ts';
import { explain, operations, withProfile } from '../core/index.ts';
import type { Operation, Policy, Profile } from '../core/index.ts';
import type { Command, CommandIo, ExitCode } from './command.ts';
import { explanationText } from './explanation-text.ts';
import { askedFlags } from './asked-flags.ts';
import type { Flags } from './flags.ts';
import { contentSpecs, contentUsage, givenQuestion, judge } from './policy-explain-content.ts';
import type { Judged } from './policy-explain-content.ts';
import { callerOf } from './policy-caller.ts';
import { podFlags, podUsage, policiesOfPod } from './policy-pod.ts';
import { answerFlags, doubleJson, jsonFlag, printValue } from './output.ts';
import { readPolicies } from './read-policies.ts';
import { printableRows } from './terminal-text.ts';

const usage = `sidegate policy explain FILE... [flags]

Says rule by rule what a caller's request would meet: access, guards, what is masked, limits, and whose each value is. It is decided by the
sidecar's own stages, and content that is given with --prompt, --request and --answer by its own inspection; nothing is sent anywhere. Budgets
are taken to be full, and files, Secrets and a place for approvals to be there.

  --user NAME        the caller's subject; without --user, --group, --scope and --provider nobody is proven
  --group NAME       a group of the caller; may be repeated
  --scope NAME       a scope of the caller's token; may be repeated
  --provider NAME    who proved the caller: its name, or NAMESPACE/POLICY/NAME; needed where policies have several
  --certificate      the connection has a client certificate (tls.inbound: Mutual), also where a token proves the caller
  --operation NAME   ${operations.join(', ')} (default Chat)
  --model NAME       the model that the request names
${contentUsage}
  --profile NAME     as if the policies had this profile: Strict, Standard or Relaxed
${podUsage}\
  -o, --output FORMAT    json or yaml; default words
  --json             the same as -o json
  --help             this text

Exit code: 0 the request is allowed, 1 it or the answer is refused or the policies have faults, 2 not understood.
`;

const specs = {
  user: { kind: 'text' },
  group: { kind: 'list' },
  scope: { kind: 'list' },
  provider: { kind: 'text' },
  certificate: { kind: 'switch' },
  operation: { kind: 'text', choices: operations },
  model: { kind: 'text' },
  profile: { kind: 'text', choices: ['Strict', 'Standard', 'Relaxed'] },
  ...contentSpecs,
  ...podFlags,
  ...jsonFlag,
  ...answerFlags,
} as const;

function isOperation(text: string): text is Operation {
  return operations.some((operation) => operation === text);
}

function isProfile(text: string | undefined): text is Profile {
  return text === 'Strict' || text === 'Standard' || text === 'Relaxed';
}

/** Later where there is content to decide. @throws PolicyError, CodedError; the promise fails with the same. */
function explainPolicies(given: readonly Policy[], flags: Flags, io: CommandIo): ExitCode | Promise<ExitCode> {
  const misunderstood = (fault: string): ExitCode => {
    io.stderr(`${fault}\n`);
    return 2;
  };
  const profile = flags.text('profile');
  const governing = policiesOfPod(given, flags, io);
  if ('fault' in governing) return misunderstood(governing.fault);
  const policies = withProfile(governing.policies, isProfile(profile) ? profile : undefined);
  const found = callerOf(
    {
      subject: flags.text('user'),
      provider: flags.text('provider'),
      groups: flags.list('group'),
      scopes: flags.list('scope'),
    },
    policies,
  );
  if ('fault' in found) return misunderstood(`--provider ${found.fault}`);
  const named = flags.text('operation') ?? 'Chat';
  if (!isOperation(named)) return 2;
  const content = givenQuestion(flags, named, policies, io);
  if ('fault' in content) return misunderstood(content.fault);
  const { caller } = found;
  const { operation, model } = content;
  const request = { caller, operation, model };
  const explanation = explain(policies, request, { revision: 0 });
  const say = (judged: Judged): ExitCode => {
    if (!printValue({ request, ...explanation, content: judged }, flags, io))
      io.stdout(printableRows(explanationText(request, explanation, judged)));
    return (judged.refusal ?? judged.answer?.refusal) === undefined ? 0 : 1;
  };
  const asked = {
    ...request,
    certificate: found.certificate || flags.on('certificate'),
    hosted: flags.on('hosted'),
  };
  const judged = judge(policies, asked, content.request, flags.text('answer'));
  return judged instanceof Promise ? judged.then(say) : say(judged);
}

function run(args: readonly string[], io: CommandIo): ExitCode | Promise<ExitCode> {
  const flags = askedFlags(args, io, {
    usage,
    flags: specs,
    positionals: { name: 'FILE', least: 1, most: 1000 },
    faults: doubleJson,
  });
  if (typeof flags === 'number') return flags;
  const { policies, faults } = readPolicies(flags.positionals, io);
  if (faults.length > 0) {
    io.stderr(`${faults.join('\n')}\n`);
    return 1;
  }
  const fault = (error: unknown): ExitCode => {
    if (!(error instanceof CodedError)) throw error;
    io.stderr(`${error.message}\n`);
    return 1;
  };
  try {
    const code = explainPolicies(policies, flags, io);
    return code instanceof Promise ? code.catch(fault) : code;
  } catch (error) {
    return fault(error);
  }
}

export const policyExplainCommand: Command = {
  name: 'policy explain',
  summary: 'what a caller and a request would meet, rule by rule',
  usage,
  run,
};
