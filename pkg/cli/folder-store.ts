import { join } from 'node:path';
import { describeError, jsonValue, parseJson } from '../base/index.ts';
import { readYaml } from '../crd/index.ts';
import { resources } from '../kube/index.ts';
import type { KubeClient, KubeObject, KubeResource, ObjectRef } from '../kube/index.ts';
import { decisionSocket } from '../local/index.ts';
import { askedFlags } from './asked-flags.ts';
import { clusterFlags, withCluster } from './cluster-command.ts';
import type { CommandIo, ExitCode } from './command.ts';
import type { FlagSpec, Flags } from './flags.ts';
import { printValue } from './output.ts';

/** Approvals and grants of a sidecar that runs on its own: a folder in place of a cluster. */

export const folderUsage = `  --dir FOLDER           of a sidecar that runs on its own, in place of a cluster: its --approvals or --grants
`;

/** What is asked of a cluster, or of a folder. */
export type ObjectStore = Pick<KubeClient, 'get' | 'list' | 'create' | 'delete' | 'patch' | 'request'>;

/** Where approvals or grants stand. */
export interface Store {
  readonly client: ObjectStore;
  /** Of the cluster; of a folder its path. */
  readonly namespace: string;
  /** `namespace ml`, or the path. */
  readonly where: string;
  /** Undefined: a cluster. */
  readonly folder: string | undefined;
  /** Undefined: a folder, which tells of no change by itself. */
  readonly cluster: KubeClient | undefined;
}

interface StoreCommand {
  readonly usage: string;
  readonly flags: Readonly<Record<string, FlagSpec>>;
  readonly positionals: { readonly name: string; readonly least: number; readonly most: number };
  /** What is wrong with the flags: known before anything is asked. */
  readonly faults?: (flags: Flags) => readonly string[];
  act(flags: Flags, store: Store, io: CommandIo): Promise<ExitCode>;
}

/** Flags that say nothing of a folder. */
const ofClusters = ['namespace', 'all-namespaces', ...Object.keys(clusterFlags)];

const folderFaults = (flags: Flags): readonly string[] =>
  flags.text('dir') === undefined
    ? []
    : [...new Set(ofClusters)]
        .filter((name) => flags.on(name))
        .map((name) => `--dir is in place of a cluster: --${name} goes with none`);

/** As clusterCommand, with `--dir`. */
export function storeCommand({ usage, flags: own, positionals, faults, act }: StoreCommand) {
  return async (args: readonly string[], io: CommandIo): Promise<ExitCode> => {
    const flags = askedFlags(args, io, {
      usage,
      flags: { ...own, dir: { kind: 'text' }, ...clusterFlags },
      positionals,
      faults: (given) => [...folderFaults(given), ...(faults?.(given) ?? [])],
    });
    if (typeof flags === 'number') return flags;
    const folder = flags.text('dir');
    if (folder === undefined) {
      return withCluster(flags, io, ({ client, namespace }) =>
        act(flags, { client, namespace, where: `namespace ${namespace}`, folder, cluster: client }, io),
      );
    }
    try {
      const client = folderClient(folder, io);
      return await act(flags, { client, namespace: folder, where: folder, folder, cluster: undefined }, io);
    } catch (error) {
      io.stderr(`${describeError(error)}\n`);
      return 1;
    }
  };
}

const objectFile = /^([a-z0-9][a-z0-9.-]{0,252})\.(?:ya?ml|json)$/;

