import type { Clock, Logger } from '../../base/index.ts';
import { controlPlane } from '../../contract/index.ts';
import { createQueue } from '../../kube/index.ts';
import type { KubeClient } from '../../kube/index.ts';
import { publishMap } from './published-map.ts';

export interface TrustKeeperOptions {
  readonly client: Pick<KubeClient, 'find' | 'patch' | 'delete'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly namespace: string;
  readonly bundle: () => string | undefined;
  readonly leading: () => boolean;
  readonly onWritten?: () => void;
}

/** Keeps the ConfigMap from which the webhook writes the authorities into pods; looked at again each minute. The leader's. */
export interface TrustKeeper {
  kick(): void;
  close(): Promise<void>;
}

export function startTrustKeeper(options: TrustKeeperOptions): TrustKeeper {
  const { client, clock, logger, namespace, bundle, leading } = options;
  const ref = { namespace, name: controlPlane.trust };
  const queue = createQueue({
    name: 'trust',
    clock,
    logger,
    concurrency: 1,
    async handle() {
      const pem = bundle();
      if (pem === undefined || !leading()) return 1_000;
      if (await publishMap(client, ref, controlPlane.caKey, pem)) options.onWritten?.();
      return 60_000;
    },
  });
  queue.add('trust');
  return { kick: () => queue.add('trust'), close: () => queue.close() };
}
