import { describeError } from '../../base/index.ts';
import type { Clock, Logger, Timer } from '../../base/index.ts';
import { controlPlane } from '../../contract/index.ts';
import { isNotFound, resources } from '../../kube/index.ts';
import type { KubeClient } from '../../kube/index.ts';
import type { AckBook } from './ack-book.ts';

export const ackLabel = 'sidegate.dev/acks';
export const ackLabelValue = 'replica';
export const ackDataKey = 'acks.json';

export interface AckPublisherOptions {
  readonly client: Pick<KubeClient, 'patch' | 'delete'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly namespace: string;
  /** This replica's name: one ConfigMap each. */
  readonly replica: string;
  readonly acks: AckBook;
  /** At most one write in so long; default 2 s. */
  readonly writeMs?: number;
  /** A write at least so often, by which the leader knows that this replica lives; default 3 s. */
  readonly beatMs?: number;
  readonly onWritten?: (result: 'done' | 'failed') => void;
}

/** Writes what this replica's sidecars have in force into one object, so that the API server's load does not grow with the pods. */
export interface AckPublisher {
  /** Removes the object: the sidecars go elsewhere. */
  close(): Promise<void>;
}

export const ackConfigMapName = (replica: string): string => `${controlPlane.acks}${replica}`;

export function startAckPublisher(options: AckPublisherOptions): AckPublisher {
  const { client, clock, logger, namespace, replica, acks, writeMs = 2_000, beatMs = 3_000 } = options;
  const name = ackConfigMapName(replica);
  let timer: Timer | undefined;
  let writing: Promise<void> | undefined;
  let writtenAt = Number.NEGATIVE_INFINITY;
  let dirty = true;
  let beat = 0;
  let closed = false;

  const write = async (): Promise<void> => {
    dirty = false;
    writtenAt = clock.monotonic();
    const body = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace, labels: { [ackLabel]: ackLabelValue, 'app.kubernetes.io/part-of': 'sidegate' } },
      // The beat makes each write a change: an apply that changes nothing leaves the resourceVersion.
      data: { [ackDataKey]: JSON.stringify({ v: 1, beat: ++beat, ...acks.summary() }) },
    };
    try {
      await client.patch(
        resources.configMaps,
        { namespace, name },
        {
          type: 'apply',
          fieldManager: 'sidegate-controller',
          force: true,
          body,
        },
      );
      options.onWritten?.('done');
    } catch (error) {
      dirty = true;
      options.onWritten?.('failed');
      logger.warn('the counts of this replica could not be written', { error: describeError(error) });
    }
  };
  const schedule = (): void => {
    if (closed || timer !== undefined || writing !== undefined) return;
    const wait = writtenAt + (dirty ? writeMs : beatMs) - clock.monotonic();
    timer = clock.after(Math.max(0, wait), () => {
      timer = undefined;
      writing = write().finally(() => {
        writing = undefined;
        schedule();
      });
    });
  };
  acks.onChange(() => {
    dirty = true;
    // It may wait for the beat: sooner now.
    timer?.cancel();
    timer = undefined;
    schedule();
  });
  schedule();

  return {
    async close() {
      closed = true;
      timer?.cancel();
      await writing;
      try {
        await client.delete(resources.configMaps, { namespace, name });
      } catch (error) {
        if (!isNotFound(error))
          logger.info('the counts of this replica stay for a while', { error: describeError(error) });
      }
    },
  };
}
