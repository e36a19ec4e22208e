import type { LabelSelector, Policy } from '../../core/index.ts';
import { formatFault, parsePolicyObject } from '../../crd/index.ts';
import type { PolicyStatusResource } from '../../crd/index.ts';
import { objectKey } from '../../kube/index.ts';
import type { KubeObject } from '../../kube/index.ts';
import { describeError } from '../../base/index.ts';
import { carriedOut } from '../../detect/index.ts';
import type { CarriedOut } from '../../detect/index.ts';
import { fieldsOf, labelsOf, listOf, textOf, timeOf } from '../facts/shape.ts';

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
  /** Also of one that cannot be used: what pods serve with does not hang on the rest of it. */
  readonly certificate: NamedCertificate;
  /** False: it only observes. Also of one that cannot be used. */
  readonly enforces: boolean;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly status: PolicyStatusResource | undefined;
}

/** `tls.certificate` of a policy; `unset`: it says nothing of it; `unknown`: that cannot be read. */
export type NamedCertificate = { readonly secretName: string } | 'sidegate' | 'unset' | 'unknown';

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

type Selectors = Pick<PolicyEntry, 'selector' | 'namespaceSelector'>;

const selectorsOf = ({ spec: { selector, namespaceSelector } }: Policy): Selectors => ({ selector, namespaceSelector });

function looseSelectors(spec: unknown): Selectors {
  const { selector, namespaceSelector } = fieldsOf(spec);
  return {
    selector: looseSelector(selector),
    namespaceSelector: namespaceSelector === undefined ? undefined : looseSelector(namespaceSelector),
  };
}

function namedCertificate(tls: unknown): NamedCertificate {
  if (tls === undefined) return 'unset';
  const { certificate } = fieldsOf(tls);
  if (certificate === undefined) return fieldsOf(tls) === tls ? 'unset' : 'unknown';
  const { secretName, issuer } = fieldsOf(certificate);
  if (textOf(secretName) !== '') return { secretName: textOf(secretName) };
  return issuer === 'Sidegate' ? 'sidegate' : 'unknown';
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

function judge(policy: Policy): CarriedOut {
  try {
    return carriedOut(policy);
  } catch (error) {
    // A cache that threw would stand still.
    return { kind: 'cannot', fault: `it cannot be compiled: ${describeError(error)}` };
  }
}

/**
 * Of a policy that is too large to be read: its metadata is all that is known. A spec that was read stays in force; else whom it selects
 * is not known, and it is one that cannot be used and selects everything.
 *
 * Its generation is 0 then, which is nobody's: read, it is another.
 */
export function oversizedEntry(
  kind: PolicyKind,
  raw: KubeObject,
  checkPattern: CheckPattern,
  before?: PolicyEntry,
): PolicyEntry {
  const { uid, generation, resourceVersion = '' } = raw.metadata;
  if (before !== undefined && before.uid === uid && before.generation === generation)
    return { ...before, resourceVersion };
  return {
    ...policyEntry(kind, { ...raw, metadata: { ...raw.metadata, generation: 0 } }, checkPattern),
    fault: 'it is larger than the controller reads: 8 MiB of JSON, 300,000 values',
    certificate: 'unknown',
  };
}

/**
 * Never throws: what is wrong is its `fault`.
 *
 * @param before The same policy as it was known. Of the same generation only its status can be new, and it is not compiled again.
 */
export function policyEntry(
  kind: PolicyKind,
  raw: KubeObject,
  checkPattern: CheckPattern,
  before?: PolicyEntry,
): PolicyEntry {
  const { namespace, name, uid = '', generation = 0, resourceVersion = '' } = raw.metadata;
  const { spec, status: said } = raw as { spec?: unknown; status?: unknown };
  const status = said === undefined ? undefined : (said as PolicyStatusResource);
  if (before?.uid === uid && uid !== '' && before.generation === generation)
    return { ...before, resourceVersion, status };
  const { policies, faults } = parsePolicyObject(documentOf(kind, raw), name, {
    checkPattern,
    local: false,
  });
  const [read] = policies;
  const judged = read === undefined ? undefined : judge(read);
  const policy = judged?.kind === 'can' ? read : undefined;
  const fault =
    judged === undefined
      ? faults.slice(0, 3).map(formatFault).join('; ') || 'it holds no policy'
      : judged.kind === 'can'
        ? undefined
        : judged.fault;
  const { tls, mode } = fieldsOf(spec);
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
    fault: fault?.slice(0, 1_000),
    ...(read === undefined ? looseSelectors(spec) : selectorsOf(read)),
    certificate: namedCertificate(tls),
    enforces: mode !== 'Observe',
    createdAt: timeOf(raw.metadata.creationTimestamp),
    status,
  };
}
