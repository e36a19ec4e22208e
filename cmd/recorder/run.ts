// The recorder: reads its settings, opens the store, takes records in until it is told to stop.
import { createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../pkg/base/index.ts';
import type { Logger } from '../../pkg/base/index.ts';
import { createKubeClient, inClusterAccess, kubeconfigAccess } from '../../pkg/kube/index.ts';
import type { ClusterAccess } from '../../pkg/kube/index.ts';
import { watchTlsFiles } from '../../pkg/pki/index.ts';
import { keyName, readLogKeys, sealBy } from '../../pkg/record/index.ts';
import type { LogKeys } from '../../pkg/record/index.ts';
import { endOnSignals, runProcess } from '../../pkg/process/index.ts';
import type { Ending } from '../../pkg/process/index.ts';
import {
  controllersOf,
  createAuditAuthorizer,
  createAuditServer,
  createCommitter,
  createIngestServer,
  createPeople,
  createShares,
  followRevoked,
  keepAuthorities,
  keepHeads,
  keepUp,
  needPublished,
  publishHeads,
  recorderMetrics,
  shareStreams,
  watchVanished,
  writeRetention,
} from '../../pkg/recorder/index.ts';
import type { StoreStats } from '../../pkg/recorder/index.ts';
import { createAdminServer, createMeters } from '../../pkg/telemetry/index.ts';
import { archiveLog } from './archive.ts';
import { openStore } from './open-store.ts';
import { parseSettings, usage } from './settings.ts';
import type { Settings } from './settings.ts';
import { shipLog } from './ship.ts';
import { watchTrust } from './trust.ts';
import { webConsole } from './web-console.ts';

/** All that the log had; undefined: it has none. */
const keysOf = (key: KeyObject | undefined, older: readonly KeyObject[]): LogKeys | undefined =>
  key === undefined ? undefined : [...older, key];

/** A database may have several hosts; of an embedded store there is one, and whoever made it again from an archive knows what it lacks. */
const isShared = ({ publishHeads, store }: Settings): boolean => publishHeads && 'database' in store;

function accessOf({ kubeconfig }: Settings): ClusterAccess | Promise<ClusterAccess> {
  if (kubeconfig !== undefined) return kubeconfigAccess(kubeconfig);
  const host = process.env['KUBERNETES_SERVICE_HOST'];
  if (host === undefined) throw new Error('this is no pod (KUBERNETES_SERVICE_HOST is not set): give --kubeconfig');
  return inClusterAccess({ host, port: process.env['KUBERNETES_SERVICE_PORT'] });
}

/** Public keys that the log had before its own. @throws where the file does not end with that one */
function olderLogKeys(file: string, key: KeyObject): readonly KeyObject[] {
  const all = readLogKeys(readFileSync(file, 'utf8'));
  const last = all.at(-1);
  if (last === undefined || keyName(last) !== keyName(key))
    throw new Error(`the last public key in ${file} is not that of --log-key (docs/audit.md, Another key of the log)`);
  return all.slice(0, -1);
}

async function run(settings: Settings, logger: Logger): Promise<void> {
  const clock = systemClock;
  const meters = createMeters();
  const metrics = recorderMetrics(meters);
  const serving = await watchTlsFiles({
    certFile: join(settings.tls, 'tls.crt'),
    keyFile: join(settings.tls, 'tls.key'),
    clock,
    logger,
  });
  const trust = watchTrust(settings.trust, clock, logger);
  const key = settings.logKey === undefined ? undefined : createPrivateKey(readFileSync(settings.logKey));
  const olderKeys = key === undefined || settings.logPublic === undefined ? [] : olderLogKeys(settings.logPublic, key);
  const opened = await openStore({ settings, clock, logger, seal: key === undefined ? undefined : sealBy(key) });
  const { store } = opened;
  const { at: logEndsAt } = await store.log();
  const committer = createCommitter({
    store,
    clock,
    logger,
    onCommit: metrics.committed,
    onFailure: metrics.commitFailed,
  });
  const client = createKubeClient({ access: await accessOf(settings), clock, userAgent: 'sidegate-recorder' });
  const { namespace } = settings;
  const keys = keysOf(key, olderKeys);
  if (isShared(settings) && keys !== undefined) await needPublished({ client, store, namespace, keys, clock, logger });
  const archiver = await archiveLog({ settings: settings.archive, store, key, olderKeys, meters, clock, logger });
  const publisher = settings.publishHeads
    ? publishHeads({
        client,
        store,
        namespace,
        clock,
        logger,
        keys,
        serverTime: client.serverTime,
        onResult: metrics.headPublished,
      })
    : undefined;
  const onSigned = (): void => {
    archiver?.kick();
    publisher?.kick();
  };
  const heads =
    key === undefined
      ? undefined
      : keepHeads({ store, key, olderKeys, clock, logger, onSigned, onForeign: metrics.headRefused });
  // What a recorder that was killed has left, before anything is added.
  await heads?.sign();
  // Without a key entries have no seals, which this one says of all after it.
  if (key !== undefined) await writeRetention({ store, retention: settings.retention, clock });
  // Before anything that they have signed.
  const stopAuthorities = await keepAuthorities({ store, bundle: trust.current, clock, logger });
  const upkeep = keepUp({
    store,
    clock,
    logger,
    retention: settings.retention,
    controlNamespace: namespace,
    logEndsAt,
    latest: () => store.latest(),
    archivedOnly: settings.archive?.deleteUnarchived === false,
  });
  const running: { ending?: Ending } = {};
  const shares = createShares({ ...settings.shares, store, namespace, clock, logger });
  const server = await createIngestServer({
    port: settings.listen.port,
    ...(settings.listen.host === '' ? {} : { host: settings.listen.host }),
    serving,
    bundle: trust.current,
    trustDomain: settings.trustDomain,
    namespace: settings.namespace,
    store,
    committer,
    clock,
    logger,
    observer: metrics,
    shares,
  });
  const streams =
    opened.streams && shareStreams({ table: opened.streams, sources: () => server.sources(), clock, logger });
  const vanished = watchVanished({
    store,
    connected: server.connected,
    ...(streams !== undefined && { elsewhere: streams.held }),
    clock,
    logger,
    onVanished: metrics.vanished,
  });
  const revoked = followRevoked({ client, namespace, clock, logger });
  const people =
    settings.oidc === undefined
      ? undefined
      : createPeople(settings.oidc, { ca: settings.oidcCa, revoked, clock, logger });
  const answered = meters.counter('sidegate_recorder_questions_total', 'Questions of auditors, by status.', [
    { name: 'status', values: { atMost: 20 } },
  ]);
  const shipping = shipLog({ settings, opened, meters, clock, logger });
  const audit = await createAuditServer({
    port: settings.audit.port,
    ...(settings.audit.host === '' ? {} : { host: settings.audit.host }),
    serving,
    store,
    committer,
    authorizer: createAuditAuthorizer(client, clock, revoked, people),
    clock,
    logger,
    version: process.env['SIDEGATE_VERSION'] ?? 'source',
    onAnswered: (status) => answered.add([String(status)]),
    isController: controllersOf(namespace),
    shipping,
    ...(people !== undefined && webConsole({ settings, people, store, serving, meters, clock, logger })),
  });
  meters.reading('sidegate_recorder_streams', 'Sidecars connected.', () => server.streams());
  meters.reading('sidegate_recorder_connections', 'Connections to the port of sidecars.', () => server.connections());
  meters.reading('sidegate_recorder_log_entries', 'Entries of the log.', () => upkeep.stats()?.entries);
  meters.reading('sidegate_recorder_waiting_bytes', 'Bytes that wait for the disk.', () => committer.waiting);
  meters.reading('sidegate_recorder_frame_bytes', 'Bytes that frames of sidecars hold.', () => server.frameBytes());
  meters.reading('sidegate_recorder_disk_bytes', 'Bytes of the store on the disk.', () => upkeep.stats()?.diskBytes);
  const volume = (): StoreStats['volume'] => upkeep.stats()?.volume;
  meters.reading(
    'sidegate_recorder_volume_free_bytes',
    'Bytes that are free on the volume of the store, beside its reserve.',
    () => volume()?.freeBytes,
  );
  meters.reading('sidegate_recorder_volume_bytes', 'Bytes of that volume.', () => volume()?.sizeBytes);
  meters.reading(
    'sidegate_recorder_reserve_bytes',
    'Bytes of the file that keeps room to delete by.',
    () => volume()?.reserveBytes,
  );
  meters.reading('sidegate_recorder_store_full', '1: nothing is taken in until there is room on the volume.', () => {
    const full = volume()?.full;
    return full === undefined ? undefined : Number(full);
  });
  meters.reading(
    'sidegate_recorder_log_ahead_seconds',
    'How far the last entry of the log is ahead of the clock.',
    () => Math.max(0, store.latest() - clock.now()) / 1_000,
  );
  meters.reading(
    'sidegate_recorder_deferred_namespaces',
    'Namespaces whose lines are not taken, since they hold more than their share of a store with little room.',
    () => shares.deferred().length,
  );
  meters.readings(
    'sidegate_recorder_held_bytes',
    'Bytes of the store that a namespace holds: of the 50 that hold most.',
    'namespace',
    () => [...shares.held()].sort(([, one], [, other]) => other - one).slice(0, 50),
  );
  meters.reading('sidegate_recorder_sessions', 'Sessions in the store.', () => upkeep.stats()?.sessions);
  meters.reading(
    'sidegate_recorder_unindexed',
    'Blocks whose words are not in the index yet.',
    () => upkeep.stats()?.unindexed,
  );
  const admin = await createAdminServer({
    host: settings.admin.host === '' ? '::' : settings.admin.host,
    port: settings.admin.port,
    logger,
    metrics: meters,
    ready() {
      const reasons = [
        ...(running.ending?.stopping === true ? ['stopping'] : []),
        ...(committer.full ? ['store_behind'] : []),
      ];
      return { ready: reasons.length === 0, reasons };
    },
  });
  logger.info('recorder is up', {
    port: server.port,
    audit: audit.port,
    admin: admin.port,
    entries: (await store.log()).size,
  });

  running.ending = endOnSignals(logger, async () => {
    await audit.close();
    people?.close();
    await revoked.close();
    await server.close();
    await shares.close();
    await vanished.close();
    await streams?.close();
    await stopAuthorities();
    await shipping.close();
    await upkeep.close();
    await heads?.sign();
    heads?.close();
    await publisher?.close();
    client.close();
    await archiver?.close();
    trust.close();
    serving.close();
    await opened.close();
    await admin.close();
  });
}

await runProcess('recorder', usage, parseSettings(process.argv.slice(2), process.env), run);
