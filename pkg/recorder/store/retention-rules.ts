import { cut } from '../bounds.ts';
import type { ChangesAbout, DeletionRule } from './port.ts';

/** Days that lines are kept; 0: for ever. */
export interface RetentionDays {
  /** Where nothing else is said. */
  readonly all: number;
  /** Of namespaces that have their own. */
  readonly namespaces: Readonly<Record<string, number>>;
  /**
   * Of policies that want more, by `NAMESPACE/POLICY`, or `cluster/POLICY` of the platform's: a block in which one of their rules acted, or
   * would have, is kept as long as the longest of them.
   */
  readonly policies: Readonly<Record<string, number>>;
}

export type AgeRule = Omit<DeletionRule, 'before' | 'after' | 'archivedOnly'> & {
  /** Older than these. */
  readonly days: number;
};

/** Tag of a session of which not all rules are tags: any may have acted. */
export const cutTag = 'cut';

/**
 * How the tags of sessions begin in which these rules acted, or those of a policy that only observes would have, or in which they may have. Tags
 * are cut, and so are their beginnings: policies whose long names begin alike keep each other's lines.
 */
export const tagsOfRules = (rules: readonly string[]): readonly string[] =>
  rules.length === 0 ? [] : [...rules.flatMap((rule) => [cut(`rule:${rule}`), cut(`observed:${rule}`)]), cutTag];

const platform = 'cluster';

/** How the names of a policy's rules begin, and whose it is; undefined: the platform's. @param policy `NAMESPACE/POLICY`, or `cluster/POLICY` */
export function policyOf(policy: string): { readonly owner: string | undefined; readonly rules: string } {
  const [owner = '', name = ''] = policy.split('/');
  return owner === platform ? { owner: undefined, rules: `${policy}/` } : { owner, rules: `${name}/` };
}

/** Whether `days` is longer. 0: for ever. */
const longer = (days: number, than: number): boolean => than !== 0 && (days === 0 || days > than);

interface WantedAbout extends ChangesAbout {
  readonly days: number;
}

/** How long what people decided of requests of a namespace is wanted: as long as these requests are. */
function daysOfChanges(
  { all, namespaces, policies }: RetentionDays,
  controlNamespace: string | undefined,
): readonly WantedAbout[] {
  if (controlNamespace === undefined) return [];
  const named = Object.entries(namespaces).filter(([namespace]) => namespace !== controlNamespace);
  const others = { allBut: [...named.map(([namespace]) => namespace), controlNamespace] };
  return [
    { namespaces: others, days: all },
    ...named.map(([namespace, days]) => ({ namespaces: { namespace }, days })),
    ...Object.entries(policies).flatMap(([policy, days]) => {
      const { owner, rules } = policyOf(policy);
      return owner === undefined || owner === controlNamespace
        ? []
        : [{ namespaces: { namespace: owner }, rules, days }];
    }),
  ];
}

/**
 * What is deleted at which age.
 *
 * @param controlNamespace Sidegate's own, where what people decide is on record: of requests of others, and kept as long as these where that is longer. Default: there is none.
 */
export function retentionRules(days: RetentionDays, controlNamespace?: string): readonly AgeRule[] {
  const { all, namespaces, policies } = days;
  const wanted = Object.entries(policies).map(([policy, days]) => {
    const { owner, rules } = policyOf(policy);
    return { namespace: owner, rules, days };
  });
  // A namespace may be called as what every object has.
  const daysOf = (namespace: string): number =>
    Object.hasOwn(namespaces, namespace) ? (namespaces[namespace] ?? all) : all;
  const controlDays = controlNamespace === undefined ? all : daysOf(controlNamespace);
  const changes = daysOfChanges(days, controlNamespace).filter((one) => longer(one.days, controlDays));
  const own = [
    ...new Set([
      ...Object.keys(namespaces),
      ...wanted.flatMap(({ namespace }) => namespace ?? []),
      ...(changes.length > 0 ? [controlNamespace ?? ''] : []),
    ]),
  ];
  const bases = [
    { days: all, namespace: undefined, of: { allBut: own } },
    ...own.map((namespace) => ({ days: daysOf(namespace), namespace, of: { namespace } })),
  ];
  return bases.flatMap(({ days: base, namespace, of }) => {
    const theirs = wanted.filter((one) => one.namespace === undefined || one.namespace === namespace);
    const about = namespace === controlNamespace && namespace !== undefined ? changes : [];
    const ages = new Set([base, ...[...theirs, ...about].map((one) => one.days).filter((one) => longer(one, base))]);
    return [...ages]
      .filter((days) => days !== 0)
      .map((days) => {
        const exceptRules = theirs.filter((one) => longer(one.days, days)).map(({ rules }) => rules);
        const exceptAbout = about.filter((one) => longer(one.days, days)).map(({ days: _, ...what }) => what);
        return {
          ...{ days, of },
          ...(exceptRules.length > 0 && { exceptRules }),
          ...(exceptAbout.length > 0 && { exceptAbout }),
        };
      });
  });
}
