import { createKubeClient, kubeconfigAccess } from '../../../pkg/kube/index.ts';
import {
  installControllerRoles,
  ownNamespace,
  removeFolder,
  serviceAccountFolder,
  startControllerProcess,
} from '../../apiserver/controller-process.ts';
import type { ControllerProcess } from '../../apiserver/controller-process.ts';
import { installDefinitions } from '../../apiserver/custom-resources.ts';
import { simulateSidecars } from '../../apiserver/simulated-sidecars.ts';
import type { SimulatedSidecars } from '../../apiserver/simulated-sidecars.ts';
import { startApiServer } from '../../cluster/api-server.ts';
import { bundledProcesses } from '../../support/bundles.ts';
import { until } from '../../support/wait.ts';
import { printed, show } from '../bench.ts';
import type { Bench, Row } from '../bench.ts';

/**
 * The controller's own process at a real API server: its memory with pods and their sidecars, and what an edit of a policy costs the API
 * server. The sidecars are simulated in this process.
 */
export async function controllerProcess(bench: Pick<Bench, 'short'>): Promise<Row[]> {
  // Numbers of pods, growing; memory is that of the last.
  const counts = bench.short ? [20] : [100, 1_000];
  const rounds = bench.short ? 1 : 4;
  const bundled = bundledProcesses();
  const server = await startApiServer();
  const undo: (() => unknown)[] = [() => server.stop()];
  try {
    await installDefinitions(server);
    await Promise.all([server.namespace(ownNamespace), server.namespace('ml')]);
    await installControllerRoles(server);
    const admin = createKubeClient({ access: await kubeconfigAccess(server.kubeconfig) });
    undo.push(() => admin.close());
    const account = await serviceAccountFolder(server, admin);
    undo.push(() => removeFolder(account));
    const sidecars = simulateSidecars(admin);
    undo.push(() => sidecars.close());
    const controller = await startControllerProcess(server, { bundle: bundled, account, replica: 'bench' });
    undo.push(async () => {
      controller.child.kill('SIGTERM');
      await controller.ended;
    });
    await until(sidecars.published, 'the authority is published');
    await sidecars.apply('Enforce');

    const calls: number[] = [];
    let pods = 0;
    let peak = 0;
    let observe = false;
    for (const count of counts) {
      await sidecars.connectPods(controller.port, await sidecars.makePods(pods, count));
      pods = count;
      await settled(sidecars, count);
      const edits: (readonly string[])[] = [];
      for (let at = 0; at < rounds; at++) {
        edits.push(await edit(sidecars, controller, count, observe ? 'Enforce' : 'Observe'));
        observe = !observe;
        peak = Math.max(peak, controller.residentMb());
      }
      calls.push(Math.max(...edits.map(({ length }) => length)));
    }
    const many = pods.toLocaleString('en');
    return [
      {
        work: `memory of the controller's process with ${many} pods and their sidecars, most after ${rounds} edits`,
        measured: `**${show(peak, 0)} MB**`,
        target: '<= 250 MB',
        reached: printed(peak, 0) <= 250,
      },
      {
        work: `requests to the API server that an edit costs, with ${counts.map((count) => count.toLocaleString('en')).join(' and ')} pods: most of ${rounds}`,
        measured: `**${calls.join('** and **')}**`,
        // One write of counts and one of status every 2 s while acknowledgements come, and a beat: not one for each pod.
        target: '<= 12, with any number of pods',
        reached: calls.every((one) => one <= 12),
      },
    ];
  } finally {
    for (const one of undo.reverse()) await one();
  }
}

/** The requests that it costs, by method and resource. */
async function edit(
  sidecars: SimulatedSidecars,
  controller: ControllerProcess,
  count: number,
  mode: 'Enforce' | 'Observe',
): Promise<readonly string[]> {
  const before = await apiCalls(controller);
  const remotes = [...sidecars.remotes];
  const old = new Set(remotes.map((remote) => remote.policy.current()?.hash));
  await sidecars.apply(mode);
  await until(() => remotes.every((remote) => !old.has(remote.policy.current()?.hash)), 'all have the edit');
  await settled(sidecars, count);
  const after = await apiCalls(controller);
  return [...after].flatMap(([call, count]) => Array.from({ length: count - (before.get(call) ?? 0) }, () => call));
}

/** Until the status says that all enforce, and nothing follows. */
async function settled(sidecars: SimulatedSidecars, count: number): Promise<void> {
  await until(async () => (await sidecars.enforced()) === `${count}/${count}`, `${count} enforce`, 120_000);
  await new Promise((resolve) => setTimeout(resolve, 5_000));
}

/** By method and resource. What comes with time and not with an edit is left out: watches, leases, beats, looks at Secrets and lists. */
async function apiCalls(controller: ControllerProcess): Promise<ReadonlyMap<string, number>> {
  const port = /"message":"controller is up".*?"admin":(\d+)/.exec(controller.log())?.[1];
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const calls = new Map<string, number>();
  for (const [, method = '', resource = '', count] of metrics.matchAll(
    /^sidegate_api_calls_total\{method="(\w+)",resource="(\w+)",[^}]*\} (\d+)$/gm,
  )) {
    const call = `${method} ${resource}`;
    if (/^(WATCH|LIST|GET secrets)|leases$/.test(call)) continue;
    calls.set(call, (calls.get(call) ?? 0) + Number(count));
  }
  return calls;
}
