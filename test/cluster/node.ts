import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clusterNode } from './cluster-node.ts';
import type { ClusterNode } from './cluster-node.ts';
import { runCommand } from './command.ts';
import { chosenContext, startContext } from './context.ts';
import { findPrograms } from './programs.ts';

export type { ClusterNode, ExecOptions } from './cluster-node.ts';

const script = (name: string): string => join(import.meta.dirname, name);

/** Says that tests brought the cluster up, and so have to take it down (node-teardown.ts); holds the run's process. */
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

/** A cluster that somebody brought up by hand: theirs to look at, tests leave it there. */
export const isKept = (state: string): boolean =>
  existsSync(join(state, 'settings')) && !existsSync(startedByTests(state));

/** What a run that was killed left: a new run would find its Sidegate installed, and its pods. */
export const isLeft = (state: string, own: number = runOf()): boolean =>
  existsSync(startedByTests(state)) &&
  Number(readFileSync(startedByTests(state), 'utf8')) !== own &&
  otherUsers(state, own).length === 0;

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

/** What containers ask of the kernel, each tried and undone. */
const abilities: readonly (readonly [what: string, script: string])[] = [
  ['network namespaces', 'unshare -n true'],
  [
    'overlay mounts',
    `unshare -m sh -c 'mount -t tmpfs none /mnt && cd /mnt && mkdir l u w m && mount -t overlay none -o lowerdir=l,upperdir=u,workdir=w m'`,
  ],
  [
    'cgroups that it may write',
    `if [ -e /sys/fs/cgroup/cgroup.controllers ]; then d=/sys/fs/cgroup; else d=/sys/fs/cgroup/memory; fi
     mkdir "$d/sidegate-probe-$$" && rmdir "$d/sidegate-probe-$$"`,
  ],
];

/** The same, and whether this machine lets us: a container that runs the tests may be root and yet make no mount and no cgroup. */
export function nodeMachineFault(): string | undefined {
  const fault = nodeTierFault();
  if (fault !== undefined) return fault;
  const missing = abilities.filter(([, probe]) => spawnSync('sh', ['-c', probe]).status !== 0).map(([what]) => what);
  return missing.length === 0
    ? undefined
    : `the node tier needs ${missing.join(', ')}, which this machine does not give: run it in a machine of its own or a privileged ` +
        'container, name an existing cluster with CLUSTER=context, or say NODE_TIER=0 to do without';
}

/**
 * Starts the cluster if it does not run (some seconds; half a second if it does), makes both images of the sources as they are now and imports
 * what is new. With `CLUSTER=context` it is that cluster instead (context.ts).
 *
 * The one-node Kubernetes of this machine (up.sh) lives in a network namespace of its own: nothing of it is reached from this process, so
 * whatever talks to it or its pods is run there, by `run`, `kubectl` and `helm`, or in a pod, by `exec`.
 *
 * @throws Error that says what to install where the tier cannot run.
 */
export async function startNode(): Promise<ClusterNode> {
  const context = chosenContext();
  if (context !== undefined) return startContext(context);
  const fault = nodeMachineFault();
  if (fault !== undefined) throw new Error(fault);
  findPrograms(['kubelet', 'containerd', 'helm'], undefined);
  const state = stateFolder();
  mkdirSync(usersFolder(state), { recursive: true });
  writeFileSync(userFile(state, runOf()), '');
  if (isLeft(state)) {
    const down = await runCommand(script('down.sh'), [], { timeoutMs: 120_000 });
    if (down.status !== 0) throw new Error(`what an earlier run left could not be taken down:\n${down.stderr}`);
  }
  const ran = existsSync(join(state, 'settings'));
  const up = await runCommand(script('up.sh'), [], { timeoutMs: 300_000 });
  if (up.status !== 0) throw new Error(`the cluster did not start:\n${up.stderr}`);
  if (!ran) writeFileSync(startedByTests(state), String(runOf()));

  const run: ClusterNode['run'] = (program, args, options) =>
    runCommand(script('netns.sh'), [program, ...args], options);
  return clusterNode({
    run,
    folder: state,
    own: {
      freeze(daemon) {
        const pid = Number(readFileSync(join(state, 'pid', daemon), 'utf8'));
        process.kill(pid, 'SIGSTOP');
        return () => process.kill(pid, 'SIGCONT');
      },
      staticPod(name, manifest) {
        const file = join(state, 'static-pods', `${name}.yaml`);
        writeFileSync(file, manifest);
        return () => rmSync(file, { force: true });
      },
    },
    async importImage({ reference, archive }) {
      const ctr = ['-a', join(state, 'containerd.sock'), '-n', 'k8s.io', 'images'];
      const listed = await run('ctr', [...ctr, 'ls', '-q', `name==${reference}`]);
      if (listed.stdout.trim() === reference) return;
      const imported = await run('ctr', [...ctr, 'import', archive]);
      if (imported.status !== 0) throw new Error(`importing ${archive} failed: ${imported.stderr}`);
    },
  });
}
