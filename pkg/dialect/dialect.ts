import type { JsonEdit, JsonNode } from '../base/index.ts';
import type { Operation, ReasonCode } from '../core/index.ts';
import type { FormBody } from './form/form.ts';
import type { StreamNumbers } from './number-tally.ts';
import type { Rpc } from './rpc.ts';
import type { DocumentBody } from './document.ts';
import type { SplitBody } from './split-body.ts';
import type { FilePart, MediaPart, StreamFraming } from './framing/stream-framing.ts';

export type { FilePart, MediaPart } from './framing/stream-framing.ts';

/**
 * What the pipeline knows of a way to talk to a model. A dialect recognises routes, names the text lanes of requests,
 * answers and stream frames, and shapes refusals. It decides nothing and does no I/O.
 */

export interface Route {
  readonly dialect: Dialect;
  readonly operation: Operation;
  /**
   * `json`: parsed and inspected. `form`: the same of multipart/form-data. `none`: no body allowed. `opaque`: bytes; passes only where a rule names
   * the operation and no guard applies. `rpc`: a message of gRPC.
   */
  readonly body: 'json' | 'form' | 'none' | 'opaque' | 'rpc';
  /** The model that the path names, decoded. */
  readonly model: string | undefined;
  /** The path with another model in it, percent-encoded. Absent: it names none, or cannot name another. */
  readonly renamed?: (model: string) => string;
  /** The same route where the endpoint knows the model by another name, which says how bodies are read. Absent: no name says that. */
  readonly calledBy?: (as: string) => Route;
  /** The model writes an answer, of which tokens are limited and counted. */
  readonly generates: boolean;
  /** With `rpc`: how its messages are read; absent: nobody can, and it is refused. */
  readonly rpc?: Rpc | undefined;
  /** How its bodies are read where bytes follow the JSON; absent: they are refused. */
  readonly split?: SplitBody;
  /** With `form`: how its bodies are read. */
  readonly form?: FormBody;
  /** How an answer is read that is a text, such as the captions of a film; absent: as any text is. */
  readonly document?: DocumentBody;
  /** How its streams are framed, the usual first: an answer of none of their media types is no stream. */
  readonly streams: readonly StreamFraming[];
  /** Lower case. By these headers a caller asks for what its body does not say, and they do not go on: a request that has one is refused. Absent: none. */
  readonly refusedHeaders?: readonly string[];
  /** A policy describes it: whether its requests' bodies are JSON or text. */
  readonly described?: 'JSON' | 'Text';
  /** It is a WebSocket, and read message by message: the route is this connection's own, since what came before counts. */
  readonly socket?: SocketRoute;
}

/** What a handshake says, as the dialect reads it. */
export interface SocketRoute {
  /** The model that its query names. @throws RefusedError invalid_request */
  model(query: string): string | undefined;
  /** Of the subprotocols that a caller offers those that the model may be offered. */
  protocols(offered: readonly string[]): readonly string[];
  /**
   * Nothing says that a text of the model's is whole, and its caller may wait for it before it asks on: what is held of it is given out, as at a cut, once
   * the model is silent.
   */
  readonly endless: boolean;
}

/** Text that a reader would join: one string value of a body, or one of its pieces in a stream. */
export interface Lane {
  /** Unique in the session, equal for pieces of one lane: `choices[0].content`, `messages[2].content[0].text`. */
  readonly id: string;
  readonly kind: 'text' | 'json';
  /** The string value in the tree. */
  readonly node: JsonNode;
  /**
   * Present where the dialect does not know the field: its path from `$`, for field rules on an answer's own JSON.
   * Elements of arrays that a stream numbers itself (`choices`, `tool_calls`) stand under their own `index`.
   */
  readonly path?: readonly (string | number)[];
  /** In a stream, a text of its own, which ends so with its frame: clients do not join it with another of this id. */
  readonly whole?: 'complete' | 'cut';
  /** In a stream, all of the text so far: what came of it before stands at its beginning. */
  readonly grows?: true;
  /** In a stream, it may begin a new text as well as go on with the one before, since something else stands between: white space makes both the same. */
  readonly apart?: true;
  /**
   * In a stream, of which part of a message it is, where clients join the texts of all parts: they come one after the other, and the first of each is
   * {@link apart}.
   */
  readonly part?: number;
  /** With `part`: what came of the parts before is decided as at a cut when another begins, so that what says it again, whole, says the same. */
  readonly settled?: true;
}

/**
 * A string whose lane id says that it is not part of running text: identifiers, names, enum words of the envelope.
 * Each value is scanned whole and alone, never joined with the next frame's.
 */
export interface LoneValue {
  readonly path: readonly (string | number)[];
  readonly node: JsonNode;
  /** True for object keys outside of the dialect's own vocabulary: scanned, and where a rule hits, the frame is not passed. */
  readonly key: boolean;
}

