import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { default as Provider, AccessToken, ResourceServerInfo } from 'oidc-provider';

/**
 * A real OpenID provider (the `oidc-provider` package) on loopback: for integration tests, the demo and the bench.
 * Each user is a client of the client-credentials grant, so that curl can get a token as any machine would:
 *
 *     curl -s -u ana:ana -d grant_type=client_credentials http://127.0.0.1:PORT/token
 */
export interface Issuer {
  /** The issuer's name and address, `http://127.0.0.1:PORT`, with `tls` `https://localhost:PORT`. */
  readonly url: string;
  readonly jwksUri: string;
  /** Mints an access token, in process. */
  token(options?: TokenOptions): Promise<string>;
  /** Gets one over HTTP, as a user of `users` would. */
  fetchToken(user: string): Promise<string>;
  /** Signs with a new key from now on. Old keys stay published unless `keepOld` is false. */
  rotateKeys(options?: { readonly keepOld?: boolean }): void;
  /** Refuses connections on its port until `resume`. */
  stop(): Promise<void>;
  resume(): Promise<void>;
  close(): Promise<void>;
  /** How often each document was asked for. */
  readonly requests: { discovery: number; keys: number; token: number };
}

export interface IssuerOptions {
  /** Default: any free one. */
  readonly port?: number;
  /** Audience of tokens that name none; default `inference`. */
  readonly audience?: string;
  readonly users?: readonly IssuerUser[];
  /** Serves TLS, as `https://localhost:PORT`. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Default ES256. */
  readonly algorithm?: 'ES256' | 'RS256' | 'EdDSA';
}

export interface IssuerUser {
  /** Also the password at the token endpoint. */
  readonly name: string;
  readonly groups: readonly string[];
}

export interface TokenOptions {
  /** Default `ana`. */
  readonly sub?: string;
  readonly groups?: readonly string[];
  readonly aud?: string | readonly string[];
  /** Space-separated. */
  readonly scope?: string;
  /** Seconds from now; negative: expired already. Default 3,600. */
  readonly expiresIn?: number;
  /** Put over all others. `undefined` removes one. */
  readonly claims?: Readonly<Record<string, unknown>>;
}

const resource = 'urn:sidegate:inference';
/** In-process tokens are minted through this client. */
const mint = 'issuer-mint';
const defaultSeconds = 3_600;

interface PublishedKey {
  readonly kid: string;
  readonly [member: string]: unknown;
}

