// A sidecar that records into a file, or into a spool from which it goes on to a recorder, as the processes do; all else is the same.
import { readFileSync } from 'node:fs';
import { silentLogger, systemClock } from '../../../pkg/base/index.ts';
import { compileSnapshot, certainties, finders, operations, reasons } from '../../../pkg/core/index.ts';
import { parsePolicies } from '../../../pkg/crd/index.ts';
import { checkPattern } from '../../../pkg/detect/index.ts';
import { dialects } from '../../../pkg/dialect/index.ts';
import { createPassthrough, createUpstream } from '../../../pkg/http/index.ts';
import { createIdentityVerifier } from '../../../pkg/identity/index.ts';
import { fileCredentialSource, filePolicySource, noApprovals } from '../../../pkg/local/index.ts';
import { watchTlsFiles } from '../../../pkg/pki/index.ts';
import { startSidecar } from '../../../pkg/proxy/index.ts';
import { auditFile } from '../../../pkg/record/index.ts';
import { openPodRecord } from '../../../pkg/remote/index.ts';
import { createMetrics } from '../../../pkg/telemetry/index.ts';

export interface RecordingOptions {
  readonly upstream: string;
  readonly policy: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** A file; with a recorder, a folder. */
  readonly path: string;
  readonly recorder:
    | {
        readonly port: number;
        readonly ca: string;
        readonly uid: string;
        readonly identity: { readonly cert: string; readonly key: string };
      }
    | undefined;
}

/** Asked `flush`: whether all that was recorded has arrived. */
export type RecordingTell = { readonly port: number } | { readonly flushed: boolean };

const options = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as RecordingOptions;
const clock = systemClock;
const logger = silentLogger;
const tell = (message: RecordingTell): void => void process.send?.(message);

function recording() {
  const { path, recorder } = options;
  if (recorder === undefined)
    return { audit: auditFile({ output: { path }, clock, logger }), flush: () => Promise.resolve(true) };
  const pod = { namespace: 'ml', name: 'bench-0', uid: recorder.uid };
  const record = openPodRecord({ folder: path, limit: 2 ** 30, pod, clock, logger, onEvent: () => undefined });
  const sender = record.sendBy({
    identity: () => recorder.identity,
    trust: () => recorder.ca,
    recorder: () => `https://localhost:${String(recorder.port)}`,
    onRecorder: () => () => undefined,
  });
  return { audit: record.audit, flush: async () => sender.flush(60_000) };
}

const { audit, flush } = recording();
const metrics = createMetrics({
  clock,
  operations,
  codes: Object.keys(reasons),
  dialects: dialects.map((dialect) => dialect.name),
  finders,
  certainties,
  processMetrics: false,
});
const { certFile, keyFile, upstream: url } = options;
const sidecar = await startSidecar({
  host: '127.0.0.1',
  port: 0,
  upstreamUrl: url,
  policy: await filePolicySource({
    paths: [options.policy],
    clock,
    logger,
    parse: (text, file) =>
      parsePolicies(text, file, { checkPattern: (pattern, maxLength) => checkPattern(pattern, maxLength)?.message }),
    compile: (policies, revision) => compileSnapshot(policies, { revision }),
    onRefused: () => metrics.reload('refused'),
  }),
  verifiers: createIdentityVerifier({ clock, logger, onCache: metrics.tokenCache }),
  credentials: fileCredentialSource({ clock, logger, onRefused: () => metrics.credentialRefused() }),
  approvals: noApprovals,
  audit,
  upstream: createUpstream({ url, clock, logger }),
  passthrough: createPassthrough({ target: url, logger }),
  tls: await watchTlsFiles({ certFile, keyFile, clock, logger }),
  clientCa: undefined,
  metrics,
  clock,
  logger,
  hashKey: Buffer.alloc(32, 7),
});
process.on('message', () => {
  sidecar.flushRecord();
  void flush().then((flushed) => tell({ flushed }));
});
process.on('SIGTERM', () => process.exit(0));
tell({ port: sidecar.port });