/**
 * A text that an answer spells in pieces, each a string of its own: the words of a transcript, the cues of its captions. Read as one; what a rule
 * hides stands in the first piece that it was in, and the others lose their part of it.
 */
export interface JoinedLane {
  readonly id: string;
  /** In the order in which they are read. In no other list. */
  readonly nodes: readonly JsonNode[];
  /** Nobody says whether they are one text or several: each is read by itself first. */
  readonly each?: boolean;
}

/** Log-probability entries of one lane (OpenAI: `logprobs.content[]`, `.refusal[]`; completions: parallel arrays). */
export interface TokenLane {
  readonly id: string;
  /** The array node whose entries belong to tokens in order; for completions, the object with parallel arrays. */
  readonly node: JsonNode;
  readonly shape: 'entries' | 'parallel';
}

/** A model reads the items of a conversation in its order, which is not that in which they were sent: a caller takes some out, or says what leads. */
export interface ConversationChange {
  /** The texts are an item, behind all others. */
  readonly adds?: {
    /** What its caller calls it; undefined: the server will, so that it is unknown here. */
    readonly id: string | undefined;
  };
  /** The item of this name goes, and those beside it are neighbours. Absent: none goes that holds a text of the caller's. */
  readonly removes?: string;
  /** A text that stands before all items. */
  readonly leads?: {
    readonly node: JsonNode;
    /** Until another does; else for one answer. */
    readonly stays: boolean;
  };
}

export interface RequestView {
  readonly model: string | undefined;
  readonly stream: boolean;
  /** As its {@link Route} says. */
  readonly generates: boolean;
  /** What it reads counts as tokens although nothing is written that could be limited; default: as its operation says. */
  readonly countsInput?: true;
  /** Answers asked for, of all prompts together (`n`, `best_of`); at least 1. */
  readonly count: number;
  /** Of one answer: the most that any field asks for. */
  readonly maxOutputTokens: number | undefined;
  /** The same, where a field that servers obey is among them: no answer is longer. */
  readonly outputBound: number | undefined;
  /** A model may write its answer, and no field is known that says how long: where a rule limits output, it is refused. Absent: there is one, or no need of it. */
  readonly endless?: true;
  /** The caller set `stop`: a natural finish may be a cut. */
  readonly stops: boolean;
  /** The field by which a message of a WebSocket chooses where among those before it its texts stand: where a guard reads requests, it is refused. */
  readonly placedBy?: string;
  /** Of a message of a WebSocket: what it does to the texts of those before it. Absent: its texts come behind them. */
  readonly conversation?: ConversationChange;
  /** The caller asked for usage on the stream. */
  readonly usageAsked: boolean;
  /** Some prompt is given as token ids or embeddings, or an unknown field holds 8 or more integers in a row. */
  readonly tokenInput: boolean;
  /** Texts in the order in which the model reads them: every role, part, tool, tool result, schema and prompt. */
  readonly lanes: readonly Lane[];
  /** Everything else that is a string or an unknown key. */
  readonly loneValues: readonly LoneValue[];
  /** What tools are called with, where that is JSON and no text of it: objects and lists, in each of which paths of field rules begin at `$`. */
  readonly toolInputs: readonly JsonNode[];
  /** Strings that are media and cannot be read as text: base64 of images, audio, video, PDF. In no other list. */
  readonly opaque: readonly JsonNode[];
  /** What of it goes on only where policy lets such files pass. Absent: nothing. */
  readonly files?: readonly FilePart[];
  /** What of it is called a PDF, or begins as one. Absent: nothing, but for what its strings spell. */
  readonly documents?: readonly FilePart[];
  /** Pictures, sound and files that stand in it. Absent: none. */
  readonly media?: readonly MediaPart[];
  /** The same, which the server is to fetch: each URL, or path, as the request has it. Absent: none. */
  readonly links?: readonly string[];
  /** What its answer will be, where the request decides how that is read; absent: as its {@link Route} says. */
  readonly answers?: Route;
  /** Other models that it sets to work beside its own: each must be allowed. Absent: none. */
  readonly others?: readonly string[];
  /** Of a WebSocket's messages: it goes on with what one like it began, so that the two are one request, unless an answer has ended between them. */
  readonly continues?: boolean;
  /** How many numbers of lists were looked at one by one: each a node beside those of the parser, for which a list is one. */
  readonly listNumbers: number;
  /** Where the body names the model. Absent: in `model` or `model_name`, if at all. */
  readonly modelNode?: JsonNode | undefined;
  /** Edits that name another model, where the body names it beside the path. Absent: it does not. */
  renameModel?(as: string): readonly JsonEdit[];
  /** Edits that set the output limit in this dialect; none needed when it is given and small enough. */
  limitOutput(maxOutputTokens: number): readonly JsonEdit[];
  /** Edits that make the model report usage at the end of a stream. */
  askUsage(): readonly JsonEdit[];
  /** Edits that make the model spell tokens in letters where it was asked for their ids. */
  spellTokens(): readonly JsonEdit[];
}

