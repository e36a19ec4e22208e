import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import type { IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import type { Clock, Logger } from '../../pkg/base/index.ts';
import type {
  ApprovalGate,
  AuditSink,
  GrantSource,
  IdentityVerifierFactory,
  LimitStore,
  PolicySource,
  RevocationSource,
} from '../../pkg/core/index.ts';
import { compileSnapshot, certainties, finders, operations, reasons } from '../../pkg/core/index.ts';
import { parsePolicies } from '../../pkg/crd/index.ts';
import { checkPattern } from '../../pkg/detect/index.ts';
import {
  createHttp2Upstream,
  createPassthrough,
  createUpstream,
  createWebSocketUpstream,
} from '../../pkg/http/index.ts';
import type { ListenerLimits, Upstream } from '../../pkg/http/index.ts';
import { createIdentityVerifier } from '../../pkg/identity/index.ts';
import { fileCredentialSource, filePolicySource, noApprovals } from '../../pkg/local/index.ts';
import { ensureSelfSigned, watchTlsFiles } from '../../pkg/pki/index.ts';
import { startSidecar } from '../../pkg/proxy/index.ts';
import type { Sidecar } from '../../pkg/proxy/index.ts';
import { auditFile } from '../../pkg/record/index.ts';
import { createMetrics } from '../../pkg/telemetry/index.ts';
import type { Issuer, TokenOptions } from './issuer.ts';
import { startIssuer } from './issuer.ts';
import type { ScriptedModel } from './scripted-model.ts';
import { startScriptedModel } from './scripted-model.ts';
import { until } from './wait.ts';

/** Without what holds any digits by chance: hashes, ids and boundaries, and ports of this machine. */
export const withoutChance = (text: string): string => text.replace(/[0-9a-f]{32,}|127\.0\.0\.1:\d+/g, '');

/** The real sidecar between a scripted model server and the tests' own client, with a real issuer. */
export interface World {
  readonly url: string;
  readonly port: number;
  readonly ca: string;
  readonly folder: string;
  readonly issuer: Issuer;
  readonly model: ScriptedModel;
  readonly sidecar: Sidecar;
  token(options?: TokenOptions): Promise<string>;
  /** Posts JSON as `token`'s owner; `token: null` sends none. */
  post(path: string, body: unknown, options?: CallOptions): Promise<Answer>;
  call(method: string, path: string, options?: CallOptions & { readonly body?: string | Buffer }): Promise<Answer>;
  /** Swaps the policy and waits until it is in force. */
  setPolicy(yaml: string): Promise<void>;
  /** Audit events, once each session that began has ended: a caller has its answer a moment before the record has its end. */
  record(): Promise<readonly Record<string, unknown>[]>;
  /** Audit events so far, also of sessions under way. */
  recordSoFar(): readonly Record<string, unknown>[];
  metrics(): Promise<string>;
  close(): Promise<void>;
}

export interface CallOptions {
  /** Undefined: ana's. */
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly onChunk?: (text: string) => void;
  readonly signal?: AbortSignal;
  /** A client certificate for the connection. */
  readonly certificate?: { readonly pem: string; readonly keyPem: string };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The answer broke off. */
  readonly broken: boolean;
}

/** What a part of the sidecar may be made of. */
export interface WorldParts {
  readonly policy: PolicySource;
  readonly verifiers: IdentityVerifierFactory;
  readonly audit: AuditSink;
}

export interface WorldOptions {
  readonly policy: (issuer: string) => string;
  readonly credential?: string;
  readonly audit?: AuditSink;
  readonly limits?: ListenerLimits;
  readonly modelRequests?: number;
  readonly hosted?: boolean;
  /** Files beside the policy, such as authorities that it names. */
  readonly files?: Readonly<Record<string, string>>;
  /** Another judge of callers than the real one. */
  readonly verifiers?: IdentityVerifierFactory;
  /** Another model server than the scripted one. */
  readonly modelUrl?: string;
  /** How the sidecar speaks to it; default HTTP/1.1. */
  readonly upstream?: (at: { readonly url: string; readonly clock: Clock }) => Upstream;
  /** A model server that speaks gRPC. */
  readonly rpcUrl?: string;
  readonly limitStore?: LimitStore;
  /** Who decides. Absent: nobody. */
  readonly approvals?: ApprovalGate | ((parts: WorldParts) => ApprovalGate | Promise<ApprovalGate>);
  readonly grants?: GrantSource | ((parts: WorldParts) => Promise<GrantSource>);
  readonly revocations?: RevocationSource;
  readonly namespace?: string;
  /** How often the policy file is looked at; default 20 ms, so that tests do not wait. `product`: as often as the process does. */
  readonly policyPoll?: 'product';
  /** What the sidecar measures and delays by; default: the system's. Files, the issuer and the connection to the model keep the system's. */
  readonly clock?: Clock;
  /** Default: none of it is kept. */
  readonly logger?: Logger;
}

/** The identity block and one rule that allows everybody of `ml-eng` everything ordinary. */
export const basePolicy = (issuer: string, more = ''): string => `
apiVersion: sidegate.dev/v1alpha1
kind: InferencePolicy
metadata: { name: test, namespace: ml }
spec:
  mode: Enforce
  identity:
    providers:
    - name: corp
      oidc: { issuer: "${issuer}", audiences: [inference], groupsClaim: groups, allowInsecureLoopback: true }
  access:
  - name: engineers
    effect: Allow
    subjects: [{ group: ml-eng }]
    operations: [Chat, Completions, Embeddings, ListModels]
${more}`;

export async function startWorld(options: WorldOptions): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-world-'));
  const clock = systemClock;
  const logger = options.logger ?? silentLogger;
  const issuer = await startIssuer();
  const model = await startScriptedModel();
  const policyFile = join(folder, 'policy.yaml');
  const auditPath = join(folder, 'audit.jsonl');
  writeFileSync(policyFile, options.policy(issuer.url));
  for (const [name, text] of Object.entries(options.files ?? {})) writeFileSync(join(folder, name), text);
  if (options.credential !== undefined) writeFileSync(join(folder, 'credential'), options.credential);
  const { certFile, keyFile, caFile } = await ensureSelfSigned(folder, ['localhost', '127.0.0.1'], clock);
  const tls = await watchTlsFiles({ certFile, keyFile, caFile, clock, logger });
  const metrics = createMetrics({
    clock,
    operations,
    codes: Object.keys(reasons),
    dialects: ['openai', 'generic'],
    finders,
    certainties,
    processMetrics: false,
  });
  const policy = await filePolicySource({
    paths: [policyFile],
    clock,
    logger,
    ...(options.policyPoll === 'product' ? {} : { pollMs: 20 }),
    parse: (text, file) =>
      parsePolicies(text, file, { checkPattern: (pattern, maxLength) => checkPattern(pattern, maxLength)?.message }),
    compile: (policies, revision) => compileSnapshot(policies, { revision }),
    onRefused: () => metrics.reload('refused'),
  });
  const problem = policy.problem();
  if (policy.current() === undefined) {
    // Nothing of it stays: a process that waits for it would never end.
    await Promise.all([issuer.close(), model.close(), policy.close()]);
    tls.close();
    throw new Error(`the policy of this test is not valid: ${JSON.stringify(problem)}`);
  }
  const audit = options.audit ?? auditFile({ output: { path: auditPath }, clock, logger });
  const credentials = fileCredentialSource({ clock, logger, onRefused: () => metrics.credentialRefused() });
  const modelUrl = options.modelUrl ?? model.url;
  const upstream = options.upstream?.({ url: modelUrl, clock }) ?? createUpstream({ url: modelUrl, clock, logger });
  const passthrough = createPassthrough({ target: options.modelUrl ?? model.url, logger });
  const rpc = options.rpcUrl === undefined ? undefined : createHttp2Upstream({ url: options.rpcUrl, clock });
  const socket = createWebSocketUpstream({ url: options.modelUrl ?? model.url, clock });
  const verifiers = options.verifiers ?? createIdentityVerifier({ clock, logger, onCache: metrics.tokenCache });
  const made = <T extends object>(part: T | ((parts: WorldParts) => T | Promise<T>)): T | Promise<T> =>
    typeof part === 'function' ? part({ policy, verifiers, audit }) : part;
  const sidecar = await startSidecar({
    host: '127.0.0.1',
    port: 0,
    policy,
    verifiers,
    credentials,
    approvals: await made(options.approvals ?? noApprovals),
    ...(options.grants === undefined ? {} : { grants: await made(options.grants) }),
    ...(options.revocations === undefined ? {} : { revocations: options.revocations }),
    audit,
    upstreamUrl: options.modelUrl ?? model.url,
    upstream,
    passthrough,
    socket,
    ...(rpc === undefined ? {} : { rpc }),
    tls,
    clientCa: undefined,
    metrics,
    clock: options.clock ?? clock,
    logger,
    hashKey: Buffer.alloc(32, 7),
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    ...(options.modelRequests === undefined ? {} : { modelRequests: options.modelRequests }),
    ...(options.hosted === undefined ? {} : { hosted: options.hosted }),
    ...(options.limitStore === undefined ? {} : { limitStore: options.limitStore }),
    ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
  });
  const ca = readFileSync(caFile, 'utf8');
  const token = (asked: TokenOptions = {}): Promise<string> =>
    issuer.token({ sub: 'ana', groups: ['ml-eng'], ...asked });
  const ana = await token();

  const call: World['call'] = (method, path, more = {}) => {
    const bearer = more.token === undefined ? ana : more.token;
    return new Promise((resolve, reject) => {
      const request = httpsRequest(
        {
          host: '127.0.0.1',
          port: sidecar.port,
          method,
          path,
          ca,
          ...(more.certificate === undefined ? {} : { cert: more.certificate.pem, key: more.certificate.keyPem }),
          headers: {
            ...(bearer === null ? {} : { authorization: `Bearer ${bearer}` }),
            ...(more.body === undefined ? {} : { 'content-type': 'application/json' }),
            ...more.headers,
          },
          ...(more.signal === undefined ? {} : { signal: more.signal }),
        },
        (response) => {
          const chunks: Buffer[] = [];
          const answer = (broken: boolean): Answer => ({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: Buffer.concat(chunks).toString('utf8'),
            broken,
          });
          response.on('data', (piece: Buffer) => {
            chunks.push(piece);
            more.onChunk?.(piece.toString('utf8'));
          });
          response.on('end', () => resolve(answer(!response.complete)));
          response.on('error', () => resolve(answer(true)));
        },
      );
      request.on('error', reject);
      request.end(more.body);
    });
  };
  const recordSoFar: World['recordSoFar'] = () => {
    sidecar.flushRecord();
    return readFileSync(auditPath, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  return {
    url: `https://127.0.0.1:${sidecar.port}`,
    port: sidecar.port,
    ca,
    folder,
    issuer,
    model,
    sidecar,
    token,
    call,
    post: (path, body, more) =>
      call('POST', path, { ...more, body: typeof body === 'string' ? body : JSON.stringify(body) }),
    async setPolicy(yaml) {
      const before = policy.current()?.hash;
      writeFileSync(`${policyFile}.new`, yaml);
      renameSync(`${policyFile}.new`, policyFile);
      await until(
        () => policy.current()?.hash !== before,
        () => `the policy is taken: ${JSON.stringify(policy.problem())}`,
      );
    },
    async record() {
      const count = (type: string): number => recordSoFar().filter((event) => event['type'] === type).length;
      await until(() => count('start') === count('end'), 'each session that began has ended');
      return recordSoFar();
    },
    recordSoFar,
    metrics: () => metrics.render(),
    async close() {
      await sidecar.drain(1_000);
      upstream.close();
      passthrough.close();
      rpc?.close();
      tls.close();
      credentials.close();
      await policy.close();
      await audit.close();
      await issuer.close();
      await model.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The text of all content deltas of one choice, as a client joins it. */
export function joinContent(sse: string, field = 'content', index = 0): string {
  let joined = '';
  for (const frame of sse.split('\n\n')) {
    const data = frame.startsWith('data: ') ? frame.slice(6) : '';
    if (data === '' || data === '[DONE]') continue;
    const parsed = JSON.parse(data) as { choices?: { index: number; delta?: Record<string, string> }[] };
    for (const choice of parsed.choices ?? []) if (choice.index === index) joined += choice.delta?.[field] ?? '';
  }
  return joined;
}
