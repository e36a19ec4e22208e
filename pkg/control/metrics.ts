import { changedThings } from '../core/index.ts';
import type { ApprovalProblem, ChangedThing } from '../core/index.ts';
import { cacheFaults, resources } from '../kube/index.ts';
import type { CacheFault } from '../kube/index.ts';
import type { Meters } from '../telemetry/index.ts';
import { approvalSteps } from './approvals/index.ts';
import type { ApprovalStep } from './approvals/index.ts';
import { decisionResults } from './decisions/index.ts';
import type { DecisionResult } from './decisions/index.ts';
import { grantSteps } from './grants/index.ts';
import type { GrantStep } from './grants/index.ts';
import { closedReasons } from './leader/closed-pods.ts';
import type { ClosedReason } from './leader/closed-pods.ts';
import { noticeResults } from './notices/index.ts';
import type { NoticeResult } from './notices/index.ts';
import type { RefusalCause, StreamObserver } from './stream/index.ts';
import type { DownMessage } from '../wire/index.ts';

/** What the controller counts. docs/operations.md says what each is for. */
export interface ControlMetrics {
  readonly stream: StreamObserver;
  watchFault(resource: string, fault: CacheFault): void;
  watchMissed(resource: string, count: number): void;
  apiCall(call: { readonly method: string; readonly plural: string; readonly status: number }): void;
  statusHandled(result: 'done' | 'failed'): void;
  podsReported(result: 'done' | 'failed'): void;
  changeRecorded(what: ChangedThing, result: 'recorded' | 'lost'): void;
  acksWritten(result: 'done' | 'failed'): void;
  written(what: 'label' | 'root' | 'network-policy' | 'trust' | 'recorder'): void;
  evicted(result: 'done' | 'refused'): void;
  /** As the leader saw it last. */
  closed(reason: ClosedReason, pods: number): void;
  upgraded(result: 'done' | 'failed' | 'refused'): void;
  authorityStep(step: string): void;
  approval(step: ApprovalStep): void;
  grant(step: GrantStep): void;
  decision(result: DecisionResult): void;
  tokenRequest(result: DecisionResult): void;
  topRequest(result: DecisionResult): void;
  notice(channel: string, result: NoticeResult): void;
  approvalProblem(problem: ApprovalProblem): void;
  eventDropped(why: 'limit' | 'failed'): void;
  reading(name: string, help: string, read: () => number | undefined): void;
}

/** Label values come from our own code and the API's, never from a peer; the cap is for the day that this is wrong. */
const few = { atMost: 60 } as const;

/** Of what alerts look at all values are named here, so that each counter is there before it counts. */
const keysOf = <Value extends string>(all: Readonly<Record<Value, true>>): readonly string[] => Object.keys(all);

const causes = keysOf<RefusalCause>({
  not_synced: true,
  address_unknown: true,
  overloaded: true,
  tls: true,
  http: true,
  version: true,
  no_credential: true,
  token: true,
  token_audience: true,
  token_unbound: true,
  review_failed: true,
  certificate: true,
  pod_unknown: true,
  service_account: true,
  not_governed: true,
  no_sidecar: true,
  terminating: true,
  finished: true,
  address_other: true,
});

const downTypes = keysOf<DownMessage['type']>({
  welcome: true,
  snapshot: true,
  confirm: true,
  invalid: true,
  secrets: true,
  certificate: true,
  'certificate-refused': true,
  renew: true,
  imported: true,
  trust: true,
  'limit-store': true,
  copies: true,
  'approval-state': true,
  grants: true,
  revocations: true,
  recorder: true,
  beat: true,
  goodbye: true,
});

const watched = [
  ...[resources.pods, resources.services, resources.namespaces].map(({ plural }) => plural),
  ...[resources.inferencePolicies, resources.clusterInferencePolicies].map(({ plural }) => plural),
  ...[resources.inferenceApprovals, resources.inferenceGrants].map(({ plural }) => plural),
  'revocations',
];

