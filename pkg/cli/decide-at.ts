import { decide } from './decisions.ts';
import type { Choice } from './decisions.ts';
import type { CommandIo, ExitCode } from './command.ts';
import type { FlagSpec, Flags } from './flags.ts';
import { decideInFolder } from './folder-store.ts';
import type { Store } from './folder-store.ts';
import { freshToken } from './login/fresh-token.ts';

/** The common part of `approvals approve` and `approvals deny`. */

export const deciderFlags = {
  comment: { kind: 'text' },
  token: { kind: 'text' },
  profile: { kind: 'text' },
} as const satisfies Readonly<Record<string, FlagSpec>>;

export const deciderUsage = `  --comment TEXT         why; stands in the status of what is decided, not in the record
  --token FILE           with --dir: the token that proves who decides; default that of a login (sidegate login)
  --profile NAME         with --dir: one of several logins; default "default"
`;

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
  const misunderstood = (fault: string): ExitCode => {
    io.stderr(`${fault}\n`);
    return 2;
  };
  if (folder === undefined) {
    if (file !== undefined || profile !== undefined)
      return misunderstood('--token and --profile go with --dir: a cluster knows who you are by its kubeconfig');
    return decide({ client, namespace }, target, { decision, comment, breakGlass }, io);
  }
  if (target.startsWith('grant/')) return misunderstood(`${target}: in a folder, a grant is given by its file`);
  if (file !== undefined && profile !== undefined) return misunderstood('--token and --profile are one or the other');
  const token = file === undefined ? await freshToken(io, profile ?? 'default', minuteMs) : io.readFile(file).trim();
  return decideInFolder(folder, target.replace(/^approval\//, ''), { decision, comment, breakGlass, token }, io);
}
