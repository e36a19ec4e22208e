import type { JsonNode } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import type { AnswerView, Dialect, FrameView, Lane, LaneEnds, RefusalText, RequestView } from '../dialect.ts';
import { ndjson } from '../framing/ndjson.ts';
import { sse } from '../framing/sse.ts';
import type { StreamFraming } from '../framing/stream-framing.ts';
import { Place } from '../place.ts';
import { maxIndex, Reader } from '../reader.ts';
import { fieldsOf, modelNamed, refuse as refuseRequest, required } from '../request-fields.ts';
import type { Fields } from '../request-fields.ts';
import { usageOf, viewOf } from './answer.ts';
import { besideText, firstChatAnswer, firstChatRequest, pieceEvent } from './first-chat-shape.ts';
import { viewOfRequest } from './request.ts';

/**
 * Cohere's first chat: one message, and what was said before it.
 *
 * Promise: every string is in exactly one list (see {@link Reader}); a success that is no answer, and an event of unknown type, are refused. A stream
 * tells the text in pieces and, in its last event, once more whole: both end alike, so that both are masked to the same. Everything else comes whole in
 * its event, but for calls of tools, whose pieces are joined by their index.
 */

const requests = Place.root(firstChatRequest);
const answers = Place.root(firstChatAnswer);
const pieces = Place.root(pieceEvent);
const beside = Place.root(besideText);
const step = (name: string): Place => beside.known(name) ?? refuse('event_type');

const noEnds: readonly LaneEnds[] = Object.freeze([]);

const types = new Set(
  [
    'stream-start search-queries-generation search-results text-generation citation-generation tool-calls-generation',
    'tool-calls-chunk stream-end debug',
  ]
    .join(' ')
    .split(' '),
);

function refuse(detail: string): never {
  throw new RefusedError('response_uninspectable', { detail });
}

/**
 * @param query without `?`; Cohere reads none.
 * @throws RefusedError `invalid_request`
 */
function readRequest(root: JsonNode, query: string): RequestView {
  if (query !== '') refuseRequest('query');
  if (root.kind !== 'object') refuseRequest('body');
  return readMessage(requests, root, modelNamed);
}

/**
 * The same body by another way, which may say the model otherwise.
 *
 * @throws RefusedError `invalid_request`
 */
export function readMessage(shape: Place, root: JsonNode, modelOf: (fields: Fields) => string): RequestView {
  const reader = new Reader('request');
  reader.read(root, shape);
  const fields = fieldsOf(root);
  const model = modelOf(fields);
  if (required(fields, 'message').kind !== 'string') refuseRequest('message');
  return viewOfRequest({ reader, root, fields, model, generates: true });
}

/** One that does not say how it ended may have been cut. */
const endOf = (holder: JsonNode): LaneEnds['end'] =>
  holder.get('finish_reason')?.string === 'COMPLETE' ? 'complete' : 'cut';

/** @throws RefusedError `response_uninspectable` */
export function readAnswer(root: JsonNode, status: number): AnswerView {
  if (root.kind !== 'object') refuse('body');
  const reader = new Reader('answer');
  reader.read(root, answers);
  if (status < 400 && root.get('text')?.kind !== 'string') refuse('text');
  const ends = status < 400 ? [{ prefix: '', end: endOf(root) }] : noEnds;
  return { ...viewOf(reader), ends, usage: usageOf(root.get('meta')) };
}

const done: FrameView = { ...viewOf(new Reader('answer')), kind: 'done', ends: noEnds, usage: undefined };

/**
 * @param root undefined for an end marker.
 * @throws RefusedError `response_uninspectable`
 */
