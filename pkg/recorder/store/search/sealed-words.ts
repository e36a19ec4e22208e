import type { SessionPage } from '../port.ts';

/**
 * In an index of words: texts of this session are sealed, so that no word of them is there. Of characters for private use, so that it is in no text but
 * one that wants to be found by it.
 */
export const sealedWords = '\u{10fffd}sealed';
/** Such sessions that a search counts: of more it says that there are more. */
export const mostCounted = 1_000;

/** Of a page that is found by {@link sealedWords}. */
export const sealedCount = ({ sessions, cursor }: SessionPage): Pick<SessionPage, 'sealed'> =>
  sessions.length === 0 && cursor === undefined
    ? {}
    : { sealed: { sessions: sessions.length, more: cursor !== undefined } };
