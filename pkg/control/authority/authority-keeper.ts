import type { Clock, Logger } from '../../base/index.ts';
import { controlPlane } from '../../contract/index.ts';
import type { KubeClient } from '../../kube/index.ts';
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
import { keepSecret } from '../secrets/kept-secret.ts';

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
  /** `restore`: the Secret was gone. */
  readonly onStep?: (step: string) => void;
}

/**
 * The authority of all replicas, kept in one Secret. Each reads it by name; the leader makes it and moves it through its rotation.
 *
 * A Secret that is there and no good is reported and never replaced: everything that runs trusts what it was. One that is gone is
 * written again by a leader that has read it, for the same reason.
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

/** A Secret that is gone is written again as it was by who has read it within so many intervals. */
const restorableReads = 10;

export function startAuthorityKeeper(options: AuthorityKeeperOptions): AuthorityKeeper {
  const { client, clock, logger, namespace, leading, readMs = 30_000, timing = rotationTiming } = options;
  const ready = Promise.withResolvers<Authority>();
  let authority: Authority | undefined;
  let version: string | undefined;
  let readAt = Number.NEGATIVE_INFINITY;

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
  const secret = keepSecret({
    client,
    clock,
    logger,
    namespace,
    name: controlPlane.authority,
    what: 'the authority',
    readMs,
    known: () => authority !== undefined,
    async look(found) {
      if (found.texts === undefined && authority !== undefined) {
        if (!leading()) return;
        // One that was not read for long may have been followed by another one.
        if (clock.monotonic() - readAt > restorableReads * readMs)
          throw new Error('the Secret is gone, and what is known of it is too old to be written again');
        const held = authority.state();
        take(held, await found.write(writeAuthority(held)));
        logger.error('the Secret of the authority was gone: written again as it was', {
          secret: controlPlane.authority,
        });
        options.onStep?.('restore');
        return;
      }
      const state = found.texts === undefined ? undefined : readAuthority(found.texts);
      if (state !== undefined) take(state, found.resourceVersion);
      const { [rotateAnnotation]: asked, ...others } = found.annotations;
      const due = dueStep(state, clock.now(), timing, asked !== undefined);
      if (due === undefined || !leading()) return;
      const fresh = due === 'create' || due === 'publish' ? await createAuthorityPair(clock) : undefined;
      const next = afterStep(state, due, clock.now(), fresh);
      // Making keys takes a moment.
      if (!leading()) return;
      // Asked for in the middle of a rotation: the next one is begun when this one is over.
      const written = await found.write(writeAuthority(next), fresh === undefined ? found.annotations : others);
      logger.info('the authority moved on', { step: due });
      options.onStep?.(due);
      take(next, written);
    },
  });

  return {
    authority: () => authority,
    whenReady: () => ready.promise,
    ageMs: () => clock.monotonic() - readAt,
    kick: () => secret.kick(),
    close: () => secret.close(),
  };
}
