import { JsonError, parseJson } from '../base/index.ts';
import type { JsonEdit, JsonNode } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import type {
  FilePart,
  FrameSplitter,
  FrameView,
  JoinedLane,
  Lane,
  RepeatedText,
  Route,
  StreamFrame,
  StreamFraming,
  Usage,
} from '../dialect/index.ts';
import type { Hit, LaneKind, View } from '../detect/index.ts';
import { FrameShapeCache, NumberTally } from '../dialect/index.ts';
import { FileDigest } from './file-record.ts';
import { maskJoinedNow } from './joined-text.ts';
import type { JoinedText } from './joined-text.ts';
import type { Piece, StreamOutput } from './frame-queue.ts';
import { FrameQueue, recordOf } from './frame-queue.ts';
import { outermost } from './edits.ts';
import { namedAsAsked, renamedEntry } from './model-names.ts';
import type { ModelName } from './model-names.ts';
import { AnswerLane } from './lane.ts';
import type { ResponseViews } from './runtime.ts';
import type { TokenPiece } from './tokens.ts';
import { pushTokens } from './tokens.ts';
import { StrangeKeys, keysLane, mostKeys } from './strange-keys.ts';
import { ValueReader } from './values.ts';

/**
 * The guarantee on streams (docs/security.md): what was sent of a lane is at all times a prefix of what masking the whole
 * text would give, whatever comes next, and at a complete end it equals that. Every frame is parsed, every lane of it is
 * read, and a frame that cannot be read ends the stream. Time alone never releases held text, but where nothing says that a text is whole and both
 * sides may wait for each other (`settle`): there the model's silence ends what is held as a cut does.
 *
 * This class is pure of sockets and clocks: bytes of the model in, text for the caller and for the record out.
 */

/** Lanes of one stream: n choices x a few fields x token ranks; more is an attack on memory. */
const maxLanes = 1_024;
/** Characters of all texts of a stream whose frames say all of a text so far. */
const mostSoFar = 4_194_304;
const noTokens: readonly TokenPiece[] = [];
const noEdits: readonly JsonEdit[] = [];
const noLanes: ReadonlySet<AnswerLane> = new Set();

export interface StreamOptions {
  readonly route: Route;
  readonly framing: StreamFraming;
  readonly views: ResponseViews;
  /** The caller set `stop`: a natural finish may be a cut. */
  readonly stops: boolean;
  /** We asked for usage, the caller did not: the frame that holds nothing else is taken out. */
  readonly dropUsage: boolean;
  /** Every policy observes: nothing waits for the record, and of a frame only what a rule hides is left out. */
  readonly observes: boolean;
  /** The model was asked for by another name than the caller's. Absent: it was not. */
  readonly renamed?: ModelName | undefined;
  /** Whether a file may leave that nobody reads. Absent: none. */
  readonly mayPass?: (file: FilePart) => boolean;
  /** @param lane in which they are; undefined: in none, as a name of an event */
  readonly onHits: (hits: readonly Hit[], lane?: AnswerLane) => void;
}

/** What a `stop` rule found in mid-stream: thrown after the text before it was emitted. */
export class StoppedError extends Error {
  readonly rule: number;

  constructor(rule: number) {
    super('a rule ended the answer');
    this.name = 'StoppedError';
    this.rule = rule;
  }
}

export class StreamAnswer {
  readonly #options: StreamOptions;
  readonly #output: StreamOutput;
  readonly #splitter: FrameSplitter;
  readonly #lanes = new Map<string, AnswerLane>();
  /** Prefixes of lanes whose choice has finished. */
  readonly #finishes = new Set<string>();
  readonly #queue: FrameQueue;
  readonly #values: ValueReader;
  readonly #keys: StrangeKeys;
  /** Most frames of a stream differ from the one before in one text only: those are not parsed again. */
  readonly #shape = new FrameShapeCache({ loneSurrogates: true });
  /** The lane of a run of frames that differ in its text only, and what of their text is not yet in it. */
  #runLane: AnswerLane | undefined = undefined;
  #runText = '';
  #runTo = 0;
  #done = false;
  /** The model said that it failed: of what follows nothing is owed. */
  #failed = false;
  #frames = 0;
  #bytes = 0;

