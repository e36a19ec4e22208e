import { compareResourceVersions } from '../../kube/index.ts';
import type { Cache } from '../../kube/index.ts';
import { bindingIndex, isUnanswered, openIndex, unansweredIndex } from './approval-fact.ts';
import type { ApprovalFact } from './approval-fact.ts';

/** What is known of approvals: the watched copy, and what this replica has written or read that the watch has yet to tell of. */
export interface ApprovalBook {
  get(key: string): ApprovalFact | undefined;
  /** The one of this binding that was made last. */
  newest(namespace: string, binding: string): ApprovalFact | undefined;
  /** Undecided ones of a namespace. */
  undecided(namespace: string): readonly ApprovalFact[];
  /** Undecided ones of a namespace, and those that ended without anybody's decision. */
  unanswered(namespace: string): readonly ApprovalFact[];
  /** Takes what was read or written; false: it is not news. */
  put(fact: ApprovalFact): boolean;
  /** It is not there any more. */
  drop(key: string): void;
  /** The watch tells. */
  seen(key: string, fact: ApprovalFact | undefined): void;
}

export function createApprovalBook(cache: Pick<Cache<ApprovalFact>, 'get' | 'by'>): ApprovalBook {
  const fresh = new Map<string, ApprovalFact>();
  const freshByBinding = new Map<string, Set<string>>();
  const bindingKey = ({ namespace, binding }: Pick<ApprovalFact, 'namespace' | 'binding'>): string =>
    `${namespace}/${binding}`;

  const newer = (a: ApprovalFact | undefined, b: ApprovalFact | undefined): ApprovalFact | undefined => {
    if (a === undefined || b === undefined) return a ?? b;
    return compareResourceVersions(a.resourceVersion, b.resourceVersion) >= 0 ? a : b;
  };
  const forget = (key: string): void => {
    const fact = fresh.get(key);
    if (fact === undefined) return;
    fresh.delete(key);
    const keys = freshByBinding.get(bindingKey(fact));
    keys?.delete(key);
    if (keys?.size === 0) freshByBinding.delete(bindingKey(fact));
  };
  const those = (index: string, namespace: string, belongs: (fact: ApprovalFact) => boolean): ApprovalFact[] => {
    const known = new Map(cache.by(index, namespace).map((fact) => [fact.key, fact]));
    for (const fact of fresh.values()) {
      if (fact.namespace !== namespace) continue;
      if (belongs(fact)) known.set(fact.key, fact);
      else known.delete(fact.key);
    }
    return [...known.values()];
  };
  const get = (key: string): ApprovalFact | undefined => newer(cache.get(key), fresh.get(key));

  return {
    get,
    newest(namespace, binding) {
      const at = bindingKey({ namespace, binding });
      const keys = new Set([...cache.by(bindingIndex, at).map(({ key }) => key), ...(freshByBinding.get(at) ?? [])]);
      let last: ApprovalFact | undefined;
      for (const key of keys) {
        const fact = get(key);
        if (fact !== undefined && (last === undefined || fact.number > last.number)) last = fact;
      }
      return last;
    },
    undecided: (namespace) => those(openIndex, namespace, ({ phase }) => phase === 'Pending'),
    unanswered: (namespace) => those(unansweredIndex, namespace, isUnanswered),
    put(fact) {
      const known = get(fact.key);
      if (known !== undefined && compareResourceVersions(fact.resourceVersion, known.resourceVersion) <= 0)
        return false;
      forget(fact.key);
      fresh.set(fact.key, fact);
      const at = bindingKey(fact);
      const keys = freshByBinding.get(at) ?? new Set<string>();
      freshByBinding.set(at, keys.add(fact.key));
      return true;
    },
    drop: forget,
    seen(key, fact) {
      const held = fresh.get(key);
      if (held === undefined) return;
      if (fact === undefined || compareResourceVersions(fact.resourceVersion, held.resourceVersion) >= 0) forget(key);
    },
  };
}
