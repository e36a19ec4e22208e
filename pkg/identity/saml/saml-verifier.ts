import type { Clock, Logger } from '../../base/index.ts';
import type { HttpGet } from '../http-get.ts';
import { authnRequest } from './authn-request.ts';
import type { AuthnRequest } from './authn-request.ts';
import { checkAssertion } from './check-assertion.ts';
import { followMetadata } from './metadata-source.ts';
import type { MetadataPlace, MetadataSource } from './metadata-source.ts';
import { defaultNameIdFormat } from './names.ts';
import { personOf } from './person.ts';
import type { Person, PersonMapping } from './person.ts';
import { provenAssertion } from './proven-assertion.ts';
import { SamlFault } from './saml-fault.ts';
import { createSignatureProver } from './signature-prover.ts';

/** A SAML 2.0 identity provider that is trusted. */
export interface SamlIdp extends PersonMapping {
  /** Ours: part of the issuer of its people's tokens. */
  readonly name: string;
  readonly entityId: string;
  readonly metadata: MetadataPlace;
}

/** Whom an assertion speaks of. */
export interface ProvenPerson extends Person {
  /** Name of the identity provider. */
  readonly idp: string;
  readonly entityId: string;
  readonly assertionId: string;
  /** Epoch milliseconds: until then the same assertion must not be taken again. */
  readonly usableUntil: number;
  /** When the identity provider ends the session; undefined: it does not say. */
  readonly sessionEnds: number | undefined;
}

/**
 * Proves people by assertions.
 *
 * Promise: a person comes only from an assertion that a key of a configured identity provider signed, for this audience, brought to
 * one of the recipients, now. That it comes once is the caller's to see to: `entityId` and `assertionId` name it.
 */
export interface SamlVerifier {
  /** @throws SamlFault; SignatureProverError when it could not be found out. */
  verify(document: Uint8Array, at: Presented): Promise<ProvenPerson>;
  /** Where a browser is sent to log in; undefined: no such identity provider, or its metadata names no such place or is not here. */
  signOn(idp: string): string | undefined;
  /** A request to log somebody in, whose answer is to come to `consumer`. Undefined as of {@link signOn}. */
  request(idp: string, consumer: string): AuthnRequest | undefined;
  close(): void;
}

export interface Presented {
  readonly recipients: readonly string[];
  /** Id of the request that it must answer; undefined: it must answer none. */
  readonly inResponseTo?: string;
}

export interface SamlOptions {
  readonly idps: readonly SamlIdp[];
  /** Our own entity id. */
  readonly audience: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly get: HttpGet;
  /** Program of the thread that proves signatures; default its source, beside this file. */
  readonly thread?: URL;
  /** Allowed clock difference, milliseconds; default 60 s. */
  readonly skewMs?: number;
}

export function createSamlVerifier(options: SamlOptions): SamlVerifier {
  const { idps, audience, clock, logger, get, skewMs = 60_000 } = options;
  const known = new Map<string, { readonly idp: SamlIdp; readonly source: MetadataSource }>();
  for (const idp of idps) {
    const { entityId, metadata: place } = idp;
    known.set(entityId, { idp, source: followMetadata({ entityId, place, clock, logger, get }) });
  }
  const prover = createSignatureProver(options.thread ?? new URL('./signature-thread.ts', import.meta.url), clock);
  const named = (name: string) => [...known.values()].find(({ idp }) => idp.name === name);
  const signOn = (name: string): string | undefined => named(name)?.source.current()?.signOn;
  return {
    async verify(document, { recipients, inResponseTo }) {
      const assertion = await provenAssertion(
        document,
        (issuer) => {
          const found = known.get(issuer);
          return found === undefined ? undefined : (found.source.current()?.certificates ?? []);
        },
        prover,
      );
      const { issuer } = assertion;
      const idp = known.get(issuer)?.idp;
      if (idp === undefined) throw new SamlFault('issuer');
      const expected = { issuer, audience, recipients, inResponseTo, now: clock.now(), skewMs };
      const usableUntil = checkAssertion(assertion, expected);
      return {
        ...personOf(assertion, idp, audience),
        idp: idp.name,
        entityId: issuer,
        assertionId: assertion.id,
        usableUntil,
        sessionEnds: assertion.sessionEnds,
      };
    },
    signOn,
    request(name, consumer) {
      const at = signOn(name);
      const idp = named(name)?.idp;
      if (at === undefined || idp === undefined) return undefined;
      const nameIdFormat = idp.subjectAttribute === undefined ? (idp.nameIdFormat ?? defaultNameIdFormat) : undefined;
      return authnRequest({ signOn: at, issuer: audience, consumer, nameIdFormat }, clock.now());
    },
    close() {
      for (const { source } of known.values()) source.close();
      prover.close();
    },
  };
}
