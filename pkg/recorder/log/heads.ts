import type { KeyObject } from 'node:crypto';
import { describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { isSignedHead, signHead } from '../../record/index.ts';
import type { RecordStore } from '../store/index.ts';
import { createForeignEntries } from './foreign-entries.ts';

/** Signs what the log is: at the start, since a recorder that was killed left entries without a head, and each minute in which something was added to it. */
export interface HeadKeeper {
  /** Now, where there is something new. */
  sign(): Promise<void>;
  close(): void;
}

const everyMs = 60_000;

export function keepHeads(options: {
  readonly store: Pick<RecordStore, 'addHead' | 'entries' | 'lastHead' | 'lastOf' | 'log'>;
  readonly key: KeyObject;
  /** Public keys that the log had before, in their order; default: none. */
  readonly olderKeys?: readonly KeyObject[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onSigned?: (size: number) => void;
  /** A head was not signed, since somebody else has written into the log. */
  readonly onForeign?: () => void;
}): HeadKeeper {
  const { store, key, clock, logger } = options;
  const keys = [...(options.olderKeys ?? []), key];
  const foreignEntry = createForeignEntries(store, keys);
  /** Whether its newest head is none that the log's keys have signed, or of more entries than it has: by it nothing would be looked at, or signed, any more. */
  const foreignHead = async (): Promise<number | undefined> => {
    const last = await store.lastHead();
    if (last === undefined) return undefined;
    return isSignedHead(last, keys) && last.size <= (await store.log()).size ? undefined : last.size;
  };
  let working = Promise.resolve();
  const work = async (): Promise<void> => {
    try {
      const head = await foreignHead();
      if (head !== undefined) {
        options.onForeign?.();
        logger.error(
          'the head of the log was not signed: the newest that the log has is none that its key has signed, or over more entries than it has',
          { size: head },
        );
        return;
      }
      // What comes between this and the head is looked at before the next one.
      const foreign = await foreignEntry();
      if (foreign !== undefined) {
        options.onForeign?.();
        logger.error('the head of the log was not signed: the log has an entry that no recorder with this key made', {
          entry: foreign,
        });
        return;
      }
      const signed = await store.addHead(({ size, root, at: last }) => {
        const head = { size, root: Buffer.from(root).toString('hex'), at: Math.max(clock.now(), last) };
        return { ...head, text: signHead(head, key) };
      });
      if (signed !== undefined) options.onSigned?.(signed.size);
    } catch (error) {
      logger.error('the head of the log was not signed', { error: describeError(error) });
    }
  };
  // One after the other: each look at the log goes on from where the one before it ended.
  const sign = (): Promise<void> => (working = working.then(work));
  const timer = clock.every(everyMs, () => void sign());
  void sign();
  return { sign, close: () => timer.cancel() };
}
