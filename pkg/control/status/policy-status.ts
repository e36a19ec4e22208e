import type { PolicyStatusResource } from '../../crd/index.ts';
import type { PolicyEntry } from '../policies/policy-entry.ts';

/** What is wrong with a policy that is valid, as a condition of that type. */
export type ProblemType =
  | 'DeniesAll'
  | 'SecretMissing'
  | 'CertificateUnusable'
  | 'PortNotCaptured'
  | 'ServiceBypasses'
  | 'NamesLeftOut'
  | 'PodsWithoutSidecar'
  | 'RuleCannotFire'
  | 'Conflicted';

export interface PolicyProblem {
  readonly type: ProblemType;
  readonly message: string;
}

/** Everything that the status of a policy is made of. */
export interface StatusFacts {
  readonly entry: Pick<PolicyEntry, 'kind' | 'generation' | 'fault' | 'status'>;
  /** Inference pods that it selects of which something runs: one that is ending serves to its end. */
  readonly selected: number;
  /** Of these: those that are ending. */
  readonly ending: number;
  /** As the replicas counted; may for a moment be more than there are. */
  readonly enforcing: number;
  readonly refusing: number;
  /** Selected pods whose sidecar has another image than this release; undefined: not known. */
  readonly outdated?: number;
  /** Why one pod refused it, for people. */
  readonly refusal: string | undefined;
  readonly problems: readonly PolicyProblem[];
  readonly overridden: readonly { readonly field: string; readonly by: string }[];
}

type Condition = NonNullable<PolicyStatusResource['conditions']>[number];
type NewCondition = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

const problemOrder: readonly ProblemType[] = [
  'DeniesAll',
  'SecretMissing',
  'CertificateUnusable',
  'PortNotCaptured',
  'ServiceBypasses',
  'NamesLeftOut',
  'PodsWithoutSidecar',
  'RuleCannotFire',
  'Conflicted',
];
const longestMessage = 4_096;
const mostOverridden = 64;

function acceptedOf({ kind, fault }: StatusFacts['entry']): NewCondition {
  return fault === undefined
    ? { type: 'Accepted', status: 'True', reason: 'Accepted', message: 'It is valid and takes part.' }
    : {
        type: 'Accepted',
        status: 'False',
        reason: 'Invalid',
        message: `It cannot be used: pods that it selects ${
          kind === 'InferencePolicy'
            ? 'deny everything'
            : 'keep their last good policy until maxPolicyAge, and those without one deny'
        }. ${fault}`,
      };
}

function enforcedOf(facts: StatusFacts, enforcing: number): NewCondition {
  const { selected, refusing, refusal } = facts;
  const of = `${enforcing} of ${selected} pods enforce generation ${facts.entry.generation}${
    facts.ending === 0 || enforcing === selected
      ? ''
      : ` (${facts.ending} of the ${selected} ${facts.ending === 1 ? 'is' : 'are'} ending)`
  }.`;
  if (facts.entry.fault !== undefined) return { type: 'Enforced', status: 'False', reason: 'Invalid', message: of };
  if (selected === 0) {
    return { type: 'Enforced', status: 'Unknown', reason: 'NoPods', message: 'It selects no inference pod.' };
  }
  if (enforcing === selected) return { type: 'Enforced', status: 'True', reason: 'AllPods', message: of };
  if (facts.problems.some(({ type }) => type === 'DeniesAll'))
    return { type: 'Enforced', status: 'False', reason: 'DeniesAll', message: `${of} Pods deny everything instead.` };
  if (refusing > 0) {
    return {
      type: 'Enforced',
      status: 'False',
      reason: 'Refused',
      message: `${of} Refused by ${refusing}: ${refusal ?? ''}`,
    };
  }
  return {
    type: 'Enforced',
    status: 'False',
    reason: 'PodsBehind',
    message: `${of} The others are on their way, or not connected.`,
  };
}

function programmedOf(problems: readonly PolicyProblem[], fault: string | undefined): NewCondition {
  const [first] = problems;
  if (fault !== undefined)
    return { type: 'Programmed', status: 'False', reason: 'Invalid', message: 'It is not in force.' };
  if (first === undefined) {
    return {
      type: 'Programmed',
      status: 'True',
      reason: 'Programmed',
      message: 'All that it says can be carried out.',
    };
  }
  const message = problems.map((one) => `${one.type}: ${one.message}`).join(' ');
  return { type: 'Programmed', status: 'False', reason: first.type, message };
}

/** Messages of one type in one condition. */
function joined(problems: readonly PolicyProblem[]): readonly PolicyProblem[] {
  return problemOrder.flatMap((type) => {
    const messages = [...new Set(problems.filter((one) => one.type === type).map((one) => one.message))];
    return messages.length === 0 ? [] : [{ type, message: messages.join(' ') }];
  });
}

/**
 * The status that a policy should have. Conditions whose status did not change keep their time, so that equal facts give an equal
 * status.
 *
 * @param now ISO 8601 in whole seconds.
 */
export function policyStatus(facts: StatusFacts, now: string): PolicyStatusResource {
  const { entry, selected } = facts;
  const enforcing = Math.min(facts.enforcing, selected);
  const refusing = Math.min(facts.refusing, selected - enforcing);
  const problems = joined(facts.problems);
  const conditions = [
    acceptedOf(entry),
    enforcedOf({ ...facts, refusing }, enforcing),
    programmedOf(problems, entry.fault),
    ...problems.map(({ type, message }): NewCondition => ({ type, status: 'True', reason: type, message })),
  ].map((condition): Condition => {
    const before = entry.status?.conditions?.find((one) => one.type === condition.type);
    return {
      ...condition,
      message: condition.message.slice(0, longestMessage),
      observedGeneration: entry.generation,
      lastTransitionTime: before !== undefined && before.status === condition.status ? before.lastTransitionTime : now,
    };
  });
  return {
    observedGeneration: entry.generation,
    conditions,
    enforced: `${enforcing}/${selected}`,
    pods: {
      selected,
      enforcing,
      refusing,
      behind: selected - enforcing - refusing,
      ...(facts.outdated !== undefined && { outdated: facts.outdated }),
    },
    overridden: facts.overridden
      .slice(0, mostOverridden)
      .map(({ field, by }) => ({ field: field.slice(0, 256), by: by.slice(0, 512) })),
  };
}

/** Whether a write is needed; the order of fields does not matter. */
export function sameStatus(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const left = Object.entries(a).filter(([, value]) => value !== undefined);
  const right = new Map(Object.entries(b).filter(([, value]) => value !== undefined));
  return (
    left.length === right.size && left.every(([key, value]) => right.has(key) && sameStatus(value, right.get(key)))
  );
}
