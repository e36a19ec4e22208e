import type { JsonNode } from '../../base/index.ts';
import { bytesOfType, mediaUrlValue, pdfBytes } from '../media.ts';
import { claimedPdf } from '../pdf.ts';
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

const shared: Readonly<Record<string, Shape>> = {
  type: lone,
  text,
  citations: either(object({ enabled: boolean }), list(citation)),
  cache_control: cacheControl,
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
  url: lone,
  page_age: lone,
  retrieved_at: lone,
  encrypted_content: lone,
  error_code: lone,
  stdout: text,
  stderr: text,
  return_code: number,
  file_type: lone,
};

/** What one side's blocks have otherwise. */
interface Side {
  /** A file that the server keeps, by its id. */
  readonly file: Shape;
  readonly more: (block: Shape) => Readonly<Record<string, Shape>>;
  /** Narrows what a block, or the source of one, may be. */
  readonly block: (shape: Shape) => Shape;
  readonly source: (shape: Shape) => Shape;
}

export interface Blocks {
  readonly block: Shape;
  readonly fields: Readonly<Record<string, Shape>>;
  /** Text, blocks, or the one block of a server's tool. */
  readonly content: Shape;
}

/** Blocks stand in blocks: in what a tool gave, in a document. */
export function blocksOf(side: Side): Blocks {
  const map = new Map<string, Shape>();
  const block = side.block({ fields: map });
  const content: Shape = {
    string: 'text',
    fields: map,
    items: block,
    read: (reader, node, place) => node.kind === 'object' && block.read?.(reader, node, place) === true,
  };
  const inner: Shape = { ...content, nests: true };
  const fields = { ...shared, content: inner, file_id: side.file, source: side.source(sourceOf(side, inner)) };
  for (const [name, shape] of Object.entries({ ...fields, ...side.more(block) })) map.set(name, shape);
  return { block, fields: Object.fromEntries(map), content };
}

/** What a picture or a document is made of: what calls itself base64 of media, PDF, or text. */
function sourceOf({ file }: Side, content: Shape): Shape {
  const holding = (data: Shape): Shape =>
    object({ type: lone, media_type: lone, data, url: { read: mediaUrlValue }, file_id: file, content });
  const pdf = holding({ read: pdfBytes });
  const mediaOf = (node: JsonNode): Shape => {
    const type = node.get('media_type')?.string?.toLowerCase() ?? '';
    return type === 'application/pdf' ? pdf : holding({ read: bytesOfType(type) });
  };
  return {
    ...holding(text),
    // A search result names where it was found.
    string: 'text',
    read(reader, node, place) {
      if (node.kind !== 'object') return false;
      if (/pdf/i.test(node.get('media_type')?.string ?? '')) claimedPdf(reader, node.get('data'));
      if (node.get('type')?.string !== 'base64') return false;
      reader.read(node, place.as(mediaOf(node)));
      return true;
    },
  };
}

const asItIs = (shape: Shape): Shape => shape;
/** Of answers. */
export const said: Blocks = blocksOf({ file: lone, more: () => ({}), block: asItIs, source: asItIs });
