import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { ByteChain, describeError } from '../base/index.ts';
import type { Clock, Logger, Timer } from '../base/index.ts';
import type { Operation, ReasonCode, ResponsePlan, RuleId, SessionEnd } from '../core/index.ts';
import { RefusedError, reasons } from '../core/index.ts';
import type { DocumentBody, FilePart, Route, SplitBody, StreamFraming, Usage } from '../dialect/index.ts';
import { jsonLengthHeader } from '../dialect/index.ts';
import type { Hit } from '../detect/index.ts';
import type { BodyBudget, Exchange, Upstream, UpstreamCall, UpstreamRequest } from '../http/index.ts';
import { everyHeader, responseHeadersToCaller } from '../http/index.ts';
import type { AbortCause, Metrics } from '../telemetry/index.ts';
import { AnswerExcerpt } from './answer-excerpt.ts';
import { decodeUtf8, inspectJsonAnswer, maskLong, stepUnits } from './answer-json.ts';
import type { JsonAnswerOptions } from './answer-json.ts';
import { StoppedError, StreamAnswer } from './answer-stream.ts';
import { Delivery } from './delivery.ts';
import { Departure } from './departure.ts';
import { placeIn } from './edits.ts';
import type { LiveRequest, LiveRequests } from './live.ts';
import type { NoteModelFault } from './model-faults.ts';
import type { ModelName } from './model-names.ts';
import { accessOf, isInside } from './loopback.ts';
import type { Asked } from './loopback.ts';
import { ownerOf } from './owner.ts';
import { receipt, receiptHeader } from './receipt.ts';
import { refusalResponse, refusalText } from './refusal.ts';
import { actName, stoppedBy } from './rule-acts.ts';
import type { ResponseViews, Runtime } from './runtime.ts';
import type { Session } from './session.ts';
import { ValueReader } from './values.ts';

/** How an answer came to its end, before the connection says whether the caller received it. */
export interface AnswerResult {
  readonly outcome: SessionEnd['outcome'];
  readonly status: number;
  readonly code: ReasonCode | undefined;
}

export interface AnswerOptions {
  readonly session: Session;
  readonly exchange: Exchange;
  readonly runtime: Runtime;
  readonly facts: Asked;
  readonly plan: ResponsePlan;
  readonly views: ResponseViews;
  readonly route: Route;
  /** What its caller was promised to get frames in while they waited; a stream in any other cannot follow. */
  readonly promised?: StreamFraming | undefined;
  readonly upstream: Upstream;
  readonly live: LiveRequests;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly noteModelFault: NoteModelFault;
  readonly turn: () => Promise<void>;
  /** Bytes of whole answers held by all requests together. */
  readonly buffers: ByteBudget;
  /** Whether a file may leave that nobody reads. */
  readonly mayPass: (file: FilePart) => boolean;
  /** As in {@link LiveRequest}. */
  readonly described?: boolean | undefined;
  /** As in {@link LiveRequest}. Absent: all of it is read. */
  readonly mustBeRead?: NonNullable<LiveRequest['mustBeRead']>;
  readonly stops: boolean;
  readonly dropUsage: boolean;
  /** The model was asked for by another name than the caller's. Absent: it was not. */
  readonly renamed?: ModelName | undefined;
  /** The model was sent its own credential: that it refuses it is no news for the caller. */
  readonly ownCredential: boolean;
  /** Some rule of this caller's needs an approval, and people can be asked: the answer waits whole until it is clear. Absent: none. */
  readonly review?: AnswerReview;
  readonly onResult: (result: AnswerResult) => void;
}

/** Asks people about a finished answer. Settles when it may leave. @throws RefusedError */
export type AnswerReview = (finished: {
  readonly rules: readonly RuleId[];
  readonly digest: string;
  /** Of the record: masked for what nobody may see. */
  readonly excerpt: string;
  readonly bytes: number;
}) => Promise<void>;

/** A bound on memory that all requests share, and of which no caller has all. See {@link BodyBudget}. */
export type ByteBudget = Pick<BodyBudget, 'take' | 'give'>;

/**
 * The model's answer on its way to the caller: read whole (JSON, text) or frame by frame (as its route frames streams), inspected, shaped,
 * recorded before it leaves. Ends exactly once: completed, ended by policy or a limit, failed, or aborted by the caller.
 */
