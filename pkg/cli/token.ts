import { describeError } from '../base/index.ts';
import { parseDuration } from '../crd/index.ts';
import type { Command, CommandIo, ExitCode } from './command.ts';
import { parseFlags } from './flags.ts';
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