export async function startIssuer(options: IssuerOptions = {}): Promise<Issuer> {
  const Package = await quietImport();
  const algorithm = options.algorithm ?? 'ES256';
  const audience = options.audience ?? 'inference';
  const requests = { discovery: 0, keys: 0, token: 0 };
  let keys: readonly PublishedKey[] = [newKey(algorithm, 1)];
  let made = 1;

  const answer: RequestListener = (request, response) => {
    if (request.url === '/jwks') requests.keys++;
    else if (request.url === '/token') requests.token++;
    else if (request.url?.startsWith('/.well-known/')) requests.discovery++;
    provider.callback()(request, response);
  };
  const server = options.tls === undefined ? createServer(answer) : createTlsServer(options.tls, answer);
  const port = await listen(server, options.port ?? 0);
  const url = options.tls === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`;
  const settings = { url, audience, algorithm, users: options.users ?? [] };
  let provider = createProvider(Package, settings, keys);

  return {
    url,
    jwksUri: `${url}/jwks`,
    requests,
    async token(asked = {}) {
      const client = await provider.Client.find(mint);
      if (client === undefined) throw new Error('the minting client is gone');
      const resourceServer = new provider.ResourceServer(resource, resourceInfo(settings, asked.scope));
      const token = new provider.ClientCredentials({ client, resourceServer, scope: asked.scope });
      const now = Math.floor(Date.now() / 1_000);
      const seconds = asked.expiresIn ?? defaultSeconds;
      minted.set(token, {
        sub: asked.sub ?? 'ana',
        groups: asked.groups ?? [],
        aud: asked.aud ?? audience,
        iat: now + Math.min(0, seconds - 1),
        exp: now + seconds,
        ...asked.claims,
      });
      return await token.save();
    },
    async fetchToken(user) {
      const answer = await fetch(`${url}/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${Buffer.from(`${user}:${user}`).toString('base64')}` },
        body: new URLSearchParams({ grant_type: 'client_credentials' }),
      });
      const body = (await answer.json()) as { access_token?: string; error?: string };
      if (body.access_token === undefined) throw new Error(`no token for ${user}: ${body.error ?? answer.status}`);
      return body.access_token;
    },
    rotateKeys({ keepOld = true } = {}) {
      keys = [newKey(algorithm, ++made), ...(keepOld ? keys : [])];
      provider = createProvider(Package, settings, keys);
    },
    stop: () => shut(server),
    resume: async () => void (await listen(server, port)),
    close: () => (server.listening ? shut(server) : Promise.resolve()),
  };
}

/** The package warns on every Node that is not a long-term release; it works, and the line would stand in the demo. */
async function quietImport(): Promise<typeof Provider> {
  const { warn } = console;
  console.warn = () => undefined;
  try {
    return (await import('oidc-provider')).default;
  } finally {
    console.warn = warn;
  }
}

interface Settings {
  readonly url: string;
  readonly audience: string;
  readonly algorithm: string;
  readonly users: readonly IssuerUser[];
}

/** Claims of tokens that are minted in process, in place of what the package would say. */
const minted = new WeakMap<AccessToken, Readonly<Record<string, unknown>>>();

function createProvider(Package: typeof Provider, settings: Settings, keys: readonly PublishedKey[]): Provider {
  const { users, url, algorithm } = settings;
  const [{ kid }] = keys as readonly [PublishedKey];
  const groups = new Map(users.map((user) => [user.name, user.groups]));
  const client = (id: string): object => ({
    client_id: id,
    client_secret: id,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    id_token_signed_response_alg: algorithm,
  });
  const sign = { alg: algorithm, kid };
  return new Package(url, {
    adapter: MemoryAdapter,
    jwks: { keys },
    clients: [mint, ...groups.keys()].map(client),
    scopes: ['chat', 'embeddings'],
    enabledJWA: { idTokenSigningAlgValues: [algorithm] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        getResourceServerInfo: () => ({ ...resourceInfo(settings, undefined), jwt: { sign } }),
      },
    },
    extraTokenClaims: (_: unknown, token: AccessToken) => ({ groups: groups.get(token.clientId) ?? [] }),
    formats: {
      customizers: {
        jwt(_: unknown, token: AccessToken, jwt: { payload: Record<string, unknown> }) {
          Object.assign(jwt.payload, minted.get(token));
        },
      },
    },
    ttl: { ClientCredentials: defaultSeconds },
  });
}

function resourceInfo(settings: Settings, scope: string | undefined): ResourceServerInfo {
  return {
    audience: settings.audience,
    scope: scope ?? 'chat embeddings',
    accessTokenFormat: 'jwt',
    accessTokenTTL: defaultSeconds,
    jwt: { sign: { alg: settings.algorithm } },
  };
}

/** Nothing here outlives its answer: tokens are JWTs, and no session is ever made. */
class MemoryAdapter {
  upsert(): Promise<void> {
    return Promise.resolve();
  }
  find(): Promise<undefined> {
    return Promise.resolve(undefined);
  }
  findByUid(): Promise<undefined> {
    return Promise.resolve(undefined);
  }
  findByUserCode(): Promise<undefined> {
    return Promise.resolve(undefined);
  }
  consume(): Promise<void> {
    return Promise.resolve();
  }
  destroy(): Promise<void> {
    return Promise.resolve();
  }
  revokeByGrantId(): Promise<void> {
    return Promise.resolve();
  }
}

function newKey(algorithm: string, number: number): PublishedKey {
  const { privateKey } =
    algorithm === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2_048 })
      : algorithm === 'ES256'
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
        : generateKeyPairSync('ed25519');
  return { ...privateKey.export({ format: 'jwk' }), kid: `key-${number}`, alg: algorithm, use: 'sig' };
}

async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
  return (server.address() as AddressInfo).port;
}

async function shut(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
