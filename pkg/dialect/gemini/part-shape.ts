import type { JsonNode } from '../../base/index.ts';
import { isKnownType } from '../file-type.ts';
import { bytesOfType, mediaBytes, pdfBytes } from '../media.ts';
import { refused } from '../refused-fields.ts';
import { boolean, free, list, lone, named, number, object, text, toolInput } from '../shape.ts';
import type { Shape } from '../shape.ts';
import { bothNames, some } from './spellings.ts';

/** Parts of a content, the same in requests and answers (ai.google.dev/api/caching#Part). A field that is not here is unknown: its strings are lanes by their path. */

const blobFields = (data: Shape): Record<string, Shape> => bothNames({ mimeType: lone, displayName: lone, data });
const samples = object(blobFields({ read: mediaBytes }));
const pdf = object(blobFields({ read: pdfBytes }));
const other = object(blobFields(text));

const typeOf = (node: JsonNode): string =>
  ((node.get('mimeType') ?? node.get('mime_type'))?.string ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';

/** How bytes of a media type are read; undefined: they are text in base64, or may be. */
function mediaOf(node: JsonNode): Shape | undefined {
  const type = typeOf(node);
  if (type === 'application/pdf') return pdf;
  return isKnownType(type) ? object(blobFields({ read: bytesOfType(type) })) : undefined;
}

/** In a request, text in base64 is one that the model reads and no guard does. */
const sentBlob: Shape = {
  fields: new Map(),
  read(reader, node, place) {
    if (node.kind !== 'object') return false;
    if (node.get('mimeType') !== undefined && node.get('mime_type') !== undefined) reader.refuse(place, 'mimeType');
    reader.read(node, place.as(mediaOf(node) ?? reader.refuse(place, 'mimeType')));
    return true;
  },
};

/** Speech without a head, as servers make it. */
const isSamples = (type: string): boolean => type === 'audio/l16' || type === 'audio/pcm';

const saidBlob: Shape = {
  fields: other.fields as ReadonlyMap<string, Shape>,
  read(reader, node, place) {
    const media = node.kind === 'object' ? (isSamples(typeOf(node)) ? samples : mediaOf(node)) : undefined;
    if (media === undefined) return false;
    reader.read(node, place.as(media));
    return true;
  },
};

/** A call whose arguments come in pieces says them by paths: nobody here puts them together. */
const noPieces: Shape = {
  read(reader, node, place) {
    if (node.kind !== 'null' && (node.kind !== 'array' || node.items.length > 0)) reader.refuse(place);
    return true;
  },
};

const partFields = (inlineData: Shape, fileData: Shape): Record<string, Shape> =>
  bothNames({
    text,
    thought: boolean,
    thoughtSignature: lone,
    inlineData,
    fileData,
    functionCall: object(
      bothNames({ id: lone, name: lone, args: toolInput, willContinue: boolean, partialArgs: noPieces }),
    ),
    functionResponse: object(
      bothNames({
        id: lone,
        name: lone,
        response: toolInput,
        willContinue: boolean,
        scheduling: lone,
        parts: some(object(bothNames({ inlineData, fileData }))),
      }),
    ),
    executableCode: object({ id: lone, language: lone, code: text }),
    codeExecutionResult: object({ id: lone, outcome: lone, output: text }),
    videoMetadata: object(bothNames({ startOffset: lone, endOffset: lone, fps: number })),
    mediaResolution: free,
  });

/** A file that the server keeps, or fetches: nobody has looked at it, and it may be another caller's. */
export const sentContent = object({
  role: lone,
  parts: some(object(partFields(sentBlob, refused), { rest: refused })),
});

const file = object(bothNames({ mimeType: lone, displayName: lone, fileUri: lone }));
export const saidContent = object({ role: lone, parts: list(object(partFields(saidBlob, file)), { strict: true }) });

export const safetyRatings = list(
  object({
    ...named(['category', 'probability', 'severity', 'overwrittenThreshold'], lone),
    blocked: boolean,
    ...named(['probabilityScore', 'severityScore'], number),
  }),
);
