import type { JsonNode } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import type { Operation } from '../../core/index.ts';
import type { AnswerView, FrameView, Lane } from '../dialect.ts';
import { Place } from '../place.ts';
import { Reader } from '../reader.ts';
import { completionAnswer, completionFrame, embeddingsAnswer, googleName, modelsAnswer } from './answer-shape.ts';
import { usageOf } from '../usage.ts';

/**
 * Answers and stream frames of OpenAI's operations. Promise: every string is in exactly one list (see {@link Reader}); a success of
 * a shape that is not the operation's is refused. In a stream, lanes are named by each choice's and tool call's own `index`.
 * A content that is a list of parts (Mistral) is one text, and so are its thoughts, over the parts and frames: clients join them.
 * The name of a call is a lane too, because clients join its pieces; it ends where the call's arguments begin.
 * Limit: a server that numbers two parallel tool calls alike in one stream (some Gemini gateways) is refused at the second one's
 * name: clients would join the two.
 */

const answers: Partial<Record<Operation, Place>> = {
  Chat: Place.root(completionAnswer),
  Completions: Place.root(completionAnswer),
  Embeddings: Place.root(embeddingsAnswer),
  ListModels: Place.root(modelsAnswer),
};
const frames = Place.root(completionFrame);

type End = AnswerView['ends'][number];
const noEnds: readonly End[] = Object.freeze([]);
const noStrings: readonly never[] = Object.freeze([]);

function refuse(detail: string): never {
  throw new RefusedError('response_uninspectable', { detail });
}

/** Natural stops; everything else (length, content_filter, abort, error, words yet unknown) may have cut a word in two. */
const natural = new Set(['stop', 'tool_calls', 'function_call']);

/** Choices at which prefixes are kept. */
const prefixes: string[] = [];
function prefixOf(choice: number): string {
  if (choice >= 128) return `choices[${choice}].`;
  return (prefixes[choice] ??= `choices[${choice}].`);
}

/** `''` is how a Go server spells that there is none yet. */
function endOf(choice: JsonNode): 'complete' | 'cut' | undefined {
  const reason = choice.get('finish_reason');
  if (reason === undefined || reason.kind === 'null') return undefined;
  if (reason.kind !== 'string') refuse('choices.finish_reason');
  if (reason.text === '') return undefined;
  return natural.has(reason.text) && !isStoppedByText(choice) ? 'complete' : 'cut';
}

/** vLLM and SGLang name the caller's text at which an answer stopped, and still call the stop natural. */
function isStoppedByText(choice: JsonNode): boolean {
  return ['stop_reason', 'matched_stop'].some((name) => choice.get(name)?.kind === 'string');
}

function frameEnds(choices: JsonNode | undefined): readonly End[] {
  if (choices === undefined) return noEnds;
  let ends: End[] | undefined;
  const items = choices.items;
  for (let at = 0; at < items.length; at++) {
    const choice = items[at];
    const end = choice === undefined ? undefined : endOf(choice);
    const prefix = prefixOf(choice?.get('index')?.number ?? at);
    const delta = choice?.get('delta');
    if (delta?.kind === 'object') ends = nameEnds(delta, `${prefix}delta.`, ends);
    if (end !== undefined) (ends ??= []).push({ prefix, end });
  }
  return ends ?? noEnds;
}

/**
 * The name of a call is over when its arguments begin: clients look up the tool then, so its frame must not wait for the
 * choice's end. More of the name after that is text behind its end.
 */
function nameEnds(delta: JsonNode, prefix: string, before: End[] | undefined): End[] | undefined {
  let ends = before;
  const called = (call: JsonNode | undefined, input: string, place: string): void => {
    if (call?.kind === 'object' && isNamed(call, input)) {
      (ends ??= []).push({ prefix: `${place}.name`, end: 'complete', repeats: true });
    }
  };
  called(delta.get('function_call'), 'arguments', `${prefix}function_call`);
  const calls = arrayAt(delta, 'tool_calls')?.items ?? noStrings;
  for (let at = 0; at < calls.length; at++) {
    const call = calls[at];
    if (call?.kind !== 'object') continue;
    const place = `${prefix}tool_calls[${call.get('index')?.number ?? at}]`;
    called(call.get('function'), 'arguments', `${place}.function`);
    called(call.get('custom'), 'input', `${place}.custom`);
  }
  return ends;
}

/** Arguments without a name end it whatever they are, so that frames of one shape say the same. Beside a name, `''` is none yet. */
function isNamed(call: JsonNode, input: string): boolean {
  const given = call.get(input);
  if (given === undefined || given.kind === 'null') return false;
  return given.kind !== 'string' || given.text !== '' || call.get('name')?.kind !== 'string';
}

