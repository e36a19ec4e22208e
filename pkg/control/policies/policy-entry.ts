import type { LabelSelector, Policy } from '../../core/index.ts';
import { formatFault, parsePolicies } from '../../crd/index.ts';
import type { PolicyStatusResource } from '../../crd/index.ts';
import { objectKey } from '../../kube/index.ts';
import type { KubeObject } from '../../kube/index.ts';
import { fieldsOf, labelsOf, listOf, textOf } from '../facts/shape.ts';

export type PolicyKind = Policy['kind'];

/** A policy resource with what it became. */
export interface PolicyEntry {
  /** `InferencePolicy/ns/name`, `ClusterInferencePolicy/name`. */
  readonly key: string;
  readonly kind: PolicyKind;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly resourceVersion: string;
  /** How notices name it: `name`, `cluster/name`. */
  readonly label: string;
  /** Undefined: it cannot be used, see `fault`. */
  readonly policy: Policy | undefined;
  readonly fault: string | undefined;
  /** Also of one that cannot be used: whom it would select must not go on as if it were not there. */
  readonly selector: LabelSelector;
  readonly namespaceSelector: LabelSelector | undefined;
  readonly status: PolicyStatusResource | undefined;
}

export type CheckPattern = (pattern: string, maxLength: number) => string | undefined;

export const policyKey = (
  kind: PolicyKind,
  ref: { readonly namespace?: string | undefined; readonly name: string },
): string => `${kind}/${objectKey(ref)}`;

const operators: ReadonlySet<string> = new Set(['In', 'NotIn', 'Exists', 'DoesNotExist']);

/** Of a resource that may be anything. What cannot be read selects everything: the stricter of the two mistakes. */
function looseSelector(value: unknown): LabelSelector {
  const { matchLabels, matchExpressions } = fieldsOf(value);
  return {
    matchLabels: labelsOf(matchLabels),
    matchExpressions: listOf(matchExpressions).flatMap(({ key, operator, values }) =>
      operators.has(textOf(operator))
        ? [
            {
              key: textOf(key),
              operator: operator as 'In',
              values: Array.isArray(values) ? values.filter((one): one is string => typeof one === 'string') : [],
            },
          ]
        : [],
    ),
  };
}

/** What of the resource is translated; status, managed fields and annotations are not policy. */
function documentOf(kind: PolicyKind, { apiVersion, metadata, ...rest }: KubeObject): object {
  const { name, namespace, uid, generation, creationTimestamp } = metadata;
  return {
    apiVersion: apiVersion ?? 'sidegate.dev/v1alpha1',
    kind,
    metadata: {
      name,
      ...(namespace !== undefined && { namespace }),
      ...(uid !== undefined && { uid }),
      ...(generation !== undefined && { generation }),
      ...(creationTimestamp !== undefined && { creationTimestamp }),
    },
    spec: (rest as { spec?: unknown }).spec ?? null,
  };
}

/** Never throws: what is wrong is its `fault`. */
export function policyEntry(kind: PolicyKind, raw: KubeObject, checkPattern: CheckPattern): PolicyEntry {
  const { namespace, name, uid = '', generation = 0, resourceVersion = '' } = raw.metadata;
  const { spec, status } = raw as { spec?: unknown; status?: unknown };
  const { policies, faults } = parsePolicies(JSON.stringify(documentOf(kind, raw)), name, {
    checkPattern,
    local: false,
  });
  const [policy] = policies;
  const fault =
    policy === undefined
      ? (faults.slice(0, 3).map(formatFault).join('; ') || 'it holds no policy').slice(0, 1_000)
      : undefined;
  const { selector, namespaceSelector } = fieldsOf(spec);
  return {
    key: policyKey(kind, raw.metadata),
    kind,
    namespace: kind === 'InferencePolicy' ? namespace : undefined,
    name,
    uid,
    generation,
    resourceVersion,
    label: kind === 'InferencePolicy' ? name : `cluster/${name}`,
    policy,
    fault,
    selector: policy?.spec.selector ?? looseSelector(selector),
    namespaceSelector:
      policy === undefined
        ? namespaceSelector === undefined
          ? undefined
          : looseSelector(namespaceSelector)
        : policy.spec.namespaceSelector,
    status: status === undefined ? undefined : (status as PolicyStatusResource),
  };
}