export interface Usage {
  readonly input: number;
  readonly output: number;
  /** It was said before the answer was whole: more output may follow. */
  readonly early?: true;
  /** Of one of several answers in a stream: all are summed. */
  readonly adds?: true;
}

export interface LaneEnds {
  readonly prefix: string;
  readonly end: 'complete' | 'cut';
  /** Every frame of the same kind says so again, whatever its text: hearing it once is enough. */
  readonly repeats?: true;
  /** The dialect itself refuses what would follow: such lanes need not be remembered. */
  readonly gone?: true;
}

export interface AnswerView {
  readonly lanes: readonly Lane[];
  readonly loneValues: readonly LoneValue[];
  /** As {@link RequestView.toolInputs}. */
  readonly toolInputs: readonly JsonNode[];
  readonly tokenLanes: readonly TokenLane[];
  /** Absent: none. In a frame of a stream they are whole. */
  readonly joined?: readonly JoinedLane[];
  /** How the lanes whose id starts with `prefix` ended; lanes without an entry ended `complete` in JSON, did not end in a frame. */
  readonly ends: readonly LaneEnds[];
  readonly usage: Usage | undefined;
  /**
   * What tells text by token ids, removed where a rule looks for anything: arrays of 8 or more integers outside of known
   * places, what has a name of token ids however short it is, `prompt_logprobs`, log-probabilities of tokens spelled by their ids and, in
   * unknown places, tokens so spelled. Their strings are in no other list.
   */
  readonly integerArrays: readonly JsonNode[];
  /** Strings proven to be no text: base64 of float32 embeddings, and of audio. In no other list. */
  readonly opaque: readonly JsonNode[];
  /** What of it leaves only where policy lets such files pass. Absent: nothing. */
  readonly files?: readonly FilePart[];
  /** For ListModels: entries to be filtered, each with the model it names. */
  readonly models: readonly { readonly id: string; readonly node: JsonNode }[];
}

export interface FrameView extends AnswerView {
  /** `done`: the end marker ([DONE], an event that is the last). `error`: an error object. `usage`: nothing but usage. `data`: all else. */
  readonly kind: 'data' | 'usage' | 'error' | 'done';
  /** The same again means something else: a frame like it is read, too. */
  readonly once?: true;
  /** Of a protocol whose events have several shapes that name the same text otherwise: which of them. All of a stream's must be of one. Absent: of any. */
  readonly shape?: string;
  /**
   * Whole numbers that are too few to be a text by themselves, and may be one together with those of other frames: from eight on over the stream
   * they count among {@link AnswerView.integerArrays}. Absent: none.
   */
  readonly numbers?: readonly StreamNumbers[];
  /** Ids of lanes of which what comes next is {@link Lane.apart}. Absent: none. */
  readonly gaps?: readonly string[];
  /**
   * Ids of lanes behind which something else begins: what came of them is decided as at a cut, so that it does not wait for a text that may never come,
   * and what comes next is read together with it, and {@link Lane.apart}. Absent: none.
   */
  readonly settles?: readonly string[];
}

/** A refusal in words that the dialect puts into its own error shape. Nothing of the request is in it. */
export interface RefusalText {
  readonly status: number;
  readonly code: ReasonCode;
  readonly message: string;
  readonly rule: string | undefined;
  readonly requestId: string;
  readonly detail: string | undefined;
}

export interface Dialect {
  readonly name: string;
  /** Undefined: not one of its routes. `path` is normalised and has no query. */
  route(method: string, path: string): Route | undefined;
  /**
   * @param query of its target, without `?`; default none.
   * @throws RefusedError `invalid_request` with the field's path as detail.
   */
  request(route: Route, root: JsonNode, query?: string): RequestView;
  /** @throws RefusedError `response_uninspectable` when the shape is unknown. */
  answer(route: Route, root: JsonNode, status: number): AnswerView;
  /** Reads one frame's data. `root` is undefined for an end marker. @throws RefusedError `response_uninspectable`. */
  frame(route: Route, event: string | undefined, data: string, root: JsonNode | undefined): FrameView;
  /** Is this data an end marker, which is not JSON? */
  endMarker(data: string): boolean;
  /** Body of a refusal; in mid-stream a frame's data, and never an end marker. */
  refusal(text: RefusalText): string;
  /** Name of the event by which its clients are told of an error, where the framing has names; undefined: its events have none. */
  readonly errorEvent: string | undefined;
}
