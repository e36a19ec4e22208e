import { describeError } from '../base/index.ts';
import { parseDuration } from '../crd/index.ts';
import type { Command, CommandIo, ExitCode } from './command.ts';
import { askedFlags, noPositionals } from './asked-flags.ts';
import type { Flags } from './flags.ts';
import { LoginError } from './login/login-io.ts';
import { askForTokens, chosen } from './login/oidc.ts';
import { endOf, profilePath, readProfile, writeProfile } from './login/profile.ts';
import type { Profile } from './login/profile.ts';

const usage = `sidegate token [flags]

Prints the token of a login, renewed where it is about to end, and nothing else: OPENAI_API_KEY=$(kubectl sidegate token)

  --min-life DURATION    how long it must still count; default 1m
  --profile NAME         one of several logins; default "default"
  --help                 this text
`;

const minuteMs = 60_000;

/** The one who comes second finds what the first has renewed: an issuer takes a refresh token once. */
async function freshToken(io: CommandIo, name: string, minLifeMs: number): Promise<string> {
  const lives = (profile: Profile): boolean => profile.expiresAt - io.now() > minLifeMs;
  const found = readProfile(io.login, name);
  if (lives(found)) return found.token;
  return await io.login.alone(profilePath(io.login, name), async () => {
    const profile = readProfile(io.login, name);
    if (lives(profile)) return profile.token;
    const { renewal, again } = profile;
    if (renewal === undefined) throw new LoginError(`the token has ended and cannot be renewed: ${again}`);
    const { clientSecretFile, caFile, clientId, tokenEndpoint, kind, refreshToken } = renewal;
    const clientSecret = clientSecretFile === undefined ? undefined : io.readFile(clientSecretFile).trim();
    const ca = caFile === undefined ? undefined : io.readFile(caFile);
    try {
      const given = await askForTokens(
        io.login,
        { endpoint: tokenEndpoint, ca },
        { clientId, clientSecret },
        { grant_type: 'refresh_token', refresh_token: refreshToken },
      );
      const token = chosen(given, kind);
      const renewed = { ...renewal, refreshToken: given.refresh ?? refreshToken };
      writeProfile(io.login, name, { token, expiresAt: endOf(token), again, renewal: renewed });
      return token;
    } catch (error) {
      if (!(error instanceof LoginError)) throw error;
      throw new LoginError(`${error.message}\nLog in again: ${again}`);
    }
  });
}

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
      faults: (given) => (minLifeOf(given) === undefined ? ['--min-life must be a duration, such as 1m'] : []),
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
