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
 * Where the API server has not once said within half a minute what was published, the recorder goes on, and says so: the publisher compares later. Once it
 * has named a head, no error of it or of the database lets the recorder go on: a failover has such errors.
 *
 * @throws when it still lacks some after `waitMs`, or cannot be compared
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
  let known: SignedHead | undefined;
  for (let told = ''; ;) {
    const waited = clock.monotonic() - began;
    let why: string;
    try {
      known = await ask();
      if (known === undefined || (await has(known))) return;
      why = `the database lacks entries of the log of which a head over ${known.size} is published in ConfigMap ${ref.name}: another host has them, or they are lost (docs/audit.md, Several recorders)`;
    } catch (error) {
      why = `what was published of the log cannot be compared with it: ${describeError(error)}`;
      if (known === undefined && waited >= askMs) return logger.error(`${why}: the recorder goes on without`);
    }
    if (waited >= waitMs) throw new Error(why);
    if (why !== told) logger.error(`${why}: nothing is written to it`);
    told = why;
    await sleep(againMs);
  }
}

const askMs = 30_000;
const againMs = 5_000;
