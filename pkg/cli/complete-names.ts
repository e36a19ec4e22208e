import { resources } from '../kube/index.ts';
import type { KubeObject, KubeResource } from '../kube/index.ts';
import type { Command, CommandIo, NameKind } from './command.ts';
import { phaseOf } from './decisions.ts';
import type { Approval, Grant } from './decisions.ts';
import { folderClient } from './folder-store.ts';
import type { ObjectStore } from './folder-store.ts';

/** Names that the cluster, or the folder of a sidecar on its own, knows: for completion. */

/** A person waits with their finger on the key. */
const patienceMs = 2_000;
const mostNames = 500;
/** What a shell would not take as one plain word is not suggested. */
const plain = /^[A-Za-z0-9][A-Za-z0-9./-]*$/;

type Lister = (client: Pick<ObjectStore, 'list'>, namespace: string) => Promise<readonly string[]>;

const nameOf = ({ metadata }: KubeObject): string => metadata.name;
const named =
  (resource: KubeResource, prefix = ''): Lister =>
  async (client, namespace) =>
    (await client.list(resource, { namespace })).map((one) => `${prefix}${nameOf(one)}`);

const listers: Readonly<Record<NameKind, readonly Lister[]>> = {
  Decidable: [named(resources.inferenceApprovals), named(resources.inferenceGrants, 'grant/')],
  Undecided: [
    async (client, namespace) =>
      (await client.list<Approval>(resources.inferenceApprovals, { namespace }))
        .filter((one) => phaseOf(one) === 'Pending')
        .map(nameOf),
    async (client, namespace) =>
      (await client.list<Grant>(resources.inferenceGrants, { namespace }))
        .filter((one) => phaseOf(one) === 'Pending')
        .map((one) => `grant/${nameOf(one)}`),
  ],
  Grant: [named(resources.inferenceGrants)],
  Workload: [named(resources.deployments, 'deployment/'), named(resources.statefulSets, 'statefulset/')],
};

/** The value that a flag has among these words, as `--name VALUE`, `--name=VALUE` or `-n VALUE`. */
function valueOf(words: readonly string[], long: string, short?: string): string | undefined {
  for (const [at, word] of words.entries()) {
    if (word === long || (short !== undefined && word === short)) return words[at + 1];
    if (word.startsWith(`${long}=`)) return word.slice(long.length + 1);
  }
  return undefined;
}

/** Names that may stand where `words` ends; none where nobody answers in time, or says no. Never rejects. */
export async function completeNames(
  command: Command,
  words: readonly string[],
  io: CommandIo,
): Promise<readonly string[]> {
  const { names } = command;
  const typed = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const wantsNamespace = ['-n', '--namespace'].includes(before.at(-1) ?? '');
  if (!wantsNamespace && names === undefined) return [];
  const ask = async (): Promise<readonly string[]> => {
    const folder = valueOf(before, '--dir');
    if (folder !== undefined) {
      if (wantsNamespace || names === undefined) return [];
      return all(listers[names], folderClient(folder, io), '');
    }
    const cluster = await io.openCluster({
      kubeconfig: valueOf(before, '--kubeconfig'),
      context: valueOf(before, '--context'),
    });
    try {
      if (wantsNamespace) return (await cluster.client.list(resources.namespaces)).map(nameOf);
      const namespace = valueOf(before, '--namespace', '-n') ?? cluster.namespace;
      return names === undefined ? [] : await all(listers[names], cluster.client, namespace);
    } finally {
      cluster.client.close();
    }
  };
  const found = await Promise.race([ask().catch(() => []), io.sleep(patienceMs).then(() => [])]);
  return found
    .filter((name) => name.startsWith(typed) && plain.test(name))
    .toSorted()
    .slice(0, mostNames);
}

/** What may not be listed leaves the others. */
async function all(kinds: readonly Lister[], client: Pick<ObjectStore, 'list'>, namespace: string): Promise<string[]> {
  const lists = await Promise.all(kinds.map((list) => list(client, namespace).catch(() => [])));
  return lists.flat();
}
