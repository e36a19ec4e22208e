import { describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { controlPlane } from '../../contract/index.ts';
import { resources } from '../../kube/index.ts';
import type { KubeClient, KubeObject } from '../../kube/index.ts';
import type { RecordStore } from '../store/index.ts';

/** Puts the newest signed head where the recorder cannot take it back. */
export interface HeadPublisher {
  /** There may be a new one. */
  kick(): void;
  /** Resolves when what was begun is done. */
  close(): Promise<void>;
}

export type HeadMap = KubeObject & { readonly data?: Readonly<Record<string, string>> };

const retryMs = 60_000;
/** Days that are kept: some 130 KB. The chart's admission policy knows the number. */
export const mostHeadDays = 400;

const sizeOf = (head: string | undefined): number => Number(/"size":([0-9]+)/.exec(head ?? '')?.[1] ?? 0);

/**
 * Keeps the last signed head of each day (UTC, by the time in the head) in a ConfigMap of Sidegate's namespace, which the chart makes: key
 * `2026-11-26`. Days that are over are not written again, and only the oldest of {@link mostHeadDays} is removed; the admission policy
 * `sidegate-log-heads` holds the recorder to it. Several recorders of one log write one after the other.
 */
export function publishHeads(options: {
  readonly client: Pick<KubeClient, 'find' | 'patch'>;
  readonly store: Pick<RecordStore, 'lastHead'>;
  readonly namespace: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onResult?: (result: 'done' | 'failed') => void;
}): HeadPublisher {
  const { client, store, namespace, clock, logger } = options;
  const ref = { namespace, name: controlPlane.logHeads };

  const publish = async (): Promise<boolean> => {
    const map = await client.find<HeadMap>(resources.configMaps, ref);
    if (map === undefined) throw new Error(`there is no ConfigMap ${ref.name}`);
    const { data = {} } = map;
    const days = Object.keys(data).sort();
    const newest = days.at(-1);
    const there = newest === undefined ? 0 : sizeOf(data[newest]);
    // After the map: what another recorder has published is in the store.
    const head = await store.lastHead();
    if ((head?.size ?? 0) < there)
      throw new Error(
        `a head over ${there} entries is published, and the newest of this log is over ${head?.size ?? 0}`,
      );
    if (head === undefined || head.size === there) return false;
    const day = new Date(head.at).toISOString().slice(0, 10);
    if (newest !== undefined && day < newest)
      throw new Error(`a head of a later day is published: ${newest.slice(0, 40)}`);
    const [oldest = ''] = days;
    const full = days.length >= mostHeadDays && data[day] === undefined;
    await client.patch(resources.configMaps, ref, {
      type: 'merge',
      body: {
        metadata: { resourceVersion: map.metadata.resourceVersion },
        data: { ...(full && { [oldest]: null }), [day]: head.text },
      },
    });
    return true;
  };

  let working: Promise<void> | undefined;
  let again = false;
  const work = async (): Promise<void> => {
    do {
      again = false;
      try {
        if (await publish()) options.onResult?.('done');
      } catch (error) {
        options.onResult?.('failed');
        logger.error('the head of the log was not published', { error: describeError(error) });
      }
    } while (again);
    working = undefined;
  };
  const kick = (): void => {
    again = working !== undefined;
    working ??= work();
  };
  const timer = clock.every(retryMs, kick);
  kick();
  return {
    kick,
    async close() {
      timer.cancel();
      await working;
    },
  };
}