/** An answer that does not say how it ended may have been cut. */
function answerEnds(choices: JsonNode | undefined): readonly End[] {
  return choices?.items.map((choice, at): End => ({ prefix: prefixOf(at), end: endOf(choice) ?? 'cut' })) ?? noEnds;
}

function isError(root: JsonNode): boolean {
  const error = root.get('error');
  if (error !== undefined && error.kind !== 'null') return true;
  return root.get('object')?.string === 'error';
}

function arrayAt(root: JsonNode, name: string): JsonNode | undefined {
  const node = root.get(name);
  return node?.kind === 'array' ? node : undefined;
}

/** @throws RefusedError `response_uninspectable` */
function checkSuccess(operation: Operation, root: JsonNode): void {
  if (operation === 'Embeddings') {
    if (arrayAt(root, 'data') === undefined) refuse('data');
  } else if (operation === 'ListModels') {
    const list = arrayAt(root, 'data') ?? arrayAt(root, 'models');
    const name = root.get('name');
    const isPage = root.get('ready') !== undefined || googleName.test(name?.string ?? '');
    const page = root.get('id') ?? (isPage ? name : undefined);
    if (list === undefined && page?.kind !== 'string') refuse('data');
  } else if (arrayAt(root, 'choices') === undefined) refuse('choices');
}

/** Texts of a content that is a list. */
const contentPart = /^(choices\[\d+\]\.(?:message|delta)\.content)\[(\d+)\]\.(text|thinking(?:\[\d+\]\.text)?)$/;

/** What stands in lists by what it is joined to. `gaps`: what something else came behind. */
function joinParts(lanes: readonly Lane[]): { readonly lanes: readonly Lane[]; readonly gaps: readonly string[] } {
  if (!lanes.some(({ id }) => contentPart.test(id))) return { lanes, gaps: noStrings };
  const last = new Map<string, string>();
  const gaps = new Set<string>();
  const joined = lanes.map((lane): Lane => {
    const [, content, , kind = ''] = contentPart.exec(lane.id) ?? [];
    if (content === undefined) return lane;
    const id = kind === 'text' ? content : `${content}.thinking`;
    const before = last.get(content);
    if (lane.node.text !== '') last.set(content, lane.id);
    gaps.delete(id);
    gaps.add(id === content ? `${content}.thinking` : content);
    return before === undefined || before === lane.id ? { ...lane, id } : { ...lane, id, apart: true };
  });
  return { lanes: joined, gaps: [...gaps] };
}

/** @throws RefusedError `response_uninspectable` */
export function readAnswer(operation: Operation, root: JsonNode, status: number): AnswerView {
  const place = answers[operation];
  if (place === undefined || root.kind !== 'object') refuse('body');
  const reader = new Reader('answer');
  reader.read(root, place);
  if (status < 400 && !isError(root)) checkSuccess(operation, root);
  const generates = operation === 'Chat' || operation === 'Completions';
  return {
    lanes: joinParts(reader.lanes).lanes,
    loneValues: reader.loneValues,
    toolInputs: reader.toolInputs,
    tokenLanes: reader.tokenLanes,
    integerArrays: reader.integerArrays,
    opaque: reader.opaque,
    models: reader.models,
    ends: generates ? answerEnds(arrayAt(root, 'choices')) : noEnds,
    usage: usageOf(root),
  };
}

const done: FrameView = {
  kind: 'done',
  lanes: noStrings,
  loneValues: noStrings,
  toolInputs: noStrings,
  tokenLanes: noStrings,
  integerArrays: noStrings,
  opaque: noStrings,
  models: noStrings,
  ends: noEnds,
  usage: undefined,
};

export function endMarker(data: string): boolean {
  return data === '[DONE]' || data.trim() === '[DONE]';
}

/** @throws RefusedError `response_uninspectable` */
export function readFrame(event: string | undefined, data: string, root: JsonNode | undefined): FrameView {
  if (root === undefined) return endMarker(data) ? done : refuse('body');
  if (root.kind !== 'object') refuse('body');
  const reader = new Reader('answer');
  reader.read(root, frames);
  const choices = arrayAt(root, 'choices');
  const usage = usageOf(root);
  const failed = event === 'error' || isError(root);
  if (choices === undefined && !failed && usage === undefined) refuse('choices');
  const empty = choices === undefined || choices.items.length === 0;
  const silent = reader.lanes.length === 0 && reader.tokenLanes.length === 0 && reader.integerArrays.length === 0;
  const { lanes, gaps } = joinParts(reader.lanes);
  return {
    kind: failed ? 'error' : usage !== undefined && empty && silent ? 'usage' : 'data',
    lanes,
    ...(gaps.length > 0 && { gaps }),
    loneValues: reader.loneValues,
    toolInputs: reader.toolInputs,
    tokenLanes: reader.tokenLanes,
    integerArrays: reader.integerArrays,
    opaque: reader.opaque,
    models: noStrings,
    ends: frameEnds(choices),
    usage,
  };
}
