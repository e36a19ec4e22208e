import { describeError } from '../base/index.ts';
import { parseDuration } from '../crd/index.ts';
import type { Command, ExitCode } from './command.ts';
import { askedFlags, noPositionals } from './asked-flags.ts';
import type { Flags } from './flags.ts';
import { freshToken } from './login/fresh-token.ts';
import { LoginError } from './login/login-io.ts';
import { profileFaults } from './login/profile.ts';

const usage = `sidegate token [flags]

Prints the token of a login, renewed where it is about to end, and nothing else: OPENAI_API_KEY=$(kubectl sidegate token)

  --min-life DURATION    how long it must still count; default 1m
  --profile NAME         one of several logins; default "default"
  --help                 this text
`;

const minuteMs = 60_000;

/** Milliseconds; undefined if what was given is no duration. */
function minLifeOf(flags: Flags): number | undefined {
  const given = flags.text('min-life');
  return given === undefined ? minuteMs : parseDuration(given);
}

export const tokenCommand: Command = {
  name: 'token',
  summary: 'print a fresh token of a login',
  usage,
  async run(args, io): Promise<ExitCode> {
    const specs = { 'min-life': { kind: 'text' }, profile: { kind: 'text' } } as const;
    const flags = askedFlags(args, io, {
      usage,
      flags: specs,
      positionals: noPositionals,
      faults: (given) => [
        ...(minLifeOf(given) === undefined ? ['--min-life must be a duration, such as 1m'] : []),
        ...profileFaults(given.text('profile')),
      ],
    });
    if (typeof flags === 'number') return flags;
    try {
      io.stdout(`${await freshToken(io, flags.text('profile') ?? 'default', minLifeOf(flags) ?? minuteMs)}\n`);
      return 0;
    } catch (error) {
      io.stderr(`${error instanceof LoginError ? error.message : describeError(error)}\n`);
      return 1;
    }
  },
};
