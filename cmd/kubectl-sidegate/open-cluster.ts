import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CommandIo } from '../../pkg/cli/index.ts';
import { createKubeClient, inClusterAccess, kubeconfigAccess, serviceAccountFolder } from '../../pkg/kube/index.ts';

const userAgent = 'kubectl-sidegate';

/** A kubeconfig, as kubectl finds it; in a pod, where nothing names one, the pod's own service account. */
export const openCluster: CommandIo['openCluster'] = async ({ kubeconfig, context }) => {
  const host = process.env['KUBERNETES_SERVICE_HOST'];
  const named = kubeconfig ?? context ?? process.env['KUBECONFIG'];
  if (named === undefined && host !== undefined) {
    const access = inClusterAccess({ host, port: process.env['KUBERNETES_SERVICE_PORT'] });
    const namespace = readFileSync(join(serviceAccountFolder, 'namespace'), 'utf8').trim();
    return { client: createKubeClient({ access, userAgent }), namespace };
  }
  const access = await kubeconfigAccess(kubeconfig, context);
  return { client: createKubeClient({ access, userAgent }), namespace: access.namespace ?? 'default' };
};
