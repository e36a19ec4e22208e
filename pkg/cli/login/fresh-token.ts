import type { CommandIo } from '../command.ts';
import { LoginError } from './login-io.ts';
import { askForTokens, chosen } from './oidc.ts';
import { endOf, profilePath, readProfile, writeProfile } from './profile.ts';
import type { Profile } from './profile.ts';

/**
 * The token of a login, renewed where it counts for less than this. The one who comes second finds what the first has renewed: an issuer takes a refresh token once.
 *
 * @throws LoginError, or as node:fs
 */
export async function freshToken(io: CommandIo, name: string, minLifeMs: number): Promise<string> {
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
