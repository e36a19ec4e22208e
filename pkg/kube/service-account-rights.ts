import type { ReviewedUser } from './access-review.ts';
import type { KubeClient } from './client.ts';
import { resources } from './objects.ts';

/**
 * Whether somebody could act as one of these service accounts (`system:serviceaccount:NAMESPACE:NAME`): by its tokens, by impersonation, or
 * by a pod that runs as it. A name of another form counts as theirs. Rejects where the API server cannot be asked.
 */
export type MayBecome = (user: ReviewedUser, accounts: readonly string[]) => Promise<boolean>;

interface Right {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  /** It is of the account itself, so that a role may name it. */
  readonly named?: true;
  /** It is of no namespace. */
  readonly everywhere?: true;
}

type Kind = Pick<Right, 'group' | 'resource' | 'subresource'>;

/** Whose objects run pods as an account of their namespace. */
const workloads: readonly Kind[] = [
  { group: '', resource: 'pods' },
  { group: '', resource: 'replicationcontrollers' },
  { group: 'apps', resource: 'deployments' },
  { group: 'apps', resource: 'statefulsets' },
  { group: 'apps', resource: 'daemonsets' },
  { group: 'apps', resource: 'replicasets' },
  { group: 'batch', resource: 'jobs' },
  { group: 'batch', resource: 'cronjobs' },
];
/** Commands in a pod that runs: by `get`, too, where a client upgrades to a WebSocket. */
const commands: readonly Kind[] = [
  { group: '', resource: 'pods', subresource: 'exec' },
  { group: '', resource: 'pods', subresource: 'attach' },
];
const debugging: Kind = { group: '', resource: 'pods', subresource: 'ephemeralcontainers' };
/** Of accounts that have long-lived tokens, which answers to changes and deletions show as well. */
const secrets: Kind = { group: '', resource: 'secrets' };
const each = (kinds: readonly Kind[], verbs: readonly string[]): readonly Right[] =>
  kinds.flatMap((kind) => verbs.map((verb) => ({ verb, ...kind })));

/** Ways to an account's tokens by what Kubernetes itself has. */
const rights: readonly Right[] = [
  { verb: 'create', group: '', resource: 'serviceaccounts', subresource: 'token', named: true },
  { verb: 'impersonate', group: '', resource: 'serviceaccounts', named: true },
  ...each([secrets], ['get', 'list', 'watch', 'update', 'patch', 'delete', 'deletecollection']),
  ...each(workloads, ['create', 'update', 'patch']),
  ...each(commands, ['create', 'get']),
  ...each([debugging], ['update', 'patch']),
  // A kubelet runs commands in all pods of its node.
  { verb: 'get', group: '', resource: 'nodes', subresource: 'proxy', everywhere: true },
  { verb: 'create', group: '', resource: 'nodes', subresource: 'proxy', everywhere: true },
];

interface Review {
  readonly status?: { readonly allowed?: boolean; readonly denied?: boolean };
}

export function createMayBecome(client: Pick<KubeClient, 'create'>): MayBecome {
  const has = async (
    { username, groups }: ReviewedUser,
    { named, everywhere, ...right }: Right,
    namespace: string,
    name: string,
  ) => {
    const { status } = await client.create<Review>(resources.subjectAccessReviews, {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: {
        user: username,
        groups,
        resourceAttributes: { ...right, ...(!everywhere && { namespace }), ...(named && { name }) },
      },
    });
    return status?.allowed === true && status.denied !== true;
  };
  const mayBecome = async (user: ReviewedUser, account: string): Promise<boolean> => {
    const [, namespace, name] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(account) ?? [];
    if (namespace === undefined || name === undefined) return true;
    const answers = await Promise.all(rights.map((right) => has(user, right, namespace, name)));
    return answers.includes(true);
  };
  return async (user, accounts) => {
    const answers = await Promise.all(accounts.map((account) => mayBecome(user, account)));
    return answers.includes(true);
  };
}
