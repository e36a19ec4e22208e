import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../support/wait.ts';
import type { CommandOptions, CommandResult } from './command.ts';
import { sidegateImage, toolsImage } from './images.ts';
import type { TestImage } from './images.ts';

/** A whole Kubernetes with our image and the tools image in it: this machine's own (node.ts), or an existing one (context.ts). */
export interface ClusterNode {
  /** References for `image:`. */
  readonly images: { readonly sidegate: string; readonly tools: string };
  /** Any program with KUBECONFIG set and kubectl and helm in PATH; on this machine's own cluster in its network namespace. */
  run(program: string, args: readonly string[], options?: CommandOptions): Promise<CommandResult>;
  kubectl(args: readonly string[], options?: CommandOptions): Promise<CommandResult>;
  helm(args: readonly string[], options?: CommandOptions): Promise<CommandResult>;
  /** kubectl's standard output; rejects with its standard error unless it succeeds. */
  must(args: readonly string[], options?: CommandOptions): Promise<string>;
  /** `kubectl apply` of YAML or JSON; rejects with the server's message. Tried again while a webhook cannot be reached. */
  apply(manifest: string): Promise<string>;
  /** A command in a pod. `target` as kubectl writes it: `pod/NAME`, `deployment/NAME`. */
  exec(namespace: string, target: string, command: readonly string[], options?: ExecOptions): Promise<CommandResult>;
  /** Writes a text to a file of a pod that has a shell. Not by `input`: on a busy machine `kubectl exec -i` may lose it. */
  put(namespace: string, target: string, path: string, text: string): Promise<void>;
  /** Makes a namespace with the service account that pods need, and removes what was there under that name before. */
  namespace(name: string, labels?: Readonly<Record<string, string>>): Promise<void>;
  /** Removes a namespace and waits until it is gone. Its pods get one second to end. */
  removeNamespace(name: string): Promise<void>;
  /** Imports an image archive; does nothing for one that is there. */
  import(image: TestImage): Promise<void>;
  /**
   * Stops a daemon of this machine's own cluster where it stands, until the function that it returns is called: as a node does
   * that is too busy for it. Absent for an existing cluster.
   */
  readonly freeze?: (daemon: 'kube-proxy') => () => void;
  /** Puts a manifest where the kubelet reads static pods, until the function that it returns is called. Absent for an existing cluster. */
  readonly staticPod?: (name: string, manifest: string) => () => void;
  /** What went on in a namespace, for people: objects, events, descriptions, the end of every container's log. */
  report(namespace: string): Promise<string>;
  /** Resolves when it holds, asked each 200 ms; rejects after so long, with the last error if there was one. Default 60 s. */
  eventually(holds: () => Promise<boolean>, withinMs?: number): Promise<void>;
  /** Runs an action; if it fails, writes `report` to a file and puts its name, and the logs' end, into the error. */
  explained<T>(namespace: string, action: () => Promise<T>): Promise<T>;
}

export interface ExecOptions extends CommandOptions {
  /** Default: the pod's default container. */
  readonly container?: string;
}

/**
 * What the API server says while a webhook is there and its Service does not lead to it yet: right after `helm --wait`, kube-proxy may be a
 * moment behind. Nothing was written then.
 */
const notReached =
  /failed calling webhook .*(?:connection refused|no endpoints available|no route to host|connection reset|EOF|context deadline exceeded|TLS handshake timeout)/s;

export interface ClusterParts {
  readonly run: ClusterNode['run'];
  readonly importImage: ClusterNode['import'];
  /** What only this machine's own cluster gives. */
  readonly own?: Required<Pick<ClusterNode, 'freeze' | 'staticPod'>>;
  /** Reports go to a folder beside it, its name with `-reports`; where there is `log/kubelet.log`, its end goes into them. */
  readonly folder: string;
}

/** Makes both images of the sources as they are now and imports what is new. */
export async function clusterNode({ run, importImage, own, folder }: ClusterParts): Promise<ClusterNode> {
  const kubectl: ClusterNode['kubectl'] = (args, options) => run('kubectl', args, options);
  const must: ClusterNode['must'] = async (args, options) => {
    const { status, stdout, stderr } = await kubectl(args, options);
    if (status !== 0)
      throw new Error(`kubectl ${args.join(' ')}: ${stderr.trim() || stdout.trim() || `status ${status}`}`);
    return stdout;
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
  const kubeletLog = (): string => {
    const file = join(folder, 'log', 'kubelet.log');
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(-100).join('\n') : '';
  };
  const removeNamespace = async (name: string): Promise<void> => {
    // Without this the namespace waits 30 s for every pod that ignores SIGTERM.
    await kubectl(['-n', name, 'delete', 'pods', '--all', '--grace-period=1', '--wait=false']);
    await must(['delete', 'namespace', name, '--ignore-not-found', '--timeout=90s']);
  };

  const [sidegate, tools] = [sidegateImage(), toolsImage()];
  await importImage(sidegate);
  await importImage(tools);
  const exec: ClusterNode['exec'] = (namespace, target, command, { container, ...options } = {}) =>
    kubectl(
      [
        ...['-n', namespace, 'exec', target],
        ...(options.input === undefined ? [] : ['-i']),
        ...(container === undefined ? [] : ['-c', container]),
        '--',
        ...command,
      ],
      options,
    );
  return {
    images: { sidegate: sidegate.reference, tools: tools.reference },
    run,
    kubectl,
    helm: (args, options) => run('helm', args, options),
    must,
    async apply(manifest) {
      let result: CommandResult | undefined;
      await until(
        async () => {
          result = await kubectl(['apply', '-f', '-'], { input: manifest });
          return result.status === 0 || !notReached.test(result.stderr);
        },
        () => `kubectl apply: ${result?.stderr}`,
        60_000,
      );
      if (result?.status !== 0) throw new Error(`kubectl apply: ${result?.stderr.trim()}`);
      return result.stdout;
    },
    exec,
    async put(namespace, target, path, text) {
      const script = 'printf %s "$1" > "$2" && cat "$2"';
      let result: CommandResult | undefined;
      await until(
        async () => {
          result = await exec(namespace, target, ['sh', '-c', script, 'sh', text, path]);
          return result.stdout === text;
        },
        () => `${path} is written: ${result?.stderr}`,
        60_000,
      );
    },
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
    ...own,
    report,
    async eventually(holds, withinMs = 60_000) {
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
        if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${holds}`, { cause });
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    },
    async explained(namespace, action) {
      try {
        return await action();
      } catch (error) {
        // Beside the cluster's folder, not in it: that may be gone by now, and up.sh takes a folder with anything in it for somebody else's.
        const reports = `${folder}-reports`;
        mkdirSync(reports, { recursive: true });
        const file = join(reports, `${namespace}-${Date.now()}.txt`);
        writeFileSync(file, `${await report(namespace)}\n--- kubelet\n${kubeletLog()}\n`);
        const tail = (await logs(namespace)).slice(-3_000);
        const message = error instanceof Error ? error.message : String(error);
        throw new Error(`${message}\n\nThe whole report: ${file}\n${tail}`, { cause: error });
      }
    },
  };
}
