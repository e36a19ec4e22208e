import type { FileTerms } from './policy.ts';
import type { AccessDecision } from './snapshot.ts';

/** Whether files pass that nobody reads. Promise: none does unless each policy that allows the request says so of its type and size. */

/** @param type lower case, without parameters. */
export function mayPass(
  { files }: Pick<Extract<AccessDecision, { kind: 'allow' }>, 'files'>,
  { type, bytes }: { readonly type: string; readonly bytes: number },
): boolean {
  if (files === undefined || files.length === 0) return false;
  return files.every((terms) => terms.some((one) => fits(one, type, bytes)));
}

/**
 * Whether a picture, a sound or a file passes that stands within the JSON of a request. Promise: where a policy that allows the request says which files
 * pass, this is one of them; one that says nothing of files says nothing of these.
 */
export function mayStandWithin(
  { within = [] }: Pick<Extract<AccessDecision, { kind: 'allow' }>, 'within'>,
  { type, bytes }: { readonly type: string; readonly bytes: number },
): boolean {
  return within.every((terms) => terms.some((one) => fits(one, type, bytes)));
}

/**
 * Whether the model's server may be told to fetch this. Promise: never unless each policy that allows the request names its host, and then by https at its
 * usual port, spelled so that no reader of URLs takes another host for it.
 */
export function mayFetch({ files }: Pick<Extract<AccessDecision, { kind: 'allow' }>, 'files'>, url: string): boolean {
  const host = hostOf(url);
  if (host === undefined || files === undefined || files.length === 0) return false;
  return files.every((terms) => terms.some(({ hosts = [] }) => hosts.some((one) => isHost(host, one))));
}

const isHost = (host: string, pattern: string): boolean =>
  pattern.startsWith('*.') ? host.endsWith(pattern.slice(1)) && host.length >= pattern.length : host === pattern;

/** Undefined: it is not said so that there can be no doubt. */
const hostOf = (url: string): string | undefined =>
  /^https:\/\/([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)(?:[/?#][!-[\]-~]*)?$/i.exec(url)?.[1]?.toLowerCase();

function fits({ types, maxBytes }: FileTerms, type: string, bytes: number): boolean {
  if (maxBytes !== undefined && bytes > maxBytes) return false;
  const slash = type.indexOf('/');
  if (slash < 1) return false;
  const family = `${type.slice(0, slash)}/*`;
  return types.some((one) => one === type || one === family || one === '*/*');
}
