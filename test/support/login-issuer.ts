import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { default as Provider } from 'oidc-provider';

/** A real OpenID provider (the `oidc-provider` package) where people log in: whoever types a name is that person. */
export interface LoginIssuer {
  readonly url: string;
  readonly clientId: string;
  /** Requests to the token endpoint. */
  readonly tokenRequests: number;
  /** Refresh tokens that were taken back (RFC 7009). */
  readonly takenBack: number;
  close(): Promise<void>;
}

const resource = 'urn:sidegate:inference';
export const clientId = 'sidegate-cli';

const page = (at: { body: string }, form: string): void => void (at.body = form);

export async function startLoginIssuer(options: {
  /** Of access tokens and ID tokens, seconds. */
  readonly seconds: number;
  /** Access tokens that are no JWTs. */
  readonly opaque?: boolean;
  /** Clients that are web applications; without a secret, public ones. */
  readonly web?: readonly { readonly id: string; readonly secret?: string; readonly redirect: string }[];
  /** Claim `groups` of a person; default `ml-eng`. It stands in ID tokens too. */
  readonly groupsOf?: (user: string) => readonly string[];
  /** Whether a login can be renewed; default so. */
  readonly renewed?: (user: string) => boolean;
}): Promise<LoginIssuer> {
  const { groupsOf = () => ['ml-eng'], renewed = () => true, web = [] } = options;
  const { warn, info } = console;
  let [tokenRequests, takenBack] = [0, 0];
  let answer: RequestListener = () => undefined;
  const server = createServer((request, response) => {
    if (request.url === '/token') tokenRequests++;
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = { ...privateKey.export({ format: 'jwk' }), kid: 'login-1', alg: 'ES256', use: 'sig' };
  // The package warns of what only a test does: forms that ask for no password.
  console.warn = console.info = () => undefined;
  try {
    const Package: typeof Provider = (await import('oidc-provider')).default;
    const provider = new Package(url, {
      jwks: { keys: [key] },
      clients: [
        {
          client_id: clientId,
          application_type: 'native',
          token_endpoint_auth_method: 'none',
          redirect_uris: ['http://127.0.0.1/callback'],
          grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
          response_types: ['code'],
          id_token_signed_response_alg: 'ES256',
        },
        ...web.map(({ id, secret, redirect }) => ({
          client_id: id,
          application_type: 'web',
          token_endpoint_auth_method: secret === undefined ? 'none' : 'client_secret_basic',
          ...(secret !== undefined && { client_secret: secret }),
          redirect_uris: [redirect],
          grant_types: ['authorization_code', 'refresh_token'],
          response_types: ['code'],
          id_token_signed_response_alg: 'ES256',
        })),
      ],
      claims: { openid: ['sub', 'groups'], profile: ['name'], email: ['email'] },
      // What the scopes are about stands in ID tokens, as at most issuers.
      conformIdTokenClaims: false,
      cookies: { keys: ['test'] },
      enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
      issueRefreshToken: (_: unknown, __: unknown, { accountId }: { accountId: string }) =>
        Promise.resolve(renewed(accountId)),
      rotateRefreshToken: true,
      findAccount: (_: unknown, id: string) => ({
        accountId: id,
        claims: () => ({ sub: id, groups: groupsOf(id), name: `${id} of the issuer` }),
      }),
      extraTokenClaims: (_: unknown, { accountId }: { accountId: string }) => ({ groups: groupsOf(accountId) }),
      features: {
        devInteractions: { enabled: true },
        revocation: { enabled: true, allowedPolicy: () => true },
        deviceFlow: {
          enabled: true,
          userCodeInputSource: page,
          userCodeConfirmSource: page,
          successSource: (at: { body: string }) => void (at.body = 'done'),
        },
        resourceIndicators: {
          enabled: true,
          defaultResource: () => resource,
          useGrantedResource: () => true,
          getResourceServerInfo: () => ({
            audience: 'inference',
            scope: 'chat',
            accessTokenFormat: options.opaque === true ? 'opaque' : 'jwt',
            accessTokenTTL: options.seconds,
            jwt: { sign: { alg: 'ES256', kid: 'login-1' } },
          }),
        },
      },
      ttl: {
        AccessToken: options.seconds,
        IdToken: options.seconds,
        RefreshToken: 3_600,
        AuthorizationCode: 60,
        DeviceCode: 300,
        Interaction: 300,
        Session: 300,
        Grant: 3_600,
      },
    });
    provider.on('refresh_token.destroyed', () => takenBack++);
    answer = provider.callback();
  } finally {
    Object.assign(console, { warn, info });
  }
  return {
    url,
    clientId,
    get tokenRequests() {
      return tokenRequests;
    },
    get takenBack() {
      return takenBack;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
