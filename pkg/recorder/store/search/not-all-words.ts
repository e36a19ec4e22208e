/** In an index of words: of this session not all are there. Of characters for private use, so that it is in no text but one that wants to be found by it. */
export const notAllWords = '\u{10fffd}cut';
/** Such sessions that a search names. */
export const mostNamed = 100;
