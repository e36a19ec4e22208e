// What both kinds of sidecar processes are made of.
import type { Clock } from '../../pkg/base/index.ts';
import { certainties, finders, operations, reasons } from '../../pkg/core/index.ts';
import type { AuditSink } from '../../pkg/core/index.ts';
import { dialects } from '../../pkg/dialect/index.ts';
import { createMetrics } from '../../pkg/telemetry/index.ts';
import type { Metrics } from '../../pkg/telemetry/index.ts';

export const processMetrics = (clock: Clock): Metrics =>
  createMetrics({
    clock,
    operations,
    codes: Object.keys(reasons),
    dialects: dialects.map((dialect) => dialect.name),
    finders,
    certainties,
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
