// Reads the sidecar's settings, wires the ports to files, runs until it is told to stop.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Secret, createLogger, describeError, systemClock } from '../../pkg/base/index.ts';
import type { Clock, Logger } from '../../pkg/base/index.ts';
import type { LimitStore } from '../../pkg/core/index.ts';
import { compileSnapshot, operations, reasons } from '../../pkg/core/index.ts';
import { parsePolicies } from '../../pkg/crd/index.ts';
import { checkPattern } from '../../pkg/detect/index.ts';
import { dialects } from '../../pkg/dialect/index.ts';
import { createPassthrough, createUpstream } from '../../pkg/http/index.ts';
import { createIdentityVerifier } from '../../pkg/identity/index.ts';
import { auditFile, fileCredentialSource, filePolicySource, noApprovals } from '../../pkg/local/index.ts';
import { ensureSelfSigned, keepSelfSigned, watchTlsFiles } from '../../pkg/pki/index.ts';
import type { TlsMaterialSource } from '../../pkg/pki/index.ts';
import { startSidecar } from '../../pkg/proxy/index.ts';
import { createAdminServer, createMetrics } from '../../pkg/telemetry/index.ts';
import { deferOptimizing } from './memory.ts';
import { parseSettings, usage } from './settings.ts';
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
  const { certFile, keyFile, caFile } = await ensureSelfSigned(data, names, clock);
  keepSelfSigned({ folder: data, names, clock, logger });
  return watchTlsFiles({ certFile, keyFile, caFile, clock, logger });
}

/** Kept, so that equal values give equal hashes after a restart. */
function keyFile(folder: string, name: string): Uint8Array {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, name);
  try {
    writeFileSync(path, randomBytes(32), { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  return readFileSync(path);
}

/** The client is loaded only where limits are shared: it costs memory. */
async function limitStoreOf(settings: Settings, clock: Clock, logger: Logger): Promise<LimitStore | undefined> {
  if (settings.limitStore === undefined) return undefined;
  const { url, user, passwordFile, caFile } = settings.limitStore;
  const { createLimitStore } = await import('../../pkg/valkey/index.ts');
  return createLimitStore({
    url,
    username: user,
    password: passwordFile === undefined ? undefined : new Secret(readFileSync(passwordFile, 'utf8').trim()),
    ca: caFile === undefined ? undefined : readFileSync(caFile, 'utf8'),
    clock,
    logger,
  });
}

async function run(settings: Settings): Promise<void> {
  const optimize = deferOptimizing(process);
  const clock = systemClock;
  const logger = createLogger({ clock, level: settings.logLevel, write: (line) => process.stderr.write(`${line}\n`) });
  const metrics = createMetrics({
    clock,
    operations,
    codes: Object.keys(reasons),
    dialects: dialects.map((dialect) => dialect.name),
  });
  const audit = auditFile({
    output: settings.audit === '-' ? { fd: 1 } : { path: settings.audit },
    clock,
    logger,
    key: keyFile(settings.data, 'record.key'),
  });
  const mark = (what: 'start' | 'stop'): void => {
    try {
      audit.append([{ type: 'process', what }]);
      metrics.auditWritten(1);
    } catch {
      // The sink has logged why; requests are what audit.onFailure decides on.
      metrics.auditFailed();
    }
  };
  mark('start');
  const policy = await filePolicySource({
    paths: [settings.policy],
    clock,
    logger,
    parse: (text, file) =>
      parsePolicies(text, file, { checkPattern: (pattern, maxLength) => checkPattern(pattern, maxLength)?.message }),
    compile: (policies, revision) => compileSnapshot(policies, { revision }),
    onRefused: () => metrics.reload('refused'),
  });
  const credentials = fileCredentialSource({ clock, logger });
  const upstreamTls =
    settings.upstreamCa === undefined ? {} : { tls: { ca: readFileSync(settings.upstreamCa, 'utf8') } };
  const upstream = createUpstream({ url: settings.upstream.origin, clock, logger, ...upstreamTls });
  const passthrough = createPassthrough({ target: settings.upstream.origin, logger, ...upstreamTls });
  const tls = await tlsMaterial(settings, clock, logger);
  const limitStore = await limitStoreOf(settings, clock, logger);
  const sidecar = await startSidecar({
    ...settings.listen,
    policy,
    verifiers: createIdentityVerifier({ clock, logger, onCache: metrics.tokenCache }),
    credentials,
    approvals: noApprovals,
    audit,
    upstream,
    passthrough,
    tls,
    clientCa: settings.clientCa === undefined ? undefined : readFileSync(settings.clientCa, 'utf8'),
    metrics,
    clock,
    logger,
    hashKey: keyFile(settings.data, 'hash.key'),
    ...(limitStore === undefined ? {} : { limitStore }),
  });
  const admin = await createAdminServer({ ...settings.admin, logger, metrics, ready: () => sidecar.ready() });
  logger.info('sidecar is up', {
    listen: `${settings.listen.host}:${sidecar.port}`,
    admin: `${admin.host}:${admin.port}`,
  });
  optimize();

  let stopping = false;
  const stop = (signal: string): void => {
    if (stopping) return;
    stopping = true;
    logger.info('stopping', { signal });
    const end = async (): Promise<void> => {
      await sidecar.drain(settings.graceMs);
      upstream.close();
      passthrough.close();
      tls.close();
      await limitStore?.close();
      await policy.close();
      credentials.close();
      mark('stop');
      await audit.close();
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
  for (const fault of parsed.faults) process.stderr.write(`sidecar: ${fault}\n`);
  process.stderr.write('sidecar: --help lists all settings\n');
  process.exit(2);
} else {
  run(parsed.settings).catch((error: unknown) => {
    process.stderr.write(`sidecar: cannot start: ${describeError(error)}\n`);
    process.exit(1);
  });
}
