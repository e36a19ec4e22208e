import { decide } from './decisions.ts';
import type { Choice } from './decisions.ts';
import type { CommandIo, ExitCode } from './command.ts';
import type { FlagSpec, Flags } from './flags.ts';
import { decideInFolder } from './folder-store.ts';
import type { Store } from './folder-store.ts';
import { answerFlags, answerUsage } from './output.ts';
import { freshToken } from './login/fresh-token.ts';
import { profileFaults } from './login/profile.ts';

/** The common part of `approvals approve` and `approvals deny`. */

export const deciderFlags = {
  comment: { kind: 'text' },
  token: { kind: 'text' },
  profile: { kind: 'text' },
  ...answerFlags,
} as const satisfies Readonly<Record<string, FlagSpec>>;

export const deciderUsage = `  --comment TEXT         why; stands in the status of what is decided, and in the controller's own record
  --token FILE           with --dir: the token that proves who decides; default that of a login (sidegate login)
  --profile NAME         with --dir: one of several logins; default "default"
${answerUsage}`;

/** What is wrong with these flags. */
export function deciderFaults(flags: Flags): readonly string[] {
  const proofs = ['token', 'profile'].filter((name) => flags.on(name));
  const target = flags.positionals[0] ?? '';
  if (flags.text('dir') === undefined)
    return proofs.map((name) => `--${name} goes with --dir: a cluster knows who you are by its kubeconfig`);
  return [
    ...(target.startsWith('grant/') ? [`${target}: in a folder, a grant is given by its file`] : []),
    ...(proofs.length > 1 ? ['--token and --profile are one or the other'] : []),
    ...profileFaults(flags.text('profile')),
  ];
}

const minuteMs = 60_000;

/** Decides as the API server's user, or in a folder as whom a token proves. */
export async function decideAt(
  { client, namespace, folder }: Store,
  flags: Flags,
  { decision, breakGlass }: Omit<Choice, 'comment'>,
  io: CommandIo,
): Promise<ExitCode> {
  const target = flags.positionals[0] ?? '';
  const comment = flags.text('comment');
  const [file, profile] = [flags.text('token'), flags.text('profile')];
  if (folder === undefined) return decide({ client, namespace }, target, { decision, comment, breakGlass }, flags, io);
  const token = file === undefined ? await freshToken(io, profile ?? 'default', minuteMs) : io.readFile(file).trim();
  return decideInFolder(folder, target.replace(/^approval\//, ''), { decision, comment, breakGlass, token }, flags, io);
}
