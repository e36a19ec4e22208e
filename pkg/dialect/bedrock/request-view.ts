import type { RequestView } from '../dialect.ts';
import type { Reader } from '../reader.ts';

const none: readonly never[] = Object.freeze([]);

type Read = 'tokenInput' | 'lanes' | 'loneValues' | 'opaque' | 'listNumbers' | 'askUsage' | 'spellTokens';

/** What was read of a body, which no edit of ours but a limit changes. */
export function viewOf({ tokenInput, lanes, loneValues, opaque, listNumbers }: Reader): Pick<RequestView, Read> {
  return { tokenInput, lanes, loneValues, opaque, listNumbers, askUsage: () => none, spellTokens: () => none };
}
