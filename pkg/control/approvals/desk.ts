import { describeError } from '../../base/index.ts';
import type { Clock, Logger, Timer } from '../../base/index.ts';
import type { ApprovalProblem } from '../../core/index.ts';
import { backoffMs, createQueue, isKubeError, objectKey, systemRandom } from '../../kube/index.ts';
import type { Cache, EventRecorder, KubeClient } from '../../kube/index.ts';
import type { ApprovalAskMessage, ApprovalWatchMessage } from '../../wire/index.ts';
import type { ApprovalDesk, PodSnapshot } from '../stream/index.ts';
import { createTwoClocks, phaseByBoth } from '../two-clocks.ts';
import type { TwoClocks } from '../two-clocks.ts';
import { createApprovalBook } from './approval-book.ts';
import { isOpen } from './approval-fact.ts';
import type { ApprovalFact } from './approval-fact.ts';
import { approvalSpec, termsOf } from './approval-spec.ts';
import type { ApprovalStep } from './approval-step.ts';
import { createApprovalWriter } from './approval-writer.ts';
import { approvalLimits } from './limits.ts';
import type { ApprovalLimits } from './limits.ts';
import { createOpener } from './opener.ts';
import type { Seal } from './seal.ts';
import { startTrimmer } from './trimmer.ts';
import { tellProblem, tellState } from './waiter.ts';
import type { Waiter } from './waiter.ts';

/**
 * Where approvals are opened, joined, decided and spent for the sidecars of one replica. Any replica may do any of it.
 *
 * Promise: an approval lets one session through, once, and only what it was asked for; who may decide comes from the policies that
 * the pod has now; of everything that fails or cannot be told, the caller gets a problem and never an approval.
 */
export interface ApprovalKeeper extends ApprovalDesk {
  /** This replica leads now: it also looks after approvals that nobody waits for here. */
  lead(): void;
  /** Those who wait here. */
  readonly waiting: number;
  close(): Promise<void>;
}

export interface ApprovalDeskOptions {
  readonly client: KubeClient;
  readonly cache: Cache<ApprovalFact>;
  readonly clock: Clock;
  /** By which it ends and is removed; default this machine's alone. */
  readonly clocks?: TwoClocks;
  readonly logger: Logger;
  readonly events: Pick<EventRecorder, 'record'>;
  readonly replica: string;
  readonly seal: Seal;
  readonly leading: () => boolean;
  readonly onStep?: (step: ApprovalStep) => void;
  readonly onProblem?: (problem: ApprovalProblem) => void;
  readonly limits?: Partial<ApprovalLimits>;
}

/** The wall clock may step: no expiry is slept through for longer than this. */
const mostSleepMs = 2_000;
/** One clock may say that it is over, and the other not yet. */
const leastSleepMs = 100;
const mostRestMs = 600_000;
/** Ways to try while the API server does not answer; some 20 s together. */
const mostTries = 8;
const backoff = { firstMs: 100, mostMs: 5_000, random: systemRandom };

