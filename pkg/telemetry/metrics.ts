import { Registry, collectDefaultMetrics } from 'prom-client';
import type { Clock } from '../base/index.ts';
import { Cell, Distribution, Family, registerCells, registerDistributions, registerReading } from './instruments.ts';
import type { Label } from './instruments.ts';

/** Where the time of a request goes, in the order of the pipeline; `total` is from its first byte to the last of the answer. */
export const stages = ['identify', 'access', 'inspect', 'hold', 'upstream', 'mask', 'total'] as const;
export type Stage = (typeof stages)[number];

/**
 * How a request ended: `allowed` (answered as policy allows), `observed` (answered, but an observing policy would have
 * refused), `refused` (by Sidegate), `failed` (upstream or the sidecar), `aborted` (the caller went away).
 */
export const decisions = ['allowed', 'observed', 'refused', 'failed', 'aborted'] as const;
export type Decision = (typeof decisions)[number];

/** What a rule did to one request or answer. */
export const ruleActs = ['allowed', 'denied', 'masked', 'blocked', 'flagged', 'held', 'approved', 'limited'] as const;
export type RuleActName = (typeof ruleActs)[number];

export const wireProtocols = ['http/1.1', 'h2', 'plain', 'h2c'] as const;
export type WireProtocol = (typeof wireProtocols)[number];

export const abortCauses = ['caller', 'upstream', 'policy', 'limit', 'shutdown'] as const;
export type AbortCause = (typeof abortCauses)[number];

/** Which policy is in force, as a receipt names it. */
export interface PolicyInfo {
  readonly generation: string;
  readonly hash: string;
  readonly revision: number;
}

/** Sums over all series, for whoever cannot scrape: counts since the process began, and what is under way. */
export interface Traffic {
  readonly uptimeMs: number;
  /** Requests that ended; those that were refused. */
  readonly requests: number;
  readonly refused: number;
  /** Acts of rules. */
  readonly masked: number;
  readonly held: number;
  readonly live: number;
  readonly streams: number;
  readonly waiting: number;
  /** Null: no policy is in force. */
  readonly generation: string | null;
  readonly policyAgeMs: number | null;
}

export interface MetricsOptions {
  readonly clock: Clock;
  /** Closed sets of the labels that other packages own; `none` and `other` are always among them. */
  readonly operations: readonly string[];
  readonly codes: readonly string[];
  readonly dialects: readonly string[];
  /** What findings are known by, and how certain they may be. */
  readonly finders: readonly string[];
  readonly certainties: readonly string[];
  /** Most different rules with a series of their own; further ones count as `other`. Default 500. */
  readonly maxRules?: number;
  /** Process, memory, garbage collection and event loop lag. Default true. */
  readonly processMetrics?: boolean;
}

/**
 * What the proxy counts. Every method is cheap enough for the hot path (tens of nanoseconds, no allocation once a
 * series exists) and never throws. Durations are given in milliseconds and shown in seconds. No value that a peer chose
 * becomes a label: what is not in a closed set is counted as `other`.
 */
