import { describeError } from '../../base/index.ts';
import type { Clock, JsonValue, Logger, Timer } from '../../base/index.ts';
import type { Policy } from '../../core/index.ts';
import type { KubeClient } from '../../kube/index.ts';

/**
 * The cluster's own issuer of service-account tokens, for providers that name none. Sidecars may not ask the API server (they have
 * no account there that it knows, and many networks let no pod reach it), so its public keys go to them as part of the policy.
 */
export interface ClusterIssuerKeys {
  /** `iss` of its tokens. */
  readonly issuer: string;
  /** JWK set as JSON. */
  readonly keys: string;
}

/** Providers of service accounts without an issuer, or with the cluster's written out, get the cluster's with its keys. Others are left as they are. */
export function withIssuer(policy: Policy, cluster: ClusterIssuerKeys | undefined): Policy {
  const means = ({ serviceAccount }: Policy['spec']['providers'][number]): boolean =>
    serviceAccount !== undefined &&
    serviceAccount.jwksUri === undefined &&
    (serviceAccount.issuer === undefined || serviceAccount.issuer === cluster?.issuer);
  if (cluster === undefined || !policy.spec.providers.some(means)) return policy;
  const providers = policy.spec.providers.map((provider) =>
    provider.serviceAccount !== undefined && means(provider)
      ? { ...provider, serviceAccount: { ...provider.serviceAccount, ...cluster } }
      : provider,
  );
  return { ...policy, spec: { ...policy.spec, providers } };
}

/** Keys are rotated rarely, and both old and new are published for long. */
const refreshMs = 60_000;
const retryMs = 2_000;
/** A cluster has a handful of keys of half a KiB. */
const longest = 65_536;

const textAt = (value: JsonValue | undefined, key: string): string => {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return '';
  const text = value[key];
  return typeof text === 'string' ? text : '';
};

/** What the API server says of itself. @throws KubeError, or Error where it is no key set */
async function read(client: KubeClient): Promise<ClusterIssuerKeys> {
  const configuration = await client.request({ method: 'GET', path: '/.well-known/openid-configuration' });
  const issuer = textAt(configuration, 'issuer');
  const set = await client.request({
    method: 'GET',
    path: '/openid/v1/jwks',
    // It takes no other.
    accept: 'application/jwk-set+json',
  });
  const listed = set !== null && typeof set === 'object' && !Array.isArray(set) ? set['keys'] : undefined;
  const keys = JSON.stringify({ keys: listed ?? [] });
  if (issuer === '' || !Array.isArray(listed) || listed.length === 0 || keys.length > longest)
    throw new Error("the cluster's issuer publishes no key set that can be used");
  return { issuer, keys };
}

/** A cluster that does not tell its keys must not keep its other policies from being served. */
const settleMs = 10_000;

export interface ClusterIssuerFollower {
  /**
   * Resolves when they are known, at the latest after 10 s: a sidecar that comes back must not be sent a policy without the keys that it
   * has.
   */
  readonly settled: Promise<void>;
  stop(): void;
}

/** Asks for them until it is stopped; the last good ones stay. */
export function followClusterIssuer(options: {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onChange: (keys: ClusterIssuerKeys) => void;
}): ClusterIssuerFollower {
  const { client, clock, logger, onChange } = options;
  let stopped = false;
  let timer: Timer | undefined;
  let failures = 0;
  const { promise: settled, resolve: settle } = Promise.withResolvers<undefined>();
  const patience = clock.after(settleMs, () => settle(undefined));
  const ask = async (): Promise<void> => {
    try {
      const found = await read(client);
      failures = 0;
      if (!stopped) onChange(found);
      settle(undefined);
    } catch (error) {
      failures++;
      logger.warn("the keys of the cluster's own issuer could not be had", { error: describeError(error) });
    }
    if (!stopped)
      timer = clock.after(failures === 0 ? refreshMs : Math.min(retryMs * failures, refreshMs), () => void ask());
  };
  void ask();
  return {
    settled,
    stop() {
      stopped = true;
      timer?.cancel();
      patience.cancel();
      settle(undefined);
    },
  };
}
