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

function fits({ types, maxBytes }: FileTerms, type: string, bytes: number): boolean {
  if (maxBytes !== undefined && bytes > maxBytes) return false;
  const slash = type.indexOf('/');
  if (slash < 1) return false;
  const family = `${type.slice(0, slash)}/*`;
  return types.some((one) => one === type || one === family || one === '*/*');
}