/** @param channels Names of the channels for notices. */
export function createControlMetrics(meters: Meters, channels: readonly string[] = []): ControlMetrics {
  const results = ['done', 'failed'] as const;
  const faults = meters.counter('sidegate_watch_faults_total', 'Watches and lists that ended before their time.', [
    { name: 'resource', values: watched },
    { name: 'fault', values: cacheFaults },
  ]);
  const missed = meters.counter('sidegate_watch_missed_total', 'Changes that a list showed and the watch had not.', [
    { name: 'resource', values: watched },
  ]);
  const calls = meters.counter('sidegate_api_calls_total', 'Calls to the API server; status 0: no answer.', [
    { name: 'method', values: few },
    { name: 'resource', values: few },
    { name: 'status', values: few },
  ]);
  const statuses = meters.counter('sidegate_status_reconciles_total', 'Statuses of policies looked at.', [
    { name: 'result', values: results },
  ]);
  const acks = meters.counter('sidegate_ack_writes_total', 'Writes of this replica’s counts.', [
    { name: 'result', values: results },
  ]);
  const reports = meters.counter('sidegate_pod_reports_total', 'Reports to the recorder of how far pods have come.', [
    { name: 'result', values: results },
  ]);
  const changes = meters.counter(
    'sidegate_changes_recorded_total',
    'Changes of approvals, grants, tokens and revocations that went on record, or could not.',
    [
      { name: 'what', values: changedThings },
      { name: 'result', values: ['recorded', 'lost'] },
    ],
  );
  const writes = meters.counter('sidegate_leader_writes_total', 'Objects written by the leader.', [
    { name: 'what', values: ['label', 'root', 'network-policy', 'trust', 'recorder'] },
  ]);
  const evictions = meters.counter('sidegate_evictions_total', 'Pods without a sidecar that were evicted.', [
    { name: 'result', values: ['done', 'refused'] },
  ]);
  const closedFor = meters.gauge(
    'sidegate_pods_closed',
    'Governed pods that are closed to callers for a reason that the controller knows (leader).',
    [{ name: 'reason', values: closedReasons }],
  );
  const upgrades = meters.counter('sidegate_sidecar_upgrades_total', 'Sidecars whose image was exchanged in place.', [
    { name: 'result', values: ['done', 'failed', 'refused'] },
  ]);
  const steps = meters.counter('sidegate_authority_steps_total', 'Steps in the rotation of the authority.', [
    { name: 'step', values: ['create', 'publish', 'switch', 'drop', 'restore'] },
  ]);
  const approvals = meters.counter('sidegate_approval_steps_total', 'What this replica made of approvals.', [
    { name: 'step', values: approvalSteps },
  ]);
  const grants = meters.counter('sidegate_grant_steps_total', 'What the leader made of grants.', [
    { name: 'step', values: grantSteps },
  ]);
  const notices = meters.counter('sidegate_notices_total', 'What became of notices to people, by channel.', [
    { name: 'channel', values: channels },
    { name: 'result', values: noticeResults },
  ]);
  const decisions = meters.counter('sidegate_decision_requests_total', 'Requests to the decision endpoint.', [
    { name: 'result', values: decisionResults },
  ]);
  const tokenRequests = meters.counter('sidegate_token_requests_total', 'Requests to the token endpoint.', [
    { name: 'result', values: decisionResults },
  ]);
  const topRequests = meters.counter('sidegate_top_requests_total', 'Requests for figures of sidecars.', [
    { name: 'result', values: decisionResults },
  ]);
  const problems = meters.counter(
    'sidegate_approval_problems_total',
    'Asks of sidecars that got no approval to wait for.',
    [{ name: 'problem', values: ['no_approvers', 'unavailable', 'too_many', 'policy_changed'] }],
  );
  const dropped = meters.counter('sidegate_events_dropped_total', 'Events that were not written.', [
    { name: 'why', values: ['limit', 'failed'] },
  ]);
  const opened = meters.counter('sidegate_streams_opened_total', 'Streams of sidecars, by their proof.', [
    { name: 'by', values: ['token', 'certificate'] },
  ]);
  const closed = meters.counter('sidegate_streams_closed_total', 'Streams that ended.', [
    { name: 'reason', values: few },
  ]);
  const refused = meters.counter('sidegate_streams_refused_total', 'Connections that became no stream.', [
    { name: 'cause', values: causes },
  ]);
  const pushed = meters.counter('sidegate_stream_messages_total', 'Messages to sidecars.', [
    { name: 'type', values: few },
  ]);
  const bytes = meters.counter('sidegate_stream_bytes_total', 'Bytes of messages to sidecars.', [
    { name: 'type', values: few },
  ]);
  const unsent = meters.counter('sidegate_stream_messages_unsent_total', 'Messages that a sidecar would not take.', [
    { name: 'type', values: downTypes },
  ]);
  const acked = meters.timer('sidegate_snapshot_ack_seconds', 'From sending a snapshot to its acknowledgement.');
  const nacked = meters.counter('sidegate_snapshots_refused_total', 'Snapshots that a sidecar did not take.', [
    { name: 'reason', values: few },
  ]);
  const signed = meters.counter('sidegate_certificates_total', 'Certificate requests of sidecars.', [
    { name: 'purpose', values: ['identity', 'serving'] },
    { name: 'outcome', values: ['signed', 'refused', 'failed'] },
  ]);

  return {
    stream: {
      opened: (by) => opened.add([by]),
      closed: (reason) => closed.add([reason]),
      refused: (cause) => refused.add([cause]),
      pushed(type, count) {
        pushed.add([type]);
        bytes.add([type], count);
      },
      unsent: (type) => unsent.add([type]),
      acked: (ms) => acked.observe([], ms / 1_000),
      nacked: (reason) => nacked.add([reason]),
      signed: (purpose, outcome) => signed.add([purpose, outcome]),
    },
    watchFault: (resource, fault) => faults.add([resource, fault]),
    watchMissed: (resource, count) => missed.add([resource], count),
    apiCall: ({ method, plural, status }) => calls.add([method, plural, String(status)]),
    statusHandled: (result) => statuses.add([result]),
    acksWritten: (result) => acks.add([result]),
    podsReported: (result) => reports.add([result]),
    changeRecorded: (what, result) => changes.add([what, result]),
    written: (what) => writes.add([what]),
    upgraded: (result) => upgrades.add([result]),
    closed: (reason, pods) => closedFor.set([reason], pods),
    evicted: (result) => evictions.add([result]),
    authorityStep: (step) => steps.add([step]),
    approval: (step) => approvals.add([step]),
    decision: (result) => decisions.add([result]),
    tokenRequest: (result) => tokenRequests.add([result]),
    topRequest: (result) => topRequests.add([result]),
    notice: (channel, result) => notices.add([channel, result]),
    grant: (step) => grants.add([step]),
    approvalProblem: (problem) => problems.add([problem]),
    eventDropped: (why) => dropped.add([why]),
    reading: (name, help, read) => meters.reading(name, help, read),
  };
}
