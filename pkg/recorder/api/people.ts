import type { Clock, Logger, Secret } from '../../base/index.ts';
import type { CompiledProvider } from '../../core/index.ts';
import { createIdentityVerifier, namedIssuer } from '../../identity/index.ts';
import { isPlain } from './people-settings.ts';
import type { PeopleSettings, Role, RoleSettings } from './people-settings.ts';
import type { Revoked } from './revoked.ts';

/** Somebody whom the OpenID provider has proven, and what their claims give them. */
export interface Person {
  readonly issuer: string;
  readonly subject: string;
  /** Investigator where any of their roles is. Undefined: they have none. */
  readonly role: Role | undefined;
  /** Sorted; `*` alone: all. */
  readonly namespaces: readonly string[];
  /** Epoch milliseconds: when their token ends. */
  readonly expiresAt: number;
  /** @param namespace Undefined: all of them, and the log. */
  mayRead(namespace: string | undefined): boolean;
  mayChange(): boolean;
}

export interface People {
  /** Whether the token names the provider; who else may judge it is not asked then. */
  issued(token: Secret): boolean;
  /** Undefined: it proves nobody, for now or for good. @throws Error where the provider's keys, or who was revoked, cannot be had */
  prove(token: Secret): Promise<Person | undefined>;
  close(): void;
}

const skewMs = 30_000;

export interface PeopleOptions {
  /** File with authorities (PEM) of the provider beside the public ones. */
  readonly ca?: string | undefined;
  readonly revoked: Revoked;
  readonly clock: Clock;
  readonly logger: Logger;
}

export function createPeople(settings: PeopleSettings, options: PeopleOptions): People {
  const { clock, logger, ca, revoked } = options;
  const { issuer, audiences, claim, subjectClaim, roles } = settings;
  const provider: CompiledProvider = {
    id: 'recorder',
    oidc: {
      issuer,
      audiences,
      groupsClaim: claim,
      scopesClaim: undefined,
      subjectClaim,
      clockSkewMs: skewMs,
      jwksUri: undefined,
      ca: ca === undefined ? undefined : { kind: 'File', path: ca },
      algorithms: [],
      allowInsecureLoopback: isPlain(issuer),
    },
    serviceAccount: undefined,
    clientCertificate: undefined,
    kubernetesUser: undefined,
  };
  const verifier = createIdentityVerifier({ clock, logger })([provider]);
  return {
    issued: (token) => namedIssuer(token.reveal()) === issuer,
    async prove(token) {
      const result = await verifier.verify({ token: token.reveal(), certificate: undefined });
      if (result.kind === 'refused' && result.reason === 'identity_unavailable')
        throw new Error('the keys of the OpenID provider cannot be had');
      if (result.kind !== 'proven' || revoked.revokes(result.identity)) return undefined;
      const { subject, groups, expiresAt = 0 } = result.identity;
      return personOf(
        { issuer, subject, expiresAt },
        roles.filter(({ value }) => groups.includes(value)),
      );
    },
    close: () => verifier.close(),
  };
}

function personOf(who: Pick<Person, 'issuer' | 'subject' | 'expiresAt'>, held: readonly RoleSettings[]): Person {
  const covers = (namespace: string | undefined, of: readonly RoleSettings[] = held): boolean =>
    of.some(({ namespaces }) => namespaces.some((one) => one === '*' || one === namespace));
  const investigates = held.filter(({ role }) => role === 'Investigator');
  const named = new Set(held.flatMap(({ namespaces }) => namespaces));
  return {
    ...who,
    role: held.length === 0 ? undefined : investigates.length > 0 ? 'Investigator' : 'Auditor',
    namespaces: named.has('*') ? ['*'] : [...named].toSorted(),
    mayRead: (namespace) => covers(namespace),
    // As the right in Kubernetes, which is cluster-wide: a hold without a namespace keeps everything.
    mayChange: () => covers(undefined, investigates),
  };
}
