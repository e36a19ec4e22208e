import { createSeldom, errorCode } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import type { RefusedError } from '../core/index.ts';
import type { Metrics } from '../telemetry/index.ts';

/** Told of each refusal or end of a request; takes note of those of the model's making. */
export type NoteModelFault = (request: string, error: RefusedError) => void;

/**
 * Counts failures of the model server, and logs them: of each kind one line a minute, with the code of the refusal and why in words of ours,
 * of the system or of TLS (`credential`, `ECONNREFUSED`, `CERT_HAS_EXPIRED`), never in the model's.
 */
export function noteModelFaults(metrics: Metrics, logger: Logger, clock: Clock): NoteModelFault {
  const seldom = createSeldom(clock);
  return (request, error) => {
    const { code } = error;
    if (!code.startsWith('upstream_')) return;
    metrics.upstreamError(code);
    const why = errorCode(error.cause) ?? error.detail;
    const unsaid = seldom(`${code} ${why}`);
    if (unsaid !== undefined) logger.warn('the model server failed', { request, code, why, unsaid });
  };
}