export function readFrame(root: JsonNode | undefined): FrameView {
  if (root === undefined) return done;
  if (root.kind !== 'object') refuse('body');
  const type = root.get('event_type')?.string ?? '';
  if (!types.has(type)) refuse('event_type');
  const reader = new Reader('answer');
  if (type === 'tool-calls-chunk') return readCall(reader, root);
  if (type === 'text-generation') {
    reader.read(root, pieces);
    // What stands beside the piece says something of its own.
    const lanes = reader.lanes.map((lane) => (lane.id === 'text' ? lane : whole(lane, 'complete')));
    return { ...viewOf(reader), lanes, kind: 'data', ends: noEnds, usage: undefined };
  }
  reader.read(root, step('event'));
  const response = root.get('response');
  const last = type === 'stream-end';
  const failed = last && /^ERROR/.test((root.get('finish_reason') ?? response?.get('finish_reason'))?.string ?? '');
  const end = last ? endOf(root.get('finish_reason') === undefined ? (response ?? root) : root) : 'complete';
  return {
    ...viewOf(reader),
    lanes: reader.lanes.map((lane) => whole(lane, end)),
    // Not `done`, which would cut before it is told how the text ended.
    kind: failed ? 'error' : 'data',
    ends: last && !failed ? [{ prefix: '', end }] : noEnds,
    usage: usageOf(response?.get('meta')),
  };
}

const whole = (lane: Lane, end: LaneEnds['end']): Lane => ({ ...lane, whole: end });

/** A piece of a call, and of what the model says before it. */
function readCall(reader: Reader, root: JsonNode): FrameView {
  reader.read(root, step('chunk'));
  const own = reader.lanes.map((lane) => whole(lane, 'complete'));
  const joined = new Reader('answer');
  const plan = root.get('text');
  if (plan !== undefined) joined.read(plan, step('plan'));
  const delta = root.get('tool_call_delta');
  const index = indexOf(delta);
  if (delta !== undefined) joined.read(delta, step('calls').element(index));
  const view = viewOf(reader);
  const more = viewOf(joined);
  const begins = delta?.get('name')?.kind === 'string' && index > 0;
  return {
    ...view,
    lanes: [...own, ...more.lanes],
    loneValues: [...view.loneValues, ...more.loneValues],
    toolInputs: [...view.toolInputs, ...more.toolInputs],
    integerArrays: [...view.integerArrays, ...more.integerArrays],
    opaque: [...view.opaque, ...more.opaque],
    kind: 'data',
    ends: begins ? [{ prefix: `calls[${index - 1}].`, end: 'complete' }] : noEnds,
    usage: undefined,
  };
}

/** @throws RefusedError `response_uninspectable` */
function indexOf(delta: JsonNode | undefined): number {
  const node = delta?.get('index');
  if (node === undefined || node.kind === 'null') return 0;
  const index = node.number;
  if (index === undefined || !Number.isInteger(index) || index < 0 || index > maxIndex) refuse('index');
  return index;
}

/** Cohere's errors are a message; in mid-stream its clients learn of one from the last event. One text is both. */
const refusal = ({ message, code, rule, requestId, detail }: RefusalText): string =>
  JSON.stringify({
    ...{ message, code, rule: rule ?? null, param: detail ?? null, id: requestId },
    ...{ event_type: 'stream-end', is_finished: true, finish_reason: 'ERROR' },
    response: { text: '', finish_reason: 'ERROR' },
  });

/** By this name its servers send a JSON object a line. */
const lines: StreamFraming = {
  ...ndjson,
  mediaTypes: new Set(['application/stream+json', ...ndjson.mediaTypes]),
  contentType: 'application/stream+json',
};

/** A line for each event; server-sent events for those who ask for them. */
export const firstChatStreams = [lines, sse];

/** Beside the second, of the same dialect. */
export const firstChat: Dialect = {
  name: 'cohere',
  route: () => undefined,
  request: (_route, root, query = '') => readRequest(root, query),
  answer: (_route, root, status) => readAnswer(root, status),
  frame: (_route, _event, _data, root) => readFrame(root),
  endMarker: (data) => data === '[DONE]',
  errorEvent: 'stream-end',
  refusal,
};