export interface Metrics {
  connectionOpened(protocol: WireProtocol): void;
  connectionClosed(protocol: WireProtocol): void;
  /** A connection or request that ended before it became an exchange: framing, TLS, time-outs. */
  refusedBeforeExchange(code: string): void;
  requestBegan(): void;
  /** `code`: reason code, or undefined where nothing was refused. */
  requestEnded(operation: string, code: string | undefined, decision: Decision): void;
  /** Which dialect spoke over which protocol. */
  exchange(dialect: string, protocol: WireProtocol): void;
  stage(stage: Stage, ms: number): void;
  firstByte(operation: string, ms: number): void;
  received(bytes: number): void;
  sent(bytes: number): void;
  /** Bytes of answers that wait for a decision now: give the change, up or down. */
  held(delta: number): void;
  /** The most that one stream held at once, when it ends. */
  heldAtMost(bytes: number): void;
  streamOpened(): void;
  streamClosed(): void;
  ruleActed(rule: string, act: RuleActName, count?: number): void;
  /** What rules that acted found: by which detector, pattern, word or field. */
  found(by: string, certainty: string, count: number): void;
  /** Undefined: none is in force. */
  policy(info: PolicyInfo | undefined): void;
  /** Where the age of the policy is read at each scrape. */
  policyAge(readMs: () => number): void;
  /** Where it is read at each scrape how many requests and answers wait for people. */
  approvalsWaiting(read: () => number): void;
  /** Where it is read at each scrape how many requests are at the model. */
  atModel(read: () => number): void;
  reload(result: 'accepted' | 'refused'): void;
  /** `kind`: reason code of the upstream failure. */
  upstreamError(kind: string): void;
  auditWritten(events: number): void;
  auditFailed(): void;
  /** Texts of a session that has ended, sealed to a policy's key. */
  textsSealed(texts: number): void;
  /** Somebody approved alone, of a process without a controller. */
  glassBroken(): void;
  /** A check was skipped because its failure mode allows it. */
  failedOpen(): void;
  /** The shared count of limits could not be asked. */
  limitStoreFailed(): void;
  /** A credential of the model could not be used. */
  credentialRefused(): void;
  tokenCache(result: 'hit' | 'miss'): void;
  /** On the stream from the controller; `event` is one of a closed set of its own. */
  controllerEvent(event: string): void;
  /** On the stream to the recorder; `event` is one of a closed set of its own. */
  recorderEvent(event: string): void;
  /** A line of the log was dropped, because nobody reads them. */
  logLineDropped(): void;
  /** A probe or hook of the pod was answered. */
  probed(result: string): void;
  aborted(by: AbortCause): void;
  /** An answer ended by its size, or for want of memory: `code` says which. */
  answerWithoutRoom(code: string): void;
  /** A gauge that is read at each scrape. @throws when the name is taken. */
  gauge(name: string, help: string, read: () => number): void;
  traffic(): Traffic;
  readonly contentType: string;
  /** The text format. Renders once for scrapes that come at the same time. */
  render(): Promise<string>;
}

/** What rules that stand for grants begin with: each has a name of its own, and would have a series. */
const grants = 'grant/';

/** Seconds: from what a cached token costs to what a long answer takes. */
const durations = Float64Array.of(
  ...[0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5],
  ...[1, 2.5, 5, 10, 30, 60, 300],
);
const sizes = Float64Array.of(0, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576);

