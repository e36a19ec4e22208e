import type { LaneEnd, LaneKind, PairLane, PairResult, ViewPair } from '../scanner.ts';
import { DecodingLane } from './decoding-lane.ts';
import { pairedLane } from './paired-lane.ts';
import { Plan } from './plan.ts';
import { lastOf, resultOf, stepUnits, untouched } from './view.ts';
import type { CompiledView } from './view.ts';

/** Two views of the same texts. Prose is read once for both; what is read as JSON, where fields of the two differ, once for each. */
export class CompiledPair implements ViewPair {
  readonly #caller: CompiledView;
  readonly #record: CompiledView;
  /** Looks for what either of them looks for. */
  readonly #either: CompiledView;
  readonly #plan: Plan;

  constructor(caller: CompiledView, record: CompiledView, either: CompiledView) {
    this.#caller = caller;
    this.#record = record;
    this.#either = either;
    this.#plan = Plan.both(caller.plan, record.plan);
  }

  mask(text: string, kind: LaneKind, end: LaneEnd): PairResult {
    if (text.length > stepUnits) return lastOf(this.maskInSteps(text, kind, end));
    const look = this.#either.look(text, kind, end);
    if (look === 'clean') return { caller: untouched(text), record: untouched(text) };
    return lastOf(pairSteps(look === 'prose' ? this.#prose() : this.open(kind), text, end));
  }

  *maskInSteps(text: string, kind: LaneKind, end: LaneEnd): Generator<void, PairResult, void> {
    const look = yield* this.#either.lookInSteps(text, kind, end);
    if (look === 'clean') return { caller: untouched(text), record: untouched(text) };
    return yield* pairSteps(look === 'prose' ? this.#prose() : this.open(kind), text, end);
  }

  open(kind: LaneKind): PairLane {
    const caller = this.#caller;
    const record = this.#record;
    const asJson = kind === 'json' || (kind === 'text' && this.#either.fields);
    if (asJson || caller.idle || record.idle) return { caller: caller.open(kind), record: record.open(kind) };
    const prose = this.#prose();
    return {
      caller: caller.decodes ? new DecodingLane(prose.caller, caller) : prose.caller,
      record: record.decodes ? new DecodingLane(prose.record, record) : prose.record,
    };
  }

  #prose(): PairLane {
    const { first, second } = pairedLane(this.#plan, this.#caller.plan, this.#record.plan);
    return { caller: first, record: second };
  }
}

function* pairSteps({ caller, record }: PairLane, text: string, end: LaneEnd): Generator<void, PairResult, void> {
  for (let at = 0; at < text.length; at += stepUnits) {
    if (at > 0) yield;
    const piece = text.length <= stepUnits ? text : text.slice(at, at + stepUnits);
    caller.push(piece);
    // Each decodes for itself: of hostile text half a step is as much as others should wait for.
    if (text.length > stepUnits) yield;
    record.push(piece);
    if ((caller.stopped !== undefined || caller.failed) && (record.stopped !== undefined || record.failed)) break;
  }
  caller.end(end);
  record.end(end);
  const masked = resultOf(caller, text);
  if (text.length > stepUnits) yield;
  return { caller: masked, record: resultOf(record, text) };
}
