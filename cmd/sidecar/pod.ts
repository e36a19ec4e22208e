// The sidecar of a pod: listeners for each governed port, its policy and certificates by the controller's stream, the pod's
// probes, and what the kubelet asks about itself. Runs until it is told to stop.
import { errorCode, systemClock } from '../../pkg/base/index.ts';
import { paths } from '../../pkg/contract/index.ts';
import { compileSnapshot } from '../../pkg/core/index.ts';
import { createIdentityVerifier } from '../../pkg/identity/index.ts';
import { createDrain, startProbeAgent } from '../../pkg/probe/index.ts';
import { proxyFromEnvironment } from '../../pkg/http/index.ts';
import { createDataPlane, createPortTargets, outer } from '../../pkg/proxy/index.ts';
import type { DataPlane, Entrance, ModelTargets } from '../../pkg/proxy/index.ts';
import { openPodRecord } from '../../pkg/remote/index.ts';
import type { Remote, RemoteOptions } from '../../pkg/remote/index.ts';
import { endOnSignals, processLog } from '../../pkg/process/index.ts';
import { createAdminServer } from '../../pkg/telemetry/index.ts';
import { anyAddress } from './any-address.ts';
import { bodyHeap, growWithBodies } from './body-collection.ts';
import { collectWhenIdle } from './idle-collection.ts';
import { limitStoreOfRemote } from './limit-store.ts';
import { deferOptimizing } from './memory.ts';
import { findModels, pathFaults, podAddresses, watchExposure } from './own-ports.ts';
import type { ExposureWatch } from './own-ports.ts';
import { keyFile } from './key-file.ts';
import { marker, processMetrics } from './parts.ts';
import type { PodSettings } from './pod-settings.ts';

