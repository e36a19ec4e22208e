// A sidecar that runs on its own: wires the ports to files, runs until it is told to stop.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../pkg/base/index.ts';
import type { Clock, Logger } from '../../pkg/base/index.ts';
import { compileRevocations, compileSnapshot } from '../../pkg/core/index.ts';
import type { ApprovalGate } from '../../pkg/core/index.ts';
import { parseGrants, parsePolicies } from '../../pkg/crd/index.ts';
import { carriedOut, checkPattern } from '../../pkg/detect/index.ts';
import {
  createHttp2Upstream,
  createNegotiatedUpstream,
  createPassthrough,
  createUpstream,
  createWebSocketUpstream,
  proxyFromEnvironment,
} from '../../pkg/http/index.ts';
import { createIdentityVerifier } from '../../pkg/identity/index.ts';
import {
  createFileApprovals,
  decisionSocket,
  fileCredentialSource,
  fileGrantSource,
  fileRevocationSource,
  filePolicySource,
  noApprovals,
  openApprovalFiles,
  openDecisionSocket,
} from '../../pkg/local/index.ts';
import { ensureSelfSigned, keepSelfSigned, watchTlsFiles } from '../../pkg/pki/index.ts';
import type { TlsMaterialSource } from '../../pkg/pki/index.ts';
import { endOnSignals, processLog } from '../../pkg/process/index.ts';
import { noPassthrough, startSidecar } from '../../pkg/proxy/index.ts';
import { auditFile } from '../../pkg/record/index.ts';
import { createAdminServer } from '../../pkg/telemetry/index.ts';
import { bodyHeap, growWithBodies } from './body-collection.ts';
import { collectWhenIdle } from './idle-collection.ts';
import { limitStoreOfSettings } from './limit-store.ts';
import { deferOptimizing } from './memory.ts';
import { keyFile } from './key-file.ts';
import { marker, processMetrics } from './parts.ts';
import type { Settings } from './settings.ts';

async function tlsMaterial(settings: Settings, clock: Clock, logger: Logger): Promise<TlsMaterialSource> {
  const { tlsCert, tlsKey, tlsPkcs12, tlsPassphraseFile, data, names } = settings;
  if (tlsPkcs12 !== undefined) {
    return watchTlsFiles({
      pkcs12File: tlsPkcs12,
      ...(tlsPassphraseFile === undefined ? {} : { passphraseFile: tlsPassphraseFile }),
      clock,
      logger,
    });
  }
  if (tlsCert !== undefined && tlsKey !== undefined)
    return watchTlsFiles({ certFile: tlsCert, keyFile: tlsKey, clock, logger });
  const made = await ensureSelfSigned(data, names, clock);
  keepSelfSigned({ folder: data, names, clock, logger });
  return watchTlsFiles({ ...made, clock, logger });
}

interface Approvals {
  readonly gate: ApprovalGate;
  close(): Promise<void>;
}

/** People who decide, by the folder that shows them what waits. */
async function approvalsIn(
  folder: string | undefined,
  parts: Omit<Parameters<typeof createFileApprovals>[0], 'files'>,
): Promise<Approvals> {
  if (folder === undefined) return { gate: noApprovals, close: () => Promise.resolve() };
  const files = await openApprovalFiles(folder);
  const approvals = createFileApprovals({ ...parts, files });
  const socket = await openDecisionSocket({ ...parts, path: join(files.folder, decisionSocket), approvals });
  return {
    gate: approvals.gate,
    async close() {
      await socket.close();
      approvals.close();
    },
  };
}

