import { bytesOfFormat, pdfBytes } from '../media.ts';
import { refused } from '../refused-fields.ts';
import { boolean, either, free, json, list, lone, named, object, text, toolInput } from '../shape.ts';
import type { Shape } from '../shape.ts';

/**
 * Content blocks of Converse, the same in requests and answers (API reference, ContentBlock). A field that is not here is unknown: its strings are
 * lanes by their path.
 */

export const cachePoint = object({ type: lone, ttl: lone });

const textOnly = list(object({ text }));

const cited = object({
  ...named(['title', 'source'], lone),
  sourceContent: list(object({ text: lone })),
  location: free,
});

/** @param kept where the server keeps something: a caller may not send it there */
const media = (kept: Shape): Shape => {
  const of = (bytes: Shape): Shape => object({ format: lone, source: object({ bytes, s3Location: kept }) });
  return {
    fields: of(text).fields as ReadonlyMap<string, Shape>,
    read(reader, node, place) {
      if (node.kind !== 'object') return false;
      reader.read(node, place.as(of({ read: bytesOfFormat(node.get('format')?.string ?? '') })));
      return true;
    },
  };
};

const document = (bytes: Shape, kept: Shape): Shape =>
  object({
    ...named(['format', 'name'], lone),
    context: text,
    citations: object({ enabled: boolean }),
    source: object({ bytes, text, content: textOnly, s3Location: kept }),
  });

const sentPdf = document({ read: pdfBytes }, refused);
const sentOther = document(refused, refused);
const saidDocument = document(text, free);

/** In a request, bytes of a text or of an office document are ones that the model reads and no guard does. */
const sentDocument: Shape = {
  read(reader, node, place) {
    reader.read(node, place.as(node.get('format')?.string === 'pdf' ? sentPdf : sentOther));
    return true;
  },
};

/** @param others what may stand beside the kinds that are known in what a tool gave */
const blockFields = (kept: Shape, file: Shape, others: Partial<Shape> = {}): Record<string, Shape> => {
  const searchResult = object({
    source: lone,
    title: text,
    content: textOnly,
    citations: object({ enabled: boolean }),
  });
  const picture = media(kept);
  return {
    text,
    ...named(['image', 'video', 'audio'], picture),
    document: file,
    searchResult,
    toolUse: object({ ...named(['toolUseId', 'name', 'type'], lone), input: toolInput }),
    toolResult: object({
      ...named(['toolUseId', 'status', 'type'], lone),
      content: list(
        object({ text, json: toolInput, ...named(['image', 'video'], picture), document: file, searchResult }, others),
      ),
    }),
    guardContent: object({ text: object({ text, qualifiers: list(lone) }), image: picture }),
    cachePoint,
    reasoningContent: object({ reasoningText: object({ text, signature: lone }), redactedContent: lone }),
    citationsContent: object({ content: textOnly, citations: list(cited) }),
  };
};

/** A kind that is not here is none: nobody knows what a server takes by it. */
const none: Partial<Shape> = { rest: refused };
export const sentBlock = object(blockFields(refused, sentDocument, none), none);
export const saidBlock = object(blockFields(free, saidDocument));

/** What a stream says of a block: its beginning, and the pieces that clients add to it. */
export const streamedBlock = object({
  ...blockFields(free, saidDocument),
  toolUse: object({ ...named(['toolUseId', 'name', 'type'], lone), input: either(json, toolInput) }),
  toolResult: either(object(named(['toolUseId', 'status', 'type'], lone)), list(object({ text, json: toolInput }))),
  reasoningContent: object({ text, ...named(['signature', 'redactedContent'], lone) }),
  citation: cited,
});
