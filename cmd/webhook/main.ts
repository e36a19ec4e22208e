// Admission: reads its settings, wires the API server to what decides, serves until it is told to stop.
import { randomBytes } from 'node:crypto';
import { createLogger, describeError, systemClock } from '../../pkg/base/index.ts';
import type { Logger } from '../../pkg/base/index.ts';
import {
  admissionMetrics,
  createAdmissionCluster,
  createBreakGlass,
  createConnect,
  createDecide,
  createHandler,
  createIssuedCertificate,
  createMayApprove,
  createMutate,
  createServingCertificate,
  createValidatePod,
  createValidatePolicy,
  createWebhookServer,
  watchChartOptions,
} from '../../pkg/admission/index.ts';
import type { ServingCertificate, ServingMaterial } from '../../pkg/admission/index.ts';
import { controlPlane } from '../../pkg/contract/index.ts';
import { draw, drawnBytes } from '../../pkg/inject/index.ts';
import { createKubeClient, inClusterAccess, kubeconfigAccess } from '../../pkg/kube/index.ts';
import type { ClusterAccess } from '../../pkg/kube/index.ts';
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
    ...(certificateSecret === undefined ? {} : { certificateSecret }),
  });
  const dnsName = `${controlPlane.webhook}.${namespace}.svc`;
  const onIssued = (result: 'accepted' | 'refused'): void => metrics.reloaded('certificate', result);
  const serves = { client, namespace, clock, logger, onIssued };
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
    hooks: {
      mutate: createMutate(pods),
      pods: createValidatePod(pods),
      policies: createValidatePolicy({ metrics }),
      decisions: createDecide({
        controller: `system:serviceaccount:${namespace}:${controlPlane.controller}`,
        breakGlassGroup,
        mayApprove: createMayApprove(client),
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

  let stopping = false;
  let serving = false;
  const admin = await createAdminServer({
    ...settings.admin,
    logger,
    metrics: meters,
    ready() {
      const reasons = [
        ...(stopping ? ['stopping'] : []),
        ...(serving ? [] : ['not_listening']),
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
  serving = true;
  logger.info('webhook is up', { port: server.port, admin: `${admin.host}:${admin.port}` });

  const stop = (signal: string): void => {
    if (stopping) return;
    stopping = true;
    logger.info('stopping', { signal });
    const end = async (): Promise<void> => {
      await server.stop(settings.drainMs);
      certificate.close();
      await options.close();
      await cluster.close();
      client.close();
      await admin.close();
      process.exit(0);
    };
    end().catch((error: unknown) => {
      logger.error('did not stop cleanly', { error: describeError(error) });
      process.exit(1);
    });
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
}

// A log that nobody reads any more must not end the process: without a listener the write error would be thrown.
process.stderr.on('error', () => undefined);

const parsed = parseSettings(process.argv.slice(2), process.env);
if ('help' in parsed) {
  process.stdout.write(usage);
} else if ('faults' in parsed) {
  for (const fault of parsed.faults) process.stderr.write(`webhook: ${fault}\n`);
  process.stderr.write('webhook: --help lists all settings\n');
  process.exit(2);
} else {
  const { settings } = parsed;
  const write = (line: string): void => void process.stderr.write(`${line}\n`);
  const logger = createLogger({ clock: systemClock, level: settings.logLevel, write });
  // A SIGTERM before it serves ends it at once: there is nothing to finish.
  run(settings, logger).catch((error: unknown) => {
    logger.error('the webhook cannot run', { error: describeError(error) });
    process.exit(1);
  });
}
