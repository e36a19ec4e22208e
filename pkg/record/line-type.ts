/** As every line of the record begins. */
const head = /^\{"v":1,"seq":[0-9]+,"time":"[^"]*","prev":"[0-9a-f]{64}","type":"([a-z]+)"/;

/**
 * What a line of the record is, from where its writer puts that: recorders take no line of which a parser would say another type
 * (pkg/recorder/ingest/read-lines.ts), so that nothing is one thing to a search and another to who reads texts.
 */
export const lineType = (text: string): string | undefined => head.exec(text)?.[1];
