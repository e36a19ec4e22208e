import { METHODS } from 'node:http';
import type { Clock } from '../base/index.ts';
import type {
  AuditEvent,
  Identity,
  Operation,
  ReasonCode,
  RecordedContent,
  RecordedText,
  Refusal,
  RuleAct,
  SessionApproval,
  SessionEnd,
  TracePoint,
} from '../core/index.ts';
import { RefusedError } from '../core/index.ts';
import type { SealingKey, SessionSealer } from '../seal/index.ts';
import type { RecordWriter } from './record-writer.ts';
import { countAct } from './rule-acts.ts';
import type { FoundBy } from './rule-acts.ts';
import type { CountedAct } from './rule-acts.ts';
import { StepNumbers } from './strange-keys.ts';

/**
 * What is known of one request, from its first byte to its last, and its record.
 *
 * Promise: the start and every segment are in the kernel's hands before the bytes that they cover leave. When they cannot
 * be written, `audit.onFailure: Deny` refuses (or ends) the exchange; with `Allow` it goes on and the failure is named in
 * `failedOpen`, in the receipt and in a counter.
 */

/** Longest text of one segment, in UTF-16 units: 16 KiB when it is ASCII. Of several texts in one line: together with their names. */
const segmentUnits = 16_384;

/** What a text costs in a line beside itself and its name, about. */
const textUnits = 64;
const unitsOf = ({ id, text, raw }: KeptText): number => id.length + Math.max(text.length, raw.length) + textUnits;

/** Segments that are written without a turn of the event loop between them: 64 KiB. */
const segmentsAtOnce = 4;

/** What a session needs to know of its connection; an Exchange is one. */
export interface SessionPeer {
  readonly startedAt: number;
  readonly peer: string;
  readonly protocol: string;
  readonly method: string;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export interface SessionOptions {
  readonly id: string;
  readonly clock: Clock;
  readonly record: RecordWriter;
  readonly exchange: SessionPeer;
  /** Where its caller stands in a trace; default: not known. */
  readonly trace?: TracePoint | undefined;
  /** Counted when a record could not be written and the policy allowed to go on. */
  readonly onFailedOpen: (what: string) => void;
  /** Told at its end how many of its texts were sealed; default: nobody is. */
  readonly onSealed?: ((texts: number) => void) | undefined;
}

/** A text for the record. */
export interface KeptText {
  readonly id: string;
  /** Masked for what nobody may see. */
  readonly text: string;
  /** As it was, but for the model's own credential: where texts are sealed. */
  readonly raw: string;
}

export class Session {
  readonly id: string;
  readonly exchange: SessionPeer;
  readonly #clock: Clock;
  readonly #record: RecordWriter;
  readonly #trace: TracePoint | undefined;
  readonly #onFailedOpen: (what: string) => void;
  readonly #onSealed: ((texts: number) => void) | undefined;
  readonly #acts: CountedAct[] = [];
  readonly #observed: CountedAct[] = [];
  readonly failedOpen: string[] = [];
  readonly #steps = new StepNumbers();
  #pending: AuditEvent[] = [];
  /** Of them: how many were handed over, by {@link commitSome}. */
  #handed = 0;
  /** Lines that were written, and that were to be and failed. */
  #lines = 0;
  #unwritten = 0;
  #started = false;
  #ended = false;
  #holds = 0;

  generation = 'none';
  caller: Identity | undefined = undefined;
  path = '';
  dialect = 'none';
  operation: Operation = 'Other';
  model: string | undefined = undefined;
  stream = false;
  content: RecordedContent = 'Masked';
  /** A path that is the caller's words, where no text stands in clear: a text of the request. */
  pathText: KeptText | undefined = undefined;
  /** With Full and Sealed: no policy that says so is put into force without. */
  sealing: SealingKey | undefined = undefined;
  #sealer: SessionSealer | undefined;
  onAuditFailure: 'Deny' | 'Allow' = 'Deny';
  tokens: { input: number; output: number } | undefined = undefined;
  frames = 0;
  /** Monotonic milliseconds; undefined until it happened. */
  toUpstreamAt: number | undefined = undefined;
  firstByteAt: number | undefined = undefined;
  firstTextAt: number | undefined = undefined;

