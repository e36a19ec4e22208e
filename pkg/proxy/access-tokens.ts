import { createHash, randomInt } from 'node:crypto';
import { Secret, describeError } from '../base/index.ts';
import type { Clock, Logger, Timer } from '../base/index.ts';
import { credentialFault } from '../core/index.ts';
import type { CredentialUse } from '../core/index.ts';
import { createUpstream } from '../http/index.ts';
import type { ProxyAddress, UpstreamOptions } from '../http/index.ts';

/**
 * Tokens that a token endpoint gives for a client's secret (RFC 6749 section 4.4). Each is fetched anew after three to four fifths of its
 * time, so that many sidecars do not ask at once, or when the model refuses it; one that has ended is not given, and requests that need it are refused.
 * Neither secret nor token is in a log line or an error.
 */
export interface AccessTokens {
  /** The one in force; undefined: there is none yet, or none any more. Being asked keeps it fresh. */
  read(use: OAuthUse, clientSecret: string, proxy?: ProxyAddress): string | undefined;
  /** The model took it for none: another is asked for, at most once in 30 s, and it stays in force until that is there. */
  refused(token: string): void;
  close(): void;
}

export type OAuthUse = Extract<CredentialUse, { readonly kind: 'OAuth' }>;

export interface GivenToken {
  readonly token: string;
  /** Seconds; undefined: the endpoint did not say. */
  readonly expiresIn: number | undefined;
}

type AskForToken = (use: OAuthUse, clientSecret: string, proxy: ProxyAddress | undefined) => Promise<GivenToken>;

export interface AccessTokensOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Asks the token endpoint; default over HTTP. */
  readonly ask?: AskForToken;
  /** From 0 to below 1; default: evenly. */
  readonly random?: () => number;
}

/** Taken for a token whose time nobody said. */
const unsaidSeconds = 300;
const longestSeconds = 86_400;
/** Who is not asked for so long is not kept fresh. */
const idleMs = 60_000;
const firstRetryMs = 1_000;
const lastRetryMs = 30_000;
/** However short a token lasts, and however often it is refused, the endpoint is not asked more often. */
const leastRefreshMs = 5_000;
const leastRefusalMs = 30_000;
/** A policy has one; its predecessors are still read while their requests last. */
const mostEntries = 8;

interface Entry {
  readonly use: OAuthUse;
  readonly secret: Secret;
  readonly proxy: ProxyAddress | undefined;
  token: Secret | undefined;
  /** By the monotonic clock. */
  endsAt: number;
  readAt: number;
  failures: number;
  asking: boolean;
  /** When it was last fetched because it was refused. */
  refusedAt: number;
  timer: Timer | undefined;
}

const evenly = (): number => randomInt(1_000) / 1_000;

export function createAccessTokens(options: AccessTokensOptions): AccessTokens {
  const { clock, logger, ask = askOverHttp(clock, logger), random = evenly } = options;
  const entries = new Map<string, Entry>();
  let closed = false;

  const drop = (key: string, entry: Entry): void => {
    entry.timer?.cancel();
    if (entries.get(key) === entry) entries.delete(key);
  };
  const fetchToken = async (key: string, entry: Entry): Promise<void> => {
    const from = clock.monotonic();
    let again: number;
    entry.asking = true;
    try {
      const { token, expiresIn } = await ask(entry.use, entry.secret.reveal(), entry.proxy);
      const fault = credentialFault(token);
      if (fault !== undefined) throw new TokenFault(`the token cannot be sent: ${fault}`);
      const seconds = Math.min(longestSeconds, Math.max(1, expiresIn ?? unsaidSeconds));
      entry.token = new Secret(token);
      // From before it was asked for: it may have been made as early as that.
      entry.endsAt = from + seconds * 1_000;
      entry.failures = 0;
      again = Math.max(leastRefreshMs, seconds * (600 + 200 * random()));
    } catch (error) {
      again = Math.min(lastRetryMs, firstRetryMs * 2 ** Math.min(10, entry.failures++));
      logger.error('no token for the model', { tokenUrl: entry.use.tokenUrl, fault: faultOf(error) });
    }
    entry.asking = false;
    if (closed || entries.get(key) !== entry) return;
    entry.timer = clock.after(again, () => {
      if (clock.monotonic() - entry.readAt > idleMs) return drop(key, entry);
      void fetchToken(key, entry);
    });
  };

  return {
    read(use, clientSecret, proxy) {
      const digest = createHash('sha256').update(clientSecret).digest('base64');
      const { tokenUrl, clientId, scopes, audience = '' } = use;
      const key = JSON.stringify([tokenUrl, clientId, scopes, audience, digest, proxy]);
      let entry = entries.get(key);
      if (entry === undefined) {
        const now = clock.monotonic();
        entry = {
          use,
          secret: new Secret(clientSecret),
          proxy,
          token: undefined,
          endsAt: 0,
          readAt: now,
          failures: 0,
          asking: false,
          refusedAt: Number.NEGATIVE_INFINITY,
          timer: undefined,
        };
        for (const [oldest, one] of entries) {
          if (entries.size < mostEntries) break;
          drop(oldest, one);
        }
        entries.set(key, entry);
        void fetchToken(key, entry);
      }
      entry.readAt = clock.monotonic();
      return entry.readAt < entry.endsAt ? entry.token?.reveal() : undefined;
    },
    refused(token) {
      const now = clock.monotonic();
      for (const [key, entry] of entries) {
        if (entry.asking || entry.token?.reveal() !== token || now - entry.refusedAt < leastRefusalMs) continue;
        entry.refusedAt = now;
        entry.timer?.cancel();
        logger.warn('the model refused its token', { tokenUrl: entry.use.tokenUrl });
        void fetchToken(key, entry);
      }
    },
    close() {
      closed = true;
      for (const { timer } of entries.values()) timer?.cancel();
      entries.clear();
    },
  };
}

