import { describeError } from '../../base/index.ts';
import type { Clock, Logger, Timer } from '../../base/index.ts';
import { isConflict, resources } from '../../kube/index.ts';
import type { KubeClient, KubeObject } from '../../kube/index.ts';
import { labelsOf } from '../facts/shape.ts';

/** What a Secret holds, as text. */
export type SecretTexts = Readonly<Record<string, string>>;

/** The Secret as it was read; `texts` is undefined where there is none. */
export interface FoundSecret {
  readonly texts: SecretTexts | undefined;
  readonly annotations: Readonly<Record<string, string>>;
  readonly resourceVersion: string | undefined;
  /**
   * Makes the Secret, or replaces the very one that was read: a second writer gets 409, reads again, and nobody's keys are overwritten.
   * Gives the new resourceVersion.
   */
  write(texts: SecretTexts, annotations?: Readonly<Record<string, string>>): Promise<string | undefined>;
}

export interface KeptSecretOptions {
  readonly client: Pick<KubeClient, 'find' | 'create' | 'replace'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly namespace: string;
  readonly name: string;
  /** What it holds, for the log: `the authority`. */
  readonly what: string;
  /** How often it is read, in milliseconds. Once a second at least while `known` says false: somebody is about to make it. */
  readonly readMs: number;
  readonly known: () => boolean;
  /** Takes what was read, and writes what is due. What it throws is logged, and tried again at the next look. */
  readonly look: (found: FoundSecret) => Promise<void>;
}

/** One Secret that every replica reads by its name, now and then, and that the leader makes and moves on. */
export interface KeptSecret {
  /** Reads now: for who has just become the leader. */
  kick(): void;
  close(): Promise<void>;
}

interface SecretObject extends KubeObject {
  readonly type?: string;
  readonly data?: unknown;
}

const recoded = (data: unknown, from: 'utf8' | 'base64', to: 'utf8' | 'base64'): SecretTexts =>
  Object.fromEntries(
    Object.entries(labelsOf(data)).map(([key, value]) => [key, Buffer.from(value, from).toString(to)]),
  );

export function keepSecret(options: KeptSecretOptions): KeptSecret {
  const { client, clock, logger, namespace, name, what, readMs, known, look } = options;
  const ref = { namespace, name };
  let timer: Timer | undefined;
  let running: Promise<void> | undefined;
  let again = false;
  let closed = false;

  const found = (object: SecretObject | undefined): FoundSecret => ({
    texts: object === undefined ? undefined : recoded(object.data, 'base64', 'utf8'),
    annotations: labelsOf(object?.metadata.annotations),
    resourceVersion: object?.metadata.resourceVersion,
    async write(texts, annotations = labelsOf(object?.metadata.annotations)) {
      const next: SecretObject = {
        apiVersion: 'v1',
        kind: 'Secret',
        type: object?.type ?? 'Opaque',
        metadata: {
          ...(object?.metadata ?? { ...ref, labels: { 'app.kubernetes.io/part-of': 'sidegate' } }),
          annotations,
        },
        data: recoded(texts, 'utf8', 'base64'),
      };
      const written =
        object === undefined
          ? await client.create<SecretObject>(resources.secrets, next, { namespace })
          : await client.replace<SecretObject>(resources.secrets, next);
      return written.metadata.resourceVersion;
    },
  });
  const read = async (): Promise<void> => {
    try {
      await look(found(await client.find<SecretObject>(resources.secrets, ref)));
    } catch (error) {
      if (isConflict(error)) again = true;
      else logger.error(`${what} cannot be read or moved on`, { error: describeError(error) });
    }
  };
  const loop = (): void => {
    if (closed) return;
    timer?.cancel();
    again = false;
    running = read().then(() => {
      running = undefined;
      if (closed) return;
      timer = clock.after(again ? 0 : known() ? readMs : Math.min(readMs, 1_000), loop);
    });
  };
  loop();

  return {
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
