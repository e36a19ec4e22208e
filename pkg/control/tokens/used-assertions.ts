import { createHash } from 'node:crypto';
import { describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { isConflict, isNotFound, resources } from '../../kube/index.ts';
import type { KubeClient, KubeObject } from '../../kube/index.ts';

/**
 * Assertions that were exchanged already: each is a ConfigMap of Sidegate's namespace whose name follows from it, so that the API server
 * itself lets exactly one replica make it. Nothing is asked of the leader, and nothing is forgotten by a restart.
 */
export interface UsedAssertions {
  /**
   * Marks it as used.
   *
   * @returns false: it was used before.
   * @throws KubeError when the API server cannot be asked: then nobody is given a token.
   */
  use(assertion: UsedAssertion): Promise<boolean>;
  /**
   * What was kept in a record, and is not from then on: one of many who ask gets it. Undefined: nothing is there.
   *
   * @throws KubeError
   */
  take(record: string): Promise<string | undefined>;
  /** Removes those that prove nothing any more. Never rejects. */
  sweep(): Promise<void>;
}

export interface UsedAssertion {
  readonly entityId: string;
  readonly id: string;
  /** Epoch milliseconds: from then on it proves nothing any more. */
  readonly until: number;
  /** Something for {@link UsedAssertions.take}, sealed. */
  readonly kept?: string;
}

/** Names the record of an assertion. */
export const recordOf = ({ entityId, id }: Pick<UsedAssertion, 'entityId' | 'id'>): string =>
  createHash('sha256')
    .update(JSON.stringify([entityId, id]))
    .digest('hex');

/** On each of them. */
export const usedLabel = 'sidegate.dev/used-assertion';
/** Clocks of replicas differ: kept so long beyond its end. */
const graceMs = 600_000;
const longest = 500;

type UsedObject = KubeObject & { readonly data?: Readonly<Record<string, string>> };

export function createUsedAssertions(options: {
  readonly client: Pick<KubeClient, 'create' | 'find' | 'patch' | 'page' | 'delete'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly logger: Logger;
  readonly namespace: string;
}): UsedAssertions {
  const { client, clock, logger, namespace } = options;

  const refOf = (record: string) => ({ namespace, name: `sidegate-used-${record}` });
  const remove = async ({ metadata, data }: UsedObject): Promise<void> => {
    const until = Date.parse(data?.['until'] ?? '');
    // One without a date is not ours to understand, and so not to remove.
    if (!(clock.now() >= until + graceMs)) return;
    try {
      await client.delete(resources.configMaps, { namespace, name: metadata.name });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  };

  return {
    async use(assertion) {
      const { until, kept } = assertion;
      const object: UsedObject = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { ...refOf(recordOf(assertion)), labels: { [usedLabel]: 'true' } },
        data: { until: new Date(until).toISOString(), ...(kept !== undefined && { kept }) },
      };
      try {
        await client.create(resources.configMaps, object, { namespace });
        return true;
      } catch (error) {
        if (isConflict(error)) return false;
        throw error;
      }
    },
    async take(record) {
      const found = await client.find<UsedObject>(resources.configMaps, refOf(record));
      const kept = found?.data?.['kept'];
      if (found === undefined || kept === undefined) return undefined;
      const { resourceVersion } = found.metadata;
      const body = { metadata: { resourceVersion }, data: { kept: null } };
      try {
        await client.patch(resources.configMaps, refOf(record), { type: 'merge', body });
        return kept;
      } catch (error) {
        if (isConflict(error) || isNotFound(error)) return undefined;
        throw error;
      }
    },
    async sweep() {
      try {
        let continueToken: string | undefined;
        do {
          const selection = { namespace, labelSelector: usedLabel };
          const page = await client.page<UsedObject>(resources.configMaps, selection, {
            limit: longest,
            continueToken,
          });
          for (const one of page.items) await remove(one);
          ({ continueToken } = page);
        } while (continueToken !== undefined);
      } catch (error) {
        logger.warn('used assertions could not be swept', { error: describeError(error) });
      }
    },
  };
}
