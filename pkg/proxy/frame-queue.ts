import { applyEdits } from '../base/index.ts';
import type { ByteChain, JsonEdit, JsonNode } from '../base/index.ts';
import type { StreamFrame } from '../dialect/index.ts';
import type { AnswerLane } from './lane.ts';
import { outermost } from './edits.ts';
import type { TokenPiece } from './tokens.ts';
import type { TokenRendering } from './tokens.ts';
import { renderTokens, tokensDecided } from './tokens.ts';

/**
 * Holding by frame: frames leave in the order in which they came, byte for byte as they came when all of their lane text
 * is decided and untouched. When more than 16 frames or 4 KiB wait, the oldest leaves with what is decided of it; the
 * rest of its text goes in front of that lane's next frame (or into a frame of its own, when the lane ends first).
 */

const maxWaitingFrames = 16;
const maxWaitingUnits = 4_096;

export interface Piece {
  readonly lane: AnswerLane;
  /** Offset in the lane after this piece. */
  readonly to: number;
  /** The string value in the frame. */
  readonly node: Pick<JsonNode, 'start' | 'end' | 'text'>;
  /** In the lane a line's end stands before it. */
  readonly apart?: true;
  /** The frame says all of the lane so far, up to `to`. */
  readonly grows?: true;
}

export interface WaitingFrame {
  readonly frame: StreamFrame;
  /** The frame's data; '' where it has none. */
  readonly data: string;
  readonly pieces: readonly Piece[];
  readonly tokens: readonly TokenPiece[];
  /** What was changed already, apart from lanes. */
  readonly edits: readonly JsonEdit[];
  /** The caller did not ask for it: it is read, and does not leave. */
  readonly drop: boolean;
}

/** Receives what may leave now, in order. What is recorded of a text comes before it. */
export interface StreamOutput {
  text(text: string): void;
  /** The same of a stream whose frames are no text. */
  bytes(bytes: ByteChain): void;
  /** What the record keeps of a lane; `raw` is what is sealed of it, where anything is. */
  record(lane: string, text: string, raw: string | undefined): void;
}

export class FrameQueue {
  readonly #frames: WaitingFrame[] = [];
  #units = 0;
  readonly #exact: TokenRendering['exact'];
  /** The last frame that left before all text of a lane was decided: what its rest is sent in when no other frame of the lane comes. */
  readonly #templates = new Map<AnswerLane, WaitingFrame>();

  /** @param exact as in {@link TokenRendering} */
  constructor(exact: TokenRendering['exact']) {
    this.#exact = exact;
  }

  get waiting(): number {
    return this.#frames.length;
  }

  /** Some frame waits, or the rest of one that left before all of it was decided. */
  get waits(): boolean {
    return this.#frames.length > 0 || this.#templates.size > 0;
  }

  /** Lanes of frames that left before all text of these was decided. */
  unfinished(): Iterable<AnswerLane> {
    return this.#templates.keys();
  }