export function createApprovalDesk(options: ApprovalDeskOptions): ApprovalKeeper {
  const { cache, clock, logger, replica, clocks = createTwoClocks(clock) } = options;
  const limits: ApprovalLimits = { ...approvalLimits, ...options.limits };
  const book = createApprovalBook(cache);
  /** By approval. */
  const waiters = new Map<string, Set<Waiter>>();
  /** Its callers will come back: it is not cancelled from here, also where that could not be written. */
  const kept = new Set<string>();
  const lonely = new Map<string, Timer>();
  let waiting = 0;
  let closed = false;

  const writer = createApprovalWriter({
    client: options.client,
    clock,
    clocks,
    logger,
    events: options.events,
    replica,
    onStep: (step) => options.onStep?.(step),
    onFact(fact) {
      if (book.put(fact)) spread(fact.key);
    },
    onGone: (key) => book.drop(key),
  });

  const opener = createOpener({ book, writer, clock, clocks, limits });
  const trimmer = startTrimmer({ cache, writer, clock, clocks, logger, leading: options.leading, limits });

  /** Tells all who wait for it, and has it settled where votes or time decide it. */
  const spread = (key: string): void => {
    const fact = book.get(key);
    if (fact === undefined) return;
    for (const waiter of waiters.get(key) ?? []) tellState(waiter, fact, clock);
    if (!isOpen(fact)) {
      kept.delete(key);
      calm(key);
    }
    if (waiters.has(key) || options.leading()) queue.add(key);
  };
  const queue = createQueue({
    name: 'approvals',
    clock,
    logger,
    concurrency: 16,
    async handle(key) {
      const fact = book.get(key);
      if (fact === undefined || !(waiters.has(key) || options.leading())) return undefined;
      const now = clocks.earliest();
      if (phaseByBoth(fact, clocks) !== fact.phase) await writer.settle(fact);
      else if (isOpen(fact)) return Math.min(mostSleepMs, Math.max(leastSleepMs, fact.expiresAt - now));
      else if (options.leading()) {
        const left = fact.expiresAt + limits.keepMs - now;
        if (left > 0) return Math.min(left, mostRestMs);
        await writer.remove(fact);
      }
      return undefined;
    },
  });

  const calm = (key: string): void => {
    lonely.get(key)?.cancel();
    lonely.delete(key);
  };
  /** Nobody waits here any more: after a while it ends, unless somebody comes back. */
  const abandon = (key: string): void => {
    const fact = book.get(key);
    if (closed || kept.has(key) || fact === undefined || !isOpen(fact)) return;
    calm(key);
    const timer = clock.after(limits.lonelyMs, () => {
      lonely.delete(key);
      if (waiters.has(key)) return;
      writer.cancel(key).catch((error: unknown) => {
        logger.warn('an approval that nobody waits for was not cancelled', {
          approval: key,
          error: describeError(error),
        });
      });
    });
    lonely.set(key, timer);
  };
  const sit = (waiter: Waiter, fact: ApprovalFact): void => {
    if (waiter.over) {
      if (waiter.session !== undefined) abandon(fact.key);
      return;
    }
    waiter.key = fact.key;
    const others = waiters.get(fact.key) ?? new Set();
    waiters.set(fact.key, others.add(waiter));
    if (waiter.session !== undefined) {
      calm(fact.key);
      writer.adopt(fact).catch((error: unknown) => {
        logger.debug('an approval was not taken over', { approval: fact.key, error: describeError(error) });
      });
    }
    tellState(waiter, fact, clock);
    queue.add(fact.key);
  };
  const keepFor = (key: string): void => {
    kept.add(key);
    const fact = book.get(key);
    if (fact === undefined) return;
    writer.keep(fact).catch((error: unknown) => {
      logger.warn('an approval is kept for its callers at this replica alone', {
        approval: key,
        error: describeError(error),
      });
    });
  };
  const rise = (waiter: Waiter, keep: boolean): void => {
    if (waiter.over) return;
    waiter.over = true;
    waiting--;
    const { key } = waiter;
    if (key === undefined) return;
    const others = waiters.get(key);
    others?.delete(waiter);
    if (keep) keepFor(key);
    if (others?.size === 0) waiters.delete(key);
    if (waiter.session !== undefined && !waiters.has(key)) abandon(key);
  };
  const refuse = (waiter: Waiter, problem: ApprovalProblem): void => {
    options.onProblem?.(problem);
    tellProblem(waiter, problem);
  };

  const wait = (ms: number): Promise<void> => new Promise((resolve) => void clock.after(ms, resolve));
  /** Goes on asking the API server while somebody waits for it. */
  const patiently = async <T>(waiter: Waiter, work: () => Promise<T>): Promise<T | undefined> => {
    for (let failures = 1; !waiter.over && !closed; failures++) {
      try {
        return await work();
      } catch (error) {
        // A refusal will not become another by asking again, but for "too many" and "not now".
        const final = isKubeError(error) && error.status >= 400 && error.status < 500 && error.status !== 429;
        const level = final ? 'error' : 'warn';
        logger[level]('an approval could not be kept', { failures, error: describeError(error) });
        if (final || failures >= mostTries) break;
        await wait(Math.max(backoffMs(failures, backoff), isKubeError(error) ? (error.retryAfterMs ?? 0) : 0));
      }
    }
    return undefined;
  };

  const ask = async (waiter: Waiter, message: ApprovalAskMessage, snapshot: PodSnapshot): Promise<void> => {
    const spec = approvalSpec(message, waiter.pod, snapshot, clock.now(), options.seal);
    if (typeof spec === 'string') return refuse(waiter, spec);
    const got = await patiently(waiter, () => opener.open(waiter.pod, spec));
    if (got === undefined || typeof got === 'string') return refuse(waiter, got ?? 'unavailable');
    sit(waiter, got);
  };
  const watch = async (waiter: Waiter, message: ApprovalWatchMessage): Promise<void> => {
    const key = objectKey({ namespace: waiter.pod.namespace, name: message.name });
    const got = book.get(key) ?? (await patiently(waiter, () => writer.read(key)));
    const { issuer, subject, provider } = message.requester;
    const its =
      got !== undefined && got.provider === provider && got.asker.issuer === issuer && got.asker.subject === subject;
    // One that is somebody else's looks like one that is not there.
    if (!its) return refuse(waiter, 'unavailable');
    sit(waiter, got);
  };
  const claim = async (waiter: Waiter, snapshot: PodSnapshot | undefined): Promise<void> => {
    const { key, session, pod } = waiter;
    if (key === undefined || session === undefined) return refuse(waiter, 'unavailable');
    if (snapshot === undefined || termsOf(snapshot).terms !== waiter.terms) return refuse(waiter, 'policy_changed');
    const got = await patiently(waiter, () => writer.use(key, { pod: pod.uid, session }));
    // Approved and not spent: the clocks do not agree whether it is over, and nobody would be answered.
    if (got === undefined || got.phase === 'Approved') return refuse(waiter, 'unavailable');
    tellState(waiter, got, clock, true);
  };

  const stopCache = cache.subscribe(({ key, before, after }) => {
    book.seen(key, after);
    if (after !== undefined && before !== undefined && after.votes.length > before.votes.length && options.leading()) {
      const last = after.votes.at(-1);
      logger.info('somebody decided', { approval: key, decision: last?.decision ?? '', by: last?.user ?? 'a token' });
    }
    spread(key);
  });
  const lead = (): void => {
    for (const { key } of cache.values()) queue.add(key);
    trimmer.lead();
  };
  void cache.whenSynced().then(() => {
    if (!closed && options.leading()) lead();
  });

  return {
    lead,
    get waiting() {
      return waiting;
    },
    connect({ pod, snapshot, send }) {
      const mine = new Map<string, Waiter>();
      const enter = (waiter: Waiter, work: () => Promise<void>): void => {
        const old = mine.get(waiter.id);
        mine.set(waiter.id, waiter);
        waiting++;
        if (old !== undefined) rise(old, false);
        act(waiter, () => cache.whenSynced().then(work));
      };
      const act = (waiter: Waiter, work: () => Promise<void>): void => {
        waiter.work = waiter.work.then(work).catch((error: unknown) => {
          logger.error('an approval failed', { error: describeError(error) });
          refuse(waiter, 'unavailable');
        });
      };
      return {
        take(message) {
          if (message.type === 'approval-leave') {
            const waiter = mine.get(message.id);
            mine.delete(message.id);
            if (waiter !== undefined) rise(waiter, message.keep);
            return;
          }
          if (message.type === 'approval-claim') {
            const waiter = mine.get(message.id);
            if (waiter !== undefined) return act(waiter, () => claim(waiter, snapshot()));
            options.onProblem?.('unavailable');
            return send({ type: 'approval-state', id: message.id, state: null, problem: 'unavailable' });
          }
          const now = snapshot();
          const asked = message.type === 'approval-ask' && now?.hash === message.snapshot ? now : undefined;
          const waiter: Waiter = {
            id: message.id,
            pod,
            requester: message.requester,
            session: message.type === 'approval-ask' ? message.session : undefined,
            terms: asked === undefined ? undefined : termsOf(asked).terms,
            send,
            key: undefined,
            told: '',
            over: false,
            work: Promise.resolve(),
          };
          if (mine.size >= limits.perStream && !mine.has(message.id)) {
            return refuse(waiter, 'too_many');
          }
          if (message.type === 'approval-watch') return enter(waiter, () => watch(waiter, message));
          if (asked === undefined) return refuse(waiter, 'policy_changed');
          enter(waiter, () => ask(waiter, message, asked));
        },
        closed() {
          for (const waiter of mine.values()) rise(waiter, false);
          mine.clear();
        },
      };
    },
    async close() {
      closed = true;
      stopCache();
      for (const timer of lonely.values()) timer.cancel();
      lonely.clear();
      await Promise.all([queue.close(), trimmer.close()]);
    },
  };
}
