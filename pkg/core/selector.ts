import type { LabelSelector, Policy } from './policy.ts';

/** What a selector looks at. */
export interface PodFacts {
  /** Undefined: not known, and not compared. */
  readonly namespace: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly namespaceLabels: Readonly<Record<string, string>>;
}

type Expression = LabelSelector['matchExpressions'][number];

function expressionHolds(expression: Expression, labels: Readonly<Record<string, string>>): boolean {
  // Own properties only: a label selector on `constructor` must not find one.
  const value = Object.hasOwn(labels, expression.key) ? labels[expression.key] : undefined;
  switch (expression.operator) {
    case 'In':
      return value !== undefined && expression.values.includes(value);
    case 'NotIn':
      // As in Kubernetes: an absent label is not in any set.
      return value === undefined || !expression.values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    default:
      return false;
  }
}

/** As in Kubernetes: all of it must hold; an empty selector matches everything. */
export function selectorMatches(selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  return (
    Object.entries(selector.matchLabels).every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value) &&
    selector.matchExpressions.every((expression) => expressionHolds(expression, labels))
  );
}

/** Whether a policy governs a pod. A namespaced policy reaches only pods of its own namespace. */
export function selects(policy: Policy, pod: PodFacts): boolean {
  if (!selectorMatches(policy.spec.selector, pod.labels)) return false;
  if (policy.kind === 'InferencePolicy') return pod.namespace === undefined || policy.namespace === pod.namespace;
  const namespaces = policy.spec.namespaceSelector;
  return namespaces === undefined || selectorMatches(namespaces, pod.namespaceLabels);
}

/** The fewest labels that these could match, where any labels could: of two that ask for different values of one, the first counts. */
function leastLabels(selectors: readonly LabelSelector[]): Readonly<Record<string, string>> {
  const asked = selectors.flatMap(({ matchLabels, matchExpressions }) => [
    ...Object.entries(matchLabels),
    ...matchExpressions.flatMap(({ key, operator, values }): [string, string][] =>
      operator === 'In' || operator === 'Exists' ? [[key, values[0] ?? '']] : [],
    ),
  ]);
  return Object.fromEntries(asked.reverse());
}

/** The pod with the fewest labels that all of these could select. It does select them all, unless no pod is likely to be. */
export function leastPod(policies: readonly Policy[], namespace: string | undefined): PodFacts {
  const ofNamespaces = policies.flatMap(({ spec }) => spec.namespaceSelector ?? []);
  // What Kubernetes writes on every namespace.
  const own = namespace === undefined ? {} : { 'kubernetes.io/metadata.name': namespace };
  return {
    namespace,
    labels: leastLabels(policies.map(({ spec }) => spec.selector)),
    namespaceLabels: { ...leastLabels(ofNamespaces), ...own },
  };
}

/** A selector as resources write it. */
interface WrittenSelector {
  readonly matchLabels?: Readonly<Record<string, string>> | undefined;
  readonly matchExpressions?:
    | readonly { readonly key: string; readonly operator: string; readonly values?: readonly string[] | undefined }[]
    | undefined;
}

function expressionText({
  key,
  operator,
  values = [],
}: NonNullable<WrittenSelector['matchExpressions']>[number]): string {
  if (operator === 'Exists') return key;
  if (operator === 'DoesNotExist') return `!${key}`;
  return `${key} ${operator.toLowerCase()} (${values.join(', ')})`;
}

/** As `kubectl get -l` takes it: `app=llama, zone in (a, b), !canary`. Empty: it matches everything. */
export function selectorText({ matchLabels = {}, matchExpressions = [] }: WrittenSelector): string {
  const labels = Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`);
  return [...labels, ...matchExpressions.map(expressionText)].join(', ');
}
