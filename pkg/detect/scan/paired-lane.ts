import type { Edit, Hit, LaneEnd, LaneScanner } from '../scanner.ts';
import { Output } from './output.ts';
import type { Plan } from './plan.ts';
import { TextScan } from './text-scan.ts';

/**
 * A lane of prose in two views from one reading: the findings are the same, only what is done about them differs. The first side
 * is fed; the second follows. What either has decided may come later than it would alone (it waits for candidates of both), and is
 * the same.
 */
export function pairedLane(both: Plan, first: Plan, second: Plan): { first: LaneScanner; second: LaneScanner } {
  const outputs = [new Output(), new Output()] as const;
  const scan = new TextScan(both, [
    { plan: first, sink: outputs[0] },
    { plan: second, sink: outputs[1] },
  ]);
  scan.begin(0);
  return { first: new Side(scan, 0, outputs[0], outputs), second: new Side(scan, 1, outputs[1], undefined) };
}

class Side implements LaneScanner {
  readonly #scan: TextScan;
  readonly #view: number;
  readonly #output: Output;
  /** Of both sides, for the one that is fed; undefined in the other. */
  readonly #outputs: readonly Output[] | undefined;
  readonly failed = false;
  #received = 0;
  #ended = false;

  constructor(scan: TextScan, view: number, output: Output, outputs: readonly Output[] | undefined) {
    this.#scan = scan;
    this.#view = view;
    this.#output = output;
    this.#outputs = outputs;
  }

  get received(): number {
    return this.#received;
  }

  get decided(): number {
    if (this.#output.stopped !== undefined) return this.#output.stoppedAt;
    return this.#ended ? this.#received : Math.min(this.#scan.decidedFor(this.#view), this.#received);
  }

  get stopped(): Hit | undefined {
    return this.#output.stopped;
  }

  push(text: string): void {
    if (this.#ended) throw new TypeError('the lane has ended');
    if (text.length === 0) return;
    this.#received += text.length;
    if (this.#outputs === undefined) return;
    // Both hold the text before it is read: what stops one of them may stand in it.
    for (const output of this.#outputs) if (output.stopped === undefined) output.append(text);
    this.#scan.raw(text);
    this.#scan.settle();
  }

  end(end: LaneEnd): void {
    if (this.#ended) throw new TypeError('the lane has ended');
    this.#ended = true;
    if (this.#outputs !== undefined) this.#scan.finish(end);
  }

  take(to: number): string {
    return this.#output.take(Math.min(to, this.decided));
  }

  edits(from: number, to: number): readonly Edit[] {
    return this.#output.edits(from, to);
  }

  drainHits(): readonly Hit[] {
    return this.#output.drainHits();
  }
}
