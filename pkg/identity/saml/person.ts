import type { Assertion } from './assertion.ts';
import { SamlFault } from './saml-fault.ts';

/** Which attributes of an assertion say who somebody is. */
export interface PersonMapping {
  /** Attribute with the subject; undefined: the NameID. */
  readonly subjectAttribute?: string;
  /** Attribute with the groups; default `groups`. */
  readonly groupsAttribute?: string;
  /** Claim of the token -> attribute with one value. */
  readonly claims?: Readonly<Record<string, string>>;
}

export interface Person {
  readonly subject: string;
  readonly groups: readonly string[];
  readonly claims: Readonly<Record<string, string>>;
}

/** Claims that a token has by itself. */
export const ownClaims: ReadonlySet<string> = new Set([
  ...['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'groups', 'cnf', 'scope', 'scp', 'act'],
  ...['email_verified', '_claim_names', '_claim_sources', '__proto__'],
]);

/**
 * Entra ID names this in place of the groups where there are more than 150. A caller whose groups are unknown cannot be held to
 * rules about groups.
 */
const groupsElsewhere = 'http://schemas.microsoft.com/claims/groups.link';

/** @throws SamlFault subject, attributes */
export function personOf({ nameId, attributes }: Assertion, mapping: PersonMapping): Person {
  if (attributes.has(groupsElsewhere)) throw new SamlFault('attributes');
  const one = (name: string): string | undefined => {
    const values = attributes.get(name) ?? [];
    if (values.length > 1) throw new SamlFault('attributes');
    return values[0] === '' ? undefined : values[0];
  };
  const subject = mapping.subjectAttribute === undefined ? nameId : one(mapping.subjectAttribute);
  if (subject === undefined) throw new SamlFault('subject');
  const groups = attributes.get(mapping.groupsAttribute ?? 'groups') ?? [];
  const claims: Record<string, string> = {};
  for (const [claim, attribute] of Object.entries(mapping.claims ?? {})) {
    const value = one(attribute);
    if (value !== undefined) claims[claim] = value;
  }
  return { subject, groups: [...new Set(groups)].filter((group) => group !== ''), claims };
}