export class Answer implements LiveRequest {
  readonly runtime: Runtime;
  readonly facts: Asked;
  readonly plan: ResponsePlan;
  readonly described: boolean;
  place = -1;
  readonly #options: AnswerOptions;
  readonly #delivery: Delivery;
  readonly #chunks: Buffer[] = [];
  #buffered = 0;
  #call: UpstreamCall | undefined;
  #deadline: Timer | undefined;
  /** Of a stream that is reviewed: what would have left, in order. In memory alone, and gone with the request. */
  readonly #kept: (string | ByteChain)[] = [];
  /** Rules that need an approval and found something. */
  readonly #asking = new Set<RuleId>();
  /** Of an answer that may have to wait. */
  #excerpt: AnswerExcerpt | undefined;
  #status = 0;
  #headers: IncomingHttpHeaders = {};
  #stream: StreamAnswer | undefined;
  /** Every policy observes, and the model was sent no key of ours that it could repeat: bytes leave as they come, and are read beside. */
  readonly #beside: boolean;
  /** Something came that cannot be read: nothing more of this answer is, which is recorded. */
  #raw = false;
  #streaming = false;
  readonly #departure = new Departure();
  #held = 0;
  #maskMs = 0;
  #over = false;
  usage: Usage | undefined = undefined;
  textBytes = 0;

  /** While it goes on: what was used so far, as the model says. */
  get usageSoFar(): Usage | undefined {
    return this.usage ?? this.#stream?.usage;
  }

