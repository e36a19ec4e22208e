import type { KeyObject } from 'node:crypto';
import { describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { signHead } from '../../record/index.ts';
import type { RecordStore } from '../store/index.ts';

/** Signs what the log is, each minute in which something was added to it. */
export interface HeadKeeper {
  /** Now, where there is something new. */
  sign(): Promise<void>;
  close(): void;
}

const everyMs = 60_000;

export function keepHeads(options: {
  readonly store: Pick<RecordStore, 'log' | 'saveHead' | 'heads'>;
  readonly key: KeyObject;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onSigned?: (size: number) => void;
}): HeadKeeper {
  const { store, key, clock, logger } = options;
  let signed = -1;
  let working: Promise<void> | undefined;
  const work = async (): Promise<void> => {
    const { size, root, at: last } = store.log();
    if (size === signed || size === 0) return;
    try {
      const at = Math.max(clock.now(), last);
      const hex = Buffer.from(root).toString('hex');
      await store.saveHead({ size, root: hex, at, text: signHead({ size, root: hex, at }, key) });
      signed = size;
      options.onSigned?.(size);
    } catch (error) {
      logger.error('the head of the log was not signed', { error: describeError(error) });
    }
  };
  const sign = async (): Promise<void> => {
    await working;
    working = work();
    await working;
  };
  const timer = clock.every(everyMs, () => void sign());
  return { sign, close: () => timer.cancel() };
}
