// What both kinds of sidecar processes are made of.
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../pkg/base/index.ts';
import { operations, reasons } from '../../pkg/core/index.ts';
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
  });

/** Kept, so that equal values give equal hashes after a restart. */
export function keyFile(folder: string, name: string): Uint8Array {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, name);
  try {
    writeFileSync(path, randomBytes(32), { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  return readFileSync(path);
}

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
