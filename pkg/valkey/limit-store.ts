import { createHash, randomInt } from 'node:crypto';
import { createClient } from '@redis/client';
import { describeError } from '../base/index.ts';
import type { Clock, Logger, Secret } from '../base/index.ts';
import type { LimitStore, SharedBucket, SharedGrant } from '../core/index.ts';
import { bucketScript } from './script.ts';

/**
 * Limits counted over all pods in one Valkey or Redis server (7.0 or newer; a primary, not a cluster of shards).
 *
 * Each question is one script, so it is atomic. While there is no connection, questions are refused at once instead of queued. An
 * answer that comes too late may have taken something: that is missing from the bucket until it has refilled, never the other way.
 * A server that no longer takes writes (it was demoted), or does not answer for {@link staleMs}, is left for a new connection: behind the
 * same name there may be another by now.
 * What the server holds: digests of names, a number and a time. It decides budgets and nothing else.
 */
export interface LimitStoreOptions {
  /** `rediss://host:6379/0` (TLS), or `redis://` on loopback; without user and password. */
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: Secret | undefined;
  /** PEM bundle of authorities for `rediss`; absent: the public ones. */
  readonly ca?: string | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long a request waits for an answer; default 250 ms. */
  readonly timeoutMs?: number;
}

const loopback = /^(localhost|\[::1\]|127(\.[0-9]{1,3}){3})$/;
const sha1 = createHash('sha1').update(bucketScript).digest('hex');
const prefix = 'sidegate:limit:';
/** How long questions fail before another connection is tried. */
const staleMs = 5_000;
/** Connections are not made faster than this. */
const renewMs = 1_000;

/** Begins to connect, and goes on trying; never rejects for a server that is not there. */
export function createLimitStore(options: LimitStoreOptions): LimitStore {
  const { url, username, password, ca, clock, logger, timeoutMs = 250 } = options;
  const target = new URL(url);
  const tls = target.protocol === 'rediss:';
  // Whatever an older controller says: the password goes to nobody who has not proven the name.
  if (!tls && !(target.protocol === 'redis:' && loopback.test(target.hostname)))
    throw new Error('the limit store must be rediss://, or redis:// on loopback');
  if (target.username !== '' || target.password !== '')
    throw new Error('the address of the limit store may not hold user or password');
  const create = () =>
    createClient({
      url: target.href,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password: password.reveal() }),
      socket: {
        connectTimeout: 5_000,
        reconnectStrategy: (retries: number) => randomInt(50, 101) * Math.min(50, 2 ** Math.min(retries, 6)),
        // In a list: an empty text alone would stand for the public authorities.
        ...(tls ? { tls: true as const, ...(ca === undefined ? {} : { ca: [ca] }) } : {}),
      },
      disableOfflineQueue: true,
      commandsQueueMaxLength: 10_000,
    });
  let told = false;
  // Once for each outage: reconnecting fails several times a second.
  const onError = (error: unknown): void => {
    if (told) return;
    told = true;
    logger.warn('the limit store cannot be reached', { error: describeError(error) });
  };
  const open = (): ReturnType<typeof create> => {
    const opened = create();
    opened.on('error', onError);
    opened.on('ready', () => {
      told = false;
      logger.info('the limit store is connected');
    });
    opened.connect().catch(() => undefined);
    return opened;
  };
  let closed = false;
  let client = open();
  let openedAt = clock.monotonic();
  let failingSince: number | undefined;

  const failed = (error: unknown): void => {
    const now = clock.monotonic();
    failingSince ??= now;
    const demoted = error instanceof Error && error.message.includes('READONLY');
    if (closed || now - openedAt < renewMs || !(demoted || now - failingSince >= staleMs)) return;
    openedAt = now;
    failingSince = undefined;
    const old = client;
    client = open();
    old.destroy();
  };

  const evaluate = async (key: string, args: readonly string[]): Promise<unknown> => {
    try {
      return await client.sendCommand(['EVALSHA', sha1, '1', key, ...args]);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return client.sendCommand(['EVAL', bucketScript, '1', key, ...args]);
    }
  };

  const ask = (bucket: SharedBucket, least: number, most: number): Promise<SharedGrant> =>
    new Promise((resolve, reject) => {
      const fail = (error: Error): void => {
        failed(error);
        reject(error);
      };
      if (closed || !client.isReady) {
        fail(new Error('the limit store is not connected'));
        return;
      }
      const timer = clock.after(timeoutMs, () => fail(new Error('the limit store did not answer in time')));
      const args = [bucket.capacity, least, most].map((one) => one.toString());
      evaluate(prefix + bucket.key, args)
        .then((answer) => {
          failingSince = undefined;
          resolve(grantOf(answer, least, most));
        })
        .catch(fail)
        .finally(() => timer.cancel());
    });

  /** What is asked already is waited for, but not for a server that does not answer. */
  const lastAnswers = (): Promise<void> =>
    new Promise((resolve) => {
      const timer = clock.after(timeoutMs, resolve);
      client
        .close()
        .catch(() => undefined)
        .finally(() => {
          timer.cancel();
          resolve();
        });
    });

  return {
    take: (bucket, least, most) => ask(bucket, least, most),
    async settle(bucket, amount) {
      await ask(bucket, 0, amount);
    },
    async close() {
      if (closed) return;
      closed = true;
      if (client.isReady) await lastAnswers();
      client.destroy();
    },
  };
}

/** Whoever answers, no more is believed than was asked for. */
function grantOf(answer: unknown, least: number, most: number): SharedGrant {
  const [granted, remaining, waitMs] = Array.isArray(answer) ? (answer as unknown[]) : [];
  if (typeof granted !== 'number' || typeof remaining !== 'number' || typeof waitMs !== 'number')
    throw new Error('the limit store answered something else');
  const fits = least === 0 ? granted === 0 : granted === 0 || (granted >= least && granted <= most);
  if (!fits || !(waitMs >= 0)) throw new Error('the limit store granted what was not asked for');
  return { granted, remaining, waitMs };
}
