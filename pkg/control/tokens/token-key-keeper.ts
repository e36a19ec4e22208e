import { describeError } from '../../base/index.ts';
import type { Clock, Logger, Timer } from '../../base/index.ts';
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
import { isConflict, resources } from '../../kube/index.ts';
import type { KubeClient, KubeObject } from '../../kube/index.ts';
import { labelsOf } from '../facts/shape.ts';

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

interface SecretObject extends KubeObject {
  readonly type?: string;
  readonly data?: Readonly<Record<string, string>>;
}

const noKeys = '{"keys":[]}';

const converted = (data: unknown, from: 'utf8' | 'base64', to: 'utf8' | 'base64'): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(labelsOf(data)).map(([key, value]) => [key, Buffer.from(value, from).toString(to)]),
  );

export function startTokenKeyKeeper(options: TokenKeyKeeperOptions): TokenKeyKeeper {
  const { client, clock, logger, namespace, leading, readMs = 30_000, timing = tokenKeyTiming } = options;
  const ref = { namespace, name: controlPlane.tokenKeys };
  let keys: TokenKeyState | undefined;
  let told: string | undefined;
  let timer: Timer | undefined;
  let running: Promise<void> | undefined;
  let again = false;
  let closed = false;

  const take = (state: TokenKeyState | undefined): void => {
    keys = state;
    const keySet = state === undefined ? noKeys : tokenKeySet(state);
    // Until the first ones are there, there is nothing to take away.
    if (keySet === told || (state === undefined && told === undefined)) return;
    told = keySet;
    options.onChange(keySet);
  };
  const step = async (found: SecretObject | undefined, state: TokenKeyState | undefined): Promise<void> => {
    const due = dueTokenKeyStep(state, clock.now(), timing);
    if (due === undefined || !leading()) return;
    const next = afterTokenKeyStep(state, due, clock.now());
    const object: SecretObject = {
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'Opaque',
      metadata: found?.metadata ?? { ...ref, labels: { 'app.kubernetes.io/part-of': 'sidegate' } },
      data: converted(writeTokenKeys(next), 'utf8', 'base64'),
    };
    // The resourceVersion that was read stands in the object, and a second maker gets 409: nobody's keys are overwritten.
    if (found === undefined) await client.create<SecretObject>(resources.secrets, object, { namespace });
    else await client.replace<SecretObject>(resources.secrets, object);
    logger.info('the keys of tokens moved on', { step: due });
    take(next);
  };
  const read = async (): Promise<void> => {
    try {
      const found = await client.find<SecretObject>(resources.secrets, ref);
      const state = found === undefined ? undefined : readTokenKeys(converted(found.data, 'base64', 'utf8'));
      take(state);
      await step(found, state);
    } catch (error) {
      if (isConflict(error)) again = true;
      else logger.error('the keys of tokens cannot be read or moved on', { error: describeError(error) });
    }
  };
  const loop = (): void => {
    if (closed) return;
    timer?.cancel();
    again = false;
    running = read().then(() => {
      running = undefined;
      if (closed) return;
      timer = clock.after(again ? 0 : keys === undefined ? Math.min(readMs, 1_000) : readMs, loop);
    });
  };
  loop();

  return {
    keys: () => keys,
    kick() {
      if (running === undefined) loop();
      else again = true;
    },
    async close() {
      closed = true;
      timer?.cancel();
      await running;
    },
  };
}
