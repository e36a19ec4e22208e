import { readFileSync } from 'node:fs';
import { describeError } from '../../pkg/base/index.ts';
import type { Clock, Logger } from '../../pkg/base/index.ts';
import { readBundle } from '../../pkg/pki/index.ts';

const pollMs = 5_000;

/**
 * The authorities of sidecars from a mounted file, read again as it changes. What cannot be read, or is no bundle, leaves what was
 * known.
 *
 * @throws when there is nothing good at the start
 */
export function watchTrust(file: string, clock: Clock, logger: Logger): { current(): string; close(): void } {
  const read = (): string => {
    const pem = readFileSync(file, 'utf8');
    readBundle(pem);
    return pem;
  };
  let current = read();
  let problem = '';
  const timer = clock.every(pollMs, () => {
    try {
      const now = read();
      if (now !== current) logger.info('the authorities of sidecars have changed');
      current = now;
      problem = '';
    } catch (error) {
      const why = describeError(error);
      if (why !== problem) logger.error('the authorities of sidecars cannot be read', { error: why });
      problem = why;
    }
  });
  return { current: () => current, close: () => timer.cancel() };
}
