import { describeError } from '../base/index.ts';
import type { Command, CommandIo, ExitCode } from './command.ts';
import { askedFlags, noPositionals } from './asked-flags.ts';
import type { Flags } from './flags.ts';
import { LoginError } from './login/login-io.ts';
import { chosen, discover, loginByBrowser, loginByDevice } from './login/oidc.ts';
import type { OidcClient } from './login/oidc.ts';
import { loginByAssertion, loginBySaml } from './login/saml.ts';
import { endOf, profileFaults, writeProfile } from './login/profile.ts';
import type { TokenKind } from './login/profile.ts';

const usage = `sidegate login --issuer URL --client-id ID [flags]
sidegate login --url URL (--saml NAME | --assertion FILE) [flags]

Logs in, and leaves what sidegate token prints a fresh token from, in a file that only you can read.

OpenID Connect, in the browser (authorization code with PKCE) or with a code (--device):
  --issuer URL           the issuer, as its metadata has it
  --client-id ID         of a public client with the redirect URI http://127.0.0.1/callback
  --client-secret-file FILE   for issuers that ask installed programs for one (Google)
  --device               shows a code to confirm on any device, for terminals without a browser
  --scope TEXT           default "openid offline_access"; the latter is what lets it be renewed
  --audience TEXT        asks for a token for this audience (Okta, Auth0)
  --resource URI         the same by RFC 8707
  --token KIND           access or id: which of the tokens sidecars are shown; default access
  --redirect-host NAME   127.0.0.1 or localhost (Entra ID); default 127.0.0.1

SAML 2.0, in the browser or with an assertion; it cannot be renewed:
  --url URL              the token endpoint's address (tokens.url of the chart)
  --saml NAME            identity provider of the chart's values
  --assertion FILE       assertion or response, XML
  --audience TEXT        default the first of the identity provider's

  --ca FILE              PEM of authorities beside the public ones
  --profile NAME         one of several logins; default "default"
  --help                 this text
`;

const specs = {
  issuer: { kind: 'text' },
  'client-id': { kind: 'text' },
  'client-secret-file': { kind: 'text' },
  device: { kind: 'switch' },
  scope: { kind: 'text' },
  audience: { kind: 'text' },
  resource: { kind: 'text' },
  token: { kind: 'text', choices: ['access', 'id'] },
  'redirect-host': { kind: 'text', choices: ['127.0.0.1', 'localhost'] },
  url: { kind: 'text' },
  saml: { kind: 'text' },
  assertion: { kind: 'text' },
  ca: { kind: 'text' },
  profile: { kind: 'text' },
} as const;

const ofOidc = ['issuer', 'client-id', 'client-secret-file', 'device', 'scope', 'resource', 'token', 'redirect-host'];
const ofSaml = ['url', 'saml', 'assertion'];

const missing = (flags: Flags, names: readonly string[]): readonly string[] =>
  names.filter((name) => !flags.on(name)).map((name) => `--${name} is missing`);

function samlFaults(flags: Flags): readonly string[] {
  return [
    ...ofOidc.filter((name) => flags.on(name)).map((name) => `--${name} is of OpenID Connect, --url of SAML`),
    ...missing(flags, ['url']),
    ...(flags.on('saml') === flags.on('assertion') ? ['--url goes with either --saml or --assertion'] : []),
  ];
}

function oidcFaults(flags: Flags): readonly string[] {
  const given = flags.on('issuer') || flags.on('client-id');
  return [
    ...(given ? [] : ['nothing says where to log in: --issuer and --client-id, or --url with --saml or --assertion']),
    ...(given ? missing(flags, ['issuer', 'client-id']) : []),
    ...(flags.on('device') && flags.on('redirect-host')
      ? ['--redirect-host goes without --device: no browser comes back to this machine']
      : []),
  ];
}

