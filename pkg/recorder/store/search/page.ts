import type { SessionPage, SessionSummary } from '../port.ts';

/** Characters of what a page's sessions are found by, which is their sidecars' to choose: it ends with the one that reaches them. */
const mostCharacters = 1024 * 1024;
/** Of names, numbers and hashes. */
const ofEach = 512;

const lengthOf = ({ groups, end, ...others }: SessionSummary): number => {
  const texts = [...groups, ...(end?.tags ?? []), ...Object.values(others)];
  return texts.reduce<number>((sum, text) => sum + (typeof text === 'string' ? text.length : 0), ofEach);
};

/** Whether a page of these sessions has room for no more. */
export const isFull = (sessions: readonly SessionSummary[]): boolean =>
  sessions.reduce((sum, session) => sum + lengthOf(session), 0) >= mostCharacters;

/**
 * @param rows Of the sessions that were found.
 * @param read Is asked of those alone that the page has.
 * @param more Whether there are sessions behind these.
 */
export function pageOf<Row>(
  rows: readonly Row[],
  read: (row: Row) => SessionSummary,
  cursors: readonly string[],
  more: boolean,
): SessionPage {
  const sessions: SessionSummary[] = [];
  let characters = 0;
  for (const row of rows) {
    if (characters >= mostCharacters) break;
    const session = read(row);
    sessions.push(session);
    characters += lengthOf(session);
  }
  const all = sessions.length === rows.length;
  return {
    sessions,
    cursors: cursors.slice(0, sessions.length),
    cursor: all && !more ? undefined : cursors[sessions.length - 1],
  };
}