interface State {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

const stateOf = (reasons: readonly string[]): State => ({ ready: reasons.length === 0, reasons });

/** What SIGTERM leaves for requests: the model has ended by then, and what waits for it fails by itself. */
const lastRequestsMs = 4_000;
/** And for what of the record is not sent. */
const lastRecordMs = 5_000;

/** @param connect The stream from the controller; never waits for it. */
export async function runPod(
  settings: PodSettings,
  connect: (options: RemoteOptions) => Remote | Promise<Remote>,
): Promise<void> {
  const optimize = deferOptimizing(process);
  const clock = systemClock;
  const metrics = processMetrics(clock);
  const logger = processLog({ clock, level: settings.logLevel, onDropped: () => metrics.logLineDropped() });
  const { pod, podIp, ports, capture } = settings;
  const host = settings.host === '::' ? await anyAddress() : settings.host;

  let starting: readonly string[] = ['listeners'];
  let stopping = false;
  let readiness = (): State => stateOf(['listeners']);
  const admin = await createAdminServer({
    host,
    port: settings.adminPort,
    logger,
    metrics,
    startup: () => stateOf(starting),
    ready: () => (stopping ? stateOf(['stopping']) : readiness()),
  });

  const software = process.env['SIDEGATE_VERSION'] ?? 'source';
  const record = openPodRecord({
    folder: settings.spool,
    limit: settings.spoolLimit,
    pod,
    software,
    clock,
    logger,
    onEvent: (event) => metrics.recorderEvent(event),
  });
  const { audit } = record;
  metrics.gauge('sidegate_spool_bytes', 'Bytes of the record on the disk of the node.', () => audit.bytes());
  const mark = marker(audit, metrics);
  mark('start');

  const remote = await connect({
    url: settings.controller,
    name: settings.controllerName,
    ca: settings.controllerCa,
    pod,
    portMap: Object.fromEntries(ports.map(({ model, tls }) => [String(model), tls])),
    capture,
    software,
    tokenFile: settings.tokenFile,
    stateFolder: settings.state,
    clock,
    logger,
    compile: (policies, revision) => compileSnapshot(policies, { revision }),
    auditHead: () => record.head(),
    figures: () => metrics.traffic(),
    onEvent: (event) => metrics.controllerEvent(event),
    onCredentialRefused: () => metrics.credentialRefused(),
  });
  const sender = record.sendBy(remote);
  metrics.gauge('sidegate_record_pending', 'Lines of the record that the recorder has not acknowledged.', () =>
    sender.pending(),
  );
  const limitStore = limitStoreOfRemote(remote, clock, logger);
  /** Of a hosted endpoint, where its policy names none. */
  const proxyOf = (url: URL) => proxyFromEnvironment(process.env, url);
  const plane = createDataPlane({
    policy: remote.policy,
    verifiers: createIdentityVerifier({
      clock,
      logger,
      secret: (ref) => remote.secret(ref)?.reveal(),
      onCache: metrics.tokenCache,
    }),
    credentials: remote.credentials,
    approvals: remote.approvals,
    grants: remote.grants,
    revocations: remote.revocations,
    audit,
    tls: remote.serving,
    clientCa: undefined,
    metrics,
    clock,
    logger,
    hashKey: keyFile(settings.state, 'hash.key'),
    onInFlight: collectWhenIdle(clock),
    onHeld: growWithBodies(clock, bodyHeap(process)),
    modelRequests: settings.modelRequests,
    proxyOf,
    namespace: pod.namespace,
    limitStore,
  });
  const models = ports.map(({ model }) => model);
  const arrivedFrom = (peer: string): boolean => plane.arrivedFrom(peer);
  // A model that listens on the pod's address alone is dialled there; without rules in the kernel that would be open to all.
  const hosts = capture === 'Redirect' ? ['127.0.0.1', podIp] : ['127.0.0.1'];
  const search = findModels({ ports: models, hosts, clock, arrivedFrom });
  const targets = new Map(
    ports.map(({ model }) => [
      model,
      createPortTargets({
        port: model,
        host: () => search.hostOf(model),
        authorities: (ref) => remote.secret(ref)?.reveal(),
        proxyOf,
        clock,
        logger,
      }),
    ]),
  );
  await openDoors(plane, targets, { ...settings, host });

  const drain = createDrain({
    graceMs: settings.graceMs,
    inFlight: () => plane.inFlight,
    lastArrival: () => plane.lastArrival,
    leave: (on) => plane.leave(on),
    clock,
  });
  const probes = await startProbeAgent({
    host,
    port: settings.probePort,
    targets: settings.probes,
    hosts: ['127.0.0.1', podIp],
    drain,
    clock,
    logger,
    onProbe: (result) => metrics.probed(result),
  });

  const exposure: ExposureWatch | undefined =
    capture === 'NamedPort' ? watchExposure({ ports: models, hosts: podAddresses(podIp), clock, logger }) : undefined;
  readiness = () => {
    const exposed = exposure?.exposed();
    return stateOf([
      ...remote.answered().reasons,
      ...(plane.records() ? [] : ['record_unwritable']),
      ...(exposure !== undefined && exposed === undefined ? ['model_port_unchecked'] : []),
      ...((exposed?.length ?? 0) > 0 ? ['model_port_exposed'] : []),
    ]);
  };

  endOnSignals(logger, async () => {
    stopping = true;
    drain.close();
    await plane.drain(Math.min(settings.graceMs, lastRequestsMs));
    for (const target of targets.values()) target.close();
    exposure?.close();
    search.close();
    await limitStore.close();
    mark('stop');
    await record.finish(Math.min(settings.graceMs, lastRecordMs));
    await remote.close();
    await probes.close();
    await admin.close();
  });

  const check = async (): Promise<void> => {
    starting = await pathFaults({
      ports: models,
      hosts,
      clock,
      arrivedFrom,
      logger,
    });
    if (starting.length > 0) {
      clock.after(1_000, () => void check());
      return;
    }
    logger.info('sidecar is up', { ports: models.join(), capture, probes: settings.probes.size, admin: paths.ready });
    optimize();
  };
  await check();
}

/** For each governed port: TLS for the network, plain and TLS for the inside of the pod; and the helpers' own. */
async function openDoors(
  plane: DataPlane,
  targets: ReadonlyMap<number, ModelTargets>,
  { ports, helpers, host }: PodSettings,
): Promise<void> {
  const open = async (addresses: readonly string[], port: number, model: number, entrance: Entrance): Promise<void> => {
    const target = targets.get(model);
    if (target === undefined) throw new TypeError(`no target for port ${model}`);
    for (const address of addresses) {
      try {
        await plane.open({ host: address, port, entrance, model: target });
      } catch (error) {
        // IPv6 may be off in this kernel, node or pod: then nothing comes by it.
        if (address !== '::1' || !['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(errorCode(error) ?? '')) throw error;
      }
    }
  };
  const inside = ['127.0.0.1', '::1'];
  for (const { model, tls, loopback } of ports) {
    await open([host], tls, model, outer);
    await open(inside, loopback, model, { kind: 'loopback' });
  }
  for (const { uid, model, listener } of helpers) await open(inside, listener, model, { kind: 'helper', uid });
}
