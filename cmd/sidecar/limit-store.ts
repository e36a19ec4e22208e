import { readFileSync } from 'node:fs';
import { Secret, describeError } from '../../pkg/base/index.ts';
import type { Clock, Logger } from '../../pkg/base/index.ts';
import type { LimitStore } from '../../pkg/core/index.ts';
import type { LimitStoreTarget, Remote } from '../../pkg/remote/index.ts';
import type { LimitStoreSettings } from '../../pkg/process/index.ts';

/** The client is loaded only where limits are shared: it costs memory. */
async function connect(target: LimitStoreTarget, clock: Clock, logger: Logger): Promise<LimitStore> {
  const { createLimitStore } = await import('../../pkg/valkey/index.ts');
  return createLimitStore({ ...target, clock, logger });
}

/** As the flags name it. Undefined: they name none. */
export async function limitStoreOfSettings(
  settings: LimitStoreSettings | undefined,
  clock: Clock,
  logger: Logger,
): Promise<LimitStore | undefined> {
  if (settings === undefined) return undefined;
  const { url, user, passwordFile, caFile } = settings;
  const password = passwordFile === undefined ? undefined : new Secret(readFileSync(passwordFile, 'utf8').trim());
  const ca = caFile === undefined ? undefined : readFileSync(caFile, 'utf8');
  return connect({ url, username: user, password, ca }, clock, logger);
}

/** As the controller names it, now or later: without one each question is refused, as by a server that is down. */
export function limitStoreOfRemote(
  remote: Pick<Remote, 'limitStore' | 'onLimitStore'>,
  clock: Clock,
  logger: Logger,
): LimitStore {
  let store: Promise<LimitStore> | undefined;
  const begin = (): void => {
    const old = store;
    const target = remote.limitStore();
    store = target === undefined ? undefined : connect(target, clock, logger);
    store?.catch((error: unknown) => {
      logger.error('the limit store cannot be used', { error: describeError(error) });
    });
    old?.then((one) => one.close()).catch(() => undefined);
  };
  begin();
  const stop = remote.onLimitStore(begin);
  const now = async (): Promise<LimitStore> => {
    if (store === undefined) throw new Error('no limit store is named');
    return store;
  };
  return {
    take: async (bucket, least, most) => (await now()).take(bucket, least, most),
    settle: async (bucket, amount) => (await now()).settle(bucket, amount),
    async close() {
      stop();
      await (await store?.catch(() => undefined))?.close();
    },
  };
}