  /** Characters of frames that are kept: of those that wait, and of those in whose form the rest of a lane will leave. */
  get units(): number {
    let units = this.#units;
    for (const left of this.#left.values()) units += left.length;
    if (this.#templates.size === 0) return units;
    for (const { frame } of new Set(this.#templates.values())) units += sizeOf(frame);
    return units;
  }

  /** Characters of lane text that are held back now. */
  held(): number {
    let units = 0;
    for (const waiting of this.#frames) for (const piece of waiting.pieces) units = Math.max(units, piece.lane.held);
    return units;
  }

  push(frame: WaitingFrame): void {
    this.#frames.push(frame);
    this.#units += sizeOf(frame.frame);
  }

  /** Of frames that wait. */
  lanes(): AnswerLane[] {
    return this.#frames.flatMap(({ pieces }) => pieces.map(({ lane }) => lane));
  }

  /** Drops all that waits. */
  clear(): void {
    this.#frames.length = 0;
    this.#units = 0;
    this.#templates.clear();
    this.#left.clear();
  }

  /** Gives out all frames that may leave now. */
  flush(output: StreamOutput): void {
    const frames = this.#frames;
    let gone = 0;
    while (gone < frames.length) {
      const head = frames[gone] as WaitingFrame;
      const whole = decided(head);
      if (!whole && frames.length - gone <= maxWaitingFrames && this.#units <= maxWaitingUnits) break;
      const run = whole ? this.#untouchedRun(gone) : 0;
      if (run > 1) this.#passRun(gone, gone + run, output);
      else {
        this.#units -= sizeOf(head.frame);
        this.#render(head, !whole, output);
      }
      gone += Math.max(run, 1);
    }
    if (gone === frames.length) frames.length = 0;
    else if (gone > 0) frames.splice(0, gone);
  }

  /** How many frames from this one on hold nothing but text of one lane that leaves as it came; 0 where it is not more than one. */
  #untouchedRun(at: number): number {
    const head = onlyPiece(this.#frames[at]);
    const second = onlyPiece(this.#frames[at + 1]);
    if (head === undefined || second?.lane !== head.lane) return 0;
    const { lane, to, node } = head;
    const until = lane.untouchedUntil(to - node.text.length, lane.decided);
    let end = at;
    for (; end < this.#frames.length; end++) {
      const next = onlyPiece(this.#frames[end]);
      if (next?.lane !== lane || next.to > until) break;
    }
    return end - at > 1 ? end - at : 0;
  }

  /** Frames that leave as they came; their text is taken from the lane in one. */
  #passRun(from: number, end: number, output: StreamOutput): void {
    let raw = '';
    const bytes: ByteChain[] = [];
    let text = '';
    let last: Piece | undefined;
    for (let at = from; at < end; at++) {
      const { frame, pieces } = this.#frames[at] as WaitingFrame;
      this.#units -= sizeOf(frame);
      raw += frame.raw;
      if (frame.message !== undefined) bytes.push(frame.message.bytes);
      last = pieces[0];
      text += last?.node.text ?? '';
    }
    if (last === undefined) return;
    const taken = last.lane.take(last.to);
    if (taken !== text) throw new Error('a lane that was untouched gives another text');
    recordOf(last.lane, taken, output);
    if (raw !== '') output.text(raw);
    for (const one of bytes) output.bytes(one);
  }

  /**
   * Gives out the text of lanes that waits for a frame which may not come, behind the frames that may leave now. Of a lane that has neither ended nor is
   * all decided nothing leaves: its rest keeps the frame in whose form it will.
   */
  flushRest(lanes: readonly AnswerLane[], output: StreamOutput): void {
    const rest: AnswerLane[] = [];
    let waiting: ReadonlySet<AnswerLane> | undefined;
    for (const lane of lanes) {
      if (!this.#templates.has(lane) || (!lane.ended && lane.decided < lane.received)) continue;
      if (lane.held === 0) this.#templates.delete(lane);
      else if (!(waiting ??= new Set(this.lanes())).has(lane)) rest.push(lane);
    }
    if (rest.length === 0) return;
    this.flush(output);
    for (const lane of rest) {
      const template = this.#templates.get(lane);
      this.#templates.delete(lane);
      if (template !== undefined) this.#renderRest(template, lane, output);
    }
  }

  /** The template with one lane's rest in it; its other texts were sent before, and are empty now or as they were. */
  #renderRest(template: WaitingFrame, lane: AnswerLane, output: StreamOutput): void {
    const rest = lane.take(lane.decided);
    // A frame may have several pieces of one text: its rest is said once.
    const into = template.pieces.findLast((piece) => piece.lane === lane);
    const edits = template.pieces.map((piece) => {
      const more = piece === into ? rest : '';
      const text = piece.grows === true ? this.#grown(piece.lane, more) : more;
      return { start: piece.node.start, end: piece.node.end, text: JSON.stringify(text) };
    });
    const tokens = template.tokens.map((one) => ({
      start: one.node.start,
      end: one.node.end,
      text: one.shape === 'entries' ? '[]' : 'null',
    }));
    recordOf(lane, rest, output);
    leave(template.frame, template.data, [...template.edits, ...edits, ...tokens], output);
  }

  /** What has left of lanes of which each frame says all so far. */
  readonly #left = new Map<AnswerLane, string>();

  #grown(lane: AnswerLane, more: string): string {
    const left = (this.#left.get(lane) ?? '') + more;
    this.#left.set(lane, left);
    return left;
  }

  /** At a `stop` finding: gives out the head frames with what stands before the finding, then nothing more. */
  flushUpToStop(stopped: AnswerLane, output: StreamOutput): void {
    for (;;) {
      const head = this.#frames[0];
      if (head === undefined) return;
      const last = head.pieces.some((piece) => piece.lane === stopped && piece.to > stopped.decided);
      if (!last && !decided(head)) return;
      this.#frames.shift();
      this.#units -= sizeOf(head.frame);
      this.#render(head, last, output);
      if (last) return;
    }
  }

  #render(waiting: WaitingFrame, force: boolean, output: StreamOutput): void {
    const { pieces, tokens, data, frame } = waiting;
    let edits: JsonEdit[] | undefined;
    for (const piece of pieces) {
      const { lane, node } = piece;
      const taken = lane.take(force ? Math.min(piece.to, lane.decided) : piece.to);
      recordOf(lane, taken, output);
      const text = piece.grows === true ? this.#grown(lane, taken) : taken;
      // Where nothing is hidden, nothing is changed either.
      const same = text === node.text || (piece.apart === true && !this.#exact && text === `\n${node.text}`);
      if (!same) (edits ??= []).push({ start: node.start, end: node.end, text: JSON.stringify(text) });
      if (force) this.#templates.set(lane, waiting);
    }
    const rendering = { force, exact: this.#exact };
    for (const one of tokens) for (const edit of renderTokens(one, data, rendering)) (edits ??= []).push(edit);
    if (waiting.drop) return;
    leave(frame, data, edits === undefined ? waiting.edits : [...waiting.edits, ...edits], output);
  }
}

/** In characters; of a frame that is no text in bytes. */
const sizeOf = ({ raw, message }: StreamFrame): number => message?.bytes.length ?? raw.length;

function leave(frame: StreamFrame, data: string, edits: readonly JsonEdit[], output: StreamOutput): void {
  const { message, raw } = frame;
  if (message !== undefined) output.bytes(message.edited(outermost(edits)));
  else output.text(edits.length === 0 ? raw : frame.withData(applyEdits(data, outermost(edits))));
}

/** Gives the record its part of what was taken of a lane; of one that has ended, where the record runs apart, all of it. */
export function recordOf(lane: AnswerLane, taken: string, output: StreamOutput): void {
  const kept = lane.takeRecord(taken);
  const raw = lane.takeSealed();
  if (kept !== '' || (raw !== undefined && raw !== '')) output.record(lane.id, kept, raw);
}

/** Of a frame in which only one text may change; undefined for all others. */
function onlyPiece(waiting: WaitingFrame | undefined): Piece | undefined {
  if (waiting?.pieces.length !== 1 || waiting.drop) return undefined;
  if (waiting.tokens.length > 0 || waiting.edits.length > 0) return undefined;
  const [piece] = waiting.pieces;
  return piece?.apart === true || piece?.grows === true ? undefined : piece;
}

function decided(waiting: WaitingFrame): boolean {
  for (const piece of waiting.pieces) if (piece.lane.decided < piece.to) return false;
  return waiting.tokens.length === 0 || waiting.tokens.every(tokensDecided);
}
