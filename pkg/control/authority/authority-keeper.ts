import { describeError } from '../../base/index.ts';
import type { Clock, Logger, Timer } from '../../base/index.ts';
import { controlPlane } from '../../contract/index.ts';
import { isConflict, resources } from '../../kube/index.ts';
import type { KubeClient, KubeObject } from '../../kube/index.ts';
import {
  afterStep,
  createAuthority,
  createAuthorityPair,
  dueStep,
  readAuthority,
  rotationTiming,
  writeAuthority,
} from '../../pki/index.ts';
import type { Authority, AuthorityState, RotationTiming } from '../../pki/index.ts';
import { labelsOf } from '../facts/shape.ts';

/** On the Secret of the authority: any value asks for a new authority; removed when it has been made. */
export const rotateAnnotation = 'sidegate.dev/rotate';

export interface AuthorityKeeperOptions {
  readonly client: Pick<KubeClient, 'find' | 'create' | 'replace'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly namespace: string;
  /** Asked before each write. */
  readonly leading: () => boolean;
  /** How often the Secret is read: by those who do not lead, to learn of a step; default 30 s. */
  readonly readMs?: number;
  readonly timing?: RotationTiming;
  readonly onStep?: (step: string) => void;
}

/**
 * The authority of all replicas, kept in one Secret. Each reads it by name; the leader makes it and moves it through its rotation.
 *
 * A Secret that is there and no good is reported and never replaced: everything that runs trusts what it was.
 */
export interface AuthorityKeeper {
  /** Undefined until the Secret has been read, or made, once. */
  authority(): Authority | undefined;
  whenReady(): Promise<Authority>;
  /** Milliseconds since the Secret was read and was good. */
  ageMs(): number;
  /** Reads now: for who has just become the leader. */
  kick(): void;
  close(): Promise<void>;
}

interface SecretObject extends KubeObject {
  readonly type?: string;
  readonly data?: Readonly<Record<string, string>>;
}

function decoded(data: Readonly<Record<string, string>> | undefined): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(labelsOf(data)).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]),
  );
}

function encoded(state: AuthorityState): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(writeAuthority(state)).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
  );
}

export function startAuthorityKeeper(options: AuthorityKeeperOptions): AuthorityKeeper {
  const { client, clock, logger, namespace, leading, readMs = 30_000, timing = rotationTiming } = options;
  const ref = { namespace, name: controlPlane.authority };
  const ready = Promise.withResolvers<Authority>();
  let authority: Authority | undefined;
  let version: string | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  let timer: Timer | undefined;
  let running: Promise<void> | undefined;
  let again = false;
  let closed = false;

  const take = (state: AuthorityState, next: string | undefined): void => {
    readAt = clock.monotonic();
    if (authority === undefined) {
      authority = createAuthority({ state, clock });
      version = next;
      ready.resolve(authority);
    } else if (next === undefined || next !== version) {
      version = next;
      authority.replace(state);
    }
  };
  const step = async (found: SecretObject | undefined, state: AuthorityState | undefined): Promise<void> => {
    const asked = labelsOf(found?.metadata.annotations)[rotateAnnotation] !== undefined;
    const due = dueStep(state, clock.now(), timing, asked);
    if (due === undefined || !leading()) return;
    const fresh = due === 'create' || due === 'publish' ? await createAuthorityPair(clock) : undefined;
    const next = afterStep(state, due, clock.now(), fresh);
    // Making keys takes a moment.
    if (!leading()) return;
    const { [rotateAnnotation]: _asked, ...annotations } = labelsOf(found?.metadata.annotations);
    const object: SecretObject = {
      apiVersion: 'v1',
      kind: 'Secret',
      type: found?.type ?? 'Opaque',
      metadata: {
        ...(found?.metadata ?? { ...ref, labels: { 'app.kubernetes.io/part-of': 'sidegate' } }),
        annotations,
      },
      data: encoded(next),
    };
    // The resourceVersion that was read stands in the object, and a second maker gets 409: nobody's authority is overwritten.
    const written =
      found === undefined
        ? await client.create<SecretObject>(resources.secrets, object, { namespace })
        : await client.replace<SecretObject>(resources.secrets, object);
    logger.info('the authority moved on', { step: due });
    options.onStep?.(due);
    take(next, written.metadata.resourceVersion);
  };
  const read = async (): Promise<void> => {
    try {
      const found = await client.find<SecretObject>(resources.secrets, ref);
      const state = found === undefined ? undefined : readAuthority(decoded(found.data));
      if (state !== undefined) take(state, found?.metadata.resourceVersion);
      await step(found, state);
    } catch (error) {
      if (isConflict(error)) again = true;
      else logger.error('the authority cannot be read or moved on', { error: describeError(error) });
    }
  };
  const loop = (): void => {
    if (closed) return;
    timer?.cancel();
    again = false;
    running = read().then(() => {
      running = undefined;
      if (closed) return;
      // Until there is one somebody is about to make it.
      const wait = again ? 0 : authority === undefined ? Math.min(readMs, 1_000) : readMs;
      timer = clock.after(wait, loop);
    });
  };
  loop();

  return {
    authority: () => authority,
    whenReady: () => ready.promise,
    ageMs: () => clock.monotonic() - readAt,
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
