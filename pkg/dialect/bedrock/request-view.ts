import type { RequestView } from '../dialect.ts';
import type { Reader } from '../reader.ts';

const none: readonly never[] = Object.freeze([]);

type Read =
  | 'tokenInput'
  | 'lanes'
  | 'loneValues'
  | 'toolInputs'
  | 'opaque'
  | 'documents'
  | 'media'
  | 'links'
  | 'listNumbers'
  | 'askUsage'
  | 'spellTokens';

/** What was read of a body, which no edit of ours but a limit changes. */
export function viewOf({
  tokenInput,
  lanes,
  loneValues,
  toolInputs,
  opaque,
  documents,
  media,
  links,
  listNumbers,
}: Reader): Pick<RequestView, Read> {
  const read = { tokenInput, lanes, loneValues, toolInputs, opaque, documents, media, links, listNumbers };
  return { ...read, askUsage: () => none, spellTokens: () => none };
}
