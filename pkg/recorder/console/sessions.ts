import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../base/index.ts';
import type { Tokens } from './login-client.ts';

/** Somebody who has logged in. Kept in memory alone: a restart ends it. */
export interface Session {
  readonly issuer: string;
  readonly subject: string;
  readonly name: string;
  /** Goes along with everything that changes something. */
  readonly csrf: string;
  /** The newest. */
  tokens: Tokens;
  /** While they are renewed. */
  renewing?: Promise<void> | undefined;
  /** Monotonic: of the last use. */
  usedAt: number;
  /** Monotonic: it ends then, however much it is used. */
  readonly endsAt: number;
}

export interface Sessions {
  /** @returns what the browser keeps: 256 bits that nobody guesses */
  open(person: Pick<Session, 'issuer' | 'subject' | 'name' | 'tokens'>): string;
  /** Counts as a use. Undefined: there is no such session, or it has ended. */
  find(cookie: string): Session | undefined;
  /** Milliseconds until it ends, unless it is used. */
  leftMs(session: Session): number;
  end(cookie: string): void;
  readonly size: number;
}

export interface SessionLimits {
  readonly idleMs: number;
  readonly lifeMs: number;
  /** Of one person, and of all: the oldest ends where one more begins. */
  readonly each: number;
  readonly all: number;
}

const secret = (): string => randomBytes(32).toString('base64url');
/** What is looked up is not what the browser sends: how long a look takes says nothing of it. */
const keyOf = (cookie: string): string => hash('sha256', cookie, 'base64');

export function createSessions({ idleMs, lifeMs, each, all }: SessionLimits, clock: Clock): Sessions {
  /** Oldest first. */
  const known = new Map<string, Session>();
  const leftMs = ({ usedAt, endsAt }: Session): number => Math.min(endsAt, usedAt + idleMs) - clock.monotonic();
  const dropEnded = (): void => {
    for (const [key, session] of known) if (leftMs(session) <= 0) known.delete(key);
  };
  return {
    open(person) {
      dropEnded();
      const theirs = [...known].filter(
        ([, { issuer, subject }]) => issuer === person.issuer && subject === person.subject,
      );
      for (const [key] of theirs.slice(0, Math.max(0, theirs.length - each + 1))) known.delete(key);
      const [oldest] = known.keys();
      if (known.size >= all && oldest !== undefined) known.delete(oldest);
      const cookie = secret();
      const now = clock.monotonic();
      known.set(keyOf(cookie), { ...person, csrf: secret(), usedAt: now, endsAt: now + lifeMs });
      return cookie;
    },
    find(cookie) {
      const session = known.get(keyOf(cookie));
      if (session === undefined) return undefined;
      if (leftMs(session) <= 0) {
        known.delete(keyOf(cookie));
        return undefined;
      }
      session.usedAt = clock.monotonic();
      return session;
    },
    leftMs,
    end: (cookie) => void known.delete(keyOf(cookie)),
    get size() {
      return known.size;
    },
  };
}

/** Whether two texts are one, in a time that says nothing of where they differ. */
export function isSame(one: string, other: string): boolean {
  const digest = (text: string): Buffer => hash('sha256', text, 'buffer');
  return timingSafeEqual(digest(one), digest(other));
}
