import type { JsonNode } from '../../base/index.ts';

/** Names of the limit of answers: the API's, and that of its beta. */
export const limitNames = ['max_output_tokens', 'max_response_output_tokens'] as const;

/** What a server says of its session. */
export interface ToldLimit {
  /** Most tokens of an answer that it gives by itself; Infinity: nothing is said, or no limit. */
  readonly most: number;
  /** The name of the limit that it knows. */
  readonly name: (typeof limitNames)[number];
}

/** Of a server that has said nothing yet. */
export const untold: ToldLimit = { most: Number.POSITIVE_INFINITY, name: 'max_output_tokens' };

/** @param type of the event that tells of the session. */
export function toldLimit(type: string, session: JsonNode): ToldLimit {
  const [current, beta] = limitNames;
  const name = session.get(current) === undefined && session.get(beta) !== undefined ? beta : current;
  // It writes down what is said, and answers nothing.
  if (type.startsWith('transcription_session.') || session.get('type')?.string === 'transcription')
    return { most: 0, name };
  const limits = limitNames.flatMap((one) => session.get(one) ?? []).map(({ number }) => number ?? -1);
  const isLimited = limits.length > 0 && limits.every((limit) => limit > 0);
  return { most: isLimited ? Math.max(...limits) : Number.POSITIVE_INFINITY, name };
}
