// Admission: reads its settings, wires the API server to what decides, serves until it is told to stop.
import { randomBytes } from 'node:crypto';
import { systemClock } from '../../pkg/base/index.ts';
import type { Logger } from '../../pkg/base/index.ts';
import {
  admissionMetrics,
  createAdmissionCluster,
  createBreakGlass,
  createConnect,
  createDecide,
  createGrantRate,
  createNoteChanger,
  createHandler,
  createIssuedCertificate,
  createMayApprove,
  createMutate,
  createPathKeys,
  createServingCertificate,
  createValidatePod,
  createValidatePolicy,
  createWebhookServer,
  watchChartOptions,
} from '../../pkg/admission/index.ts';
import type { ServingCertificate, ServingMaterial } from '../../pkg/admission/index.ts';
import { controlPlane } from '../../pkg/contract/index.ts';
import { draw, drawnBytes } from '../../pkg/inject/index.ts';
import { createKubeClient, createMayBecome, inClusterAccess, kubeconfigAccess } from '../../pkg/kube/index.ts';
import type { ClusterAccess } from '../../pkg/kube/index.ts';
import { endOnSignals, runProcess } from '../../pkg/process/index.ts';
import type { Ending } from '../../pkg/process/index.ts';
import { createAdminServer, createMeters } from '../../pkg/telemetry/index.ts';
import { parseSettings, usage } from './settings.ts';
import type { Settings } from './settings.ts';

function accessOf({ kubeconfig }: Settings): ClusterAccess | Promise<ClusterAccess> {
  if (kubeconfig !== undefined) return kubeconfigAccess(kubeconfig);
  const host = process.env['KUBERNETES_SERVICE_HOST'];
  if (host === undefined) throw new Error('this is no pod (KUBERNETES_SERVICE_HOST is not set): give --kubeconfig');
  return inClusterAccess({ host, port: process.env['KUBERNETES_SERVICE_PORT'] });
}

const firstMaterial = (certificate: ServingCertificate): Promise<ServingMaterial> =>
  new Promise((resolve) => {
    const known = certificate.current();
    if (known === undefined) certificate.subscribe(resolve);
    else resolve(known);
  });

async function run(settings: Settings, logger: Logger): Promise<void> {
  const clock = systemClock;
  const { namespace, breakGlassGroup } = settings;
  const meters = createMeters();
  const metrics = admissionMetrics(meters);
  const client = createKubeClient({ access: await accessOf(settings), clock, userAgent: 'sidegate-webhook' });
  const options = watchChartOptions({
    client,
    namespace,
    clock,
    logger,
    onRead: (result) => metrics.reloaded('options', result),
  });
  const { certificateSecret } = settings;
  const cluster = createAdmissionCluster({
    ...{ client, clock, logger, namespace, instance: settings.instance },
    onEventDropped: metrics.eventDropped,
    ...(certificateSecret === undefined ? {} : { certificateSecret }),
  });
  const dnsName = `${controlPlane.webhook}.${namespace}.svc`;
  const keys = createPathKeys(clock);
  const onIssued = (result: 'accepted' | 'refused'): void => metrics.reloaded('certificate', result);
  const serves = { client, namespace, keys, clock, logger, onIssued };
  const certificate =
    certificateSecret === undefined
      ? createServingCertificate({ ...serves, dnsNames: [dnsName, ...settings.names] })
      : createIssuedCertificate({ ...serves, dnsName, secretName: certificateSecret });
  cluster.onAuthority(() => certificate.look());
  meters.reading('sidegate_webhook_certificate_seconds', 'Seconds until the serving certificate ends.', () => {
    const material = certificate.current();
    return material === undefined ? undefined : (material.notAfter - clock.now()) / 1_000;
  });

  const pods = {
    options: () => options.current(),
    accepted: () => options.accepted(),
    drawn: () => draw(randomBytes(drawnBytes)),
    trust: cluster.trust,
    earlierTrust: cluster.earlierTrust,
    lookup: cluster.lookup,
    events: cluster.events,
    metrics,
  };
  const connections = { breakGlassGroup, lookup: cluster.lookup, events: cluster.events, metrics, logger };
  const handler = createHandler({
    open: (path) => keys.open(path),
    onOtherKey: () => certificate.lookSoon(),
    hooks: {
      mutate: createMutate(pods),
      pods: createValidatePod(pods),
      policies: createValidatePolicy({ metrics }),
      decisions: createDecide({
        controller: `system:serviceaccount:${namespace}:${controlPlane.controller}`,
        breakGlassGroup,
        mayApprove: createMayApprove(client),
        mayBecome: createMayBecome(client),
        noteChanger: createNoteChanger(client, namespace, clock, () => client.serverTime()),
        grantRate: createGrantRate(clock),
        clock,
        events: cluster.events,
        metrics,
        logger,
      }),
      connect: createConnect(connections),
      'break-glass': createBreakGlass(connections),
    },
    clock,
    logger,
    metrics,
  });

  const running: { ending?: Ending } = {};
  const admin = await createAdminServer({
    ...settings.admin,
    logger,
    metrics: meters,
    ready() {
      const reasons = [
        ...(running.ending?.stopping === true ? ['stopping'] : []),
        ...(running.ending === undefined ? ['not_listening'] : []),
        ...(options.accepted().length === 0 ? ['no_options'] : []),
        ...certificate.problems(),
        ...cluster.problems(),
      ];
      return { ready: reasons.length === 0, reasons };
    },
  });
  await options.first();
  const server = await createWebhookServer({
    ...settings.listen,
    material: await firstMaterial(certificate),
    handler,
    clock,
    logger,
  });
  certificate.subscribe((material) => server.replace(material));
  logger.info('webhook is up', { port: server.port, admin: `${admin.host}:${admin.port}` });

  running.ending = endOnSignals(logger, async () => {
    await server.stop(settings.drainMs);
    certificate.close();
    await options.close();
    await cluster.close();
    client.close();
    await admin.close();
  });
}

await runProcess('webhook', usage, parseSettings(process.argv.slice(2), process.env), run);
