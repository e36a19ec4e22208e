import type { ConflictKind } from '../record/index.ts';
import type { Meters } from '../telemetry/index.ts';
import type { IngestObserver } from './ingest/observer.ts';

/** What the recorder counts. docs/audit.md says what each is for. */
export interface RecorderMetrics extends IngestObserver {
  vanished(lines: number): void;
  /** Of a signed head, as a Kubernetes object. */
  headPublished(result: 'done' | 'failed' | 'foreign'): void;
  /** The log was not signed, since it has an entry that no recorder made. */
  headRefused(): void;
}

/** All of them, so that each counter is there before it counts: alerts look at its increase. */
const conflictKinds: Readonly<Record<ConflictKind, true>> = {
  other_content: true,
  changed: true,
  not_linked: true,
  out_of_order: true,
  signature: true,
  signer: true,
  back_dated: true,
  foreign_change: true,
  other_head: true,
};

export function recorderMetrics(meters: Meters): RecorderMetrics {
  const few = { atMost: 30 } as const;
  const opened = meters.counter('sidegate_recorder_streams_opened_total', 'Streams of sidecars.');
  const closed = meters.counter('sidegate_recorder_streams_closed_total', 'Streams that ended.', [
    { name: 'reason', values: few },
  ]);
  const refused = meters.counter('sidegate_recorder_refused_total', 'Connections that were refused or cut.', [
    { name: 'why', values: few },
  ]);
  const events = meters.counter('sidegate_recorder_lines_total', 'Lines of records taken in.');
  const bytes = meters.counter('sidegate_recorder_bytes_total', 'Bytes of those lines.');
  const duplicates = meters.counter('sidegate_recorder_duplicates_total', 'Lines that came again and were here.');
  const lost = meters.counter(
    'sidegate_recorder_lost_total',
    'Lines that sidecars no longer had, and events that they could not record.',
  );
  const pods = meters.counter(
    'sidegate_recorder_vanished_total',
    'Chains of pods that were gone before their record had come to its end.',
  );
  const vanished = meters.counter(
    'sidegate_recorder_vanished_lines_total',
    'Lines that were known of, and never came from pods that are gone.',
  );
  const conflicts = meters.counter('sidegate_recorder_conflicts_total', 'Lines that do not go with their chain.', [
    { name: 'kind', values: Object.keys(conflictKinds) },
  ]);
  const waits = meters.counter(
    'sidegate_recorder_waits_total',
    'Times that lines of a sidecar waited: it had sent too many of a kind in a time, or there was no room.',
    [{ name: 'why', values: ['small', 'heavy', 'signatures', 'memory'] }],
  );
  const cut = meters.counter(
    'sidegate_recorder_cut_total',
    'Starts and ends of sessions that are not found by all that their lines say.',
  );
  const clocks = meters.counter(
    'sidegate_recorder_clock_wrong_total',
    'Pieces of lines whose time was more than five minutes off.',
  );
  const commits = meters.counter('sidegate_recorder_commits_total', 'Transactions.', [
    { name: 'result', values: ['done', 'failed'] },
  ]);
  const published = meters.counter(
    'sidegate_recorder_heads_published_total',
    'Signed heads written as a Kubernetes object.',
    [{ name: 'result', values: ['done', 'failed', 'foreign'] }],
  );
  const refusedHeads = meters.counter(
    'sidegate_recorder_heads_refused_total',
    'Heads that were not signed: the log has an entry that no recorder made.',
  );
  const took = meters.timer('sidegate_recorder_commit_seconds', 'How long a transaction took, with its fsync.');
  return {
    headRefused: () => refusedHeads.add([]),
    opened: () => opened.add([]),
    closed: (reason) => closed.add([reason]),
    refused: (why) => refused.add([why]),
    received(count, size) {
      events.add([], count);
      bytes.add([], size);
    },
    duplicate: (count) => duplicates.add([], count),
    hole: (count) => lost.add([], count),
    gap: (count) => lost.add([], count),
    headPublished: (result) => published.add([result]),
    vanished(lines) {
      pods.add([]);
      vanished.add([], lines);
    },
    conflict: (kind) => conflicts.add([kind]),
    cut: (facts) => cut.add([], facts),
    waited: (why) => waits.add([why]),
    clockWrong: () => clocks.add([]),
    committed({ ms }) {
      commits.add(['done']);
      took.observe([], ms / 1_000);
    },
    commitFailed: () => commits.add(['failed']),
  };
}
