import { describeError } from '../base/index.ts';
import { PolicyError, canonical, compileSnapshot, credentialFault, leastPod, selects } from '../core/index.ts';
import type { Policy, PolicyNotice } from '../core/index.ts';
import { idlePatterns } from '../detect/index.ts';
import type { Command, CommandIo, ExitCode } from './command.ts';
import { askedFlags } from './asked-flags.ts';
import { answerFlags, doubleJson, jsonFlag, printValue } from './output.ts';
import { readPolicies } from './read-policies.ts';
import { printable } from './terminal-text.ts';

const usage = `sidegate policy validate FILE...

Checks policies as the cluster would: schema, conditions over several fields, patterns, and rules that can never fire.
Every fault is printed with file, line, field and what to do. Notices are printed and do not fail: among them credential
files that the policies name and that are not here or hold none, since the sidecar may have them elsewhere; and what only a cluster reads.

  --local     as a sidecar that runs on its own reads them: Secrets that they name are faults, and \`selector\` is not asked
  -o, --output FORMAT    json or yaml; default words: {"faults": [...], "notices": [...]}
  --json      the same as -o json
  --help      this text

Exit code: 0 all good, 1 faults, 2 not understood.
`;

/** Policies that govern one pod, for each kind of pod: one with no more labels than some policy asks for. */
function byPod(policies: readonly Policy[], namespace: string | undefined): readonly (readonly Policy[])[] {
  const kinds = Map.groupBy(policies, ({ spec }) => canonical([spec.selector, spec.namespaceSelector ?? {}]));
  return [...kinds.values()].map((alike) => {
    const pod = leastPod(alike, namespace);
    // A selector that selects nothing there, as one of another namespace by its name, stands alone.
    return alike.every((policy) => selects(policy, pod)) ? policies.filter((policy) => selects(policy, pod)) : alike;
  });
}

/** What the policies say of each other: once for each namespace, with the platform's policies beside. */
function noticesOf(
  policies: readonly Policy[],
  local: boolean,
): { notices: readonly PolicyNotice[]; faults: readonly string[] } {
  const named = new Set(policies.map((policy) => policy.namespace).filter((name) => name !== undefined));
  const groups = (named.size === 0 ? [undefined] : [...named]).flatMap((name) => {
    const there = policies.filter((policy) => policy.namespace === undefined || policy.namespace === name);
    return local ? [there] : byPod(there, name);
  });
  const notices = new Map<string, PolicyNotice>();
  const faults: string[] = [];
  for (const group of groups) {
    try {
      for (const notice of compileSnapshot(group, { revision: 0 }).notices) {
        notices.set(`${notice.policy} ${notice.field} ${notice.message}`, notice);
      }
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error;
      faults.push(error.message);
    }
  }
  return { notices: [...notices.values()], faults };
}

/** Credential files are the sidecar's, which may run elsewhere: that they are not here is no fault of the policy. Never what they hold. */
function credentialNotices(policies: readonly Policy[], io: CommandIo): readonly PolicyNotice[] {
  return policies.flatMap(({ name, namespace, spec }): PolicyNotice[] => {
    const source = spec.upstream?.credential?.source;
    if (source?.kind !== 'File') return [];
    const why = unusable(source.path, io);
    if (why === undefined) return [];
    const policy = namespace === undefined ? name : `${namespace}/${name}`;
    const message = `${source.path} cannot be used here: ${why}; where the sidecar finds it so, it refuses with credential_unavailable`;
    return [{ policy, field: 'upstream.credential.file', message }];
  });
}

function unusable(path: string, io: CommandIo): string | undefined {
  try {
    return credentialFault(io.readFile(path).replace(/\r?\n$/, ''));
  } catch (error) {
    return describeError(error);
  }
}

function run(args: readonly string[], io: CommandIo): ExitCode {
  const flags = askedFlags(args, io, {
    usage,
    flags: { local: { kind: 'switch' }, ...jsonFlag, ...answerFlags },
    positionals: { name: 'FILE', least: 1, most: 1000 },
    faults: doubleJson,
  });
  if (typeof flags === 'number') return flags;
  const local = flags.on('local');
  const { policies, faults, notices: ofFiles } = readPolicies(flags.positionals, io, !local);
  const combined = faults.length === 0 ? noticesOf(policies, local) : { notices: [], faults: [] };
  const notices = [
    ...combined.notices,
    ...policies.flatMap(idlePatterns),
    ...credentialNotices(policies, io),
    ...ofFiles,
  ];
  const all = [...faults, ...combined.faults];
  if (printValue({ faults: all, notices }, flags, io)) return all.length > 0 ? 1 : 0;
  if (all.length > 0) {
    io.stderr(`${all.join('\n')}\n${all.length} ${all.length === 1 ? 'fault' : 'faults'}\n`);
    return 1;
  }
  for (const { policy, field, message } of notices)
    io.stdout(`${printable(`notice: ${policy}: ${field} ${message}`)}\n`);
  io.stdout(`${policies.length} ${policies.length === 1 ? 'policy is' : 'policies are'} valid\n`);
  return 0;
}

export const policyValidateCommand: Command = {
  name: 'policy validate',
  summary: 'check policy files, with the fix for each fault',
  usage,
  run,
};