  constructor(options: SessionOptions) {
    this.id = options.id;
    this.exchange = options.exchange;
    this.#clock = options.clock;
    this.#record = options.record;
    this.#trace = options.trace;
    this.#onFailedOpen = options.onFailedOpen;
    this.#onSealed = options.onSealed;
  }

  /** Milliseconds since the head of the request was complete. */
  get age(): number {
    return this.#clock.monotonic() - this.exchange.startedAt;
  }

  act(rule: string, act: RuleAct['act'], by?: string | FoundBy, observed = false): void {
    countAct(observed ? this.#observed : this.#acts, rule, act, by);
  }

  observe(refusals: readonly Refusal[]): void {
    for (const refusal of refusals) this.act(refusal.rule, 'denied', refusal.reason, true);
  }

  /** Rules that acted so far, in order of first action. */
  acts(): readonly RuleAct[] {
    return this.#acts;
  }

  /** Whether a policy in Observe mode would have refused this. */
  get wouldRefuse(): boolean {
    for (const one of this.#observed) if (refusing.has(one.act)) return true;
    return false;
  }

  /** Decided anew, under another policy: rules that acted until now did not. Nothing is recorded yet. */
  startOver(): void {
    this.#acts.length = 0;
    this.#observed.length = 0;
    this.failedOpen.length = 0;
  }

  /** Writes the start and the request's text. @throws RefusedError audit_unavailable. */
  begin(lanes: readonly KeptText[]): void {
    this.prepare(lanes);
    this.commit();
  }

  /** Queues the start and the request's text, once; {@link commit} and {@link commitSome} hand them over. */
  prepare(lanes: readonly KeptText[]): void {
    if (this.#started) return; // held, and recorded while it waited
    const kept = this.#keepsNone ? [] : lanes;
    if (kept.reduce((sum, lane) => sum + unitsOf(lane), 0) <= segmentUnits) {
      this.#queueStart(kept);
      return;
    }
    this.#queueStart();
    this.#queueAll(kept);
  }

  /** Writes the text of a further message of the request. @throws RefusedError audit_unavailable. */
  add(lanes: readonly KeptText[]): void {
    this.queue(lanes);
    this.commit();
  }

  /** The same; {@link commit} writes it, with what else is queued. */
  queue(lanes: readonly KeptText[]): void {
    if (!this.#keepsNone) this.#queueAll(lanes);
  }

  #queueAll(kept: readonly KeptText[]): void {
    let together: KeptText[] = [];
    let units = 0;
    const flush = (): void => {
      if (together.length > 0) this.#queueTexts(together);
      together = [];
      units = 0;
    };
    for (const lane of kept) {
      const more = unitsOf(lane);
      if (units + more > segmentUnits) flush();
      if (more > segmentUnits) {
        this.#queueSegments('request', lane.id, lane.text, lane.raw);
        continue;
      }
      together.push(lane);
      units += more;
    }
    flush();
  }

  /** Queues text of the answer; {@link commit} hands it over. @param raw as in {@link KeptText}. */
  segment(lane: string, text: string, raw = text): void {
    if (text.length === 0 && raw.length === 0) return;
    const kept = this.spell({ id: lane, text, raw });
    this.#queueSegments('response', kept.id, kept.text, kept.raw);
  }

  /** A text as everybody but the sidecar may see it: its lane's name says nothing of keys, whose digests are those of this process. */
  spell(kept: KeptText): KeptText {
    const { id, text, raw } = kept;
    if (!id.includes('{')) return kept;
    const spelled = this.#steps.text(id, text);
    return { id: this.#steps.name(id), text: spelled, raw: raw === text ? spelled : this.#steps.text(id, raw) };
  }

  /** The same of the name of a lane alone. */
  spellName(id: string): string {
    return this.#steps.name(id);
  }

  /** No text of it stands in clear wherever its record is. */
  get sealsAll(): boolean {
    return this.#sealsAll ?? this.content === 'Sealed';
  }
  /** Since it was started. */
  #sealsAll: boolean | undefined;

  /** No text is kept: none is wanted, or it could not be sealed. */
  get #keepsNone(): boolean {
    return this.content === 'None' || (this.sealsAll && this.sealing === undefined);
  }

  /** A text as it stands in the record: in clear, with what it was beside it, sealed, where anything of it was masked; or sealed, and not in clear. */
  #recordedText(direction: 'request' | 'response', { id: lane, text, raw }: KeptText): RecordedText {
    if (this.sealsAll) return { lane, ...this.#sealer?.sealWhole(direction, lane, text, raw) };
    return { lane, text, ...(raw !== text && this.#sealer?.seal(direction, lane, raw)) };
  }

  /**
   * Whom an approval lets through: this session, or of one with several messages that were held, the n-th of them, `ID-n`. One
   * approval lets one of them through, so that the next is not taken for the same one asking again.
   */
  nameHold(): string {
    this.#holds++;
    return this.#holds === 1 ? this.id : `${this.id}-${this.#holds}`;
  }

  /** What became of its approval. @throws RefusedError audit_unavailable. */
  approval(event: Omit<SessionApproval, 'type' | 'session' | 'at'>): void {
    this.#queueStart();
    this.#pending.push({ type: 'approval', session: this.id, ...event, at: round(this.age) });
    this.commit();
  }

  /** Hands what is queued to the kernel. @throws RefusedError audit_unavailable. */
  commit(): void {
    const events = this.#takePending();
    if (events.length > 0) this.#append(events);
  }

  #takePending(): AuditEvent[] {
    const events = this.#handed === 0 ? this.#pending : this.#pending.slice(this.#handed);
    this.#pending = [];
    this.#handed = 0;
    return events;
  }

  /**
   * Hands over a part of what is queued: a few segments of a long text, so that others need not wait for all of them.
   *
   * @returns whether there is more. @throws RefusedError audit_unavailable.
   */
  commitSome(): boolean {
    if (this.#pending.length === 0) return false;
    const events = this.#pending.slice(this.#handed, this.#handed + segmentsAtOnce);
    this.#handed += events.length;
    const more = this.#handed < this.#pending.length;
    if (!more) this.#takePending();
    this.#append(events);
    return more;
  }

  #append(events: readonly AuditEvent[]): void {
    try {
      this.#record.append(events);
      this.#lines += events.length;
    } catch (cause) {
      this.#unwritten += events.length;
      if (this.onAuditFailure === 'Deny') throw new RefusedError('audit_unavailable', { cause });
      this.#sealer?.lose(events.reduce((sum, event) => sum + sealedIn(event), 0));
      this.failOpen('audit');
    }
  }

  /** A check could not be made and its failure mode lets the exchange go on: named in the receipt and the record, and counted. */
  failOpen(what: string): void {
    if (!this.failedOpen.includes(what)) this.failedOpen.push(what);
    this.#onFailedOpen(what);
  }

  /**
   * Hands over the end, once, and what was not written yet. It is in the record within 100 ms; at once where nothing of the session is there,
   * as of what is refused. Never throws: the bytes have left.
   *
   * @param toLeave bytes of an answer that leaves right behind it.
   */
  end(outcome: SessionEnd['outcome'], status: number, code: ReasonCode | undefined, toLeave = 0): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#queueStart();
    const since = (at: number | undefined): number | null =>
      at === undefined ? null : round(at - this.exchange.startedAt);
    const events = this.#takePending();
    const sealed = this.#sealer?.end();
    if (sealed !== undefined) this.#onSealed?.(sealed.pieces);
    events.push({
      type: 'end',
      session: this.id,
      outcome,
      status,
      code: code ?? null,
      rules: this.acts(),
      observed: this.#observed,
      failedOpen: this.failedOpen,
      bytesIn: this.exchange.bytesIn,
      bytesOut: this.exchange.bytesOut + toLeave,
      frames: this.frames,
      lines: this.#lines + events.length + 1,
      ...(this.#unwritten > 0 && { unwritten: this.#unwritten }),
      tokens: this.tokens ?? null,
      ...(sealed !== undefined && { sealed }),
      timing: {
        toUpstream: since(this.toUpstreamAt),
        firstByte: since(this.firstByteAt),
        firstText: since(this.firstTextAt),
        total: round(this.age),
      },
    });
    if (this.#lines === 0) this.#record.whole(events);
    else this.#record.later(events);
  }

  get ended(): boolean {
    return this.#ended;
  }

  #queueStart(texts: readonly KeptText[] = []): void {
    if (this.#started) return;
    this.#started = true;
    this.#sealsAll = this.sealsAll;
    const caller = this.caller;
    this.#sealer = this.sealsAll ? this.sealing?.wholeSession(this.id) : this.sealing?.session(this.id);
    const path = this.pathText === undefined || this.#keepsNone ? [] : [this.pathText];
    const request = this.#recorded([...path, ...texts]);
    this.#pending.push({
      type: 'start',
      session: this.id,
      generation: this.generation,
      caller:
        caller === undefined
          ? null
          : { provider: caller.provider, issuer: caller.issuer, subject: caller.subject, groups: caller.groups },
      peer: this.exchange.peer,
      protocol: this.exchange.protocol,
      method: this.sealsAll ? knownMethod(this.exchange.method) : this.exchange.method,
      path: this.path,
      dialect: this.dialect,
      operation: this.operation,
      model: this.model ?? null,
      stream: this.stream,
      ...(this.#trace !== undefined && { trace: this.#trace }),
      ...(this.#sealer !== undefined && { sealed: this.#sealer.head }),
      ...(request.length === 0 ? {} : { request }),
    });
  }

  #recorded(texts: readonly KeptText[]): RecordedText[] {
    return texts.map((text) => this.#recordedText('request', text));
  }

  #queueTexts(texts: readonly KeptText[]): void {
    this.#pending.push({ type: 'texts', session: this.id, request: this.#recorded(texts), at: round(this.age) });
  }

  #queueSegments(direction: 'request' | 'response', lane: string, text: string, raw: string): void {
    if (this.#keepsNone) return;
    const at = round(this.age);
    const length = this.#sealer === undefined ? text.length : Math.max(text.length, raw.length);
    for (let from = 0; from < length; from += segmentUnits) {
      const part = (of: string): string => of.slice(from, from + segmentUnits);
      const recorded = this.#recordedText(direction, { id: lane, text: part(text), raw: part(raw) });
      this.#pending.push({ type: 'segment', session: this.id, direction, ...recorded, at });
    }
  }
}

/** Acts after which a request does not go on. */
const refusing: ReadonlySet<RuleAct['act']> = new Set(['denied', 'blocked', 'limited']);

/** How many sealed texts a line has. */
function sealedIn(event: AuditEvent): number {
  if (event.type === 'segment') return event.sealed === undefined ? 0 : 1;
  const texts = event.type === 'start' || event.type === 'texts' ? (event.request ?? []) : [];
  return texts.filter((text) => text.sealed !== undefined).length;
}

/** Any token can be a method (RFC 9110, section 9.1): one that no server knows is the caller's word. */
const knownMethod = (method: string): string => (METHODS.includes(method) ? method : '…');

const round = (ms: number): number => Math.round(ms * 1_000) / 1_000;
