import type { Clock, Logger } from '../../base/index.ts';
import { controlPlane } from '../../contract/index.ts';
import { compileRevocations, readRevocation } from '../../core/index.ts';
import type { Identity, RevocationSet } from '../../core/index.ts';
import { createCache, resources } from '../../kube/index.ts';
import type { CacheTimings, KubeClient, KubeObject } from '../../kube/index.ts';

/** Whose tokens count no more, though their issuer still proves them: the list that sidecars go by, too. */
export interface Revoked {
  /** @throws Error until the list was read once: then it is not known, and the answer is no */
  revokes(who: Pick<Identity, 'issuer' | 'subject' | 'sub' | 'tokenId'>): boolean;
}

/** Follows the ConfigMap of revocations. While the API server is away, what was known last counts. */
export interface RevokedSource extends Revoked {
  close(): Promise<void>;
}

export interface RevokedOptions {
  readonly client: KubeClient;
  /** Of Sidegate. */
  readonly namespace: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly timings?: Partial<CacheTimings>;
}

export function followRevoked({ client, namespace, clock, logger, timings }: RevokedOptions): RevokedSource {
  const cache = createCache<RevocationSet>({
    client,
    resource: resources.configMaps,
    namespace,
    // What the recorder may read is this one object.
    fieldSelector: `metadata.name=${controlPlane.revocations}`,
    clock,
    logger,
    transform(raw) {
      const read = Object.values(dataOf(raw)).map((text) =>
        typeof text === 'string' ? readRevocation(text) : undefined,
      );
      // The controller's log names them.
      return compileRevocations(read.filter((one) => one !== undefined));
    },
    ...(timings !== undefined && { timings }),
  });
  return {
    revokes(who) {
      if (!cache.synced()) throw new Error('the list of revoked tokens was not read yet');
      for (const set of cache.values()) if (set.revokes(who, clock.now())) return true;
      return false;
    },
    close: () => cache.stop(),
  };
}

/** What cannot be read says nothing: a cache that threw would stand still. */
function dataOf(raw: KubeObject): object {
  const { data } = raw as { readonly data?: unknown };
  return typeof data === 'object' && data !== null ? data : {};
}
