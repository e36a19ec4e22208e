import { setTimeout as pause } from 'node:timers/promises';
import { describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { controlPlane } from '../../contract/index.ts';
import { resources } from '../../kube/index.ts';
import type { KubeClient } from '../../kube/index.ts';
import { readHead, treeRoot } from '../../record/index.ts';
import type { LogKeys, SignedHead } from '../../record/index.ts';
import type { RecordStore } from '../store/index.ts';
import type { HeadMap } from './published-heads.ts';

/**
 * Waits until the log has what was published of it (published-heads.ts), before a recorder writes anything: the host of a database that answers may be a
 * standby that took over without entries which are known of, and a log that goes on from there can never be put together with that one again.
 *
 * Where the API server does not say within half a minute what was published, the recorder goes on, and says so: the publisher compares later.
 *
 * @throws when it still lacks some after `waitMs`
 */
export async function needPublished(options: {
  readonly client: Pick<KubeClient, 'find'>;
  readonly store: Pick<RecordStore, 'log' | 'node'>;
  readonly namespace: string;
  readonly keys: LogKeys;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default ten minutes. */
  readonly waitMs?: number;
  readonly sleep?: (ms: number) => Promise<unknown>;
}): Promise<void> {
  const { client, store, namespace, keys, clock, logger, waitMs = 600_000, sleep = pause } = options;
  const ref = { namespace, name: controlPlane.logHeads };
  const ask = async (): Promise<SignedHead | undefined> => {
    const { data = {} } = (await client.find<HeadMap>(resources.configMaps, ref)) ?? {};
    const own = Object.values(data).flatMap((text) => readHead(text, keys) ?? []);
    return own.reduce<SignedHead | undefined>((most, one) => (one.size > (most?.size ?? 0) ? one : most), undefined);
  };
  const has = async ({ size, root }: SignedHead): Promise<boolean> => {
    if ((await store.log()).size < size) return false;
    return Buffer.from(await treeRoot(size, (level, index) => store.node(level, index))).toString('hex') === root;
  };
  const began = clock.monotonic();
  for (let told = ''; ;) {
    const waited = clock.monotonic() - began;
    let why: string;
    try {
      const head = await ask();
      if (head === undefined || (await has(head))) return;
      why = `the database lacks entries of the log of which a head over ${head.size} is published in ConfigMap ${ref.name}: another host has them, or they are lost (docs/audit.md, Several recorders)`;
      if (waited >= waitMs) throw new LacksEntries(why);
    } catch (error) {
      if (error instanceof LacksEntries) throw error;
      why = `what was published of the log cannot be compared with it: ${describeError(error)}`;
      if (waited >= askMs) return logger.error(`${why}: the recorder goes on without`);
    }
    if (why !== told) logger.error(`${why}: nothing is written to it`);
    told = why;
    await sleep(againMs);
  }
}

class LacksEntries extends Error {}

const askMs = 30_000;
const againMs = 5_000;
