// What both kinds of sidecar processes are made of.
import { createLogger } from '../../pkg/base/index.ts';
import type { Clock, LogLevel, Logger } from '../../pkg/base/index.ts';
import { operations, reasons } from '../../pkg/core/index.ts';
import type { AuditSink } from '../../pkg/core/index.ts';
import { dialects } from '../../pkg/dialect/index.ts';
import { createMetrics } from '../../pkg/telemetry/index.ts';
import type { Metrics } from '../../pkg/telemetry/index.ts';

export const processLogger = (clock: Clock, level: LogLevel): Logger =>
  createLogger({ clock, level, write: (line) => process.stderr.write(`${line}\n`) });

export const processMetrics = (clock: Clock): Metrics =>
  createMetrics({
    clock,
    operations,
    codes: Object.keys(reasons),
    dialects: dialects.map((dialect) => dialect.name),
  });

/** Records that the process began or ended. */
export function marker(audit: AuditSink, metrics: Metrics): (what: 'start' | 'stop') => void {
  return (what) => {
    try {
      audit.append([{ type: 'process', what }]);
      metrics.auditWritten(1);
    } catch {
      // The sink has logged why; requests are what audit.onFailure decides on.
      metrics.auditFailed();
    }
  };
}
