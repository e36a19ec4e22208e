import type { SessionQuery, SessionSummary } from '../store/index.ts';

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
    isLarge(query, end)
  );
}

/** A session that has not ended is neither long nor large. */
function isLarge({ minDurationMs, minBytes }: SessionQuery, end: SessionSummary['end']): boolean {
  if (end === undefined) return minDurationMs === undefined && minBytes === undefined;
  return end.durationMs >= (minDurationMs ?? 0) && end.bytesIn + end.bytesOut >= (minBytes ?? 0);
}
