import type { JsonNode } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import type { AnswerView, FrameView, Lane, LaneEnds, Usage } from '../dialect.ts';
import { Place } from '../place.ts';
import { Reader } from '../reader.ts';
import { chunks, counted, embedded, generated, models, page } from './answer-shape.ts';
import type { GeminiKind } from './routes.ts';

/**
 * Answers of the Gemini API, and the chunks of its streams: each is an answer of its own, whose texts are the next pieces.
 *
 * Promise: every string is in exactly one list (see {@link Reader}); a success that is none of the route's answers is refused. Clients join the texts
 * of all parts of a candidate, thoughts by themselves, so each is one lane, also over the parts and chunks of an answer that is read whole. Calls and
 * code come whole in their chunk.
 */

const answers = {
  generate: Place.root(generated),
  stream: Place.root(generated),
  count: Place.root(counted),
  embed: Place.root(embedded),
  embedMany: Place.root(embedded),
  list: Place.root(models),
  page: Place.root(page),
} as const satisfies Record<GeminiKind, Place>;
const listed = Place.root(chunks);

const noEnds: readonly LaneEnds[] = Object.freeze([]);
const noModels: AnswerView['models'] = Object.freeze([]);

function refuse(detail: string): never {
  throw new RefusedError('response_uninspectable', { detail });
}

const isThere = (node: JsonNode | undefined): boolean => node !== undefined && node.kind !== 'null';
const isError = (root: JsonNode): boolean => isThere(root.get('error'));

/** Everything else (MAX_TOKENS, SAFETY, words yet unknown) may have cut a value in two. */
const natural = 'STOP';

const candidatesOf = (root: JsonNode): readonly JsonNode[] => {
  const node = root.get('candidates');
  return node?.kind === 'array' ? node.items : [];
};
const prefixOf = (candidate: JsonNode, at: number): string => `candidates[${candidate.get('index')?.number ?? at}].`;

/**
 * Two of one index are one to some clients and two to others.
 *
 * @param inPieces what they say goes on in the next chunk: there what has no index is the first, to clients that know the protocol's defaults, or has its
 * position, to others.
 */
function checkCandidates(root: JsonNode, inPieces: boolean): void {
  const all = candidatesOf(root);
  if (new Set(all.map(prefixOf)).size < all.length) refuse('candidates');
  if (inPieces && all.some((one, at) => at > 0 && !isThere(one.get('index')))) refuse('candidates');
}

/** Texts of a chunk by what each is joined to, and where something else stands between. */
class JoinedParts {
  readonly names = new Map<JsonNode, string>();
  /** Texts behind what is none of them. */
  readonly apart = new Set<JsonNode>();
  /** Ids of texts behind which something else came. */
  readonly gaps: string[] = [];

  read(root: JsonNode): void {
    candidatesOf(root).forEach((candidate, at) => {
      const prefix = `${prefixOf(candidate, at)}content.`;
      const kinds = [`${prefix}text`, `${prefix}thoughts`];
      let last: string | undefined;
      for (const part of candidate.get('content')?.get('parts')?.items ?? []) {
        const node = part.get('text');
        if (node?.kind === 'string') {
          const id = kinds[part.get('thought')?.kind === 'true' ? 1 : 0] ?? prefix;
          this.names.set(node, id);
          if (node.text !== '') {
            if (last !== undefined && last !== id) this.apart.add(node);
            last = id;
          }
        }
        if (saysMore(part)) last = '';
      }
      if (last !== undefined) this.gaps.push(...kinds.filter((id) => id !== last));
    });
  }
}

/** Something that is no text: a call, code, its result, a picture. */
const saysMore = ({ keys, items }: JsonNode): boolean =>
  keys.some(({ text }, at) => !besideText.has(text) && isThere(items[at]));
const besideText = new Set(['text', 'thought', 'thoughtSignature', 'thought_signature']);

/** Parts that come whole in their chunk: each is a text of its own, whatever came before it in this place. */
const comesWhole =
  /^candidates\[\d+\]\.(?:content\.parts\[\d+\]\.(?:functionCall|functionResponse|executableCode|codeExecutionResult|inlineData)\b|finishMessage$)/;

function laneOf(lane: Lane, { names, apart }: JoinedParts, streamed: boolean): Lane {
  const id = names.get(lane.node);
  if (id !== undefined) return streamed && apart.has(lane.node) ? { ...lane, id, apart: true } : { ...lane, id };
  return streamed && comesWhole.test(lane.id) ? { ...lane, whole: 'complete' } : lane;
}

/** How each candidate ended that says so. */
function endsOf(root: JsonNode): readonly LaneEnds[] {
  return candidatesOf(root).flatMap((candidate, at): readonly LaneEnds[] => {
    const reason = candidate.get('finishReason');
    if (!isThere(reason)) return noEnds;
    return [{ prefix: prefixOf(candidate, at), end: reason?.string === natural ? 'complete' : 'cut' }];
  });
}

