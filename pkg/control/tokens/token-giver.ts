import { randomId } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { maxTokenLength, signToken } from '../../identity/index.ts';
import type { ProvenPerson, TokenKeyState } from '../../identity/index.ts';
import type { GivenNote } from '../record/index.ts';
import type { Revocations } from './revocations.ts';
import { issuerOf } from './token-issuer.ts';
import type { UsedAssertions } from './used-assertions.ts';
import { createTwoClocks } from '../two-clocks.ts';
import type { TwoClocks } from '../two-clocks.ts';

/** Errors of RFC 6749 section 5.2 and RFC 8693 section 2.2.2: all that whoever asks learns. */
export type ExchangeFault =
  'invalid_request' | 'invalid_grant' | 'invalid_target' | 'unsupported_grant_type' | 'temporarily_unavailable';

export interface GivenToken {
  readonly kind: 'token';
  readonly token: string;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

export type Exchanged = { readonly kind: 'fault'; readonly fault: ExchangeFault } | GivenToken;

export const exchangeFault = (fault: ExchangeFault): Exchanged => ({ kind: 'fault', fault });

/** Gives tokens to people whom an assertion proved. An assertion gives one, whichever replica is asked. */
export interface TokenGiver {
  /**
   * @param wanted the audience; undefined: the first of the identity provider's.
   * @param about `from`: address that asks. `keep` makes of the token what is to stand in the record of the assertion; absent: nothing.
   * @throws KubeError when the API server cannot be asked whether the assertion was used.
   */
  give(person: ProvenPerson, wanted: string | undefined, about: GiveAbout): Promise<Exchanged>;
}

export interface GiveAbout {
  readonly from: string;
  readonly keep?: (given: GivenToken) => string;
}

export interface TokenGiverOptions {
  readonly used: UsedAssertions;
  readonly revocations: Pick<Revocations, 'revokes'>;
  /** Undefined: they are not here yet. */
  readonly keys: () => TokenKeyState | undefined;
  /** Of the token endpoint, without a slash at its end. */
  readonly url: string;
  /** Audiences that may be asked for, by identity provider. */
  readonly audiences: ReadonlyMap<string, readonly string[]>;
  /** Longest life of a token, milliseconds; default 15 min. */
  readonly lifeMs?: number;
  readonly clock: Clock;
  /** An assertion proves nothing once it is over by either. Default: `clock` alone. */
  readonly clocks?: Pick<TwoClocks, 'latest'> | undefined;
  readonly logger: Logger;
  readonly onGiven?: (note: GivenNote) => void;
}

export function createTokenGiver(options: TokenGiverOptions): TokenGiver {
  const { used, revocations, keys, url, audiences, clock, logger, lifeMs = 900_000 } = options;
  const { clocks = createTwoClocks(clock) } = options;

  return {
    async give(person, wanted, { from, keep }) {
      const allowed = audiences.get(person.idp) ?? [];
      const audience = wanted ?? allowed[0];
      if (audience === undefined || !allowed.includes(audience)) return exchangeFault('invalid_target');
      const issuer = issuerOf(url, person.idp);
      const { subject, nameId, groups, claims } = person;
      if (revocations.revokes({ issuer, subject, ...(nameId !== undefined && { sub: nameId }) }))
        return exchangeFault('invalid_grant');
      const key = keys()?.current;
      if (key === undefined) return exchangeFault('temporarily_unavailable');
      const issuedAt = clock.now();
      const expiresAt = Math.min(issuedAt + lifeMs, person.sessionEnds ?? Number.POSITIVE_INFINITY);
      if (expiresAt - issuedAt < 1_000) return exchangeFault('invalid_grant');
      const id = randomId();
      const token = await signToken(key, {
        issuer,
        audience,
        subject,
        nameId,
        groups,
        claims,
        id,
        issuedAt,
        expiresAt,
      });
      if (token.length > maxTokenLength) {
        logger.warn('somebody has more groups than a token holds', { idp: person.idp, groups: groups.length });
        return exchangeFault('invalid_grant');
      }
      const given: GivenToken = { kind: 'token', token, expiresAt };
      // Last, so that what failed for another reason can be tried again.
      const { entityId, assertionId, usableUntil } = person;
      // Used ones are forgotten by both clocks: one that this machine alone takes for good may be among them.
      if (clocks.latest() >= usableUntil) return exchangeFault('invalid_grant');
      const record = { entityId, id: assertionId, until: usableUntil, ...(keep && { kept: keep(given) }) };
      if (!(await used.use(record))) {
        logger.warn('an assertion was brought again', { idp: person.idp });
        return exchangeFault('invalid_grant');
      }
      logger.info('a token was given', { idp: person.idp, id });
      options.onGiven?.({ idp: person.idp, issuer, subject, groups, id, expiresAt, from });
      return given;
    },
  };
}
