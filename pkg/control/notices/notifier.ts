import { describeError } from '../../base/index.ts';
import type { Clock, Logger, Timer } from '../../base/index.ts';
import { createQueue, refOfKey, resources } from '../../kube/index.ts';
import type { Cache, KubeClient, KubeObject } from '../../kube/index.ts';
import type { ApprovalFact } from '../approvals/index.ts';
import type { GrantFact } from '../grants/index.ts';
import type { Channel } from './channel.ts';
import { approvalNotice, grantNotice } from './notice.ts';
import type { Notice } from './notice.ts';
import { createToldBook } from './told-book.ts';

/** How telling ended, for a metric. A closed set. `failed`: it is tried again. */
export const noticeResults = ['sent', 'refused', 'failed', 'late'] as const;
export type NoticeResult = (typeof noticeResults)[number];

/** What was told is read again so long after a reading that failed, twice as long each time. API servers restart when leaders change. */
const firstLoadMs = 1_000;
const mostLoadMs = 30_000;

export interface NotifierOptions {
  readonly client: Pick<KubeClient, 'find' | 'patch'>;
  /** Of Sidegate itself. */
  readonly namespace: string;
  readonly approvals: Cache<ApprovalFact>;
  readonly grants: Cache<GrantFact>;
  readonly channels: readonly Channel[];
  /** Where people reach the decision endpoint: `https://HOST[:PORT]`. */
  readonly endpoint: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly leading: () => boolean;
  readonly onResult?: (channel: string, result: NoticeResult) => void;
}

/**
 * The leader tells people of what waits for them, on each channel once: until the receiver takes it, or it is too late to decide. A receiver
 * that takes it and does not say so in time is told again, with the same id.
 */
export interface Notifier {
  /** This replica leads now. */
  lead(): void;
  close(): Promise<void>;
}

interface Waiting {
  readonly uid: string;
  readonly expiresAt: number;
}

export function startNotifier(options: NotifierOptions): Notifier {
  const { client, namespace, approvals, grants, clock, endpoint } = options;
  const logger = options.logger.with({ part: 'notices' });

  const waiting = (kind: Notice['kind'], key: string): Waiting | undefined => {
    if (kind === 'approvals') {
      const fact = approvals.get(key);
      return fact?.phase === 'Pending' ? fact : undefined;
    }
    const fact = grants.get(key);
    // Before the controller has said who decides there is nobody to be told.
    if (fact?.phase !== 'Pending' || fact.required === undefined) return undefined;
    return { uid: fact.uid, expiresAt: fact.grant.until };
  };
  const told = createToldBook({
    client,
    namespace,
    clock,
    logger,
    waiting: () =>
      new Set(
        [...approvals.values(), ...grants.values()].filter(({ phase }) => phase === 'Pending').map(({ uid }) => uid),
      ),
  });
  const read = async (kind: Notice['kind'], key: string): Promise<Notice | undefined> => {
    // The excerpt is in no cache.
    const resource = kind === 'approvals' ? resources.inferenceApprovals : resources.inferenceGrants;
    const raw = await client.find<KubeObject>(resource, refOfKey(key));
    if (raw === undefined) return undefined;
    return kind === 'approvals' ? approvalNotice(raw, endpoint) : grantNotice(raw, endpoint);
  };

  const tell = async (kind: Notice['kind'], key: string, channel: Channel, signal: AbortSignal) => {
    const known = waiting(kind, key);
    if (known === undefined || !options.leading() || told.has(known.uid, channel.name)) return undefined;
    const done = (result: NoticeResult): void => {
      options.onResult?.(channel.name, result);
      if (result !== 'failed') told.add(known.uid, channel.name);
    };
    if (known.expiresAt <= clock.now()) {
      done('late');
      return undefined;
    }
    const notice = await read(kind, key);
    if (notice?.uid !== known.uid) return undefined;
    try {
      const answer = await channel.send(notice, signal);
      if (typeof answer === 'object') {
        done('failed');
        return answer.againMs;
      }
      if (answer === 'refused') logger.error('a receiver refused a notice', { channel: channel.name, about: key });
      done(answer);
      return undefined;
    } catch (error) {
      done('failed');
      logger.warn('a notice was not taken', { channel: channel.name, about: key, error: describeError(error) });
      throw error;
    }
  };

  /** Of each channel its own, so that one that does not answer holds up no other; in each, namespaces take turns. */
  const queues = options.channels.map((channel) => createTelling(channel));
  function createTelling(channel: Channel): { add(item: string): void; close(): Promise<void> } {
    /** What the queue has, or waits to try again. */
    const begun = new Set<string>();
    const queue = createQueue({
      name: `notices-${channel.name}`,
      clock,
      logger,
      concurrency: 8,
      groupOf: (item) => refOfKey(keyOf(item).key).namespace ?? '',
      firstBackoffMs: 1_000,
      mostBackoffMs: 60_000,
      async handle(item, signal) {
        const { kind, key } = keyOf(item);
        const again = await tell(kind, key, channel, signal);
        if (again === undefined) begun.delete(item);
        return again;
      },
    });
    return {
      add(item) {
        // Whatever changes of it meanwhile, the receiver is not asked before its time.
        if (!begun.has(item)) queue.add(item);
        begun.add(item);
      },
      close: () => queue.close(),
    };
  }
  const add = (kind: Notice['kind'], key: string): void => {
    if (!options.leading() || !told.ready || waiting(kind, key) === undefined) return;
    for (const queue of queues) queue.add(`${kind}\n${key}`);
  };
  const stops = [
    approvals.subscribe(({ key }) => add('approvals', key)),
    grants.subscribe(({ key }) => add('grants', key)),
  ];
  let closed = false;
  let retry: Timer | undefined;
  const lead = (againMs = firstLoadMs): void => {
    retry?.cancel();
    told
      .load()
      .then(() => {
        if (closed) return;
        for (const { key } of approvals.values()) add('approvals', key);
        for (const { key } of grants.values()) add('grants', key);
      })
      .catch((error: unknown) => {
        logger.error('what was told is not known: nobody is told of anything until it is', {
          error: describeError(error),
        });
        if (closed || !options.leading()) return;
        retry = clock.after(againMs, () => lead(Math.min(2 * againMs, mostLoadMs)));
      });
  };
  return {
    lead: () => lead(),
    async close() {
      closed = true;
      retry?.cancel();
      for (const stop of stops) stop();
      await Promise.all(queues.map((queue) => queue.close()));
      await told.close();
    },
  };
}

function keyOf(item: string): { readonly kind: Notice['kind']; readonly key: string } {
  const [kind, key = ''] = item.split('\n');
  return { kind: kind === 'grants' ? kind : 'approvals', key };
}