function usageOf(root: JsonNode): Usage | undefined {
  const usage = root.get('usageMetadata');
  if (usage?.kind !== 'object') return undefined;
  const tokens = (name: string): number => {
    const value = usage.get(name)?.number;
    return value !== undefined && Number.isSafeInteger(value) && value >= 0 ? value : 0;
  };
  return {
    input: tokens('promptTokenCount') + tokens('toolUsePromptTokenCount'),
    output: tokens('candidatesTokenCount') + tokens('thoughtsTokenCount'),
  };
}

function viewOf(reader: Reader): Omit<AnswerView, 'ends' | 'usage'> {
  const { lanes, loneValues, toolInputs, tokenLanes, integerArrays, opaque } = reader;
  return { lanes, loneValues, toolInputs, tokenLanes, integerArrays, opaque, models: noModels };
}

/** A blocked prompt has no candidates, the last chunk may have the usage alone. */
const signs = ['candidates', 'promptFeedback', 'usageMetadata'];

function checkGenerated(root: JsonNode, inPieces: boolean): void {
  if (root.kind !== 'object') refuse('body');
  checkCandidates(root, inPieces);
  if (!isError(root) && !signs.some((name) => isThere(root.get(name)))) refuse('candidates');
}

/** One answer, or the chunks of a stream in a list. */
function readGenerated(kind: 'generate' | 'stream', root: JsonNode, status: number): AnswerView {
  const isList = kind === 'stream' && root.kind === 'array';
  const all = isList ? root.items : [root];
  const reader = new Reader('answer');
  reader.read(root, isList ? listed : answers[kind]);
  const parts = new JoinedParts();
  const ends = new Map<string, LaneEnds>();
  let usage: Usage | undefined;
  for (const one of all) {
    if (status < 400) checkGenerated(one, isList);
    else if (one.kind !== 'object') refuse('body');
    parts.read(one);
    for (const end of endsOf(one)) ends.set(end.prefix, end);
    usage = usageOf(one) ?? usage;
  }
  return {
    ...viewOf(reader),
    lanes: reader.lanes.map((lane) => laneOf(lane, parts, false)),
    // What does not say how it ended may have been cut.
    ends: [...ends.values(), { prefix: 'candidates[', end: 'cut' }, ...(isList ? listEnds : noEnds)],
    usage,
  };
}

/** Of what stands in a chunk of a list nobody says whether more of it was to come. */
const listEnds: readonly LaneEnds[] = [{ prefix: '[', end: 'cut' }];

/** @throws RefusedError `response_uninspectable` */
function modelsOf(root: JsonNode): AnswerView['models'] {
  const node = root.get('models');
  if (node === undefined) return noModels; // a page without any
  return node.items.map((item) => ({
    id: item.get('name')?.string?.replace(/^models\//, '') ?? refuse('name'),
    node: item,
  }));
}

/** What a success of each kind has. */
const marks: Readonly<Partial<Record<GeminiKind, readonly [name: string, kind: JsonNode['kind']]>>> = {
  count: ['totalTokens', 'number'],
  embed: ['embedding', 'object'],
  embedMany: ['embeddings', 'array'],
  page: ['name', 'string'],
};

/** @throws RefusedError `response_uninspectable` */
export function readAnswer(kind: GeminiKind, root: JsonNode, status: number): AnswerView {
  if (kind === 'generate' || kind === 'stream') return readGenerated(kind, root, status);
  if (root.kind !== 'object') refuse('body');
  const reader = new Reader('answer');
  reader.read(root, answers[kind]);
  const failed = status >= 400 || isError(root);
  const mark = failed ? undefined : marks[kind];
  if (mark !== undefined && root.get(mark[0])?.kind !== mark[1]) refuse(mark[0]);
  const shown = kind === 'list' && !failed ? modelsOf(root) : noModels;
  return { ...viewOf(reader), models: shown, ends: noEnds, usage: usageOf(root) };
}

/** @throws RefusedError `response_uninspectable` */
export function readFrame(event: string | undefined, root: JsonNode | undefined): FrameView {
  if (root === undefined) refuse('body');
  checkGenerated(root, true);
  const reader = new Reader('answer');
  reader.read(root, answers.stream);
  const failed = event === 'error' || isError(root);
  const parts = new JoinedParts();
  parts.read(root);
  const ends = failed ? noEnds : endsOf(root);
  const usage = usageOf(root);
  return {
    ...viewOf(reader),
    lanes: reader.lanes.map((lane) => laneOf(lane, parts, true)),
    // One like a frame of an empty text, but with text, has gaps.
    ...(parts.gaps.length > 0 ? { gaps: parts.gaps } : { once: true }),
    kind: failed ? 'error' : 'data',
    ends,
    // Each chunk says what was used so far.
    usage: usage === undefined || ends.length > 0 ? usage : { ...usage, early: true },
  };
}