/** No flag is dropped: one that says nothing of the login that the others describe is a mistake. */
function loginFaults(flags: Flags): readonly string[] {
  const addresses = ['issuer', 'url'].filter((name) => flags.on(name) && !URL.canParse(flags.text(name) ?? ''));
  return [
    ...(ofSaml.some((name) => flags.on(name)) ? samlFaults(flags) : oidcFaults(flags)),
    ...addresses.map((name) => `--${name} must be an address: https://…`),
    ...profileFaults(flags.text('profile')),
  ];
}

/** As it was typed, for when it must be done again. */
function commandLine(args: readonly string[]): string {
  const quoted = args.map((word) => (/^[A-Za-z0-9_./:=@-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`));
  return `kubectl sidegate login ${quoted.join(' ')}`;
}

async function byOidc(flags: Flags, io: CommandIo, again: string): Promise<void> {
  const [issuer = '', clientId = ''] = [flags.text('issuer'), flags.text('client-id')];
  const [secretFile, caFile] = [flags.text('client-secret-file'), flags.text('ca')];
  const [audience, resource] = [flags.text('audience'), flags.text('resource')];
  const kind: TokenKind = flags.text('token') === 'id' ? 'id' : 'access';
  const client: OidcClient = {
    issuer,
    clientId,
    clientSecret: secretFile === undefined ? undefined : io.readFile(secretFile).trim(),
    scope: flags.text('scope') ?? 'openid offline_access',
    extra: { ...(audience !== undefined && { audience }), ...(resource !== undefined && { resource }) },
    ca: caFile === undefined ? undefined : io.readFile(caFile),
  };
  const endpoints = await discover(io.login, client);
  const person = {
    redirectHost: flags.text('redirect-host') ?? '127.0.0.1',
    tell: (text: string) => io.stderr(text),
    sleep: (ms: number) => io.sleep(ms),
  };
  const login = flags.on('device') ? loginByDevice : loginByBrowser;
  const given = await login(io.login, client, endpoints, person);
  const token = chosen(given, kind);
  const expiresAt = endOf(token);
  const renewal = given.refresh !== undefined && {
    renewal: {
      issuer,
      tokenEndpoint: endpoints.token,
      clientId,
      kind,
      refreshToken: given.refresh,
      ...(secretFile !== undefined && { clientSecretFile: secretFile }),
      ...(caFile !== undefined && { caFile }),
    },
  };
  writeProfile(io.login, flags.text('profile') ?? 'default', { token, expiresAt, again, ...renewal });
  if (!renewal) io.stderr('The issuer gave nothing to renew the token with: log in again when it ends.\n');
}

/** At the controller's token endpoint. */
async function bySaml(flags: Flags, io: CommandIo, again: string): Promise<void> {
  const [url = '', idp, file, caFile] = ['url', 'saml', 'assertion', 'ca'].map((name) => flags.text(name));
  const endpoint = {
    url: url.replace(/\/$/, ''),
    audience: flags.text('audience'),
    ca: caFile === undefined ? undefined : io.readFile(caFile),
  };
  const person = { redirectHost: '127.0.0.1', tell: (text: string) => io.stderr(text) };
  const token =
    file === undefined
      ? await loginBySaml(io.login, person, endpoint, idp ?? '')
      : await loginByAssertion(io.login, endpoint, io.readFile(file));
  writeProfile(io.login, flags.text('profile') ?? 'default', { token, expiresAt: endOf(token), again });
}

export const loginCommand: Command = {
  name: 'login',
  summary: 'log in, for sidegate token',
  usage,
  async run(args, io): Promise<ExitCode> {
    const flags = askedFlags(args, io, {
      usage,
      flags: specs,
      positionals: noPositionals,
      faults: loginFaults,
    });
    if (typeof flags === 'number') return flags;
    try {
      const name = flags.text('profile') ?? 'default';
      await (flags.text('url') === undefined ? byOidc : bySaml)(flags, io, commandLine(args));
      io.stderr(
        `Logged in. export OPENAI_API_KEY=$(kubectl sidegate token${name === 'default' ? '' : ` --profile ${name}`})\n`,
      );
      return 0;
    } catch (error) {
      io.stderr(`${error instanceof LoginError ? error.message : describeError(error)}\n`);
      return 1;
    }
  },
};
