/**
 * A session's time, for search, holds and backtests: its sidecar's word, within what the recorder saw. A clock that is wrong, or a sidecar that
 * lies, hides no session from who asks for a time, and holds nothing back from who holds one.
 */

/** Longest that lines may have waited in a spool; earlier is not believed. */
export const longestStayMs = 7 * 86_400_000;
/** Clocks of two nodes that are kept in time. */
export const clockSkewMs = 5 * 60_000;

export interface SeenTime {
  /** Epoch milliseconds. */
  readonly at: number;
  /** What its sidecar said, where that is not believed. */
  readonly said: number | null;
}

/**
 * @param received When its block came, by the log's time, which never goes back: epoch milliseconds.
 * @param now The same by the recorder's clock, which is behind that where it was ahead once: what it says counts then, too. Default: `received`.
 */
export function seenTime(said: number, received: number, now = received): SeenTime {
  const at = Math.max(Math.min(received, now) - longestStayMs, Math.min(received + clockSkewMs, said));
  return { at, said: at === said ? null : said };
}
