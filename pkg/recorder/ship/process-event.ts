import { gapOf, isUnknownGap } from '../../record/index.ts';
import type { JsonNode } from '../../base/index.ts';
import { common, known, numberAt, textAt, timesOf } from './event.ts';
import type { LogPlace, Severity, ShippedEvent } from './event.ts';

interface Kind {
  readonly action: string;
  readonly severity: Severity;
  message(amount: number, unknown: boolean): string;
}

const kinds: Readonly<Record<string, Kind>> = {
  start: { action: 'process.start', severity: 'info', message: () => 'a sidecar or controller began to record' },
  stop: { action: 'process.stop', severity: 'info', message: () => 'a sidecar or controller stopped' },
  gap: {
    action: 'record.gap',
    severity: 'alert',
    message: (amount, unknown) =>
      unknown
        ? 'a machine crashed: events of its last 100 ms may be lost'
        : `${String(amount)} events were not recorded: they are lost`,
  },
  clock_step: {
    action: 'record.clock_step',
    severity: 'warning',
    message: (amount) => `the clock of a node stepped by ${String(amount)} ms`,
  },
};

/** What befell a process; undefined: nothing that is shipped (the policies that it had). */
export function processEvent(line: JsonNode, source: string, place: LogPlace): ShippedEvent | undefined {
  const what = textAt(line, 'what') ?? '';
  const kind = Object.hasOwn(kinds, what) ? kinds[what] : undefined;
  if (kind === undefined) return undefined;
  const { action, severity } = kind;
  const amount = what === 'gap' ? gapOf(line) : (numberAt(line, 'amount') ?? 0);
  const sequence = line.get('seq')?.number ?? 0;
  const { saidAt, ...times } = timesOf(line, place);
  return {
    ...times,
    id: textAt(line, 'session') ?? `line-${String(place.entry)}-${String(sequence)}`,
    severity,
    action,
    message: kind.message(amount, isUnknownGap(line)),
    fields: {
      ...common(source),
      ...known({
        'event.kind': severity === 'alert' ? 'alert' : 'event',
        'event.category': ['process'],
        'event.type': [what === 'start' ? 'start' : what === 'stop' ? 'end' : 'info'],
        'sidegate.amount': what === 'gap' || what === 'clock_step' ? amount : undefined,
        'sidegate.said_at': saidAt,
      }),
    },
  };
}
