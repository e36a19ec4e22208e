import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from './command.ts';
import type { CommandOptions, CommandResult } from './command.ts';
import { sidegateImage, toolsImage } from './images.ts';
import type { TestImage } from './images.ts';
import { findPrograms } from './programs.ts';

/**
 * The one-node Kubernetes of this machine (up.sh), with our image and the tools image imported.
 *
 * It lives in a network namespace of its own: nothing of it is reached from this process, so whatever talks to it or its
 * pods is run there, by `run`, `kubectl` and `helm`, or in a pod, by `exec`.
 */
export interface ClusterNode {
  /** References for `image:`. */
  readonly images: { readonly sidegate: string; readonly tools: string };
  /** Any program in the cluster's network namespace, with KUBECONFIG set and kubectl and helm in PATH. */
  run(program: string, args: readonly string[], options?: CommandOptions): Promise<CommandResult>;
  kubectl(args: readonly string[], options?: CommandOptions): Promise<CommandResult>;
  helm(args: readonly string[], options?: CommandOptions): Promise<CommandResult>;
  /** kubectl's standard output; rejects with its standard error unless it succeeds. */
  must(args: readonly string[], options?: CommandOptions): Promise<string>;
  /** `kubectl apply` of YAML or JSON; rejects with the server's message. */
  apply(manifest: string): Promise<string>;
  /** A command in a pod. `target` as kubectl writes it: `pod/NAME`, `deployment/NAME`. */
  exec(namespace: string, target: string, command: readonly string[], options?: ExecOptions): Promise<CommandResult>;
  /** Makes a namespace with the service account that pods need, and removes what was there under that name before. */
  namespace(name: string, labels?: Readonly<Record<string, string>>): Promise<void>;
  /** Removes a namespace and waits until it is gone. Its pods get one second to end. */
  removeNamespace(name: string): Promise<void>;
  /** Imports an image archive; does nothing for one that is there. */
  import(image: TestImage): Promise<void>;
  /** What went on in a namespace, for people: objects, events, descriptions, the end of every container's log. */
  report(namespace: string): Promise<string>;
  /** Resolves when it holds, asked each 200 ms; rejects after so long, with the last error if there was one. Default 30 s. */
  eventually(holds: () => Promise<boolean>, withinMs?: number): Promise<void>;
  /** Runs an action; if it fails, writes `report` to a file and puts its name, and the logs' end, into the error. */
  explained<T>(namespace: string, action: () => Promise<T>): Promise<T>;
}

export interface ExecOptions extends CommandOptions {
  /** Default: the pod's default container. */
  readonly container?: string;
}

const script = (name: string): string => join(import.meta.dirname, name);

/** Says that tests brought the cluster up, and so have to take it down (node-teardown.ts). */
export const startedByTests = (state: string): string => join(state, 'started-by-tests');

/**
 * Runs that use the cluster, one empty file each, named by the process that teardown runs in. Beside the cluster's folder: a
 * run registers before it starts the cluster, so that no other run takes it down in between.
 */
const usersFolder = (state: string): string => `${state}-users`;
export const userFile = (state: string, run: number): string => join(usersFolder(state), String(run));

/** Workers of jest are children of the run's own process, with a channel to it. */
const runOf = (): number => (process.connected ? process.ppid : process.pid);

/** Other runs that still use the cluster: who ends first must not take it from them. */
export function otherUsers(state: string, own: number = process.pid): number[] {
  if (!existsSync(usersFolder(state))) return [];
  return readdirSync(usersFolder(state))
    .map(Number)
    .filter((pid) => pid !== own && existsSync(`/proc/${pid}`));
}

export const stateFolder = (): string => process.env['KUBE_STATE'] ?? '/tmp/sidegate-cluster';

/** A word for each reason why the tier cannot run here; undefined where it can. */
export function nodeTierFault(
  platform: string = process.platform,
  uid: number | undefined = process.getuid?.(),
): string | undefined {
  if (platform !== 'linux') return 'the node tier needs Linux: run it in a Linux machine or in CI';
  if (uid !== 0) return 'the node tier needs root, for network namespaces and containers: run `sudo make test-node`';
  return undefined;
}

/**
 * Starts the cluster if it does not run (some seconds; half a second if it does), makes both images of the sources as they
 * are now and imports what is new.
 *
 * @throws Error that says what to install where the tier cannot run.
 */
