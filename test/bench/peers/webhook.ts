// The webhook's server and decisions, with a cluster that is not there: what an admission costs without the API server's own part.
import { randomBytes } from 'node:crypto';
import { createHandler, createMutate, createWebhookServer, admissionMetrics } from '../../../pkg/admission/index.ts';
import type { ClusterLookup, Decide } from '../../../pkg/admission/index.ts';
import { silentLogger, systemClock } from '../../../pkg/base/index.ts';
import { defaultOptions, draw, drawnBytes, istio, knativeQueueProxy } from '../../../pkg/inject/index.ts';
import type { ChartOptions } from '../../../pkg/inject/index.ts';
import {
  afterStep,
  bundleOf,
  certificateFacts,
  createAuthority,
  createAuthorityPair,
  createKeyRequest,
} from '../../../pkg/pki/index.ts';
import { createMeters } from '../../../pkg/telemetry/index.ts';

const state = afterStep(undefined, 'create', systemClock.now(), await createAuthorityPair(systemClock));
const { key, csr } = createKeyRequest();
const cert = await createAuthority({ state, clock: systemClock }).sign({
  purpose: 'server',
  csr,
  dnsNames: ['localhost'],
});
const image = 'localhost/sidegate:0.1.0';
const chart: ChartOptions = {
  governNamespaces: 'Auto',
  images: [image],
  for: (namespace, ca, drawn) => ({
    ...defaultOptions,
    version: '0.1.0',
    image,
    controller: { url: 'https://sidegate-controller.sidegate-system.svc:8443', name: 'sidegate-controller', ca },
    meshes: [istio(['docker.io/istio/proxyv2'])],
    wrappers: [knativeQueueProxy(['knative/queue'])],
    namespace,
    drawn,
  }),
};
const none = (): Promise<undefined> => Promise.resolve(undefined);
const lookup: ClusterLookup = {
  namespaceGoverned: none,
  pod: none,
  service: none,
  governedPods: () => Promise.resolve([]),
};
const metrics = admissionMetrics(createMeters());
const pem = bundleOf(state);
const mutate = createMutate({
  options: () => chart,
  accepted: () => [chart],
  drawn: () => draw(randomBytes(drawnBytes)),
  trust: () => pem,
  lookup,
  events: () => undefined,
  metrics,
});
const other: Decide = () => Promise.resolve({ allowed: false });
const server = await createWebhookServer({
  host: '127.0.0.1',
  port: 0,
  material: { cert, key, notAfter: certificateFacts(cert).notAfter },
  handler: createHandler({
    open: (path) => path,
    hooks: { mutate, pods: other, policies: other, decisions: other, connect: other, 'break-glass': other },
    clock: systemClock,
    logger: silentLogger,
    metrics,
  }),
  clock: systemClock,
  logger: silentLogger,
});
process.send?.({ port: server.port, ca: pem });
