import type { CompiledProvider } from './snapshot.ts';
import { sha256 } from './canonical.ts';

/** Names longer than this are told by their digest: resources bound them. */
const longestNaming = 320;

/**
 * How a provider names people: those of one issuer with equal namings and different subjects are different accounts. Undefined: a person
 * may have several subjects there, so that these tell nobody apart.
 *
 * An issuer may give a person another `sub` for each client (pairwise subjects, OpenID Connect Core section 8.1; Entra ID), or another one
 * in ID tokens than in access tokens (Okta). So `sub` counts within one audience and one client, and a claim that the policy names within the
 * issuer.
 *
 * @param client that the token was given to, by its own word; undefined: it names none
 */
export function namingOf(provider: CompiledProvider, client: string | undefined): string | undefined {
  const { oidc } = provider;
  if (oidc === undefined || oidc.subjectClaim !== 'sub') return namingOfSubject(provider);
  const [audience, ...others] = new Set(oidc.audiences);
  if (audience === undefined || others.length > 0) return undefined;
  // An ID token's audience is its client.
  const naming =
    client === undefined || client === audience ? `sub for ${audience}` : `sub for ${audience} by ${client}`;
  return naming.length <= longestNaming ? naming : `sub ${sha256(naming)}`;
}

/** As {@link namingOf}, of somebody of whom the subject alone is known, and no token: for which client a `sub` is, nobody can say. */
export function namingOfSubject({ oidc, serviceAccount, sidegate }: CompiledProvider): string | undefined {
  if (oidc !== undefined) return oidc.subjectClaim === 'sub' ? undefined : `claim ${oidc.subjectClaim}`;
  if (serviceAccount !== undefined) return 'service account';
  // One kind of name for all whom an identity provider speaks of: its settings say which.
  return sidegate === undefined ? undefined : 'assertion';
}

/**
 * Whether what a provider says beyond who somebody is at their issuer (who they are to Kubernetes, how they are named) is believed where
 * these approvals decide. Where the platform names the approvers, its own providers say it alone, and the cluster's issuer by keys that the
 * controller has of the API server: whoever writes a namespace's policies could bring an issuer that calls them somebody else, and approve
 * what they asked for. Where the namespace names them, who writes its policies names whom they like.
 */
export const isBelieved = (
  { byPlatform }: { readonly byPlatform: boolean },
  { id, serviceAccount }: Pick<CompiledProvider, 'id' | 'serviceAccount'>,
): boolean => !byPlatform || id.startsWith('cluster/') || serviceAccount?.keys !== undefined;

/**
 * Whether two names in Kubernetes are one: without case, as directories compare them.
 */
export const isSameUser = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase();

/** What prefixes of an issuer's names end in: `oidc:`, `https://idp.example.com#`. */
const endOfPrefix = /[:#/|](?=[^:#/|]+[:#/|]*$)/;

/** Kubernetes' own names: what stands before is no prefix of an issuer's. */
const isKubernetes = (name: string): boolean => name.startsWith('system:');

/** The name without any prefix; the whole one where nothing shows that there is one. */
function withoutPrefix(name: string): string {
  const at = isKubernetes(name) ? -1 : name.search(endOfPrefix);
  return name.slice(at + 1);
}

/** What an API server puts before a name, by its look; empty: nothing shows. Groups of its issuer mostly have the same. */
export const prefixOf = (name: string): string => name.slice(0, name.length - withoutPrefix(name).length);

/** Whether this name is the other one, which is not empty, behind something that may be a prefix: it ends in a sign, not in a letter. */
const isBehindPrefix = (name: string, other: string): boolean =>
  !isKubernetes(name) && name.endsWith(other) && /[^\p{L}\p{M}\p{N}]$/u.test(name.slice(0, -other.length));

/**
 * Whether two names in Kubernetes may be one person's. API servers put a prefix before names of their issuer (`oidc:ana`, and
 * `https://idp.example.com#ana` where none is configured): whoever forgot to say so to Sidegate, or said another one, must not decide on
 * their own request. So what is behind the prefix of either is compared. Two people may count as one, which refuses.
 * Not seen: prefixes of both that end in none of `:#/|`, since `a.smith` and `b.smith` are two people.
 */
export function mayBeSameUser(one: string, other: string): boolean {
  const [a, b] = [one.toLowerCase(), other.toLowerCase()];
  if (a === b) return true;
  if (a === '' || b === '') return false;
  return isBehindPrefix(a, withoutPrefix(b)) || isBehindPrefix(b, withoutPrefix(a));
}

/** Whom an issuer names. */
export interface Named {
  readonly issuer: string;
  /** As the policy names people. */
  readonly subject: string;
  /** As `Identity.sub`: the claim or attribute that names people may change, an address for one. */
  readonly sub?: string | undefined;
}

const namesOf = ({ subject, sub }: Named): readonly string[] => (sub === undefined ? [subject] : [subject, sub]);

/** By any of their names. */
export const isSameCaller = (one: Named, other: Named): boolean =>
  one.issuer === other.issuer && namesOf(one).some((name) => namesOf(other).includes(name));

/** A `sub` as approvals keep it: what is too long for them, or does not survive the API server, by its SHA-256. */
export const keptSub = (sub: string): string =>
  sub.length <= 512 && sub.isWellFormed() ? sub : `sha256:${sha256(sub)}`;
