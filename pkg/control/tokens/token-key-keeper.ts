import type { Clock, Logger } from '../../base/index.ts';
import { controlPlane } from '../../contract/index.ts';
import {
  afterTokenKeyStep,
  dueTokenKeyStep,
  readTokenKeys,
  tokenKeySet,
  tokenKeyTiming,
  writeTokenKeys,
} from '../../identity/index.ts';
import type { TokenKeyState, TokenKeyTiming } from '../../identity/index.ts';
import type { KubeClient } from '../../kube/index.ts';
import { keepSecret } from '../secrets/kept-secret.ts';

/**
 * The keys that sign tokens, of all replicas, kept in one Secret. Each reads it by name; the leader makes it and moves it through its
 * rotation. A Secret that is there and no good is reported and never replaced. One that was deleted is made anew: that ends every
 * token that was given, at the next look.
 */
export interface TokenKeyKeeper {
  /** Undefined until the Secret has been read, or made, once, and while it is gone. */
  keys(): TokenKeyState | undefined;
  /** Reads now: for who has just become the leader. */
  kick(): void;
  close(): Promise<void>;
}

export interface TokenKeyKeeperOptions {
  readonly client: Pick<KubeClient, 'find' | 'create' | 'replace'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly namespace: string;
  /** Asked before each write. */
  readonly leading: () => boolean;
  /** Called with the JWK set, at first and when it is another. */
  readonly onChange: (keySet: string) => void;
  /** How often the Secret is read; default 30 s. */
  readonly readMs?: number;
  readonly timing?: TokenKeyTiming;
}

const noKeys = '{"keys":[]}';

export function startTokenKeyKeeper(options: TokenKeyKeeperOptions): TokenKeyKeeper {
  const { client, clock, logger, namespace, leading, readMs = 30_000, timing = tokenKeyTiming } = options;
  let keys: TokenKeyState | undefined;
  let told: string | undefined;

  const take = (state: TokenKeyState | undefined): void => {
    keys = state;
    const keySet = state === undefined ? noKeys : tokenKeySet(state);
    // Until the first ones are there, there is nothing to take away.
    if (keySet === told || (state === undefined && told === undefined)) return;
    told = keySet;
    options.onChange(keySet);
  };
  const secret = keepSecret({
    client,
    clock,
    logger,
    namespace,
    name: controlPlane.tokenKeys,
    what: 'the keys of tokens',
    readMs,
    known: () => keys !== undefined,
    async look(found) {
      const state = found.texts === undefined ? undefined : readTokenKeys(found.texts);
      take(state);
      const due = dueTokenKeyStep(state, clock.now(), timing);
      if (due === undefined || !leading()) return;
      const next = afterTokenKeyStep(state, due, clock.now());
      await found.write(writeTokenKeys(next));
      logger.info('the keys of tokens moved on', { step: due });
      take(next);
    },
  });

  return { keys: () => keys, kick: () => secret.kick(), close: () => secret.close() };
}
