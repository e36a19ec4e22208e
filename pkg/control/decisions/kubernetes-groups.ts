import { prefixOf } from '../../core/index.ts';

/**
 * The groups that somebody may have in Kubernetes, as which their rights are asked about: those of their token, as they stand there and behind the
 * prefix of their name, and those that Kubernetes gives itself. One too many refuses.
 *
 * @param user Their name in Kubernetes
 * @param groups Of their token
 */
export function kubernetesGroups(user: string, groups: readonly string[]): readonly string[] {
  const prefix = prefixOf(user);
  const [, namespace] = /^system:serviceaccount:([^:]+):[^:]+$/.exec(user) ?? [];
  const ofAccounts = namespace === undefined ? [] : ['system:serviceaccounts', `system:serviceaccounts:${namespace}`];
  return [...new Set(['system:authenticated', ...ofAccounts, ...groups, ...groups.map((group) => prefix + group)])];
}