class TokenFault extends Error {}

/** RFC 6749 section 5.2 */
const refusals: ReadonlySet<unknown> = new Set([
  'invalid_request',
  'invalid_client',
  'invalid_grant',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
]);

/** What the endpoint does not like, by its code; nothing else of its answer is told: a secret may be echoed there. */
function faultOf(error: unknown): string {
  if (error instanceof TokenFault) return error.message;
  const { error: code } = error as { readonly error?: unknown };
  if (code === undefined) return describeError(error);
  return refusals.has(code) ? String(code) : 'the endpoint refused, and not by a code of OAuth';
}

const askMs = 10_000;
const mostBytes = 65_536;

function askOverHttp(clock: Clock, logger: Logger): AskForToken {
  return async ({ tokenUrl, clientId, scopes, audience }, clientSecret, proxy) => {
    // Only where a policy wants it: no other sidecar pays for it.
    const oauth = await import('oauth4webapi');
    const parameters = new URLSearchParams();
    if (scopes.length > 0) parameters.set('scope', scopes.join(' '));
    if (audience !== undefined) parameters.set('audience', audience);
    const server = { issuer: new URL(tokenUrl).origin, token_endpoint: tokenUrl };
    const client = { client_id: clientId };
    const response = await oauth.clientCredentialsGrantRequest(
      server,
      client,
      oauth.ClientSecretBasic(clientSecret),
      parameters,
      {
        [oauth.customFetch]: (url: string, { method, headers, body }) =>
          post(url, { method, headers, body: String(body) }, { proxy, clock, logger }),
        [oauth.allowInsecureRequests]: tokenUrl.startsWith('http:'),
      },
    );
    const given = await oauth.processClientCredentialsResponse(server, client, response);
    if (given.token_type !== 'bearer') throw new TokenFault('the token is no bearer token');
    return { token: given.access_token, expiresIn: given.expires_in };
  };
}

interface Posted {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** One request to the endpoint. No redirect is followed: the secret goes nowhere else. */
function post(
  url: string,
  { method, headers, body }: Posted,
  { proxy, clock, logger }: Pick<UpstreamOptions, 'proxy' | 'clock' | 'logger'>,
): Promise<Response> {
  const { origin, pathname, search } = new URL(url);
  const upstream = createUpstream({ url: origin, proxy, clock, logger });
  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  const parts: Buffer[] = [];
  let size = 0;
  let status = 0;
  let type = '';
  const call = upstream.send(
    { method, path: pathname + search, headers: { ...headers }, body: Buffer.from(body), idleMs: askMs },
    {
      head(code, fields) {
        status = code;
        type = String(fields['content-type'] ?? '');
      },
      data(chunk) {
        parts.push(chunk);
        size += chunk.length;
        if (size > mostBytes) fail('the answer is too long');
      },
      end: () => resolve(new Response(Buffer.concat(parts), { status, headers: { 'content-type': type } })),
      error: (error) => reject(error),
    },
  );
  const fail = (what: string): void => {
    call.abort();
    reject(new TokenFault(what));
  };
  const timer = clock.after(askMs, () => fail('no whole answer in time'));
  return promise.finally(() => {
    timer.cancel();
    upstream.close();
  });
}