export function folderClient(folder: string, io: CommandIo): ObjectStore {
  const unknown = (): never => {
    throw new Error(`${folder}: a folder cannot be asked that`);
  };
  const all = <T extends KubeObject>({
    kind,
  }: KubeResource): readonly { readonly file: string; readonly object: T }[] => {
    if (io.folder.isWritableByOthers(folder))
      throw new Error(`${folder}: others may write there, so nothing in it can be believed (chmod go-w)`);
    return io.folder
      .names(folder)
      .filter((name) => objectFile.test(name))
      .sort()
      .flatMap((name) => {
        const file = join(folder, name);
        return readYaml(io.readFile(file)).flatMap(({ value }) => {
          const object = value as unknown as (T & { readonly kind?: string }) | null | undefined;
          return object?.kind === kind ? [{ file, object: withPhase(object, io.now()) }] : [];
        });
      });
  };
  const find = <T extends KubeObject>(resource: KubeResource, { name }: ObjectRef) => {
    const found = all<T>(resource).find(({ object }) => object.metadata.name === name);
    if (found === undefined) throw new Error(`${folder}: there is no ${resource.kind} ${name}`);
    return found;
  };
  return {
    request: unknown,
    patch: unknown,
    list: async (resource) => Promise.resolve(all<never>(resource).map(({ object }) => object)),
    get: async (resource, ref) => Promise.resolve(find<never>(resource, ref).object),
    async create<T extends object>(_resource: KubeResource, body: object) {
      const { name } = (body as KubeObject).metadata;
      io.folder.write(join(folder, `${name}.json`), `${JSON.stringify(body, undefined, 2)}\n`);
      return Promise.resolve(body as T);
    },
    async delete(resource, ref) {
      return Promise.resolve(io.folder.remove(find(resource, ref).file));
    },
  };
}

/** A grant's file is its approval; when it is over its time says. */
function withPhase<T extends KubeObject>(object: T, now: number): T {
  if ((object as { readonly kind?: string }).kind !== resources.inferenceGrants.kind) return object;
  const { expiresAt } = (object as unknown as { readonly spec: { readonly expiresAt: string } }).spec;
  return { ...object, status: { phase: now < Date.parse(expiresAt) ? 'Approved' : 'Expired', required: 0 } };
}

/** What to do about each word of the sidecar. */
const hints: Readonly<Record<string, string>> = {
  unauthenticated:
    'the token is not valid now, or not of a provider of the policy: log in again (sidegate login), or give --token',
  not_allowed:
    'there is no such approval, or it does not name you; to break the glass, the sidecar must name you (--break-glass-issuer)',
  self_approval: 'it is your own request: ask another approver',
  cannot_exclude_self_approval: 'the provider must say who you are to Kubernetes (kubernetesUser)',
  unusable_name: 'your subject, or your issuer, is longer than can be kept: ask an approver with a shorter one',
  voted: 'you have decided already',
  decided: 'it is decided or over',
  expired: 'its time is over',
  too_many: 'too many ask at once: try again',
  identity_unavailable: 'the issuer does not answer: try again',
};

/** Decides by a token, at the sidecar's own socket. @throws Error where the sidecar does not answer */
export async function decideInFolder(
  folder: string,
  name: string,
  {
    decision,
    comment,
    breakGlass,
    token,
  }: {
    readonly decision: 'Approve' | 'Deny';
    readonly comment: string | undefined;
    readonly breakGlass: boolean;
    readonly token: string;
  },
  flags: Flags,
  io: CommandIo,
): Promise<ExitCode> {
  if (io.folder.isWritableByOthers(folder))
    throw new Error(`${folder}: others may write there, so it is not shown your token (chmod go-w)`);
  const answer = await io.folder.ask({
    socket: join(folder, decisionSocket),
    path: `/v1/namespaces/local/approvals/${encodeURIComponent(name)}/decision`,
    token,
    body: JSON.stringify({
      decision,
      ...(comment !== undefined && { comment }),
      ...(breakGlass && { breakGlass }),
    }),
  });
  const body = jsonValue(parseJson(answer.body)) as {
    readonly error?: string;
    readonly required?: number;
    readonly decisions?: readonly { readonly decision: string; readonly by: string }[];
  };
  if (answer.status !== 200) {
    const word = body.error ?? 'no answer';
    io.stderr(`${name}: ${word}: ${hints[word] ?? `status ${answer.status}`}\n`);
    return 1;
  }
  if (printValue({ name, ...body }, flags, io)) return 0;
  const decisions = body.decisions ?? [];
  const count = decisions.filter((one) => one.decision === 'Approve').length;
  const broken = breakGlass ? ', break-glass' : '';
  const said = decision === 'Deny' ? 'denied' : `approved, ${count} of ${body.required ?? '?'}${broken}`;
  io.stdout(`InferenceApproval ${folder}/${name}: ${said}, as ${decisions.at(-1)?.by ?? ''}\n`);
  return 0;
}
