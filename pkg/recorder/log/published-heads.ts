import { describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { controlPlane } from '../../contract/index.ts';
import { resources } from '../../kube/index.ts';
import type { KubeClient, KubeObject } from '../../kube/index.ts';
import { isSignedHead, readHead, treeRoot } from '../../record/index.ts';
import type { LogKeys } from '../../record/index.ts';
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

const dayMs = 86_400_000;
const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10);
const sizeOf = (head: string | undefined): number => Number(/"size":([0-9]+)/.exec(head ?? '')?.[1] ?? 0);

/**
 * Keeps the last signed head of each day (UTC, by the API server's clock) in a ConfigMap of Sidegate's namespace, which the chart makes: key
 * `2026-11-26`. Days that are over are not written again, and none is removed, as the admission policy `sidegate-log-heads` wants it: the object has
 * room for some eight years. Several recorders of one log write one after the other.
 *
 * The day that is written is today, or that of the longest head where it is a later one. What stands under a day to come, and what no key of
 * the log has signed, somebody else has put there: it is told, and keeps no head from being published, as far as that policy lets it.
 *
 * A log that has not the entries under the longest head, whatever it has in their place, publishes nothing: the longer of two that have gone apart
 * would hide that there was another.
 */
export function publishHeads(options: {
  readonly client: Pick<KubeClient, 'find' | 'patch'>;
  readonly store: Pick<RecordStore, 'lastHead' | 'node'>;
  readonly namespace: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of the log, a private one for its public half; undefined: whoever signed them, heads count, and their entries are not compared. */
  readonly keys?: LogKeys | undefined;
  /** The API server's clock, epoch milliseconds; where it is not known, the recorder's own counts. */
  readonly serverTime?: () => number | undefined;
  /** `foreign`: there is a head under a day to come, or one that no key of the log has signed. */
  readonly onResult?: (result: 'done' | 'failed' | 'foreign') => void;
}): HeadPublisher {
  const { client, store, namespace, clock, logger, keys, serverTime = () => undefined } = options;
  const ref = { namespace, name: controlPlane.logHeads };

  let told = '';
  /** Says what stands there that no recorder of this log has put there. @param last Day behind which none can be. @returns the day of the longest head that is the log's */
  const lookAt = (data: Readonly<Record<string, string>>, last: string): string | undefined => {
    const bySize = Object.keys(data).sort(
      (one, other) => sizeOf(data[other]) - sizeOf(data[one]) || (one < other ? -1 : 1),
    );
    const isOwn = (day: string): boolean => keys === undefined || readHead(data[day] ?? '', keys) !== undefined;
    const own = bySize.findIndex(isOwn);
    const longest = own === -1 ? undefined : bySize[own];
    const foreign = [
      ...bySize.slice(0, own === -1 ? undefined : own),
      ...bySize.filter((day) => day > last && day !== longest),
    ];
    const what = [...new Set(foreign)]
      .slice(0, 10)
      .map((day) => day.slice(0, 40))
      .join(' ');
    if (foreign.length > 0) options.onResult?.('foreign');
    if (what !== told && what !== '')
      logger.error(
        'heads that are not of this log, or of days to come, stand among the published: somebody else put them there',
        { days: what },
      );
    told = what;
    return longest;
  };

  /** The last published head that the log was seen to go on from. */
  let followed = '';
  const needToFollow = async (text: string): Promise<void> => {
    const head = keys === undefined ? undefined : readHead(text, keys);
    if (head === undefined || text === followed) return;
    const root = Buffer.from(await treeRoot(head.size, (level, index) => store.node(level, index))).toString('hex');
    if (root !== head.root)
      throw new Error(`a head over ${head.size} entries is published, and this log has others in their place`);
    followed = text;
  };

  const publish = async (): Promise<boolean> => {
    const map = await client.find<HeadMap>(resources.configMaps, ref);
    if (map === undefined) throw new Error(`there is no ConfigMap ${ref.name}`);
    const { data = {} } = map;
    const today = dayOf(serverTime() ?? clock.now());
    const longest = lookAt(data, dayOf(Date.parse(today) + dayMs));
    const there = longest === undefined ? 0 : sizeOf(data[longest]);
    // After the map: what another recorder has published is in the store.
    const head = await store.lastHead();
    if ((head?.size ?? 0) < there)
      throw new Error(
        `a head over ${there} entries is published, and the newest of this log is over ${head?.size ?? 0}`,
      );
    if (head === undefined) return false;
    // It would keep all others out: the longest stays.
    if (keys !== undefined && !isSignedHead(head, keys))
      throw new Error('the newest head that the log has is none that its key has signed');
    if (longest !== undefined) await needToFollow(data[longest] ?? '');
    if (head.size === there) return false;
    const day = longest !== undefined && longest > today ? longest : today;
    await client.patch(resources.configMaps, ref, {
      type: 'merge',
      body: {
        metadata: { resourceVersion: map.metadata.resourceVersion },
        data: { [day]: head.text },
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