export async function startNode(): Promise<ClusterNode> {
  const fault = nodeTierFault();
  if (fault !== undefined) throw new Error(fault);
  findPrograms(['kubelet', 'containerd', 'helm'], undefined);
  const state = stateFolder();
  mkdirSync(usersFolder(state), { recursive: true });
  writeFileSync(userFile(state, runOf()), '');
  const ran = existsSync(join(state, 'settings'));
  const up = await runCommand(script('up.sh'), [], { timeoutMs: 300_000 });
  if (up.status !== 0) throw new Error(`the cluster did not start:\n${up.stderr}`);
  if (!ran) writeFileSync(startedByTests(state), '');

  const run: ClusterNode['run'] = (program, args, options) =>
    runCommand(script('netns.sh'), [program, ...args], options);
  const kubectl: ClusterNode['kubectl'] = (args, options) => run('kubectl', args, options);
  const must: ClusterNode['must'] = async (args, options) => {
    const { status, stdout, stderr } = await kubectl(args, options);
    if (status !== 0)
      throw new Error(`kubectl ${args.join(' ')}: ${stderr.trim() || stdout.trim() || `status ${status}`}`);
    return stdout;
  };
  const importImage: ClusterNode['import'] = async ({ reference, archive }) => {
    const ctr = ['-a', join(state, 'containerd.sock'), '-n', 'k8s.io', 'images'];
    const listed = await run('ctr', [...ctr, 'ls', '-q', `name==${reference}`]);
    if (listed.stdout.trim() === reference) return;
    const imported = await run('ctr', [...ctr, 'import', archive]);
    if (imported.status !== 0) throw new Error(`importing ${archive} failed: ${imported.stderr}`);
  };
  const report: ClusterNode['report'] = async (namespace) => {
    const parts = [
      ['get', 'pods,services,endpointslices,jobs,deployments', '-o', 'wide'],
      ['get', 'events', '--sort-by=.lastTimestamp'],
      ['describe', 'pods'],
    ].map(async (args) => {
      const { stdout, stderr } = await kubectl(['-n', namespace, ...args]);
      return `--- kubectl ${args.join(' ')}\n${stdout}${stderr}`;
    });
    return [...(await Promise.all(parts)), await logs(namespace)].join('\n');
  };
  const logs = async (namespace: string): Promise<string> => {
    const names = await kubectl(['-n', namespace, 'get', 'pods', '-o', 'name']);
    const each = names.stdout
      .split('\n')
      .filter((name) => name !== '')
      .map(async (name) => {
        const log = ['-n', namespace, 'logs', name, '--all-containers', '--prefix', '--tail=60'];
        const [now, before] = await Promise.all([kubectl(log), kubectl([...log, '--previous'])]);
        return `--- logs of ${name}\n${before.stdout}${now.stdout}${now.stderr}`;
      });
    return (await Promise.all(each)).join('\n');
  };

  const [sidegate, tools] = [sidegateImage(), toolsImage()];
  await importImage(sidegate);
  await importImage(tools);

  const removeNamespace = async (name: string): Promise<void> => {
    // Without this the namespace waits 30 s for every pod that ignores SIGTERM.
    await kubectl(['-n', name, 'delete', 'pods', '--all', '--grace-period=1', '--wait=false']);
    await must(['delete', 'namespace', name, '--ignore-not-found', '--timeout=90s']);
  };
  return {
    images: { sidegate: sidegate.reference, tools: tools.reference },
    run,
    kubectl,
    helm: (args, options) => run('helm', args, options),
    must,
    apply: (manifest) => must(['apply', '-f', '-'], { input: manifest }),
    exec: (namespace, target, command, { container, ...options } = {}) =>
      kubectl(
        [
          ...['-n', namespace, 'exec', target],
          ...(options.input === undefined ? [] : ['-i']),
          ...(container === undefined ? [] : ['-c', container]),
          '--',
          ...command,
        ],
        options,
      ),
    async namespace(name, labels = {}) {
      await removeNamespace(name);
      await must(['create', '-f', '-'], {
        input: JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }),
      });
      // Pods are refused until a controller has made it.
      await must(['-n', name, 'wait', '--for=create', 'serviceaccount/default', '--timeout=30s']);
    },
    removeNamespace,
    import: importImage,
    report,
    async eventually(holds, withinMs = 30_000) {
      const end = performance.now() + withinMs;
      let cause: unknown;
      const held = async (): Promise<boolean> => {
        try {
          return await holds();
        } catch (error) {
          cause = error;
          return false;
        }
      };
      while (!(await held())) {
        if (performance.now() > end) throw new Error(`did not become true within ${withinMs} ms`, { cause });
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    },
    async explained(namespace, action) {
      try {
        return await action();
      } catch (error) {
        const folder = join(state, 'reports');
        mkdirSync(folder, { recursive: true });
        const file = join(folder, `${namespace}-${Date.now()}.txt`);
        const kubelet = readFileSync(join(state, 'log', 'kubelet.log'), 'utf8')
          .split('\n')
          .slice(-100)
          .join('\n');
        writeFileSync(file, `${await report(namespace)}\n--- kubelet\n${kubelet}\n`);
        const tail = (await logs(namespace)).slice(-3_000);
        const message = error instanceof Error ? error.message : String(error);
        throw new Error(`${message}\n\nThe whole report: ${file}\n${tail}`, { cause: error });
      }
    },
  };
}