  constructor(options: AnswerOptions) {
    this.#options = options;
    this.runtime = options.runtime;
    this.facts = options.facts;
    this.plan = options.plan;
    this.described = options.described === true;
    this.#beside = !options.runtime.snapshot.enforcing && !options.ownCredential;
    this.#paced = options.plan.limits.cadenceMs !== undefined;
    this.#delivery = new Delivery(options.exchange, options.plan.limits, options.clock, {
      room: () => this.#resume(),
      departed: () => this.#recount(),
    });
  }

  begin(request: UpstreamRequest): void {
    const { live, clock, upstream, exchange, plan } = this.#options;
    live.add(this);
    const longest = plan.limits.maxDurationMs;
    // From now on: how long people took to let the request through is not the answer's.
    if (longest !== undefined) this.#deadline = clock.after(longest, () => this.end('response_timeout'));
    exchange.onDrain(() => {
      this.#delivery.drained();
      if (this.#raw) this.#giveBack();
      this.#recount();
      this.#resume();
    });
    this.#call = upstream.send(request, {
      head: (status, headers) => this.#guard(() => this.#head(status, headers)),
      bodyReleased: () => exchange.releaseBody(),
      data: (chunk) => this.#received(chunk),
      end: () => this.#guard(() => this.#end()),
      error: (error) => this.#fail(error),
    });
  }

  mustBeRead(next: Runtime): boolean {
    return this.#options.mustBeRead?.(next) ?? false;
  }

  /** By policy or by a limit. */
  end(code: ReasonCode): void {
    if (this.#leaving) this.#cutOff(code);
    else this.#fail(new RefusedError(code));
  }

  /** What its caller went on to ask is refused. */
  refuse(error: unknown): void {
    this.#fail(error);
  }

  /** The caller is gone. */
  abort(): void {
    this.#delivery.cancel();
    if (!this.#over) this.#recordBroken();
    this.#close();
  }

  /** Its exchange is over: until then, what was whole waits there for its caller to take it. */
  letGo(): void {
    this.#options.live.remove(this);
    this.#giveBack();
    this.#release(this.#counted);
  }

  #giveBack(): void {
    if (this.#buffered === 0) return;
    this.#options.buffers.give(this.#buffered, this.#owner);
    this.#buffered = 0;
  }

  #guard(run: () => void): void {
    if (this.#over) return;
    try {
      run();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** As #guard; it runs for each event, so without a function made for it. */
  #received(chunk: Buffer): void {
    if (this.#over) return;
    try {
      this.#data(chunk);
    } catch (error) {
      this.#fail(error);
    }
  }

  #head(status: number, headers: IncomingHttpHeaders): void {
    const { session, clock, metrics, ownCredential } = this.#options;
    this.#status = status;
    this.#headers = headers;
    session.firstByteAt = clock.monotonic();
    metrics.stage('upstream', session.firstByteAt - (session.toUpstreamAt ?? session.firstByteAt));
    metrics.firstByte(session.operation, session.age);
    if (ownCredential && (status === 401 || status === 407))
      throw new RefusedError('upstream_error', { detail: 'credential' });
    const type = headers['content-type'] ?? '';
    const framing = this.#framingOf(type);
    if (framing !== undefined) this.#startStream(framing);
    // Nobody would read it once it is whole: it may be a stream of another kind, which does not wait.
    else if (this.#beside && !this.#isReadable(type)) this.#passUnread('response_uninspectable');
  }

  /** Whether somebody can read an answer of this type once it is whole. */
  #isReadable(type: string): boolean {
    if (this.#headers[jsonLengthHeader] !== undefined) return this.#options.route.split !== undefined;
    return jsonType.test(type) || textType.test(type) || this.#documentOf(type) !== undefined;
  }

  /** Of an answer of this type; undefined: it is no stream. */
  #framingOf(type: string): StreamFraming | undefined {
    const { route, promised } = this.#options;
    if (route.streams.length === 0) return undefined;
    const media = mediaType(type);
    const framing = route.streams.find((one) => one.mediaTypes.has(media));
    if (framing !== undefined && promised !== undefined && framing !== promised)
      throw new RefusedError('response_uninspectable', { detail: 'content-type' });
    // Bare text in other letters is refused in chunks as it is in one.
    if (framing?.mediaTypes.has('text/plain') === true) typeRead(type);
    return framing;
  }

  #startStream(framing: StreamFraming): void {
    const { route, views, stops, dropUsage, runtime, metrics, mayPass } = this.#options;
    this.#streaming = true;
    this.#framing = framing;
    metrics.streamOpened();
    this.#stream = new StreamAnswer(
      {
        route,
        framing,
        views,
        stops,
        dropUsage,
        mayPass,
        renamed: this.#options.renamed,
        observes: !runtime.snapshot.enforcing,
        onHits: (hits, lane) => {
          this.#hits(hits);
          if (lane !== undefined)
            this.#findAt(lane.id, hits, (start) => (lane.recorded ? lane.recordedAt(start) : undefined));
        },
      },
      this.#departure,
    );
    // Of a file nothing leaves before its first bytes are known: until then it can still be refused.
    if (this.#options.review === undefined && (framing.isFile !== true || this.#beside)) this.#begin();
  }

  #begin(): void {
    this.#left = true;
    const framing = this.#framing;
    this.#delivery.start(this.#status, this.#outgoing(false, framing?.contentType ?? ''), framing);
  }
  /** Of a stream that is read. */
  #framing: StreamFraming | undefined;
  /** The head of a stream has left, or waits for its tick: what fails is an event of it. */
  #left = false;

  #outgoing(whole: boolean, contentType: string): OutgoingHttpHeaders {
    const { session, views, exchange, plan, runtime, renamed } = this.#options;
    const { enforcing } = runtime.snapshot;
    const { padToMultipleOf, minDurationMs, cadenceMs } = plan.limits;
    const shaped = padToMultipleOf !== undefined || minDurationMs !== undefined || cadenceMs !== undefined;
    const headers: OutgoingHttpHeaders = {};
    const values = new ValueReader(views);
    const passed = enforcing ? responseHeadersToCaller(this.#headers) : everyHeader(this.#headers);
    for (const [name, value] of Object.entries(passed)) {
      if (value === undefined || (shaped && tellsOfWork.test(name))) continue;
      // A header is text of the model's too: one that holds what a rule hides does not leave.
      const { hits, passes } = values.lookAtHeader(String(value));
      if (hits.length > 0) this.#hits(hits);
      if (passes) headers[name] = value === renamed?.as ? renamed.name : value;
    }
    if (enforcing) headers['content-type'] = contentType;
    if (enforcing || headers['x-request-id'] === undefined) headers['x-request-id'] = session.id;
    // The names of rules that acted would show in the head's size: where sizes are hidden, to who asks only.
    const named = whole && (padToMultipleOf === undefined || exchange.headers[receiptHeader] === 'full');
    headers[receiptHeader] = receipt(session, named);
    return headers;
  }

  #data(chunk: Buffer): void {
    if (!this.#streaming) return this.#buffer(chunk);
    const { session, clock } = this.#options;
    if (this.#raw || this.#stream === undefined) {
      this.#pass(chunk);
      return;
    }
    const stream = this.#stream;
    const from = clock.monotonic();
    try {
      stream.data(chunk);
      this.#count();
    } catch (error) {
      this.#observeOrThrow(error);
      this.#recount();
    } finally {
      session.frames = stream.frames;
      this.#maskMs += clock.monotonic() - from;
      this.#measureHeld(stream);
    }
    if (!this.#beside) {
      this.#flush();
      if (this.#endless && stream.waits) this.#settleLater(clock.monotonic());
      return;
    }
    this.#recordBeside();
    session.firstTextAt ??= clock.monotonic();
    this.#pass(chunk);
  }

  /** Nothing of it says that a text is whole: see {@link SocketRoute}. */
  get #endless(): boolean {
    return this.#options.route.socket?.endless === true;
  }

  #settleLater(now: number): void {
    this.#heardAt = now;
    this.#quiet ??= this.#options.clock.after(quietMs, this.#settleNow);
  }
  /** When something of the model's came last of which some is held; or could come again. */
  #heardAt = 0;
  #quiet: Timer | undefined;

  /** Its caller takes nothing more for now: whether the model is silent cannot be known. */
  #pause(): void {
    this.#paused = true;
    this.#call?.pause();
  }
  #paused = false;

  #resume(): void {
    this.#paused = false;
    if (this.#endless && this.#stream?.waits === true) this.#settleLater(this.#options.clock.monotonic());
    this.#call?.resume();
  }

  readonly #settleNow = (): void => {
    const stream = this.#stream;
    this.#quiet = undefined;
    if (this.#over || this.#raw || this.#paused || stream === undefined || !stream.waits) return;
    const left = this.#heardAt + quietMs - this.#options.clock.monotonic();
    if (left > 0) {
      this.#quiet = this.#options.clock.after(left, this.#settleNow);
      return;
    }
    this.#settle(stream).catch((error: unknown) => this.#fail(error));
  };

  /** In turns, as long as the model says nothing and its caller reads; what is too much for one silence waits for another. */
  async #settle(stream: StreamAnswer): Promise<void> {
    const { clock, turn } = this.#options;
    const heardAt = this.#heardAt;
    for (let read = 0; read < mostAtSilence;) {
      let step: number;
      try {
        step = stream.settle(settleStep);
      } finally {
        this.#flush(); // what was decided before may leave
      }
      if (step === 0) return;
      read += step;
      await turn();
      if (this.#isOver() || this.#raw || this.#paused || this.#heardAt !== heardAt) return;
    }
    if (stream.waits) this.#settleLater(clock.monotonic());
  }

  /** The bytes leave as they came: what was read of them is for the record alone. */
  #recordBeside(): void {
    this.#depart();
    this.#options.session.commit();
  }

  /** What broke off while it was read is recorded, and does not leave. */
  #recordBroken(): void {
    this.#stream?.breakOff();
    this.#depart();
  }

  /**
   * What a stream keeps beyond an ordinary one counts as an answer that waits: what is not decided, and what its caller has not taken.
   *
   * @throws RefusedError overloaded, caller_share_used
   */
  #count(): void {
    const more = this.#countable - this.#counted;
    if (more <= 0) return this.#release(-more);
    const noRoom = this.#options.buffers.take(more, this.#owner, largestAnswer);
    if (noRoom !== undefined) throw new RefusedError(noRoom);
    this.#counted += more;
  }
  #counted = 0;

  get #countable(): number {
    const kept = this.#over || this.#raw ? 0 : (this.#stream?.kept ?? 0);
    return Math.max(0, kept + this.#waiting - ordinaryKept);
  }

  /** Of a stream that leaves as it is decided: what its caller had not taken when it was last looked at. */
  #waiting = 0;
  /** Something waits for a tick after each event. */
  readonly #paced: boolean;

  /** Something has left, or will not: it is given back. */
  #recount(): void {
    this.#waiting = this.#delivery.waiting;
    this.#release(this.#counted - this.#countable);
  }

  #release(bytes: number): void {
    if (bytes <= 0) return;
    this.#options.buffers.give(bytes, this.#owner);
    this.#counted -= bytes;
  }

  #measureHeld(stream: StreamAnswer): void {
    const held = stream.held;
    if (held > this.#held) this.#held = held;
  }

  #mayPassUnread(error: unknown): error is RefusedError {
    return error instanceof RefusedError && this.#beside;
  }

  /** In Observe mode what cannot be read passes as it came; elsewhere it ends the stream. */
  #observeOrThrow(error: unknown): void {
    const { session } = this.#options;
    if (!this.#mayPassUnread(error)) {
      this.#flush(); // what was decided before may leave
      throw error;
    }
    session.observe([{ reason: error.code, rule: 'default' }]);
    this.#raw = true;
    this.#stream?.breakOff();
    this.textBytes = this.#stream?.textBytes ?? 0;
  }

  /** In Observe mode: the rest of it as it comes, behind what waits. */
  #passUnread(reason: ReasonCode): void {
    const { session } = this.#options;
    session.observe([{ reason, rule: 'default' }]);
    this.#raw = true;
    this.#streaming = true;
    this.#begin();
    session.firstTextAt = session.firstByteAt;
    let taken = true;
    for (const chunk of this.#chunks.splice(0)) taken = this.#pass(chunk);
    if (taken) this.#giveBack(); // else once its caller has taken it
  }

  #flush(): void {
    const { session, clock } = this.#options;
    const text = this.#depart();
    if (text.length === 0) return;
    session.commit(); // before the bytes that it covers leave
    if (!this.#left && this.#options.review === undefined) this.#begin();
    if (!this.#left) return this.#keep(text);
    session.firstTextAt ??= clock.monotonic();
    const taken = this.#delivery.write(text);
    if (!taken) this.#pause();
    if (taken && !this.#paced) return;
    this.#waiting = this.#delivery.waiting;
    this.#count();
  }

  /** What leaves now, its record's part queued. */
  #depart(): string | ByteChain {
    const text = this.#departure.take(this.#segment);
    return this.#departure.takeBytes() ?? text;
  }

  readonly #segment = (lane: string, text: string, raw: string | undefined): void => this.#recorded(lane, text, raw);

  #recorded(lane: string, text: string, raw: string | undefined): void {
    const { session, review } = this.#options;
    session.segment(lane, text, raw);
    if (review === undefined) return;
    const kept = session.spell({ id: lane, text, raw: text });
    (this.#excerpt ??= new AnswerExcerpt(session.sealsAll)).record(kept.id, kept.text);
  }

  /** Waits with the rest of the answer until it is whole. */
  #keep(text: string | ByteChain): void {
    const fault = this.#take(typeof text === 'string' ? Buffer.byteLength(text) : text.length);
    if (fault !== undefined) throw new RefusedError(fault);
    this.#kept.push(text);
  }

  /** Whoever must be asked whether it may leave. @throws RefusedError */
  async #reviewed(pieces: readonly (string | Buffer | ByteChain)[]): Promise<void> {
    const { review } = this.#options;
    if (review === undefined || this.#asking.size === 0) return;
    const digest = createHash('sha256');
    for (const piece of pieces)
      for (const one of piece instanceof ByteChain ? piece.pieces : [piece]) digest.update(one);
    const rules = [...this.#asking];
    await review({
      rules,
      digest: `sha256:${digest.digest('hex')}`,
      excerpt: this.#excerpt?.text() ?? '',
      bytes: this.#buffered,
    });
  }

  #pass(chunk: Buffer): boolean {
    if (this.#raw) this.textBytes += chunk.length;
    const taken = this.#delivery.pass(chunk);
    if (!taken) this.#pause();
    return taken;
  }

  #buffer(chunk: Buffer): void {
    // What nobody will be able to read is not waited for.
    if (this.#buffered === 0 && !this.#beside) this.#readingOf(this.#headers['content-type'] ?? '');
    const fault = this.#take(chunk.length);
    if (fault === undefined) return void this.#chunks.push(chunk);
    if (!this.#beside) throw new RefusedError(fault);
    this.#passUnread(fault);
    this.#pass(chunk);
  }

  /** Room for so many bytes more of an answer that waits until it is whole; else why there is none. */
  #take(bytes: number): ReasonCode | undefined {
    const { buffers, plan } = this.#options;
    const most = plan.limits.maxBytes ?? largestAnswer;
    if (this.#buffered + bytes > most) return 'response_too_large';
    const noRoom = buffers.take(bytes, this.#owner, most, 0, this.#buffered);
    if (noRoom === undefined) this.#buffered += bytes;
    return noRoom;
  }

  get #owner(): string {
    return ownerOf(this.facts.caller);
  }

  #end(): void {
    if (this.#streaming) return this.#endStream();
    this.#finishWhole().catch((error: unknown) => this.#fail(error));
  }

  #endStream(): void {
    const { session } = this.#options;
    const stream = this.#stream;
    if (stream !== undefined && !this.#raw) {
      try {
        stream.end();
      } catch (error) {
        this.#observeOrThrow(error);
      }
      this.usage = stream.usage;
      this.textBytes = stream.textBytes;
      if (this.#beside) this.#recordBeside();
      else this.#flush();
    }
    this.#deadline?.cancel(); // the model's part is over; what is waited for now is the policy's own
    if (this.#left) return this.#endDelivery();
    this.#reviewed(this.#kept).then(
      () =>
        this.#guard(() => {
          session.firstTextAt = this.#options.clock.monotonic();
          this.#begin();
          for (const text of this.#kept.splice(0)) this.#delivery.write(text);
          this.#endDelivery();
        }),
      (error: unknown) => this.#fail(error),
    );
  }

  #endDelivery(): void {
    const { session, exchange } = this.#options;
    const full = exchange.headers[receiptHeader] === 'full';
    const comment = full ? this.#framing?.comment?.(`${receiptHeader} ${receipt(session, true)}`) : undefined;
    this.#delivery.end(comment ?? '', () => this.#completed());
  }

  async #finishWhole(): Promise<void> {
    const { session } = this.#options;
    const body = this.#chunks.length === 1 ? (this.#chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#chunks);
    this.#chunks.length = 0;
    const type = this.#headers['content-type'] ?? '';
    const from = this.#options.clock.monotonic();
    let answer: { readonly body: Buffer | string; readonly json: boolean; readonly type: string };
    try {
      answer = await this.#inspectWhole(body, type);
    } catch (error) {
      if (this.#over || !this.#mayPassUnread(error)) throw error;
      session.observe([{ reason: error.code, rule: 'default' }]);
      answer = { body, json: false, type };
    }
    this.#maskMs += this.#options.clock.monotonic() - from;
    if (body.length > stepUnits) await this.#recordInSteps();
    if (this.#over) return; // policy or caller ended it meanwhile
    session.commit();
    if (this.#asking.size > 0) {
      this.#deadline?.cancel();
      await this.#reviewed([answer.body]);
      // Ended while people were asked.
      if (this.#isOver()) return;
    }
    session.firstTextAt = this.#options.clock.monotonic();
    this.#deadline?.cancel();
    const headers = this.#outgoing(true, answer.type);
    this.#delivery.respond({ ...answer, status: this.#status, headers }, () => this.#completed());
  }

  /** Encoding, hashing, writing and sending a long answer in one go would hold all others for 10 ms. */
  async #recordInSteps(): Promise<void> {
    const { session, turn } = this.#options;
    do await turn();
    while (!this.#over && session.commitSome());
    await turn();
  }

  #isOver(): boolean {
    return this.#over;
  }

  /** Nobody looks into an answer that nobody waits for. */
  readonly #turn = async (): Promise<void> => {
    await this.#options.turn();
    if (this.#isOver()) throw new RefusedError('malformed_http', { detail: 'aborted' });
  };

  async #inspectWhole(body: Buffer, type: string): Promise<{ body: Buffer | string; json: boolean; type: string }> {
    if (body.length === 0) return { body, json: false, type: 'application/octet-stream' };
    const reading = this.#readingOf(type);
    if (reading === 'json') return this.#inspectJson(body);
    if (typeof reading === 'object' && 'mediaTypes' in reading) return this.#inspectDocument(body, reading, type);
    if (typeof reading === 'object') return this.#inspectSplit(body, reading, type);
    return reading === 'text' ? this.#inspectText(body, type) : { body, json: false, type };
  }

  /**
   * How an answer of this type is read once it is whole. Health and metrics pages are text by nature; anything else that is not JSON is an
   * unknown shape, which passes as bytes where no rule looks for anything.
   *
   * @throws RefusedError response_uninspectable
   */
  #readingOf(type: string): 'json' | 'text' | 'bytes' | SplitBody | DocumentBody {
    const { views, runtime, route } = this.#options;
    // Clients end the JSON there, whatever the type says.
    const isSplit = this.#headers[jsonLengthHeader] !== undefined;
    if (isSplit && route.split !== undefined) return route.split;
    if (jsonType.test(type) && !isSplit) return 'json';
    const document = isSplit ? undefined : this.#documentOf(type);
    if (document !== undefined) return document;
    const buffers = runtime.snapshot.onUnknown === 'Buffer';
    if (textType.test(type) && !isSplit && (buffers || this.#isPage)) return 'text';
    if (buffers && views.act.idle && views.record.idle) return 'bytes';
    throw new RefusedError('response_uninspectable', { detail: 'content-type' });
  }

  /** Undefined: its route reads no text of this type by itself. */
  #documentOf(type: string): DocumentBody | undefined {
    const { document } = this.#options.route;
    return document?.mediaTypes.has(mediaType(type)) === true ? document : undefined;
  }

  get #isPage(): boolean {
    const { operation } = this.#options.route;
    return operation === 'Health' || operation === 'Metrics';
  }

  /** JSON, and bytes after it. */
  async #inspectSplit(
    body: Buffer,
    split: SplitBody,
    type: string,
  ): Promise<{ body: Buffer | string; json: boolean; type: string }> {
    const { text, edited } = split.answer(body, String(this.#headers[jsonLengthHeader]));
    const answer = await this.#inspectJson(body, {
      text,
      edited: (edits) => {
        const made = edited(edits);
        this.#headers = { ...this.#headers, [jsonLengthHeader]: String(made.jsonBytes) };
        return made.body;
      },
    });
    return { ...answer, json: false, type };
  }

  /** A text of which its route knows more. */
  async #inspectDocument(
    body: Buffer,
    document: DocumentBody,
    type: string,
  ): Promise<{ body: Buffer | string; json: boolean; type: string }> {
    const read = typeRead(type);
    if (body.length > largestDocument) return this.#inspectText(body, type);
    const source = decodeUtf8(body, () => new RefusedError('response_uninspectable', { detail: 'utf8' }));
    const answer = await this.#inspectJson(body, document.answer(source));
    return { ...answer, json: false, type: read };
  }

  async #inspectJson(
    body: Buffer,
    split?: JsonAnswerOptions['split'],
  ): Promise<{ body: Buffer | string; json: boolean; type: string }> {
    const { route, views, stops, runtime, facts, mayPass } = this.#options;
    const listing = route.operation === 'ListModels' && runtime.snapshot.enforcing;
    const outcome = await inspectJsonAnswer(body, {
      route,
      status: this.#status,
      views,
      stops,
      turn: this.#turn,
      mayPass,
      ...(split !== undefined && { split }),
      listing: listing
        ? { mayUse: (model) => mayUse(runtime, facts, model), names: runtime.snapshot.upstream?.hosted?.models ?? [] }
        : undefined,
      renamed: this.#options.renamed,
    });
    this.usage = outcome.usage;
    this.textBytes = outcome.textBytes;
    this.#hits(outcome.hits);
    for (const { lane, text, raw, hits, edits } of outcome.record) {
      this.#findAt(lane, hits, (start) => placeIn(edits, start));
      this.#recorded(lane, text, raw);
    }
    if (outcome.stopped !== undefined) throw new StoppedError(outcome.stopped);
    return { body: outcome.body, json: true, type: 'application/json' };
  }

  async #inspectText(body: Buffer, type: string): Promise<{ body: Buffer | string; json: boolean; type: string }> {
    const { views } = this.#options;
    const turn = this.#turn;
    const read = typeRead(type);
    const source = decodeUtf8(body, () => new RefusedError('response_uninspectable', { detail: 'utf8' }));
    this.textBytes = body.length;
    const acted = await maskLong(views.act, source, 'text', 'complete', turn);
    this.#hits(acted.hits);
    if (!this.#isPage) {
      const sealed = views.sealed && (await maskLong(views.sealed, source, 'text', 'complete', turn));
      const kept = await maskLong(views.record, source, 'text', 'complete', turn);
      this.#findAt('body', acted.hits, (start) => placeIn(kept.edits, start));
      this.#recorded('body', kept.text, sealed?.text);
    }
    if (acted.stopped !== undefined) throw new StoppedError(acted.stopped.rule);
    return {
      body: acted.edits.length === 0 ? body : acted.text,
      json: false,
      type: read,
    };
  }

  /** Where approvers are to look. @param at where something stands in what is recorded of the lane */
  #findAt(lane: string, hits: readonly Hit[], at: (start: number) => number | undefined): void {
    const { review, runtime, session } = this.#options;
    if (review === undefined) return;
    const excerpt = (this.#excerpt ??= new AnswerExcerpt(session.sealsAll));
    for (const { rule, start } of hits)
      if (this.plan.approve[rule] === 1)
        excerpt.found(runtime.scanner.rules[rule]?.id ?? '', session.spellName(lane), at(start));
  }

  #hits(hits: readonly Hit[]): void {
    const { session, runtime } = this.#options;
    for (const hit of hits) {
      const rule = runtime.scanner.rules[hit.rule];
      if (rule === undefined) continue;
      session.act(rule.id, actName[rule.action], hit, !rule.enforce);
      if (this.plan.approve[hit.rule] === 1) this.#asking.add(rule.id);
    }
  }

  /** The answer must not go on. Where nothing left yet it becomes a refusal, on a stream an error event; never an end marker. */
  #fail(error: unknown): void {
    if (this.#over) return;
    const refused = this.#refusalOf(error);
    const { session, exchange, route, logger, metrics, noteModelFault } = this.#options;
    if (refused.code === 'internal_error')
      logger.error('answer failed', { request: session.id, error: describeError(error) });
    noteModelFault(session.id, refused);
    metrics.aborted(abortCause(refused.code));
    if (roomCodes.has(refused.code)) metrics.answerWithoutRoom(refused.code);
    if (refused.rule !== undefined) session.act(refused.rule, 'blocked');
    const { status } = reasons[refused.code];
    this.#call?.abort();
    if (refused.code === 'internal_error') this.#depart();
    else this.#recordBroken();
    // Of no stream whose callers know what an event of ours is, or one that leaves as it comes: only a cut says that it is not whole.
    const framing = this.#framing;
    const unsaid = this.#stream === undefined || framing?.isFile === true || framing?.breaksOff === true;
    const cut = this.#left && (unsaid || (this.#beside && refused.code.startsWith('upstream_')));
    if (this.#left) {
      try {
        session.commit();
      } catch {
        // The record is what failed, or fails too: the error event carries nothing of the model's.
      }
      // What an old policy let through and did not leave yet does not leave under a new one.
      const keep = refused.code !== 'policy_changed';
      if (cut) this.#delivery.cancel();
      else this.#delivery.fail(this.#refusalFrame(refused), keep);
    } else {
      const response = refusalResponse(session, refused, route.dialect);
      this.#delivery.cancel();
      this.#giveBack();
      exchange.respond(response.status, response.headers, response.body);
    }
    this.#result({
      outcome: cutOutcome(refused.code),
      status: this.#left ? this.#status : status,
      code: refused.code,
    });
    if (!cut) return;
    // What is on record as sent still leaves, unless a new policy took it back.
    if (refused.code === 'policy_changed') exchange.destroy();
    else exchange.breakOff();
  }

  #refusalFrame(refused: RefusedError): string {
    const { session, route } = this.#options;
    const { dialect } = route;
    return this.#framing?.frame(dialect.refusal(refusalText(session, refused)), dialect.errorEvent) ?? '';
  }

  #refusalOf(error: unknown): RefusedError {
    if (error instanceof RefusedError) return error;
    if (error instanceof StoppedError) return stoppedBy(error.rule, this.runtime.scanner.rules, this.plan);
    return new RefusedError('internal_error', { cause: error });
  }

  /** Not before it left: an answer that waits for its time can still be ended by policy. */
  #completed(): void {
    this.#leaving = this.#options.exchange.backlogged;
    this.#result({ outcome: 'completed', status: this.#status, code: undefined });
  }

  /** All of it was let through, and its caller has yet to take some: until then it counts among the live, and may still be ended. */
  #leaving = false;

  #cutOff(code: ReasonCode): void {
    const { exchange, metrics, onResult } = this.#options;
    if (!exchange.backlogged) return; // all of it is with the kernel
    this.#leaving = false;
    metrics.aborted(abortCause(code));
    onResult({ outcome: cutOutcome(code), status: this.#status, code });
    exchange.destroy();
  }

  #result(result: AnswerResult): void {
    this.#close();
    this.#options.onResult(result);
  }

  #close(): void {
    if (this.#over) return;
    this.#over = true;
    const { live, metrics } = this.#options;
    this.#call?.abort();
    this.#deadline?.cancel();
    this.#quiet?.cancel();
    if (!this.#leaving) live.remove(this);
    this.#recount(); // what has yet to leave counts until the exchange is over
    this.#chunks.length = 0;
    this.#kept.length = 0;
    if (this.#stream !== undefined) {
      this.usage ??= this.#stream.usage;
      if (!this.#raw) this.textBytes = this.#stream.textBytes;
      metrics.streamClosed();
      metrics.heldAtMost(this.#held);
    }
    metrics.stage('mask', this.#maskMs);
  }
}

/** A model is listed to those who may both list it and do something with it; inside the pod to nobody in particular, too. */
function mayUse(runtime: Runtime, facts: Asked, model: string): boolean {
  const may = (operation: Operation): boolean =>
    accessOf(runtime.snapshot, { ...facts, operation, model }).kind === 'allow';
  if (facts.caller === undefined && isInside(facts.entrance)) return may('ListModels');
  return may('ListModels') && (may('Chat') || may('Completions') || may('Embeddings'));
}

/** How the record names the end of what had begun to leave and was cut for this reason. */
export const cutOutcome = (code: ReasonCode): SessionEnd['outcome'] =>
  reasons[code].status >= 500 ? 'failed' : 'ended';

/** Who ended an answer. */
export function abortCause(code: ReasonCode): AbortCause {
  if (code.startsWith('upstream_')) return 'upstream';
  if (code === 'shutting_down') return 'shutdown';
  return limitCodes.has(code) ? 'limit' : 'policy';
}

/** It was too large, there was no memory for it, or its caller's others had it all. */
const roomCodes: ReadonlySet<ReasonCode> = new Set(['response_too_large', 'overloaded', 'caller_share_used']);

const limitCodes: ReadonlySet<ReasonCode> = new Set([
  ...roomCodes,
  'response_timeout',
  'body_too_large',
  'request_timeout',
]);

/** Headers in which a model server tells how long an answer took it, and how many tokens. */
const tellsOfWork = /ratelimit|processing-ms/;

/** How long a model is silent before what is held of an endless stream leaves as at a cut: longer than most models take between two pieces of a text. */
const quietMs = 1_000;

/** Characters that are read once more in one go for what leaves at a silence: some milliseconds. */
const settleStep = 65_536;

/** The same of one silence, so that a model which adds a word to each of many long texts each second costs no more than some hundredths of a core. */
const mostAtSilence = 1_048_576;

/** What each stream may keep without that it counts: 16 KiB, as its connection does. */
const ordinaryKept = 16 * 1_024;

/** Where no rule says how large an answer may be. */
const largestAnswer = 32 * 1_024 * 1_024;

/** A longer one is read as a text of which nothing is known, in steps: a day of speech has a tenth of it. */
const largestDocument = 4 * 1_024 * 1_024;

/** Charsets in which a body that is UTF-8 says at least its ASCII alike. */
const likeUtf8 = /^(?:utf-?8|us-ascii|ascii|iso-8859-1|latin1|windows-1252)$/i;

/**
 * The type of a text as it was read: UTF-8, and of the model's parameters only a version, which scrapers want.
 *
 * @throws RefusedError response_uninspectable where the caller would read other letters than we did.
 */
function typeRead(type: string): string {
  const charset = /;\s*charset\s*=\s*"?([^\s";]*)/i.exec(type)?.[1];
  if (charset !== undefined && !likeUtf8.test(charset))
    throw new RefusedError('response_uninspectable', { detail: 'charset' });
  const media = /^[a-z]+\/[a-z-]+/i.exec(type)?.[0] ?? 'text/plain';
  const version = /;\s*version=(\d{1,2}(?:\.\d{1,2}){0,2})\s*(?:;|$)/i.exec(type)?.[1];
  return `${media}${version === undefined ? '' : `; version=${version}`}; charset=utf-8`;
}

/** Without parameters, in lower case. */
const mediaType = (type: string): string => (type.split(';', 1)[0] ?? '').trim().toLowerCase();

const textType = /^text\/(?:plain|html|markdown|csv)\b|^application\/openmetrics-text\b|^$/i;

const jsonType = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;
