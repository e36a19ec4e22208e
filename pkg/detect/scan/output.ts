import type { Edit, Hit } from '../scanner.ts';
import type { ComponentSink, Replaced } from './components.ts';
import { touching } from './edit-list.ts';

/**
 * What a lane has received and not yet given out, with the replacements that stand in it. Text inside of components is dropped
 * as it is given out.
 */
export class Output implements ComponentSink {
  #buffer = '';
  /** Source offset of the buffer: what was taken. */
  #taken = 0;
  #replaced: Replaced[] = [];
  #hits: Hit[] = [];
  stopped: Hit | undefined = undefined;
  /** Where the output ends for good, once stopped. */
  stoppedAt = Number.POSITIVE_INFINITY;

  append(text: string): void {
    this.#buffer = this.#buffer.length === 0 ? text : this.#buffer + text;
  }

  replace(component: Replaced): void {
    this.#replaced.push(component);
  }

  hit(hit: Hit): void {
    this.#hits.push(hit);
  }

  stop(hit: Hit, at: number): void {
    this.stopped = hit;
    this.stoppedAt = at;
  }

  /** Takes back the replacements from this source offset on. */
  withdraw(from: number): Replaced[] {
    const at = this.#replaced.findIndex((one) => one.start >= from);
    return at < 0 ? [] : this.#replaced.splice(at);
  }

  drainHits(): readonly Hit[] {
    if (this.#hits.length === 0) return noHits;
    const hits = this.#hits;
    this.#hits = [];
    return hits;
  }

  edits(from: number, to: number): readonly Edit[] {
    if (this.#replaced.length === 0) return noEdits;
    return touching(this.#replaced, from, to).map((one) => ({ ...one }));
  }

  take(to: number): string {
    const from = this.#taken;
    if (to <= from) return '';
    this.#taken = to;
    const buffer = this.#buffer;
    this.#buffer = to - from === buffer.length ? '' : buffer.slice(to - from);
    if (this.#replaced.length === 0) return to - from === buffer.length ? buffer : buffer.slice(0, to - from);
    let text = '';
    let at = from;
    let kept = 0;
    for (const one of this.#replaced) {
      if (one.start >= to) break;
      if (one.start > at) text += buffer.slice(at - from, one.start - from);
      if (one.start >= from) text += one.text;
      at = Math.max(at, Math.min(one.end, to));
      if (one.end <= to) kept++;
    }
    if (kept > 0) this.#replaced.splice(0, kept);
    return at < to ? text + buffer.slice(at - from, to - from) : text;
  }
}

const noHits: readonly Hit[] = [];
const noEdits: readonly Edit[] = [];
