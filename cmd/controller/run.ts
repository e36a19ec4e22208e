// Reads the controller's settings, connects it with the API server, runs until it is told to stop or may not go on.
import { randomId, systemClock } from '../../pkg/base/index.ts';
import type { Clock, Logger } from '../../pkg/base/index.ts';
import { createControlMetrics, openChannels, parseNoticeSettings, startController } from '../../pkg/control/index.ts';
import type { Controller, ControllerOptions } from '../../pkg/control/index.ts';
import { checkPattern } from '../../pkg/detect/index.ts';
import { trustedProxies } from '../../pkg/http/index.ts';
import { createKubeClient, inClusterAccess, kubeconfigAccess } from '../../pkg/kube/index.ts';
import type { ClusterAccess } from '../../pkg/kube/index.ts';
import { endOnSignals, runProcess } from '../../pkg/process/index.ts';
import { openPodRecord } from '../../pkg/remote/index.ts';
import { createAdminServer, createMeters } from '../../pkg/telemetry/index.ts';
import { watchLimitStore } from './limit-store.ts';
import { parseSettings, usage } from './settings.ts';
import type { Settings } from './settings.ts';
import { readTokensFile } from './tokens-file.ts';

async function accessOf({ kubeconfig, apiServer }: Settings): Promise<ClusterAccess> {
  if (kubeconfig !== undefined || apiServer === undefined) return kubeconfigAccess(kubeconfig);
  return inClusterAccess(apiServer);
}

function noticesOf({ notices }: Settings): ControllerOptions['notices'] {
  if (notices === undefined) return undefined;
  const known = parseNoticeSettings(notices.json);
  return { endpoint: known.endpoint, channels: openChannels(known, notices.secrets, systemClock) };
}

function decisionsOf({ decisions, trustedProxies: ranges }: Settings): ControllerOptions['decisions'] {
  if (decisions === undefined) return undefined;
  const { host, port } = decisions;
  return { ...(host !== '' && { host }), port, trustedProxies: trustedProxies(ranges) };
}

/** Its own record, on the node's disk until the recorder has it. */
function recordOf(
  { spool, namespace, replica }: Settings,
  clock: Clock,
  logger: Logger,
): Pick<ControllerOptions, 'record'> {
  if (spool === undefined) return {};
  const record = openPodRecord({
    ...spool,
    pod: { namespace, name: replica, uid: replica },
    software: process.env['SIDEGATE_VERSION'] ?? 'source',
    clock,
    logger,
    onEvent: () => undefined,
  });
  return { record };
}

/** In the image the programs of threads are bundles of their own, and this file a chunk in the folder beside them. */
const bundled = !import.meta.url.endsWith('.ts');
const thread = bundled ? { thread: new URL('../saml-signature.js', import.meta.url) } : {};
const pkcs12Thread = bundled ? { pkcs12Thread: new URL('../pkcs12-open.js', import.meta.url) } : {};

async function run(settings: Settings, logger: Logger): Promise<void> {
  const clock = systemClock;
  const meters = createMeters();
  const notices = noticesOf(settings);
  const metrics = createControlMetrics(
    meters,
    notices?.channels.map(({ name }) => name),
  );
  const client = createKubeClient({
    access: await accessOf(settings),
    clock,
    userAgent: 'sidegate-controller',
    onCall: metrics.apiCall,
  });
  const running: { controller?: Controller } = {};
  const admin = await createAdminServer({
    ...settings.admin,
    logger,
    metrics: meters,
    ready: () => running.controller?.ready() ?? { ready: false, reasons: ['starting'] },
  });

  const ending = endOnSignals(logger, async () => {
    await running.controller?.close(settings.drainMs);
    limitStore?.close();
    client.close();
    await admin.close();
  });

  const limitStore =
    settings.limitStore === undefined ? undefined : watchLimitStore(settings.limitStore, clock, logger);
  const { sidecarImage } = settings;
  const namespaceImages = new Map(Object.entries(settings.namespaceImages));
  running.controller = await startController({
    client,
    clock,
    logger,
    metrics,
    checkPattern: (pattern, maxLength) => checkPattern(pattern, maxLength)?.message,
    namespace: settings.namespace,
    replica: settings.replica,
    // A replica that starts again under its name is another one.
    identity: `${settings.replica}_${randomId()}`,
    trustDomain: settings.trustDomain,
    clusterDomain: settings.clusterDomain,
    governNamespaces: settings.governNamespaces,
    networkPolicies: settings.networkPolicies,
    evict: settings.evict,
    ...(sidecarImage === undefined ? {} : { sidecarImage: (of: string) => namespaceImages.get(of) ?? sidecarImage }),
    upgradeSidecars: settings.upgradeSidecars,
    ...(limitStore === undefined ? {} : { limitStore: limitStore.current }),
    ...(settings.recorder === undefined ? {} : { recorder: settings.recorder }),
    ...recordOf(settings, clock, logger),
    stream: settings.listen.host === '' ? { port: settings.listen.port } : settings.listen,
    decisions: decisionsOf(settings),
    keepApprovalsMs: settings.keepApprovalsMs,
    ...pkcs12Thread,
    notices,
    ...(settings.tokensFile === undefined ? {} : { tokens: { ...readTokensFile(settings.tokensFile), ...thread } }),
    onFatal: (why) => ending.stop(why, 1),
  });
  logger.info('controller is up', { replica: settings.replica, admin: admin.port });
}

await runProcess('controller', usage, parseSettings(process.argv.slice(2), process.env), run);