export async function runFiles(settings: Settings): Promise<void> {
  const optimize = deferOptimizing(process);
  const clock = systemClock;
  const metrics = processMetrics(clock);
  const logger = processLog({ clock, level: settings.logLevel, onDropped: () => metrics.logLineDropped() });
  const audit = auditFile({
    output: settings.audit === '-' ? { fd: 1 } : { path: settings.audit },
    clock,
    logger,
    key: keyFile(settings.data, 'record.key'),
  });
  const mark = marker(audit, metrics);
  mark('start');
  const policy = await filePolicySource({
    paths: [settings.policy],
    clock,
    logger,
    parse(text, file) {
      const parsed = parsePolicies(text, file, {
        checkPattern: (pattern, maxLength) => checkPattern(pattern, maxLength)?.message,
        cluster: false,
      });
      // Beside the policy's own, which the data plane tells.
      for (const { policy: name, field, message } of parsed.notices)
        logger.warn('policy notice', { policy: name, field, notice: message });
      // What cannot be searched for is known here, with its file, so that the policies before stay in force.
      const faults = parsed.policies.flatMap((one) => {
        const judged = carriedOut(one);
        return judged.kind === 'cannot' ? [{ path: one.name, message: judged.fault }] : [];
      });
      return { ...parsed, faults: [...parsed.faults, ...faults] };
    },
    compile: (policies, revision) => compileSnapshot(policies, { revision }),
    onRefused: () => metrics.reload('refused'),
  });
  const credentials = fileCredentialSource({ clock, logger, onRefused: () => metrics.credentialRefused() });
  if (settings.hosted && settings.hostedInferred) {
    logger.warn('the upstream is taken for hosted: who is not allowed is refused, in Observe mode too', {
      upstream: settings.upstream.origin,
      otherwise: '--hosted no',
    });
  }
  const upstreamTls =
    settings.upstreamCa === undefined ? {} : { tls: { ca: readFileSync(settings.upstreamCa, 'utf8') } };
  const proxyOf = (url: URL) => proxyFromEnvironment(process.env, url);
  const proxy = settings.hosted ? proxyOf(settings.upstream) : undefined;
  if (proxy !== undefined) {
    const { host, port } = proxy; // and nothing of who we are to it
    logger.info('the model is reached through the proxy of the environment', { host, port });
  }
  const http1 = createUpstream({ url: settings.upstream.origin, proxy, clock, logger, ...upstreamTls });
  const passthrough =
    proxy === undefined
      ? createPassthrough({ target: settings.upstream.origin, logger, ...upstreamTls })
      : noPassthrough;
  const socket = createWebSocketUpstream({ url: settings.upstream.origin, proxy, clock, ...upstreamTls });
  const negotiates = settings.hosted && settings.upstream.protocol === 'https:';
  const rpc = createHttp2Upstream({
    ...{ url: settings.upstream.origin, proxy, clock, offersHttp1: negotiates },
    ...upstreamTls,
  });
  const upstream = negotiates ? createNegotiatedUpstream({ http2: rpc, http1, clock }) : http1;
  const tls = await tlsMaterial(settings, clock, logger);
  const limitStore = await limitStoreOfSettings(settings.limitStore, clock, logger);
  const verifiers = createIdentityVerifier({ clock, logger, onCache: metrics.tokenCache });
  const revocations =
    settings.revocations === undefined
      ? undefined
      : await fileRevocationSource({ file: settings.revocations, clock, logger });
  const approvals = await approvalsIn(settings.approvals, {
    policy,
    verifiers,
    clock,
    logger,
    audit,
    onRecorded: (taken) => (taken ? metrics.auditWritten(1) : metrics.auditFailed()),
    breakGlass: settings.breakGlass,
    onBreakGlass: () => metrics.glassBroken(),
    // People decide seldom: the list is looked through anew.
    ...(revocations !== undefined && {
      revokes: (who) => compileRevocations(revocations.current()).revokes(who, clock.now()),
    }),
  });
  const grants =
    settings.grants === undefined
      ? undefined
      : await fileGrantSource({ folder: settings.grants, policy, parse: parseGrants, clock, logger });
  const sidecar = await startSidecar({
    ...settings.listen,
    policy,
    verifiers,
    credentials,
    proxyOf,
    approvals: approvals.gate,
    ...(grants === undefined ? {} : { grants }),
    ...(revocations === undefined ? {} : { revocations }),
    audit,
    upstreamUrl: settings.upstream.origin,
    upstream,
    passthrough,
    rpc,
    ...(socket !== undefined && { socket }),
    hosted: settings.hosted,
    tls,
    clientCa: settings.clientCa === undefined ? undefined : readFileSync(settings.clientCa, 'utf8'),
    metrics,
    clock,
    logger,
    hashKey: keyFile(settings.data, 'hash.key'),
    modelRequests: settings.modelRequests,
    onInFlight: collectWhenIdle(clock),
    onHeld: growWithBodies(clock, bodyHeap(process)),
    ...(limitStore === undefined ? {} : { limitStore }),
  });
  const admin = await createAdminServer({ ...settings.admin, logger, metrics, ready: () => sidecar.ready() });
  logger.info('sidecar is up', {
    listen: `${settings.listen.host}:${sidecar.port}`,
    admin: `${admin.host}:${admin.port}`,
  });
  optimize();

  endOnSignals(logger, async () => {
    await sidecar.drain(settings.graceMs);
    upstream.close();
    passthrough.close();
    rpc.close();
    tls.close();
    await approvals.close();
    grants?.close();
    revocations?.close();
    await limitStore?.close();
    await policy.close();
    credentials.close();
    mark('stop');
    await audit.close();
    await admin.close();
  });
}
