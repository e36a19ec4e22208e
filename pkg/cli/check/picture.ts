import { controlPlane, inferenceLabel } from '../../contract/index.ts';
import { isKubeError, resources } from '../../kube/index.ts';
import type { KubeClient, KubeObject, KubeResource } from '../../kube/index.ts';

/** Everything that the checks look at, read once. */

export interface Reading<T> {
  readonly items: readonly T[];
  /** Why it could not be read; its checks say so instead of guessing. */
  readonly fault: string | undefined;
}

interface ContainerPort {
  readonly containerPort: number;
  readonly protocol?: string;
  readonly name?: string;
}
export interface PodContainer {
  readonly name: string;
  readonly image?: string;
  readonly ports?: readonly ContainerPort[];
  readonly securityContext?: {
    readonly runAsGroup?: number | null;
    readonly allowPrivilegeEscalation?: boolean | null;
    readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] } | null;
  } | null;
}
export interface CheckedPod extends KubeObject {
  readonly spec: {
    readonly hostNetwork?: boolean;
    readonly initContainers?: readonly PodContainer[];
    readonly containers: readonly PodContainer[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly initContainerStatuses?: readonly ContainerStatus[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}
interface ContainerStatus {
  readonly name: string;
  readonly ready?: boolean;
}
export interface CheckedService extends KubeObject {
  readonly spec: {
    readonly selector?: Readonly<Record<string, string>> | null;
    readonly ports?: readonly { readonly port: number; readonly targetPort?: number | string }[];
  };
}
export interface CheckedDeployment extends KubeObject {
  readonly spec: { readonly replicas?: number };
  readonly status?: { readonly readyReplicas?: number; readonly updatedReplicas?: number };
}
export interface CheckedPolicy extends KubeObject {
  readonly status?: {
    readonly observedGeneration?: number;
    readonly enforced?: string;
    readonly pods?: { readonly refusing?: number; readonly behind?: number; readonly selected?: number };
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
  };
}
export interface CheckedWebhooks extends KubeObject {
  readonly webhooks?: readonly {
    readonly name: string;
    readonly failurePolicy?: string;
    readonly clientConfig?: { readonly caBundle?: string };
  }[];
}
export interface CheckedNode extends KubeObject {
  readonly status?: { readonly nodeInfo?: { readonly kubeletVersion?: string } };
}
export interface CheckedBinding extends KubeObject {
  readonly spec: { readonly policyName: string; readonly validationActions?: readonly string[] };
}
export interface CheckedLease extends KubeObject {
  readonly spec?: { readonly holderIdentity?: string; readonly renewTime?: string };
}
export interface CheckedMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

export interface Picture {
  readonly system: string;
  readonly serverVersion: string;
  /** Epoch milliseconds by the API server's clock; undefined where it did not say. */
  readonly serverTime: number | undefined;
  /** By this machine's clock, at the same moment. */
  readonly now: number;
  readonly definitions: Reading<KubeObject>;
  readonly deployments: Reading<CheckedDeployment>;
  readonly maps: Reading<CheckedMap>;
  readonly leases: Reading<CheckedLease>;
  readonly webhooks: Reading<CheckedWebhooks>;
  /** Webhooks, policies and bindings together. */
  readonly admission: Reading<KubeObject & { readonly kind: string }>;
  readonly admissionPolicies: Reading<KubeObject>;
  readonly admissionBindings: Reading<CheckedBinding>;
  readonly namespaces: Reading<KubeObject>;
  readonly pods: Reading<CheckedPod>;
  readonly services: Reading<CheckedService>;
  readonly nodes: Reading<CheckedNode>;
  readonly policies: Reading<CheckedPolicy>;
  /** Of each question of {@link neededRights} that was answered no. */
  readonly denied: Reading<string>;
}

async function attempt<T>(read: () => Promise<readonly T[]>): Promise<Reading<T>> {
  try {
    return { items: await read(), fault: undefined };
  } catch (error) {
    if (!isKubeError(error)) throw error;
    return { items: [], fault: error.message };
  }
}

const ofSidegate = 'app.kubernetes.io/part-of=sidegate';

export const bindingResource: KubeResource = {
  ...resources.admissionPolicies,
  kind: 'ValidatingAdmissionPolicyBinding',
  plural: 'validatingadmissionpolicybindings',
};

/** A few that stand for all: what a chart of another version, or a hand that edited roles, would lack first. */
export const neededRights: readonly (readonly [account: string, verb: string, group: string, resource: string])[] = [
  [controlPlane.controller, 'watch', 'sidegate.dev', 'inferencepolicies'],
  [controlPlane.controller, 'patch', 'sidegate.dev', 'inferencepolicies/status'],
  [controlPlane.controller, 'watch', '', 'pods'],
  [controlPlane.controller, 'watch', '', 'services'],
  [controlPlane.controller, 'get', '', 'secrets'],
  [controlPlane.controller, 'create', 'authentication.k8s.io', 'tokenreviews'],
  [controlPlane.controller, 'create', 'networking.k8s.io', 'networkpolicies'],
  [controlPlane.webhook, 'get', '', 'pods'],
  [controlPlane.webhook, 'get', '', 'services'],
];

async function deniedRights(client: KubeClient, system: string): Promise<readonly string[]> {
  const answers = await Promise.all(
    neededRights.map(async ([account, verb, group, resource]) => {
      const [main = '', subresource] = resource.split('/');
      const review = await client.create<{ status?: { allowed?: boolean } }>(resources.subjectAccessReviews, {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: {
          user: `system:serviceaccount:${system}:${account}`,
          groups: ['system:serviceaccounts', `system:serviceaccounts:${system}`, 'system:authenticated'],
          resourceAttributes: { verb, group, resource: main, ...(subresource !== undefined && { subresource }) },
        },
      });
      return review.status?.allowed === true ? [] : [`${account} may not ${verb} ${resource}`];
    }),
  );
  return answers.flat();
}

/** The API server's clock: it stamps who-am-I answers. */
async function serverTime(client: KubeClient): Promise<number | undefined> {
  const answer = await attempt(async () => [
    (await client.request({
      method: 'POST',
      path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
    })) as { metadata?: { creationTimestamp?: string } } | undefined,
  ]);
  const time = Date.parse(answer.items[0]?.metadata?.creationTimestamp ?? '');
  return Number.isNaN(time) ? undefined : time;
}

export async function readPicture(client: KubeClient, system: string, clock: () => number): Promise<Picture> {
  // Alone and first: without it there is no cluster to speak of, and the clocks are to be read close together.
  const version = (await client.request({ method: 'GET', path: '/version' })) as { gitVersion?: string } | undefined;
  const time = await serverTime(client);
  const now = clock();
  const list = <T extends KubeObject>(resource: KubeResource, selection = {}): Promise<Reading<T>> =>
    attempt(() => client.list<T>(resource, selection));
  const [mutating, validating, own, cluster, controller] = await Promise.all([
    list<CheckedWebhooks>(resources.mutatingWebhooks, { labelSelector: ofSidegate }),
    list<CheckedWebhooks>(resources.validatingWebhooks, { labelSelector: ofSidegate }),
    list<CheckedPolicy>(resources.inferencePolicies),
    list<CheckedPolicy>(resources.clusterInferencePolicies),
    attempt(async () => {
      const lease = await client.find<CheckedLease>(resources.leases, {
        namespace: system,
        name: controlPlane.controller,
      });
      return lease === undefined ? [] : [lease];
    }),
  ]);
  const both = <T>(one: Reading<T>, other: Reading<T>): Reading<T> => ({
    items: [...one.items, ...other.items],
    fault: one.fault ?? other.fault,
  });
  const [definitions, deployments, maps, admissionPolicies, admissionBindings, namespaces] = await Promise.all([
    attempt(async () => (await client.list(resources.definitions)).filter(isOurDefinition)),
    list<CheckedDeployment>(resources.deployments, { namespace: system }),
    list<CheckedMap>(resources.configMaps, { namespace: system }),
    list(resources.admissionPolicies, { labelSelector: ofSidegate }),
    list<CheckedBinding>(bindingResource, { labelSelector: ofSidegate }),
    list(resources.namespaces),
  ]);
  const [pods, services, nodes, denied] = await Promise.all([
    list<CheckedPod>(resources.pods, { labelSelector: inferenceLabel }),
    list<CheckedService>(resources.services),
    list<CheckedNode>(resources.nodes),
    attempt(() => deniedRights(client, system)),
  ]);
  return {
    ...{ system, serverVersion: version?.gitVersion ?? '', serverTime: time, now },
    ...{ definitions, deployments, maps, leases: controller, webhooks: both(mutating, validating) },
    ...{ admissionPolicies, admissionBindings, namespaces, pods, services, nodes, denied },
    admission: [
      ofKind('MutatingWebhookConfiguration', mutating),
      ofKind('ValidatingWebhookConfiguration', validating),
      ofKind('ValidatingAdmissionPolicy', admissionPolicies),
      ofKind('ValidatingAdmissionPolicyBinding', admissionBindings),
    ].reduce((before, next) => both(before, next)),
    policies: both(own, cluster),
  };
}

/** Items of a list do not say their kind. */
const ofKind = (kind: string, { items, fault }: Reading<KubeObject>): Picture['admission'] => ({
  items: items.map((one) => ({ ...one, kind })),
  fault,
});

const isOurDefinition = ({ metadata }: KubeObject): boolean => metadata.name.endsWith('.sidegate.dev');
