import { nameIdClaim } from '../claims.ts';
import type { Assertion } from './assertion.ts';
import { defaultNameIdFormat, nameIdFormats, transientFormat } from './names.ts';
import type { NameIdFormat } from './names.ts';
import { SamlFault } from './saml-fault.ts';

/** Which attributes of an assertion say who somebody is. */
export interface PersonMapping {
  /** Attribute with the subject; undefined: the NameID. */
  readonly subjectAttribute?: string;
  /**
   * The one kind of NameID that is taken where that is the subject; default Persistent. Whoever logs in chooses in their browser what their
   * identity provider is asked for: of several kinds, one person had several names, and one name were several people's.
   */
  readonly nameIdFormat?: NameIdFormat;
  /** Attribute with the groups; default `groups`. */
  readonly groupsAttribute?: string;
  /** Claim of the token -> attribute with one value. */
  readonly claims?: Readonly<Record<string, string>>;
}

export interface Person {
  readonly subject: string;
  /** Where the subject is an attribute, the NameID, unless it is transient. */
  readonly nameId?: string;
  readonly groups: readonly string[];
  readonly claims: Readonly<Record<string, string>>;
}

/** Claims that a token has by itself. */
export const ownClaims: ReadonlySet<string> = new Set([
  ...['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'groups', 'cnf', 'scope', 'scp', 'act', nameIdClaim],
  ...['email_verified', '_claim_names', '_claim_sources', '__proto__'],
]);

/**
 * Entra ID names this in place of the groups where there are more than 150. A caller whose groups are unknown cannot be held to
 * rules about groups.
 */
const groupsElsewhere = 'http://schemas.microsoft.com/claims/groups.link';

/** @throws SamlFault subject: it is of another kind, or in another namespace than the identity provider's own and ours */
function subjectOf({ nameId, issuer }: Assertion, format: NameIdFormat, audience: string): string {
  const { qualifier, spQualifier } = nameId;
  if (nameId.format !== nameIdFormats[format]) throw new SamlFault('subject');
  if (format !== 'Persistent') return nameId.name;
  if (spQualifier !== undefined && spQualifier !== audience) throw new SamlFault('subject');
  if (qualifier !== undefined && qualifier !== issuer) throw new SamlFault('subject');
  return nameId.name;
}

/**
 * By the bare name, of whatever kind and namespace: an identity provider that writes one name in two ways means one person. Two whose names
 * are equal count as one, which refuses.
 */
function nameBeside({ nameId }: Assertion, { subjectAttribute }: PersonMapping): { readonly nameId?: string } {
  return subjectAttribute === undefined || nameId.format === transientFormat ? {} : { nameId: nameId.name };
}

/** @param audience our entity id: an assertion may have other audiences, and the name that those know somebody by. @throws SamlFault subject, attributes */
export function personOf(assertion: Assertion, mapping: PersonMapping, audience: string): Person {
  const { attributes } = assertion;
  if (attributes.has(groupsElsewhere)) throw new SamlFault('attributes');
  const one = (name: string): string | undefined => {
    const values = attributes.get(name) ?? [];
    if (values.length > 1) throw new SamlFault('attributes');
    return values[0] === '' ? undefined : values[0];
  };
  const subject =
    mapping.subjectAttribute === undefined
      ? subjectOf(assertion, mapping.nameIdFormat ?? defaultNameIdFormat, audience)
      : one(mapping.subjectAttribute);
  if (subject === undefined) throw new SamlFault('subject');
  const groups = attributes.get(mapping.groupsAttribute ?? 'groups') ?? [];
  const claims: Record<string, string> = {};
  for (const [claim, attribute] of Object.entries(mapping.claims ?? {})) {
    const value = one(attribute);
    if (value !== undefined) claims[claim] = value;
  }
  return {
    subject,
    ...nameBeside(assertion, mapping),
    groups: [...new Set(groups)].filter((group) => group !== ''),
    claims,
  };
}