export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry();
  const operation: Label = { name: 'operation', values: [...options.operations, 'none'] };
  const code: Label = { name: 'code', values: [...options.codes, 'none'] };

  const cells = (
    kind: 'counter' | 'gauge',
    name: string,
    help: string,
    labels: readonly Label[] = [],
  ): Family<Cell> => {
    const family = new Family(name, help, labels, () => new Cell());
    registerCells(registry, kind, family);
    return family;
  };
  const single = (kind: 'counter' | 'gauge', name: string, help: string): Cell => cells(kind, name, help).one('');
  const distributions = (
    name: string,
    help: string,
    bounds: Float64Array,
    labels: readonly Label[] = [],
  ): Family<Distribution> => {
    const family = new Family(name, help, labels, () => new Distribution(bounds));
    registerDistributions(registry, family);
    return family;
  };

  const protocol: Label = { name: 'protocol', values: wireProtocols };
  const opened = cells('counter', 'sidegate_connections_total', 'Connections accepted.', [protocol]);
  const open = cells('gauge', 'sidegate_connections_open', 'Connections open now.', [protocol]);
  const refusedEarly = cells(
    'counter',
    'sidegate_refused_before_exchange_total',
    'Connections and requests refused before they had one reading: framing, TLS, time-outs.',
    [code],
  );
  const requests = cells('counter', 'sidegate_requests_total', 'Requests that ended.', [
    operation,
    code,
    { name: 'decision', values: decisions },
  ]);
  const live = single('gauge', 'sidegate_requests_live', 'Requests under way.');
  const exchanges = cells('counter', 'sidegate_exchanges_total', 'Requests by dialect and protocol.', [
    { name: 'dialect', values: [...options.dialects, 'none'] },
    protocol,
  ]);
  const stageTimes = distributions('sidegate_stage_seconds', 'Time that a request spends in a stage.', durations, [
    { name: 'stage', values: stages },
  ]);
  const firstBytes = distributions(
    'sidegate_time_to_first_byte_seconds',
    'From the end of the request head to the first byte of the answer.',
    durations,
    [operation],
  );
  const receivedBytes = single('counter', 'sidegate_received_bytes_total', 'Bytes of request bodies from callers.');
  const sentBytes = single('counter', 'sidegate_sent_bytes_total', 'Bytes of answer bodies to callers.');
  const heldNow = single(
    'gauge',
    'sidegate_held_bytes',
    'Bytes of answers that wait for a decision, or for their caller.',
  );
  const heldMost = distributions('sidegate_stream_held_bytes', 'The most that a stream held back at once.', sizes).one(
    '',
  );
  const streams = single('gauge', 'sidegate_streams_live', 'Streamed answers under way.');
  const rules = cells('counter', 'sidegate_rule_acts_total', 'What rules did, by rule.', [
    { name: 'rule', values: { atMost: options.maxRules ?? 500 } },
    { name: 'act', values: ruleActs },
  ]);
  const findings = cells('counter', 'sidegate_findings_total', 'What rules that acted found.', [
    { name: 'by', values: [...options.finders] },
    { name: 'certainty', values: [...options.certainties] },
  ]);
  const reloads = cells('counter', 'sidegate_policy_reloads_total', 'Policies taken and not taken.', [
    { name: 'result', values: ['accepted', 'refused'] },
  ]);
  // An alert on its increase would not see a first refusal that no 0 stands before.
  reloads.one('refused');
  const upstreamErrors = cells('counter', 'sidegate_upstream_errors_total', 'Failures of the model server.', [
    { name: 'kind', values: [...options.codes] },
  ]);
  const auditEvents = single('counter', 'sidegate_audit_events_total', 'Audit events handed to the kernel.');
  const auditFailures = single(
    'counter',
    'sidegate_audit_failures_total',
    'Times that the record could not be written.',
  );
  const sealedTexts = single(
    'counter',
    'sidegate_audit_sealed_texts_total',
    'Texts of sessions that have ended, sealed to a key whose private half is elsewhere.',
  );
  const openFailures = single(
    'counter',
    'sidegate_failed_open_total',
    'Checks skipped because their failure mode allows it.',
  );
  const limitStoreFailures = single(
    'counter',
    'sidegate_limit_store_failures_total',
    'Questions to the shared count of limits that failed.',
  );
  const credentialsRefused = single(
    'counter',
    'sidegate_credentials_refused_total',
    'Credentials of the model that could not be used.',
  );
  const tokens = cells('counter', 'sidegate_token_cache_total', 'Look-ups of verified tokens.', [
    { name: 'result', values: ['hit', 'miss'] },
  ]);
  const controllerEvents = cells(
    'counter',
    'sidegate_controller_events_total',
    'What happened on the stream from the controller.',
    [{ name: 'event', values: { atMost: 30 } }],
  );
  const recorderEvents = cells(
    'counter',
    'sidegate_recorder_events_total',
    'What happened on the stream to the recorder.',
    [{ name: 'event', values: { atMost: 10 } }],
  );
  const glassBroken = single(
    'counter',
    'sidegate_glass_broken_total',
    'Approvals of one who may approve alone, at a sidecar that runs on its own.',
  );
  const linesDropped = single(
    'counter',
    'sidegate_log_lines_dropped_total',
    'Lines of the log that were dropped, since their reader had stalled.',
  );
  const probes = cells('counter', 'sidegate_probes_total', "Probes and hooks of the pod's containers, by result.", [
    { name: 'result', values: { atMost: 3 } },
  ]);
  const withoutRoom = cells(
    'counter',
    'sidegate_answers_without_room_total',
    'Answers that ended by their size, or for want of memory.',
    [code],
  );
  // So that a rate can be taken from the first one on.
  withoutRoom.one('overloaded');
  controllerEvents.one('connected');
  recorderEvents.one('connected');
  probes.one('healthy');
  const aborts = cells('counter', 'sidegate_aborted_total', 'Answers that ended early, by who ended them.', [
    { name: 'by', values: abortCauses },
  ]);

  const sums = { requests: 0, refused: 0, masked: 0, held: 0 };
  let policy: PolicyInfo | undefined;
  let ageMs: (() => number) | undefined;
  registerReading(registry, { name: 'sidegate_policy_info', help: 'The policy in force; its value is 1.' }, () =>
    policy === undefined ? undefined : { labels: { generation: policy.generation, hash: policy.hash }, value: 1 },
  );
  registerReading(
    registry,
    { name: 'sidegate_policy_revision', help: 'Counts up with each policy that this process took.' },
    () => (policy === undefined ? undefined : { labels: {}, value: policy.revision }),
  );
  registerReading(
    registry,
    { name: 'sidegate_policy_age_seconds', help: 'Since the policy in force was last confirmed to be the newest.' },
    () => (ageMs === undefined ? undefined : { labels: {}, value: ageMs() / 1000 }),
  );
  let waiting = (): number => 0;
  registerReading(
    registry,
    { name: 'sidegate_approvals_waiting', help: 'Requests and answers that wait for people.' },
    () => ({ labels: {}, value: waiting() }),
  );
  let forwarded = (): number => 0;
  registerReading(
    registry,
    {
      name: 'sidegate_model_requests',
      help: 'Requests that are at the model, until their callers have all of the answer.',
    },
    () => ({ labels: {}, value: forwarded() }),
  );
  const startedAt = options.clock.monotonic();
  registerReading(registry, { name: 'sidegate_uptime_seconds', help: 'Since the process began to count.' }, () => ({
    labels: {},
    value: (options.clock.monotonic() - startedAt) / 1000,
  }));
  if (options.processMetrics ?? true) collectDefaultMetrics({ register: registry });

  let rendering: Promise<string> | undefined;
  return {
    connectionOpened(over) {
      opened.one(over).add();
      open.one(over).add();
    },
    connectionClosed: (over) => open.one(over).add(-1),
    refusedBeforeExchange: (why) => refusedEarly.one(why).add(),
    requestBegan: () => live.add(),
    requestEnded(what, why, decision) {
      live.add(-1);
      requests.three(what, why ?? 'none', decision).add();
      sums.requests++;
      if (decision === 'refused') sums.refused++;
    },
    exchange: (dialect, over) => exchanges.two(dialect, over).add(),
    stage: (stage, ms) => stageTimes.one(stage).observe(ms / 1000),
    firstByte: (what, ms) => firstBytes.one(what).observe(ms / 1000),
    received: (bytes) => receivedBytes.add(bytes),
    sent: (bytes) => sentBytes.add(bytes),
    held: (delta) => heldNow.add(delta),
    heldAtMost: (bytes) => heldMost.observe(bytes),
    streamOpened: () => streams.add(),
    streamClosed: () => streams.add(-1),
    ruleActed(rule, act, count = 1) {
      rules.two(rule.startsWith(grants) ? 'grant' : rule, act).add(count);
      if (act === 'masked' || act === 'held') sums[act] += count;
    },
    found: (by, certainty, count) => findings.two(by, certainty).add(count),
    policy(info) {
      policy = info;
    },
    policyAge(readMs) {
      ageMs = readMs;
    },
    approvalsWaiting(read) {
      waiting = read;
    },
    atModel(read) {
      forwarded = read;
    },
    reload: (result) => reloads.one(result).add(),
    upstreamError: (kind) => upstreamErrors.one(kind).add(),
    auditWritten: (events) => auditEvents.add(events),
    auditFailed: () => auditFailures.add(),
    textsSealed: (texts) => sealedTexts.add(texts),
    glassBroken: () => glassBroken.add(),
    failedOpen: () => openFailures.add(),
    limitStoreFailed: () => limitStoreFailures.add(),
    credentialRefused: () => credentialsRefused.add(),
    tokenCache: (result) => tokens.one(result).add(),
    controllerEvent: (event) => controllerEvents.one(event).add(),
    recorderEvent: (event) => recorderEvents.one(event).add(),
    logLineDropped: () => linesDropped.add(),
    probed: (result) => probes.one(result).add(),
    aborted: (by) => aborts.one(by).add(),
    answerWithoutRoom: (why) => withoutRoom.one(why).add(),
    gauge(name, help, read) {
      registerReading(registry, { name, help }, () => ({ labels: {}, value: read() }));
    },
    traffic: () => ({
      uptimeMs: Math.round(options.clock.monotonic() - startedAt),
      ...sums,
      live: live.value,
      streams: streams.value,
      waiting: waiting(),
      generation: policy?.generation ?? null,
      policyAgeMs: policy === undefined || ageMs === undefined ? null : Math.max(0, Math.round(ageMs())),
    }),
    contentType: registry.contentType,
    render() {
      rendering ??= registry.metrics().finally(() => {
        rendering = undefined;
      });
      return rendering;
    },
  };
}
