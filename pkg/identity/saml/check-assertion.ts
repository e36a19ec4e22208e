import type { Assertion } from './assertion.ts';
import { SamlFault } from './saml-fault.ts';

/** For whom, by what way and when an assertion must be meant, to count here. */
export interface Expected {
  /** Entity id of the identity provider whose keys proved it. */
  readonly issuer: string;
  /** Our own entity id. */
  readonly audience: string;
  /** Addresses to which it may have been brought. */
  readonly recipients: readonly string[];
  /** The request that it answers; undefined: it must answer none, so that what somebody asked for cannot be brought by another. */
  readonly inResponseTo: string | undefined;
  /** Epoch milliseconds. */
  readonly now: number;
  readonly skewMs: number;
}

/**
 * Longest time from now to the end of an assertion, milliseconds: so long it is remembered as used. Entra ID gives 70 min.
 */
export const longestAssertionMs = 7_200_000;

/**
 * Everything of saml-profiles section 4.1.4.2 and RFC 7522 section 3 but the signature.
 *
 * @returns when the last way ends by which it may be taken, epoch milliseconds, the allowed skew included: until then it must not be taken
 * again.
 * @throws SamlFault
 */
export function checkAssertion(assertion: Assertion, expected: Expected): number {
  const { now, skewMs } = expected;
  if (assertion.issuer !== expected.issuer) throw new SamlFault('issuer');
  // Without a restriction it is meant for everybody, and whoever got it could bring it here.
  if (assertion.audiences.length === 0) throw new SamlFault('audience');
  if (!assertion.audiences.every((one) => one.includes(expected.audience))) throw new SamlFault('audience');
  checkTimes(assertion, now, skewMs);
  checkConfirmed(assertion, expected);
  const ends = lastEnd(assertion);
  if (ends - now > longestAssertionMs) throw new SamlFault('too_long_lived');
  return ends + skewMs;
}

function checkTimes(
  { notBefore, notOnOrAfter }: Pick<Assertion, 'notBefore' | 'notOnOrAfter'>,
  now: number,
  skewMs: number,
): void {
  if (notOnOrAfter !== undefined && now >= notOnOrAfter + skewMs) throw new SamlFault('expired');
  if (notBefore !== undefined && now < notBefore - skewMs) throw new SamlFault('not_yet_valid');
}

/** One bearer confirmation must hold; else the fault of the last counts. */
function checkConfirmed({ confirmations }: Assertion, { recipients, inResponseTo, now, skewMs }: Expected): void {
  let fault = new SamlFault('subject');
  for (const one of confirmations) {
    try {
      if (one.recipient === undefined || !recipients.includes(one.recipient)) throw new SamlFault('recipient');
      if (one.inResponseTo !== inResponseTo) throw new SamlFault('in_response_to');
      checkTimes(one, now, skewMs);
      return;
    } catch (error) {
      if (!(error instanceof SamlFault)) throw error;
      fault = error;
    }
  }
  throw fault;
}

/** Of all confirmations: one that is for another recipient or request here, or holds later, would have it taken once more. */
function lastEnd({ confirmations, notOnOrAfter = Number.POSITIVE_INFINITY }: Assertion): number {
  return Math.min(Math.max(...confirmations.map((one) => one.notOnOrAfter)), notOnOrAfter);
}
