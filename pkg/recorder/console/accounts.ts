import { describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import type { People, Person } from '../api/people.ts';
import { Refusal } from '../api/question.ts';
import { LoginFault } from './login-client.ts';
import type { LoginClient } from './login-client.ts';
import type { Session, Sessions } from './sessions.ts';

/** Somebody who is logged in, as their token says this moment. */
export interface Account {
  readonly session: Session;
  readonly person: Person;
  /** Epoch milliseconds: when the session ends unless it is used. */
  readonly endsAt: number;
}

export interface AccountsOptions {
  readonly sessions: Sessions;
  readonly people: Pick<People, 'prove'>;
  readonly login: Pick<LoginClient, 'renew'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A token that ends within this is renewed first. */
const renewMs = 30_000;

const loggedOut = (): Refusal => new Refusal(401, 'logged_out', 'you are not logged in, or no longer');

/**
 * Who a session is, by its token as it is now: a session lives no longer than its token proves somebody with a role, and is renewed at
 * the issuer where that gave the means.
 *
 * @returns asks by the value of the session's cookie
 * @throws Refusal `logged_out` where it has ended
 */
export function createAccounts(options: AccountsOptions): (cookie: string | undefined) => Promise<Account> {
  const { sessions, people, login, clock, logger } = options;

  const renew = async (session: Session): Promise<void> => {
    const { refresh } = session.tokens;
    if (refresh === undefined) return;
    try {
      const tokens = await login.renew(refresh);
      session.tokens = { ...tokens, name: session.tokens.name };
    } catch (error) {
      if (!(error instanceof LoginFault)) throw error;
      logger.info('a session of the console was not renewed', { error: describeError(error) });
      // Whoever the issuer refuses is asked no more; while it does not answer, the token counts as long as it does.
      if (error.code !== 'unavailable') session.tokens = { ...session.tokens, refresh: undefined };
    }
  };

  return async (cookie) => {
    const session = cookie === undefined ? undefined : sessions.find(cookie);
    if (cookie === undefined || session === undefined) throw loggedOut();
    let person = await people.prove(session.tokens.token);
    if (person === undefined || person.expiresAt - clock.now() < renewMs) {
      session.renewing ??= renew(session).finally(() => (session.renewing = undefined));
      await session.renewing;
      person = await people.prove(session.tokens.token);
    }
    // The allowance for clocks is for tokens that come from elsewhere: this one was made for this session.
    const stands =
      person !== undefined &&
      person.role !== undefined &&
      person.expiresAt > clock.now() &&
      person.issuer === session.issuer &&
      person.subject === session.subject;
    if (person === undefined || !stands) {
      sessions.end(cookie);
      throw loggedOut();
    }
    const left = clock.now() + sessions.leftMs(session);
    const endsAt = session.tokens.refresh === undefined ? Math.min(left, person.expiresAt) : left;
    return { session, person, endsAt };
  };
}
