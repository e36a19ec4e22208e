import type { JsonNode } from '../../base/index.ts';
import type { FilePart, RequestView, Route } from '../dialect.ts';
import { modelOf, plainQuery, renameEdits } from '../openai/request.ts';
import { Place } from '../place.ts';
import { Reader } from '../reader.ts';
import { fieldsOf, given, refuse, required } from '../request-fields.ts';
import type { Fields } from '../request-fields.ts';
import type { MediaKind } from './routes.ts';
import {
  editForm,
  generationRequest,
  speechRequest,
  transcriptionForm,
  translationForm,
  variationForm,
} from './request-shape.ts';

/**
 * Requests of OpenAI's audio and image routes; a form as the JSON that says the same.
 *
 * Promise: as that of OpenAI's other requests ({@link Reader}). What is asked for that nobody can read counts as a file of its type already here,
 * of no bytes: what a policy does not let pass no model works for. Limit: how long an answer is no field says that all servers have, so that a rule that
 * limits output lets none of them by.
 */

const places: Readonly<Record<MediaKind, Place>> = {
  transcription: Place.root(transcriptionForm),
  translation: Place.root(translationForm),
  speech: Place.root(speechRequest),
  generation: Place.root(generationRequest),
  edit: Place.root(editForm),
  variation: Place.root(variationForm),
};

const none: readonly never[] = Object.freeze([]);

/** OpenAI's own bound. */
const mostPictures = 10;

/** What the answer is to be. */
export interface Asked {
  readonly kind: MediaKind;
  readonly stream: boolean;
  /** Media type of the files in it; undefined: it is a text. */
  readonly type: string | undefined;
}

const transcripts: ReadonlySet<string> = new Set(['json', 'verbose_json', 'diarized_json', 'text', 'srt', 'vtt']);

const soundTypes: ReadonlyMap<string, string> = new Map([
  ['mp3', 'audio/mpeg'],
  ['opus', 'audio/ogg'],
  ['aac', 'audio/aac'],
  ['flac', 'audio/flac'],
  ['wav', 'audio/wav'],
  ['pcm', 'audio/pcm'],
]);

const pictureTypes: ReadonlyMap<string, string> = new Map([
  ['png', 'image/png'],
  ['jpeg', 'image/jpeg'],
  ['webp', 'image/webp'],
  ['gif', 'image/gif'],
]);

const isText = (kind: MediaKind): boolean => kind === 'transcription' || kind === 'translation';

/** The word of a field that decides; `usual` where it is not given. */
function wordOf(fields: Fields, name: string, usual: string): string {
  const node = given(fields, name);
  return node === undefined ? usual : (node.string ?? refuse(name));
}

function isTrue(fields: Fields, name: string): boolean {
  const node = given(fields, name);
  return node?.kind === 'true' || node?.string === 'true';
}

function askedOf(kind: MediaKind, fields: Fields): Asked {
  if (isText(kind)) {
    const format = wordOf(fields, 'response_format', 'json');
    if (!transcripts.has(format)) refuse('response_format');
    return { kind, stream: isTrue(fields, 'stream'), type: undefined };
  }
  if (kind === 'speech') {
    const type = soundTypes.get(wordOf(fields, 'response_format', 'mp3')) ?? refuse('response_format');
    const stream = wordOf(fields, 'stream_format', 'audio');
    if (stream !== 'audio' && stream !== 'sse') refuse('stream_format');
    return { kind, stream: stream === 'sse', type };
  }
  const format = wordOf(fields, 'response_format', 'b64_json');
  if (format !== 'b64_json' && format !== 'url') refuse('response_format');
  const type = pictureTypes.get(wordOf(fields, 'output_format', 'png')) ?? refuse('output_format');
  return { kind, stream: isTrue(fields, 'stream'), type };
}

const needed: Readonly<Record<MediaKind, readonly string[]>> = {
  transcription: ['file'],
  translation: ['file'],
  speech: ['input'],
  generation: ['prompt'],
  edit: ['prompt'],
  variation: ['image'],
};

/** Servers of pictures take their own model where none is named. */
function modelIn(kind: MediaKind, fields: Fields, deployment: string | undefined): string | undefined {
  const isPicture = kind === 'generation' || kind === 'edit' || kind === 'variation';
  if (isPicture && deployment === undefined && given(fields, 'model') === undefined) return undefined;
  return modelOf(fields, deployment);
}

function countOf(fields: Fields): number {
  const node = given(fields, 'n');
  if (node === undefined) return 1;
  if (!/^[0-9]{1,2}$/.test(node.text) || Number(node.text) < 1 || Number(node.text) > mostPictures) refuse('n');
  return Number(node.text);
}

/**
 * @param answers the route of an answer to what was asked
 * @throws RefusedError `invalid_request`
 */
export function readRequest(
  { kind, model: deployment }: { readonly kind: MediaKind; readonly model: string | undefined },
  root: JsonNode,
  query: string,
  answers: (asked: Asked) => Route,
): RequestView {
  if (!plainQuery.test(query)) refuse('query');
  if (root.kind !== 'object') refuse('body');
  const reader = new Reader('request', 'none');
  reader.read(root, places[kind]);
  const fields = fieldsOf(root);
  for (const name of needed[kind]) required(fields, name);
  if (kind === 'edit' && given(fields, 'image') === undefined) required(fields, 'image[]');
  const asked = askedOf(kind, fields);
  const expected: readonly FilePart[] = asked.type === undefined ? none : [{ type: asked.type, bytes: 0 }];
  return {
    model: modelIn(kind, fields, deployment),
    stream: asked.stream,
    generates: false,
    endless: true,
    countsInput: true,
    answers: answers(asked),
    count: countOf(fields),
    maxOutputTokens: undefined,
    outputBound: undefined,
    stops: reader.strangers,
    usageAsked: true,
    tokenInput: reader.tokenInput,
    lanes: reader.lanes,
    loneValues: reader.loneValues,
    toolInputs: reader.toolInputs,
    opaque: reader.opaque,
    documents: reader.documents,
    media: reader.media,
    links: reader.links,
    files: [...expected, ...reader.files],
    listNumbers: reader.listNumbers,
    limitOutput: () => none,
    askUsage: () => none,
    spellTokens: () => none,
    renameModel: (as) => renameEdits(fields, as),
  };
}
