import { readFileSync } from 'node:fs';
import { Secret, describeError } from '../../pkg/base/index.ts';
import type { Clock, Logger } from '../../pkg/base/index.ts';
import type { LimitStoreAddress } from '../../pkg/control/index.ts';
import type { LimitStoreSettings } from '../../pkg/process/index.ts';

const pollMs = 10_000;

/**
 * The address with its password and authorities from mounted files, read again as they change. While a file cannot be read, what
 * was known stays; where nothing was known yet, there is no server, and each limit's failure mode decides.
 */
export function watchLimitStore(
  settings: LimitStoreSettings,
  clock: Clock,
  logger: Logger,
): { readonly current: () => LimitStoreAddress | undefined; close(): void } {
  const { url, user, passwordFile, caFile } = settings;
  let known: LimitStoreAddress | undefined;
  let text = '';
  let problem = '';
  const look = (): void => {
    try {
      const password = passwordFile === undefined ? undefined : readFileSync(passwordFile, 'utf8').trim();
      const ca = caFile === undefined ? undefined : readFileSync(caFile, 'utf8');
      problem = '';
      const now = JSON.stringify([password, ca]);
      if (known !== undefined && now === text) return;
      text = now;
      known = { url, username: user, password: password === undefined ? undefined : new Secret(password), ca };
    } catch (error) {
      const why = describeError(error);
      if (why === problem) return;
      problem = why;
      logger.error('the files of the limit store cannot be read', { error: why });
    }
  };
  look();
  const timer = clock.every(pollMs, look);
  return { current: () => known, close: () => timer.cancel() };
}
