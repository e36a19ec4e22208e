import { describeError } from '../base/index.ts';
import { parseDuration } from '../crd/index.ts';
import type { Command, ExitCode } from './command.ts';
import { parseFlags } from './flags.ts';
import { freshToken } from './login/fresh-token.ts';
import { LoginError } from './login/login-io.ts';

const usage = `sidegate token [flags]

Prints the token of a login, renewed where it is about to end, and nothing else: OPENAI_API_KEY=$(kubectl sidegate token)

  --min-life DURATION    how long it must still count; default 1m
  --profile NAME         one of several logins; default "default"
  --help                 this text
`;

const minuteMs = 60_000;

export const tokenCommand: Command = {
  name: 'token',
  summary: 'print a fresh token of a login',
  usage,
  async run(args, io): Promise<ExitCode> {
    const specs = { 'min-life': { kind: 'text' }, profile: { kind: 'text' } } as const;
    const parsed = parseFlags(args, specs, { name: 'nothing', least: 0, most: 0 });
    if ('help' in parsed) {
      io.stdout(usage);
      return 0;
    }
    const wanted = 'flags' in parsed ? parsed.flags.text('min-life') : undefined;
    const minLifeMs = wanted === undefined ? minuteMs : parseDuration(wanted);
    if ('faults' in parsed || minLifeMs === undefined) {
      const faults = 'faults' in parsed ? parsed.faults : ['--min-life must be a duration, such as 1m'];
      io.stderr(`${faults.join('\n')}\n\n${usage}`);
      return 2;
    }
    try {
      io.stdout(`${await freshToken(io, parsed.flags.text('profile') ?? 'default', minLifeMs)}\n`);
      return 0;
    } catch (error) {
      io.stderr(`${error instanceof LoginError ? error.message : describeError(error)}\n`);
      return 1;
    }
  },
};
