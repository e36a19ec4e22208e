import { PolicyError, compileSnapshot, explain, operations } from '../core/index.ts';
import type { Identity, Operation, Policy, Profile } from '../core/index.ts';
import type { Command, CommandIo, ExitCode } from './command.ts';
import { explanationText } from './explanation-text.ts';
import { parseFlags } from './flags.ts';
import type { Flags } from './flags.ts';
import { readPolicies } from './read-policies.ts';

const usage = `sidegate policy explain FILE... [flags]

Says rule by rule what a caller's request would meet: access, guards, what is masked, limits, and whose each value is.

  --user NAME        the caller's subject; without --user, --group, --scope and --provider nobody is proven
  --group NAME       a group of the caller; may be repeated
  --scope NAME       a scope of the caller's token; may be repeated
  --provider NAME    who proved the caller: its name, or NAMESPACE/POLICY/NAME; needed where policies have several
  --operation NAME   ${operations.join(', ')} (default Chat)
  --model NAME       the model that the request names
  --profile NAME     as if the policies had this profile: Strict, Standard or Relaxed
  --json             print the explanation as JSON
  --help             this text

Exit code: 0 the request is allowed, 1 it is denied or the policies have faults, 2 not understood.
`;

const specs = {
  user: { kind: 'text' },
  group: { kind: 'list' },
  scope: { kind: 'list' },
  provider: { kind: 'text' },
  operation: { kind: 'text', choices: operations },
  model: { kind: 'text' },
  profile: { kind: 'text', choices: ['Strict', 'Standard', 'Relaxed'] },
  json: { kind: 'switch' },
} as const;

interface KnownProvider {
  readonly id: string;
  readonly name: string;
  readonly issuer: string;
}

/** Those that stay when the policies are combined: only they prove callers. */
function knownProviders(policies: readonly Policy[]): readonly KnownProvider[] {
  return compileSnapshot(policies, { revision: 0 }).providers.map(({ id, oidc, serviceAccount, sidegate }) => ({
    id,
    name: id.slice(id.lastIndexOf('/') + 1),
    issuer: oidc?.issuer ?? serviceAccount?.issuer ?? sidegate?.issuer ?? '',
  }));
}

/** The caller that the flags describe, or what is missing to know who that is. */
function callerOf(
  flags: Flags,
  policies: readonly Policy[],
): { readonly caller: Identity | undefined } | { readonly fault: string } {
  const user = flags.text('user');
  const wanted = flags.text('provider');
  const groups = flags.list('group');
  const scopes = flags.list('scope');
  if (user === undefined && wanted === undefined && groups.length === 0 && scopes.length === 0)
    return { caller: undefined };
  const known = knownProviders(policies);
  const fitting = known.filter((one) => wanted === undefined || one.name === wanted || one.id === wanted);
  const [provider] = fitting;
  const list = known.length === 0 ? 'the policies declare none' : known.map((one) => one.id).join(', ');
  if (provider === undefined) return { fault: `--provider: nobody proves callers by that name (${list})` };
  if (fitting.length > 1) return { fault: `--provider must say which one: ${fitting.map((one) => one.id).join(', ')}` };
  return {
    caller: {
      provider: provider.id,
      issuer: provider.issuer,
      subject: user ?? 'somebody',
      groups,
      scopes,
      expiresAt: undefined,
      kubernetesUser: undefined,
    },
  };
}

function isOperation(text: string): text is Operation {
  return operations.some((operation) => operation === text);
}

function isProfile(text: string | undefined): text is Profile {
  return text === 'Strict' || text === 'Standard' || text === 'Relaxed';
}

/** @throws PolicyError */
function explainPolicies(policies: readonly Policy[], flags: Flags, io: CommandIo): ExitCode {
  const found = callerOf(flags, policies);
  if ('fault' in found) {
    io.stderr(`${found.fault}\n`);
    return 2;
  }
  const operation = flags.text('operation') ?? 'Chat';
  if (!isOperation(operation)) return 2;
  const profile = flags.text('profile');
  const request = { caller: found.caller, operation, model: flags.text('model') };
  const explanation = explain(policies, request, { revision: 0, ...(isProfile(profile) ? { profile } : {}) });
  const text = flags.on('json')
    ? `${JSON.stringify({ request, ...explanation }, undefined, 2)}\n`
    : explanationText(request, explanation);
  io.stdout(text);
  return explanation.decision.kind === 'allow' ? 0 : 1;
}

function run(args: readonly string[], io: CommandIo): ExitCode {
  const parsed = parseFlags(args, specs, { name: 'FILE', least: 1, most: 1000 });
  if ('help' in parsed) {
    io.stdout(usage);
    return 0;
  }
  if ('faults' in parsed) {
    io.stderr(`${parsed.faults.join('\n')}\n\n${usage}`);
    return 2;
  }
  const { policies, faults } = readPolicies(parsed.flags.positionals, io);
  if (faults.length > 0) {
    io.stderr(`${faults.join('\n')}\n`);
    return 1;
  }
  try {
    return explainPolicies(policies, parsed.flags, io);
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    io.stderr(`${error.message}\n`);
    return 1;
  }
}

export const policyExplainCommand: Command = {
  name: 'policy explain',
  summary: 'what a caller and a request would meet, rule by rule',
  usage,
  run,
};