  constructor(options: StreamOptions, output: StreamOutput) {
    this.#options = options;
    this.#output = output;
    this.#splitter = options.framing.splitter();
    this.#queue = new FrameQueue(options.views.guarded);
    this.#values = new ValueReader(options.views);
    this.#keys = new StrangeKeys(options.views, mostKeys);
    this.#settles = options.route.socket?.endless === true && !options.observes;
  }
  readonly #settles: boolean;

  get frames(): number {
    return this.#frames;
  }

  /** Bytes of lane text received, in UTF-8: what usage is estimated from when the model reports none. */
  get textBytes(): number {
    return this.#bytes;
  }

  /** What the model says was used; of output that it has yet to count, what its text comes to. */
  get usage(): Usage | undefined {
    const said = this.#counted;
    if (said === undefined || this.#countedWhole) return said;
    return { input: said.input, output: Math.max(said.output, Math.ceil(this.#bytes / 4)) };
  }

  get held(): number {
    return this.#queue.held();
  }

  /** What of the model's frames is kept, about: in bytes of one that is not whole, in characters of the others. */
  get kept(): number {
    return this.#splitter.pendingBytes + this.#queue.units + this.#tailUnits + this.#soFarUnits;
  }
  /** Ends of texts that are kept to be read again. */
  #tailUnits = 0;

  /** Something is held until more comes. */
  get waits(): boolean {
    return this.#queue.waits;
  }

  /**
   * The model is silent, and its caller may wait for what is held: that leaves, as it would at a cut, and what follows is read together with it. In
   * steps, since the end of each text is read once more for it.
   *
   * @param most characters that a step reads, or the end of one text more.
   * @returns how many it read; 0: all that can leave has.
   * @throws RefusedError, StoppedError
   */
  settle(most: number): number {
    this.#closeRun();
    const lanes = new Set([...this.#queue.lanes(), ...this.#queue.unfinished()]);
    let read = 0;
    for (const lane of lanes) {
      read += lane.settle();
      if (read >= most) break;
    }
    for (const lane of lanes) this.#check(lane);
    this.#flush();
    this.#queue.flushRest([...lanes], this.#output);
    return read;
  }

  /** @throws RefusedError, StoppedError: the stream must end; nothing that is held may leave. */
  data(chunk: Buffer): void {
    for (const frame of this.#splitter.push(chunk)) this.#frame(frame);
    this.#closeRun();
    this.#flush();
  }

  /** The model's connection ended well. @throws RefusedError, StoppedError */
  end(): void {
    const last = this.#splitter.end();
    if (last !== undefined) this.#frame(last);
    this.#closeRun();
    this.#endAll();
    this.#flush();
    this.#recordFile();
  }

  /** Nothing more of it is read. In Observe mode the caller may have what no rule has decided: it is recorded, to the end of each lane. */
  breakOff(): void {
    this.#splitter.clear();
    this.#recordFile();
    const lanes = new Set([...this.#lanes.values(), ...this.#queue.lanes()]);
    this.#queue.clear();
    if (!this.#options.observes) return;
    if (this.#runText !== '') this.#runLane?.push(this.#runText);
    this.#runText = '';
    for (const lane of lanes) {
      lane.end('cut');
      const hits = lane.drainHits();
      if (hits.length > 0) this.#options.onHits(hits, lane);
      this.#recordEnd(lane);
    }
  }

  #flush(): void {
    this.#queue.flush(this.#output);
  }

  #frame(frame: StreamFrame): void {
    const { data, file, message } = frame;
    if (file !== undefined) return this.#file(frame, file);
    // Comments and keep-alives hold no data; whatever a model writes into them is not passed.
    if (data === undefined || (data === '' && this.#saysNothing(frame))) {
      const silence = this.#observed(frame) ?? this.#options.framing.silence;
      return this.#push({ frame: silence, data: '', pieces: [], tokens: [], edits: [], drop: false });
    }
    this.#frames += 1;
    if (this.#failed && this.#followsError(frame, data)) return;
    if (this.#done && !this.#mayFollow(data)) {
      this.#closeRun();
      this.#flush(); // what was decided before may leave
      throw new RefusedError('upstream_protocol', { detail: 'frame after the end marker' });
    }
    const same = message === undefined ? this.#shape.match(frame.event, data) : undefined;
    if (same !== undefined) return this.#repeat(frame, data, same);
    this.#closeRun();
    const { dialect } = this.#options.route;
    const marker = dialect.endMarker(data);
    if (marker) this.#marked = true;
    const root = marker ? undefined : rootOf(frame, data);
    const view = dialect.frame(this.#options.route, frame.event, data, root);
    this.#mustBeOfOneShape(view);
    if (view.files !== undefined) for (const one of view.files) this.#letPass(one);
    if (view.usage !== undefined) this.#count(view.usage);
    if (view.kind === 'done') {
      this.#done = true;
      this.#endAll();
    }
    if (root === undefined)
      return this.#push({ frame: this.#outgoing(frame), data, pieces: [], tokens: [], edits: [], drop: false });
    this.#dataFrame(frame, data, root, view);
  }

  /** Of a frame without data. */
  #saysNothing({ event }: StreamFrame): boolean {
    return event === undefined && this.#options.framing.emptySaysNothing === true;
  }

  /** Another shape would give a text that goes on another lane. @throws RefusedError response_uninspectable */
  #mustBeOfOneShape({ shape }: FrameView): void {
    if (shape === undefined) return;
    this.#oneShape ??= shape;
    if (shape !== this.#oneShape) throw new RefusedError('response_uninspectable', { detail: 'another shape' });
  }
  /** Which its frames have, where they may have several. */
  #oneShape: string | undefined;

  /** It leaves as it came, in its place among the others. @throws RefusedError response_uninspectable */
  #file(frame: StreamFrame, file: FilePart): void {
    this.#frames += 1;
    this.#closeRun();
    this.#letPass(file);
    if (this.#options.framing.isFile === true)
      (this.#digest ??= new FileDigest()).add(file.type, Buffer.from(frame.raw, 'latin1'));
    this.#push({ frame, data: '', pieces: [], tokens: [], edits: [], drop: false });
  }

  /** Of a stream that is one file. */
  #digest: FileDigest | undefined;

  #recordFile(): void {
    const text = this.#digest?.text();
    this.#digest = undefined;
    if (text !== undefined) this.#output.record('file', text, undefined);
  }

  /** @throws RefusedError response_uninspectable */
  #letPass({ type, bytes, content }: FilePart): void {
    if (this.#options.mayPass?.({ type, bytes }) !== true)
      throw new RefusedError('response_uninspectable', { detail: 'file' });
    if (content === undefined) return;
    const digest = new FileDigest();
    digest.add(type, content());
    this.#output.record('file', `${digest.text() ?? ''}\n`, undefined);
  }

  /** Behind an event that is the last some servers send another dialect's end marker, once: it says no more than that. */
  #mayFollow(data: string): boolean {
    const may = !this.#marked && this.#options.route.dialect.endMarker(data);
    this.#marked = true;
    return may;
  }
  /** The end marker came. */
  #marked = false;

  /** What servers send behind their error, as behind any answer: an end marker, and before it usage. Neither leaves: the answer is not whole. */
  #followsError(frame: StreamFrame, data: string): boolean {
    const { dialect } = this.#options.route;
    if (dialect.endMarker(data)) return true;
    const view = dialect.frame(this.#options.route, frame.event, data, rootOf(frame, data));
    if (view.kind !== 'usage' && view.kind !== 'done') return false;
    if (view.usage !== undefined) this.#count(view.usage);
    return true;
  }

  /** What a stream says so far: each time all of it, or the part that is new. */
  #count({ input, output, early, adds }: Usage): void {
    const { input: before, output: wrote } = this.#counted ?? { input: 0, output: 0 };
    this.#counted =
      adds === true
        ? { input: before + input, output: wrote + output }
        : { input: Math.max(before, input), output: Math.max(wrote, output) };
    if (early !== true) this.#countedWhole = true;
  }
  #counted: Usage | undefined = undefined;
  #countedWhole = false;

  /** A frame like the one before it. Its text waits for that of the frames that came in the same read: a lane reads them as one. */
  #repeat(frame: StreamFrame, data: string, node: RepeatedText): void {
    const { text } = node;
    let lane = this.#runLane;
    if (lane === undefined) {
      lane = this.#openLane(node.lane.id, node.lane.kind);
      this.#runLane = lane;
      this.#runTo = lane.received;
    }
    if (text !== '') {
      if (this.#runText === '') this.#mustBeOpen(lane);
      this.#runText = this.#runText === '' ? text : this.#runText + text;
      this.#runTo += text.length;
    }
    const pieces = [{ lane, to: this.#runTo, node }];
    this.#push({ frame: this.#outgoing(frame), data, pieces, tokens: noTokens, edits: noEdits, drop: false });
  }

  /** Before anything else is read, ended or given out. */
  #closeRun(): void {
    const lane = this.#runLane;
    if (lane === undefined) return;
    const text = this.#runText;
    this.#runLane = undefined;
    this.#runText = '';
    if (text === '') return;
    this.#bytes += Buffer.byteLength(text);
    this.#pushText(lane, text);
    this.#check(lane);
  }

  #dataFrame(frame: StreamFrame, data: string, root: JsonNode, view: FrameView): void {
    // After an error nothing more of the answer is owed: what was decided leaves, what is held is dropped, and the error itself goes out inspected.
    const failed = view.kind === 'error';
    if (failed) {
      this.#flush();
      this.#queue.clear();
    }
    // The error's own text is whole; that of lanes which it breaks off is not.
    const begun = failed ? new Set(this.#lanes.values()) : noLanes;
    const edits = this.#readValues(frame, data, root, view);
    if (view.settles !== undefined) this.#settleBefore(view.settles);
    const pieces = view.lanes.map((lane) => this.#piece(lane));
    for (const id of view.gaps ?? []) if (this.#lanes.has(id)) this.#gaps.add(id);
    // What is like it is not asked whether it stands apart.
    if (this.#gaps.size > 0 && view.lanes.some(({ id }) => this.#gaps.has(id))) this.#shape.forget();
    const tokens = this.#readTokens(view);
    for (const { prefix, end, gone } of view.ends)
      this.#finish(prefix, end === 'complete' && (failed || this.#options.stops) ? 'cut' : end, gone === true);
    const drop = this.#options.dropUsage && view.kind === 'usage';
    this.#push({ frame: this.#outgoing(frame), data, pieces, tokens, edits, drop });
    if (failed) {
      this.#done = true;
      this.#failed = true;
      for (const { lane } of pieces) lane.end(begun.has(lane) ? 'cut' : 'complete');
    }
    this.#collect(pieces);
  }

  /** A page of gRPC is a stream of one message. */
  #names(root: JsonNode): readonly JsonEdit[] {
    const { renamed, route } = this.#options;
    const names = namedAsAsked(root, renamed);
    return renamed === undefined || route.operation !== 'ListModels'
      ? names
      : [...renamedEntry(root, renamed), ...names];
  }

  /** What of a frame is no text that goes on. @throws StoppedError, RefusedError response_uninspectable */
  #readValues(frame: StreamFrame, data: string, root: JsonNode, read: FrameView): readonly JsonEdit[] {
    const { views, onHits } = this.#options;
    const view = this.#withNumbers(read);
    const values = this.#values.read(view, root);
    if (values.hits.length > 0) onHits(values.hits);
    if (values.stopped !== undefined) throw new StoppedError(values.stopped.rule);
    const names = this.#names(root);
    this.#hidden = values.hidden;
    const untouched = values.hits.length === 0 && values.edits.length === 0 && values.hidden === undefined;
    if (frame.message === undefined && untouched && names.length === 0) this.#shape.keep(frame.event, data, root, view);
    else this.#shape.forget();
    const keys = this.#keys.take(view.loneValues, values.hidden);
    if (keys.text !== '') this.#output.record(keysLane, keys.text, views.sealed && keys.raw);
    const joined = view.joined?.flatMap((lane) => this.#joined(lane)) ?? noEdits;
    if (names.length > 0) return outermost([...values.edits, ...joined, ...names]);
    return joined.length === 0 ? values.edits : [...values.edits, ...joined];
  }

  /** What is recorded in place of texts of this frame that stand in values which a field rule hides. */
  #hidden: ReadonlyMap<JsonNode, string> | undefined = undefined;

  /** Of the whole numbers of its frames, few in each, which may be a text together. */
  #withNumbers(view: FrameView): FrameView {
    const { numbers } = view;
    if (numbers === undefined) return view;
    const tally = (this.#tally ??= new NumberTally());
    tally.add(numbers);
    if (!tally.tells) return view;
    return { ...view, integerArrays: [...view.integerArrays, ...numbers.flatMap(({ nodes }) => nodes)] };
  }
  #tally: NumberTally | undefined = undefined;

  #readTokens({ tokenLanes }: FrameView): readonly TokenPiece[] {
    const { act, record } = this.#options.views;
    if (tokenLanes.length === 0 || (act.idle && record.idle)) return noTokens;
    return tokenLanes.map((one) => pushTokens(one, (id) => this.#openLane(id, 'text', false)));
  }

  /** An event's name is text of the model's, too: one that is no plain word, or that a rule hides, does not leave. */
  #outgoing(frame: StreamFrame): StreamFrame {
    if (frame.plain) return frame;
    const observed = this.#observed(frame);
    if (observed !== undefined) return observed;
    const name = frame.event;
    const passes = name !== undefined && eventName.test(name) && this.#passes(name);
    return this.#options.framing.bare(frame, passes ? name : undefined);
  }

  /** In Observe mode a frame as it came, if what is around its data may leave. */
  #observed(frame: StreamFrame): StreamFrame | undefined {
    return this.#options.observes && this.#passes(frame.data === undefined ? frame.raw : frame.withData(''))
      ? frame
      : undefined;
  }

  #passes(text: string): boolean {
    const { hits, passes } = this.#values.look(text);
    if (hits.length > 0) this.#options.onHits(hits);
    return passes;
  }

  /** Lanes behind whose text something else came. */
  readonly #gaps = new Set<string>();

  /** Which part of its message the last text of a lane was of. */
  readonly #parts = new Map<AnswerLane, number>();

  /** Something else begins behind these. @throws RefusedError, StoppedError */
  #settleBefore(ids: readonly string[]): void {
    for (const id of ids) {
      const lane = this.#lanes.get(id);
      if (lane === undefined || lane.ended) continue;
      this.#gaps.add(id);
      this.#settleLane(lane);
    }
  }

  #settleLane(lane: AnswerLane): void {
    lane.settle();
    this.#check(lane);
    this.#queue.flushRest([lane], this.#output);
  }

  /** Whether a text begins another part than the one before it. @throws RefusedError upstream_protocol where that had begun, and others behind it */
  #beginsPart(lane: AnswerLane, { part, settled }: Lane): boolean {
    if (part === undefined) return false;
    const last = this.#parts.get(lane) ?? part;
    if (part < last) throw new RefusedError('upstream_protocol', { detail: 'order of parts' });
    this.#parts.set(lane, part);
    if (part === last) return false;
    if (settled === true) this.#settleLane(lane);
    return true;
  }

  /** Feeds a piece of text into its lane. */
  #piece(of: Lane): Piece {
    const { id, kind, node, whole, grows } = of;
    const lane =
      whole !== undefined
        ? this.#newLane(id, kind, true, false)
        : this.#openLane(id, kind, true, this.#settles || of.part !== undefined);
    const label = this.#hidden?.get(node);
    if (label !== undefined) lane.hideInRecord(label);
    const text = grows === true ? this.#growth(lane, node.text) : node.text;
    if (this.#beginsPart(lane, of)) this.#gaps.add(id);
    let divided = false;
    if (text !== '') {
      this.#mustBeOpen(lane);
      const apart = of.apart === true || this.#gaps.has(id);
      divided = apart && lane.endsInWord && !goesOn(lane.lastUnit, text);
      if (this.#gaps.size > 0) this.#gaps.delete(id);
      this.#pushText(lane, divided ? `\n${text}` : text);
      this.#bytes += Buffer.byteLength(text);
    }
    if (whole !== undefined) lane.end(this.#options.stops ? 'cut' : whole);
    const piece = { lane, to: lane.received, node };
    if (grows === true) return { ...piece, grows };
    return divided ? { ...piece, apart: true } : piece;
  }

  /** Of lanes of which each frame says all so far: that. */
  readonly #soFar = new Map<AnswerLane, string>();
  #soFarUnits = 0;

  /** What a text has more than before. @throws RefusedError response_uninspectable where it has another beginning, or is longer than any answer */
  #growth(lane: AnswerLane, text: string): string {
    const before = this.#soFar.get(lane) ?? '';
    this.#soFarUnits += text.length - before.length;
    if (!text.startsWith(before) || this.#soFarUnits > mostSoFar)
      throw new RefusedError('response_uninspectable', { detail: 'growing text' });
    this.#soFar.set(lane, text);
    return text.slice(before.length);
  }

  /** A text that is whole in this frame, in pieces. @throws StoppedError, RefusedError response_uninspectable */
  #joined({ id, nodes, each = false }: JoinedLane): readonly JsonEdit[] {
    const { views, onHits, stops } = this.#options;
    const source = nodes.map(({ text }) => text);
    const hidden = this.#hidden;
    const maskBy = (view: View, texts = source): JoinedText =>
      maskJoinedNow(
        texts,
        ({ text, end, guessed }) => {
          const result = view.mask(text, 'text', end);
          if (result.failed && guessed) return view.mask(text, 'prose', end);
          if (result.failed) throw new RefusedError('response_uninspectable', { detail: 'json' });
          return result;
        },
        { end: stops ? 'cut' : 'complete', each },
      );
    const act = maskBy(views.act);
    const kept =
      views.same && hidden === undefined
        ? act
        : maskBy(views.record, hidden && nodes.map((node) => hidden.get(node) ?? node.text));
    const sealed = views.sealed && maskBy(views.sealed);
    for (const text of source) this.#bytes += Buffer.byteLength(text);
    if (act.hits.length > 0) onHits(act.hits);
    if (act.stopped !== undefined) throw new StoppedError(act.stopped.rule);
    this.#output.record(id, kept.text, sealed?.text);
    return nodes.flatMap((node, at): readonly JsonEdit[] => {
      const text = act.pieces[at] ?? '';
      return text === node.text ? [] : [{ start: node.start, end: node.end, text: JSON.stringify(text) }];
    });
  }

  #pushText(lane: AnswerLane, text: string): void {
    if (!lane.keeps) return lane.push(text);
    const before = lane.keptUnits;
    lane.push(text);
    this.#tailUnits += lane.keptUnits - before;
  }

  /** Also a lane that had no text before its choice finished has ended with it. @throws RefusedError upstream_protocol */
  #mustBeOpen(lane: AnswerLane): void {
    let open = !lane.ended;
    for (const prefix of this.#finishes) if (lane.id.startsWith(prefix)) open = false;
    if (!open) throw new RefusedError('upstream_protocol', { detail: 'text after the finish' });
  }

  #push(frame: Parameters<FrameQueue['push']>[0]): void {
    this.#queue.push(frame);
  }

  /** Counts findings and ends the stream at one that must not pass. */
  #collect(pieces: readonly Piece[]): void {
    for (const { lane } of pieces) this.#check(lane);
  }

  #check(lane: AnswerLane): void {
    const hits = lane.drainHits();
    if (hits.length > 0) this.#options.onHits(hits, lane);
    if (lane.failed) throw new RefusedError('response_uninspectable', { detail: 'json' });
    const stopped = lane.stopped;
    if (stopped === undefined) return;
    this.#queue.flushUpToStop(lane, this.#output);
    throw new StoppedError(stopped.rule);
  }

  #openLane(id: string, kind: LaneKind, recorded = true, settles = this.#settles): AnswerLane {
    const known = this.#lanes.get(id);
    if (known !== undefined) return known;
    if (this.#lanes.size >= maxLanes) throw new RefusedError('response_uninspectable', { detail: 'lanes' });
    const lane = this.#newLane(id, kind, recorded, settles && !this.#options.observes);
    this.#lanes.set(id, lane);
    return lane;
  }

  #newLane(id: string, kind: LaneKind, recorded: boolean, settles: boolean): AnswerLane {
    return new AnswerLane(id, kind, this.#options.views, { waitForRecord: !this.#options.observes, recorded, settles });
  }

  #finish(prefix: string, end: 'complete' | 'cut', gone: boolean): void {
    this.#end(prefix, end);
    if (gone) {
      for (const [id, lane] of this.#lanes) {
        if (!id.startsWith(prefix)) continue;
        this.#tailUnits -= lane.keptUnits;
        this.#parts.delete(lane);
        this.#lanes.delete(id);
      }
      return;
    }
    if (this.#finishes.size >= maxLanes) throw new RefusedError('response_uninspectable', { detail: 'lanes' });
    this.#finishes.add(prefix);
  }

  #end(prefix: string, end: 'complete' | 'cut'): void {
    const ended: AnswerLane[] = [];
    for (const lane of this.#lanes.values()) {
      if (lane.ended || !lane.id.startsWith(prefix)) continue;
      lane.end(end);
      ended.push(lane);
    }
    for (const lane of ended) this.#check(lane);
    this.#queue.flushRest(ended, this.#output);
    for (const lane of ended) this.#recordEnd(lane);
  }

  /** Where the record lags behind what left: no other frame of the lane comes to take its rest. */
  #recordEnd(lane: AnswerLane): void {
    if (lane.recorded) recordOf(lane, '', this.#output);
  }

  #endAll(): void {
    this.#end('', 'cut');
  }
}

const rootOf = ({ message }: StreamFrame, data: string): JsonNode => message?.root ?? parseFrame(data);

function parseFrame(data: string): JsonNode {
  try {
    return parseJson(data, { loneSurrogates: true });
  } catch (cause) {
    if (cause instanceof JsonError) throw new RefusedError('response_uninspectable', { detail: 'json', cause });
    throw cause;
  }
}

/** It begins with white space, or with what ends a sentence or a part of it, and white space behind that: what stands there begins anew. */
export function goesOn(before: string, text: string): boolean {
  return /^\s/.test(text) || (/^[.,;:!?)\]]+(?:\s|$)/.test(text) && !/\p{N}/u.test(before));
}

/** Names that dialects give to their events: no digits. */
const eventName = /^[A-Za-z][A-Za-z._-]{0,63}$/;
