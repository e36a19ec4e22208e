import { CodedError } from '../../base/index.ts';
import { areTexts, isFields, isText, readSettings } from './settings-json.ts';

/** The OpenID provider of people who read records, as the chart writes it: JSON. Without `roles` nobody may anything. */
export interface PeopleSettings {
  /** `https://…`, as its tokens and its metadata name it; plain http on a loopback address only. */
  readonly issuer: string;
  /** A token must be meant for one of them. */
  readonly audiences: readonly string[];
  /** Claim whose values `roles` are about; a path of names joined by dots. Default `groups`. */
  readonly claim: string;
  /** Claim that says who somebody is. Default `sub`. */
  readonly subjectClaim: string;
  readonly roles: readonly RoleSettings[];
}

/** What a value of the claim gives. */
export interface RoleSettings {
  readonly value: string;
  readonly role: Role;
  /** Whose records; `*`: those of all, and the log. */
  readonly namespaces: readonly string[];
}

/** An auditor reads; an investigator of all namespaces also places and releases holds. */
export type Role = (typeof roles)[number];

const roles = ['Auditor', 'Investigator'] as const;
const most = { audiences: 20, roles: 200, namespaces: 200 } as const;
const loopback = /^(localhost|\[::1\]|127(\.[0-9]{1,3}){3})$/;
const namespaceName = /^(\*|[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)$/;

const isRole = (value: unknown): value is Role => roles.some((role) => role === value);

function isIssuer(value: unknown): value is string {
  if (!isText(value) || !URL.canParse(value)) return false;
  const { protocol, hostname, username, search, hash } = new URL(value);
  if (username !== '' || search !== '' || hash !== '' || value.includes('#')) return false;
  return protocol === 'https:' || (protocol === 'http:' && loopback.test(hostname));
}

/** Plain http is for loopback addresses alone: demos and tests. */
export const isPlain = (issuer: string): boolean => new URL(issuer).protocol === 'http:';

/** @throws CodedError `settings_invalid` with everything that is wrong. */
export function parsePeople(json: string): PeopleSettings {
  const value = readSettings('oidc', json);
  const faults: string[] = [];
  const need = (holds: boolean, what: string): void => void (holds || faults.push(what));
  const { issuer, audiences, claim = 'groups', subjectClaim = 'sub', roles: given = [], ...others } = value;
  for (const name of Object.keys(others)) faults.push(`there is no ${name}`);
  need(isIssuer(issuer), 'issuer must be an https:// address without query');
  need(areTexts(audiences, most.audiences), `audiences must be a list of 1 to ${most.audiences} texts`);
  need(isText(claim), 'claim must name a claim');
  need(isText(subjectClaim), 'subjectClaim must name a claim');
  // Only of the subject's claim it is known whether the issuer has verified the address.
  need(claim !== 'email' || subjectClaim === 'email', 'claim email needs subjectClaim email');
  const list: readonly unknown[] = Array.isArray(given) ? given : [undefined];
  need(Array.isArray(given) && given.length <= most.roles, `roles must be a list of at most ${most.roles}`);
  list.forEach((one, at) => {
    if (!isFields(one)) return need(!Array.isArray(given), `roles[${at}] must be an object`);
    const { value: name, role, namespaces, ...rest } = one;
    for (const stranger of Object.keys(rest)) faults.push(`roles[${at}] has no ${stranger}`);
    need(isText(name), `roles[${at}].value must be a value of the claim`);
    need(isRole(role), `roles[${at}].role must be ${roles.join(' or ')}`);
    need(
      areTexts(namespaces, most.namespaces) && namespaces.every((each) => namespaceName.test(each)),
      `roles[${at}].namespaces must be a list of 1 to ${most.namespaces} namespaces, or of *`,
    );
  });
  if (faults.length > 0) throw new CodedError('settings_invalid', `oidc: ${faults.join('; ')}`);
  // Proven field by field above.
  return { issuer, audiences, claim, subjectClaim, roles: given } as PeopleSettings;
}
