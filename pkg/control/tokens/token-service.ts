import type { Clock, Logger } from '../../base/index.ts';
import { openSamlVerifier } from '../../identity/index.ts';
import type { HttpGet, SamlIdp } from '../../identity/index.ts';
import type { KubeClient } from '../../kube/index.ts';
import { createUnproven } from '../decisions/index.ts';
import type { Routes } from '../decisions/index.ts';
import type { GivenNote } from '../record/index.ts';
import { createBrowserLogin } from './browser-login.ts';
import { createLoginCodes } from './login-codes.ts';
import type { Revocations } from './revocations.ts';
import { createTokenExchange } from './token-exchange.ts';
import { createTokenGiver } from './token-giver.ts';
import type { TokenIssuerKeys } from './token-issuer.ts';
import { startTokenKeyKeeper } from './token-key-keeper.ts';
import { createTokenRoutes } from './token-routes.ts';
import { createTwoClocks } from '../two-clocks.ts';
import type { TwoClocks } from '../two-clocks.ts';
import { createUsedAssertions } from './used-assertions.ts';

/** All that gives tokens: what follows identity providers, the keys, the endpoint. */
export interface TokenService {
  readonly routes: Routes;
  /**
   * Resolves when the keys are known, at the latest after 10 s: a sidecar that comes back must not be sent a policy without the keys
   * that it has.
   */
  readonly settled: Promise<void>;
  /** This replica leads from now on. */
  lead(): void;
  /** Of the leader: forgets assertions that prove nothing any more. Never rejects. */
  sweep(): Promise<void>;
  close(): Promise<void>;
}

export interface TokenServiceOptions {
  readonly url: string;
  readonly lifeMs: number;
  readonly idps: readonly (SamlIdp & { readonly audiences: readonly string[] })[];
  readonly client: Pick<KubeClient, 'find' | 'create' | 'replace' | 'patch' | 'page' | 'delete'>;
  readonly clock: Clock;
  /** By which a used assertion proves nothing any more; default this machine's alone. */
  readonly clocks?: Pick<TwoClocks, 'earliest' | 'latest'>;
  readonly logger: Logger;
  /** Of Sidegate itself. */
  readonly namespace: string;
  readonly revocations: Pick<Revocations, 'revokes'>;
  readonly leading: () => boolean;
  readonly get: HttpGet;
  /** Program of the thread that proves signatures; default its source. */
  readonly thread?: URL | undefined;
  readonly onGiven: (note: GivenNote) => void;
  /** Called with what sidecars must know of these tokens, at first and when it has changed. */
  readonly onKeys: (keys: TokenIssuerKeys) => void;
}

/** Of a replica: what is read of a large document costs 20 ms of the thread that policies go out by. */
export const assertionRates = { network: [1, 20], all: [10, 50], doubtful: [2, 10] } as const;
/** Keys that cannot be read must not keep other policies from being served. */
const settleMs = 10_000;

export async function startTokenService(options: TokenServiceOptions): Promise<TokenService> {
  const { url, lifeMs, idps, client, clock, logger, namespace, revocations, leading, get } = options;
  const { clocks = createTwoClocks(clock) } = options;
  const names = idps.map(({ name }) => name);
  const { promise: settled, resolve: settle } = Promise.withResolvers<void>();
  const patience = clock.after(settleMs, settle);
  const keeper = startTokenKeyKeeper({
    client,
    clock,
    logger,
    namespace,
    leading,
    onChange(keys) {
      options.onKeys({ url, idps: names, keys });
      patience.cancel();
      settle();
    },
  });
  const saml = await openSamlVerifier({
    idps,
    audience: url,
    clock,
    logger,
    get,
    ...(options.thread !== undefined && { thread: options.thread }),
  });
  const used = createUsedAssertions({ client, clock: { now: () => clocks.earliest() }, logger, namespace });
  const keys = () => keeper.keys();
  const giver = createTokenGiver({
    used,
    revocations,
    keys,
    url,
    audiences: new Map(idps.map(({ name, audiences }) => [name, audiences])),
    lifeMs,
    clock,
    clocks,
    logger,
    onGiven: options.onGiven,
  });
  const codes = createLoginCodes({ used, clock });
  const turns = createUnproven(clock, assertionRates);
  const exchange = createTokenExchange({ saml, giver, codes, url, turns, logger });
  const browser = createBrowserLogin({ saml, giver, codes, keys, url, turns, clock, logger });
  return {
    routes: createTokenRoutes({ exchange, browser, keys, clock }),
    settled,
    lead: () => keeper.kick(),
    sweep: () => used.sweep(),
    async close() {
      saml.close();
      patience.cancel();
      settle();
      await keeper.close();
    },
  };
}
