import { applyEdits } from '../base/index.ts';
import type { JsonEdit, JsonNode } from '../base/index.ts';
import type { SseFrame } from '../http/index.ts';
import type { AnswerLane } from './lane.ts';
import { outermost } from './edits.ts';
import type { TokenPiece } from './tokens.ts';
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
  readonly node: JsonNode;
}

export interface WaitingFrame {
  readonly frame: SseFrame;
  /** The frame's data; '' where it has none. */
  readonly data: string;
  readonly pieces: readonly Piece[];
  readonly tokens: readonly TokenPiece[];
  /** What was changed already, apart from lanes. */
  readonly edits: readonly JsonEdit[];
  /** The caller did not ask for it: it is read, and does not leave. */
  readonly drop: boolean;
}

export interface Rendered {
  readonly text: string;
  /** What the record keeps of it, by lane. */
  readonly record: readonly { readonly lane: string; readonly text: string }[];
}

const nothing: Rendered['record'] = [];

export class FrameQueue {
  readonly #frames: WaitingFrame[] = [];
  #units = 0;
  /** The last frame that left before all text of a lane was decided: what its rest is sent in when no other frame of the lane comes. */
  readonly #templates = new Map<AnswerLane, WaitingFrame>();

  get waiting(): number {
    return this.#frames.length;
  }

  /** Characters of lane text that are held back now. */
  held(): number {
    let units = 0;
    for (const waiting of this.#frames) for (const piece of waiting.pieces) units = Math.max(units, piece.lane.held);
    return units;
  }

  push(frame: WaitingFrame): void {
    this.#frames.push(frame);
    this.#units += frame.frame.raw.length;
  }

  /** Drops all that waits. */
  clear(): void {
    this.#frames.length = 0;
    this.#units = 0;
    this.#templates.clear();
  }

  /** All frames that may leave now, in order. */
  *ready(): Generator<Rendered, void, void> {
    for (;;) {
      const head = this.#frames[0];
      if (head === undefined) return;
      const whole = decided(head);
      if (!whole && this.#frames.length <= maxWaitingFrames && this.#units <= maxWaitingUnits) return;
      this.#shift();
      yield this.#render(head, !whole);
    }
  }

  /** Before a lane's end: its text that waits for a frame that will not come. Call after the lane ended. */
  rest(lanes: Iterable<AnswerLane>): Rendered[] {
    const rendered: Rendered[] = [];
    for (const lane of lanes) {
      const template = this.#templates.get(lane);
      if (
        template === undefined ||
        lane.held === 0 ||
        this.#frames.some((one) => one.pieces.some((piece) => piece.lane === lane))
      )
        continue;
      this.#templates.delete(lane);
      rendered.push(renderRest(template, lane));
    }
    return rendered;
  }

  /** At a `stop` finding: the head frames with what stands before the finding, then nothing more. */
  *upToStop(stopped: AnswerLane): Generator<Rendered, void, void> {
    for (;;) {
      const head = this.#frames[0];
      if (head === undefined) return;
      const last = head.pieces.some((piece) => piece.lane === stopped && piece.to > stopped.decided);
      if (!last && !decided(head)) return;
      this.#shift();
      yield this.#render(head, last);
      if (last) return;
    }
  }

  #shift(): void {
    const head = this.#frames.shift();
    if (head !== undefined) this.#units -= head.frame.raw.length;
  }

  #render(waiting: WaitingFrame, force: boolean): Rendered {
    const { pieces, tokens, data, frame } = waiting;
    let edits: JsonEdit[] | undefined;
    let record: { lane: string; text: string }[] | undefined;
    for (const piece of pieces) {
      const { lane, node } = piece;
      const output = lane.take(force ? Math.min(piece.to, lane.decided) : piece.to);
      const kept = lane.takeRecord(output);
      if (kept !== '') (record ??= []).push({ lane: lane.id, text: kept });
      if (output !== node.text) (edits ??= []).push({ start: node.start, end: node.end, text: JSON.stringify(output) });
      if (force) this.#templates.set(lane, waiting);
    }
    for (const one of tokens) for (const edit of renderTokens(one, data, force)) (edits ??= []).push(edit);
    if (waiting.drop) return { text: '', record: record ?? nothing };
    if (edits === undefined && waiting.edits.length === 0) return { text: frame.raw, record: record ?? nothing };
    const all = outermost([...waiting.edits, ...(edits ?? [])]);
    return { text: frame.withData(applyEdits(data, all)), record: record ?? nothing };
  }
}

function decided(waiting: WaitingFrame): boolean {
  for (const piece of waiting.pieces) if (piece.lane.decided < piece.to) return false;
  return waiting.tokens.length === 0 || waiting.tokens.every(tokensDecided);
}

/** The template with one lane's rest in it; its other texts were sent before and are empty now. */
function renderRest(template: WaitingFrame, lane: AnswerLane): Rendered {
  const output = lane.take(lane.decided);
  const kept = lane.takeRecord(output);
  const edits = template.pieces.map((piece) => ({
    start: piece.node.start,
    end: piece.node.end,
    text: JSON.stringify(piece.lane === lane ? output : ''),
  }));
  const tokens = template.tokens.map((one) => ({
    start: one.node.start,
    end: one.node.end,
    text: one.shape === 'entries' ? '[]' : 'null',
  }));
  const text = template.frame.withData(applyEdits(template.data, outermost([...template.edits, ...edits, ...tokens])));
  return { text, record: kept === '' ? nothing : [{ lane: lane.id, text: kept }] };
}
