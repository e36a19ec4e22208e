/** What every object of the API has. Values are as the server sent them: its schema has been checked there. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  /** Who wrote what of it, as the API server keeps account. */
  readonly managedFields?: readonly ManagedFields[];
}

export interface ManagedFields {
  /** `status`; undefined: the object itself. */
  readonly subresource?: string;
  /** When that manager last changed something there, RFC 3339, by the API server's clock. */
  readonly time?: string;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
}

export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
}

/** Which collection of the API. */
export interface KubeResource {
  /** Empty: the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

const define = (group: string, version: string, kind: string, plural: string, namespaced = true): KubeResource => ({
  group,
  version,
  plural,
  kind,
  namespaced,
});

/** The collections that Sidegate reads or writes. */
export const resources = {
  pods: define('', 'v1', 'Pod', 'pods'),
  services: define('', 'v1', 'Service', 'services'),
  namespaces: define('', 'v1', 'Namespace', 'namespaces', false),
  secrets: define('', 'v1', 'Secret', 'secrets'),
  configMaps: define('', 'v1', 'ConfigMap', 'configmaps'),
  serviceAccounts: define('', 'v1', 'ServiceAccount', 'serviceaccounts'),
  nodes: define('', 'v1', 'Node', 'nodes', false),
  leases: define('coordination.k8s.io', 'v1', 'Lease', 'leases'),
  events: define('events.k8s.io', 'v1', 'Event', 'events'),
  networkPolicies: define('networking.k8s.io', 'v1', 'NetworkPolicy', 'networkpolicies'),
  tokenReviews: define('authentication.k8s.io', 'v1', 'TokenReview', 'tokenreviews', false),
  subjectAccessReviews: define('authorization.k8s.io', 'v1', 'SubjectAccessReview', 'subjectaccessreviews', false),
  selfSubjectAccessReviews: define(
    'authorization.k8s.io',
    'v1',
    'SelfSubjectAccessReview',
    'selfsubjectaccessreviews',
    false,
  ),
  definitions: define('apiextensions.k8s.io', 'v1', 'CustomResourceDefinition', 'customresourcedefinitions', false),
  mutatingWebhooks: define(
    'admissionregistration.k8s.io',
    'v1',
    'MutatingWebhookConfiguration',
    'mutatingwebhookconfigurations',
    false,
  ),
  validatingWebhooks: define(
    'admissionregistration.k8s.io',
    'v1',
    'ValidatingWebhookConfiguration',
    'validatingwebhookconfigurations',
    false,
  ),
  admissionPolicies: define(
    'admissionregistration.k8s.io',
    'v1',
    'ValidatingAdmissionPolicy',
    'validatingadmissionpolicies',
    false,
  ),
  deployments: define('apps', 'v1', 'Deployment', 'deployments'),
  statefulSets: define('apps', 'v1', 'StatefulSet', 'statefulsets'),
  daemonSets: define('apps', 'v1', 'DaemonSet', 'daemonsets'),
  inferencePolicies: define('sidegate.dev', 'v1alpha1', 'InferencePolicy', 'inferencepolicies'),
  clusterInferencePolicies: define(
    'sidegate.dev',
    'v1alpha1',
    'ClusterInferencePolicy',
    'clusterinferencepolicies',
    false,
  ),
  inferenceApprovals: define('sidegate.dev', 'v1alpha1', 'InferenceApproval', 'inferenceapprovals'),
  inferenceGrants: define('sidegate.dev', 'v1alpha1', 'InferenceGrant', 'inferencegrants'),
} as const;

export interface ObjectRef {
  /** Undefined: the object is no namespace's. */
  readonly namespace?: string | undefined;
  readonly name: string;
}

/** `ns/name`, or `name` alone for what has no namespace. */
export function objectKey({ namespace, name }: ObjectRef): string {
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`;
}

/** The other way round. */
export function refOfKey(key: string): ObjectRef {
  const at = key.indexOf('/');
  return at < 0 ? { name: key } : { namespace: key.slice(0, at), name: key.slice(at + 1) };
}

/**
 * The API's path. Names are escaped: none can reach another path than its own. An empty name throws, since `…/pods/` is the
 * collection, and a delete of it deletes all.
 */
export function resourcePath(resource: KubeResource, ref: Partial<ObjectRef> = {}, subresource?: string): string {
  const { group, version, plural, namespaced } = resource;
  if (ref.name === '' || ref.name === '.' || ref.name === '..') throw new RangeError(`an empty name of ${plural}`);
  const parts = [group === '' ? '/api' : `/apis/${group}`, version];
  if (namespaced && ref.namespace !== undefined && ref.namespace !== '') {
    parts.push('namespaces', encodeURIComponent(ref.namespace));
  } else if (namespaced && ref.name !== undefined) throw new RangeError(`${plural} are in a namespace`);
  parts.push(plural);
  if (ref.name !== undefined) parts.push(encodeURIComponent(ref.name));
  if (subresource !== undefined) parts.push(subresource);
  return parts.join('/');
}

/**
 * Orders two versions of one collection: negative when `a` is older. The API promises that they are numbers that grow
 * (KEP-5504); what is no number is older than what is.
 */
export function compareResourceVersions(a: string | undefined, b: string | undefined): number {
  const left = /^[0-9]{1,30}$/.test(a ?? '') ? (a ?? '').replace(/^0+(?=.)/, '') : '';
  const right = /^[0-9]{1,30}$/.test(b ?? '') ? (b ?? '').replace(/^0+(?=.)/, '') : '';
  if (left.length !== right.length) return left.length - right.length;
  return left < right ? -1 : left > right ? 1 : 0;
}
