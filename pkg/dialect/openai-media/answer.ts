import type { JsonNode } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import type { AnswerView, FrameView, Lane } from '../dialect.ts';
import { endMarker, readFrame as readChatFrame } from '../openai/answer.ts';
import { Place } from '../place.ts';
import { Reader } from '../reader.ts';
import { object } from '../shape.ts';
import { usageOf } from '../usage.ts';
import {
  failure,
  pictureEvent,
  pictures,
  segmentEvent,
  speechEvent,
  transcript,
  transcriptEvent,
} from './answer-shape.ts';
import type { MediaKind } from './routes.ts';

/**
 * Answers of OpenAI's audio and image routes, and the events of their streams.
 *
 * Promise: every string is in exactly one list (see {@link Reader}); a success that is none of what was asked for, and an event of a type that is not
 * its stream's, are refused. A transcript's stream tells it in pieces and once more whole: both end alike, so that both are masked to the same. A diarized
 * one tells it by segments as well, which clients join as they like: one after the other they are one text, and so are the pieces of their texts. Nobody says
 * what stands between two segments, so each may begin a text of its own ({@link Lane.apart}).
 */

const answers: Readonly<Record<MediaKind, Place>> = {
  transcription: Place.root(transcript),
  translation: Place.root(transcript),
  speech: Place.root(failure),
  generation: Place.root(pictures),
  edit: Place.root(pictures),
  variation: Place.root(pictures),
};

const noEnds: AnswerView['ends'] = Object.freeze([]);
const cut: AnswerView['ends'] = Object.freeze([{ prefix: '', end: 'cut' }]);
const noModels: AnswerView['models'] = Object.freeze([]);

function refuse(detail: string): never {
  throw new RefusedError('response_uninspectable', { detail });
}

const isError = (root: JsonNode): boolean => (root.get('error')?.kind ?? 'null') !== 'null';

function viewOf(reader: Reader): Omit<AnswerView, 'ends' | 'usage'> {
  const { lanes, loneValues, toolInputs, tokenLanes, integerArrays, opaque, files, joined } = reader;
  return { lanes, loneValues, toolInputs, tokenLanes, integerArrays, opaque, files, joined, models: noModels };
}

/** @throws RefusedError `response_uninspectable` */
function checkSuccess(kind: MediaKind, root: JsonNode): void {
  if (kind === 'speech') refuse('content-type');
  if (kind === 'transcription' || kind === 'translation') {
    if (root.get('text')?.kind !== 'string' && root.get('segments')?.kind !== 'array') refuse('text');
  } else if (root.get('data')?.kind !== 'array') refuse('data');
}

/** @throws RefusedError `response_uninspectable` */
export function readAnswer(kind: MediaKind, root: JsonNode, status: number): AnswerView {
  if (root.kind !== 'object') refuse('body');
  const reader = new Reader('answer');
  reader.read(root, answers[kind]);
  if (status < 400 && !isError(root)) checkSuccess(kind, root);
  // No field says whether the model came to its end.
  const ends = kind === 'transcription' || kind === 'translation' ? cut : noEnds;
  return { ...viewOf(reader), ends, usage: usageOf(root) };
}

/** What the stream of one request is. */
export interface MediaStream {
  readonly kind: MediaKind;
  /** Of the sound that was asked for; undefined: none was. */
  readonly type: string | undefined;
  /** Bytes of sound so far. */
  heard: number;
  /** Of the segment whose text came last, in pieces. */
  segment: string | undefined;
}

const pieces = Place.root(transcriptEvent);
const beside = Place.root(object({ done: transcriptEvent, segment: segmentEvent }));
/** The whole text, once more, beside its pieces. */
const whole = beside.known('done') ?? pieces;
/** The same by segments. */
const bySegments = beside.known('segment') ?? pieces;
const allCut: FrameView['ends'] = ['delta', 'logprobs', 'done.', 'segment.'].map((prefix) => ({ prefix, end: 'cut' }));
const pictureEvents = Place.root(pictureEvent);
const pictureTypes = new Set(
  ['image_generation', 'image_edit'].flatMap((name) => [`${name}.partial_image`, `${name}.completed`]),
);

/**
 * @param root undefined for an end marker.
 * @throws RefusedError `response_uninspectable`
 */
export function readFrame(
  stream: MediaStream,
  event: string | undefined,
  data: string,
  root: JsonNode | undefined,
): FrameView {
  // vLLM tells a transcript as it tells a chat.
  const isChat = root === undefined || root.get('choices')?.kind === 'array';
  const tells = stream.kind === 'transcription' || stream.kind === 'translation';
  if (isChat && tells) return readChatFrame(event, data, root);
  if (root === undefined) return endMarker(data) ? readChatFrame(event, data, root) : refuse('body');
  if (root.kind !== 'object') refuse('body');
  const type = root.get('type')?.string ?? '';
  const reader = new Reader('answer');
  if (event === 'error' || type === 'error' || isError(root)) {
    reader.read(root, answers.speech);
    return { ...viewOf(reader), kind: 'error', ends: noEnds, usage: undefined };
  }
  const usage = usageOf(root);
  if (tells) return readTranscript(stream, reader, type, root);
  if (stream.kind === 'speech') {
    if (type !== 'speech.audio.delta' && type !== 'speech.audio.done') refuse('type');
    reader.read(root, Place.root(speechEvent(stream.type ?? '')));
    const files = reader.files.map(({ type: of, bytes }) => ({ type: of, bytes: (stream.heard += bytes) }));
    return { ...viewOf(reader), files, kind: 'data', ends: noEnds, usage };
  }
  if (!pictureTypes.has(type)) refuse('type');
  reader.read(root, pictureEvents);
  const lanes = reader.lanes.map((lane): Lane => ({ ...lane, whole: 'complete' }));
  return { ...viewOf(reader), lanes, kind: 'data', ends: noEnds, usage };
}

function readTranscript(stream: MediaStream, reader: Reader, type: string, root: JsonNode): FrameView {
  const usage = usageOf(root);
  if (type === 'transcript.text.delta') {
    reader.read(root, pieces);
    const lanes = begins(stream, root) ? apart(reader.lanes, 'delta') : reader.lanes;
    return { ...viewOf(reader), lanes, kind: 'data', ends: noEnds, usage };
  }
  if (type === 'transcript.text.segment') {
    reader.read(root, bySegments);
    return { ...viewOf(reader), lanes: apart(reader.lanes, 'segment.text'), kind: 'data', ends: noEnds, usage };
  }
  if (type !== 'transcript.text.done') refuse('type');
  reader.read(root, whole);
  const lanes = reader.lanes.map((lane): Lane => ({ ...lane, whole: 'cut' }));
  return { ...viewOf(reader), lanes, kind: 'data', ends: allCut, usage };
}

/** Whether its text is the first of a segment. */
function begins(stream: MediaStream, root: JsonNode): boolean {
  const segment = root.get('segment_id')?.string;
  if (segment === stream.segment || (root.get('delta')?.string ?? '') === '') return false;
  stream.segment = segment;
  return true;
}

const apart = (lanes: readonly Lane[], id: string): readonly Lane[] =>
  lanes.map((lane) => (lane.id === id ? { ...lane, apart: true } : lane));
