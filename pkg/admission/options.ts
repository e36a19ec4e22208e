/** The options of injection (ConfigMap `sidegate-options`), read from their file and read again when it changes. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { describeError } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import { parseChartOptions } from '../inject/index.ts';
import type { ChartOptions } from '../inject/index.ts';

export interface OptionsSource {
  /** The options to inject with. */
  current(): ChartOptions;
  /**
   * All that a pod may have been injected with by a replica that has not yet read the file as this one has, or read it before: the present
   * ones first, then those that were replaced within the last {@link overlapMs}.
   */
  accepted(): readonly ChartOptions[];
  close(): void;
}

/** The kubelet takes up to two minutes to bring a ConfigMap's change to every replica. */
export const overlapMs = 600_000;
const readEveryMs = 2_000;

/**
 * @param file a ConfigMap's mounted key; the kubelet swaps it by a symbolic link, so that it is always whole
 * @throws where it cannot be read or is not valid at the start; later faults are logged, and the last good ones stay
 */
export async function watchChartOptions(options: {
  readonly file: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onRead?: (result: 'accepted' | 'refused') => void;
}): Promise<OptionsSource> {
  const { file, clock, logger, onRead } = options;
  const hashOf = (content: string): string => createHash('sha256').update(content).digest('hex');
  const first = await readFile(file, 'utf8');
  let hash = hashOf(first);
  let current = parseChartOptions(first);
  let before: readonly { readonly options: ChartOptions; readonly until: number }[] = [];
  let reading = false;

  const read = async (): Promise<void> => {
    const content = await readFile(file, 'utf8');
    const next = hashOf(content);
    if (next === hash) return;
    // Also where it is not valid: it is said once, not every two seconds.
    hash = next;
    const parsed = parseChartOptions(content);
    before = [{ options: current, until: clock.monotonic() + overlapMs }, ...before].slice(0, 3);
    current = parsed;
    onRead?.('accepted');
    logger.info('options were read again');
  };
  const timer = clock.every(readEveryMs, () => {
    if (reading) return;
    reading = true;
    read()
      .catch((error: unknown) => {
        onRead?.('refused');
        logger.error('the options cannot be used: the last good ones stay', { error: describeError(error) });
      })
      .finally(() => (reading = false));
  });
  return {
    current: () => current,
    accepted: () => [
      current,
      ...before.filter(({ until }) => until > clock.monotonic()).map(({ options: one }) => one),
    ],
    close: () => timer.cancel(),
  };
}
