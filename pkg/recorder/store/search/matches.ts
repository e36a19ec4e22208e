import type { SessionQuery, SessionSummary } from '../port.ts';
import { labelTag, labelTags } from './label-tags.ts';

/** Whether a session is what was asked for, but for the words of its texts: as the stores' own searches decide it. */
export function matches(query: SessionQuery, session: SessionSummary): boolean {
  const { end } = session;
  const same: readonly (readonly [wanted: unknown, is: unknown])[] = [
    [query.session, session.session],
    [query.source, session.source],
    [query.chain, session.chain],
    [query.namespace, session.namespace],
    [query.pod, session.pod],
    [query.user, session.subject],
    [query.issuer, session.issuer],
    [query.model, session.model],
    [query.operation, session.operation],
    [query.outcome, end?.outcome],
    [query.code, end?.code],
    [query.status, end?.status],
  ];
  const { since = -Infinity, until = Infinity, group, tags = [] } = query;
  return (
    same.every(([wanted, is]) => wanted === undefined || wanted === is) &&
    session.at >= since &&
    session.at < until &&
    (group === undefined || session.groups.includes(group)) &&
    tags.every((tag) => end?.tags.includes(tag) === true) &&
    (query.open !== true || end === undefined) &&
    (query.label === undefined || labelTags(end?.tags ?? []).includes(labelTag(query.label))) &&
    isSized(query, end)
  );
}

/** A session that has not ended is neither long nor large, nor short nor small. */
function isSized(query: SessionQuery, end: SessionSummary['end']): boolean {
  const { minDurationMs = 0, maxDurationMs = Infinity, minBytes = 0, maxBytes = Infinity } = query;
  if (end === undefined)
    return [query.minDurationMs, query.maxDurationMs, query.minBytes, query.maxBytes].every((one) => one === undefined);
  const bytes = end.bytesIn + end.bytesOut;
  return end.durationMs >= minDurationMs && end.durationMs <= maxDurationMs && bytes >= minBytes && bytes <= maxBytes;
}
