import type { JsonNode } from '../../base/index.ts';
import { isKnownType } from '../file-type.ts';
import { bytesOfType, mediaUrlValue, pdfBytes } from '../media.ts';
import { boolean, either, list, lone, named, number, object, text, toolInput } from '../shape.ts';
import type { Shape } from '../shape.ts';

/**
 * Blocks of content, the same in requests and answers (docs.claude.com, Messages API; anthropic-sdk-typescript `resources/messages`). A
 * field that is not here is unknown: its strings are lanes by their path.
 */

export const cacheControl = object({ type: lone, ttl: lone, scope: lone });

/** What a text rests on: each whole, also in a stream. */
export const citation = object({
  ...named('type cited_text document_title title url source file_id encrypted_index search_result_id'.split(' '), lone),
  ...named(
    [
      'document_index start_char_index end_char_index start_page_number end_page_number start_block_index end_block_index',
      'search_result_index',
    ]
      .join(' ')
      .split(' '),
    number,
  ),
});

const sourceFields = (data: Shape): Record<string, Shape> => ({
  type: lone,
  media_type: lone,
  data,
  url: { read: mediaUrlValue },
  file_id: lone,
  content,
});

/** What a picture or a document is made of: what calls itself base64 of media, PDF, or text. */
const source: Shape = {
  // A search result names where it was found.
  string: 'text',
  get fields() {
    return textSource.fields as ReadonlyMap<string, Shape>;
  },
  read(reader, node, place) {
    if (node.kind !== 'object' || node.get('type')?.string !== 'base64') return false;
    const media = mediaOf(node);
    if (media === undefined) return false;
    reader.read(node, place.as(media));
    return true;
  },
};

function mediaOf(node: JsonNode): Shape | undefined {
  const type = node.get('media_type')?.string?.toLowerCase() ?? '';
  if (type === 'application/pdf') return pdfSource;
  return isKnownType(type) ? object(sourceFields({ read: bytesOfType(type) })) : undefined;
}

/** Text, blocks, or the one block of a server's tool. */
export const content: Shape = {
  string: 'text',
  get fields() {
    return block.fields as ReadonlyMap<string, Shape>;
  },
  get items() {
    return block;
  },
};

export const blockFields: Record<string, Shape> = {
  type: lone,
  text,
  citations: either(object({ enabled: boolean }), list(citation)),
  cache_control: cacheControl,
  source,
  title: text,
  context: text,
  thinking: text,
  signature: lone,
  // Of redacted thinking: nobody but the model reads it.
  data: lone,
  id: lone,
  name: lone,
  server_name: lone,
  input: toolInput,
  caller: object({ type: lone, tool_id: lone }),
  tool_use_id: lone,
  tool_name: lone,
  is_error: boolean,
  content,
  url: lone,
  page_age: lone,
  retrieved_at: lone,
  encrypted_content: lone,
  error_code: lone,
  stdout: text,
  stderr: text,
  return_code: number,
  file_id: lone,
  file_type: lone,
};
export const block: Shape = object(blockFields);

const textSource = object(sourceFields(text));
const pdfSource = object(sourceFields({ read: pdfBytes }));
