import fc from 'fast-check';
import type { ScanRule } from '../../pkg/core/index.ts';
import { compileScanner } from '../../pkg/detect/index.ts';
import type { LaneEnd, LaneKind } from '../../pkg/detect/index.ts';
import type { Route, StreamFraming, Usage } from '../../pkg/dialect/index.ts';
import { StreamAnswer } from '../../pkg/proxy/answer-stream.ts';
import { CleanTexts } from '../../pkg/proxy/clean-texts.ts';
import { Departure } from '../../pkg/proxy/departure.ts';
import { AnswerLane } from '../../pkg/proxy/lane.ts';
import type { ResponseViews } from '../../pkg/proxy/runtime.ts';

/** A stream of any dialect through the scanner, with one rule that masks e-mail addresses and cards for everybody. */

const rule: ScanRule = {
  index: 0,
  id: 'test/rule',
  label: 'hidden',
  on: 'Response',
  action: 'Mask',
  enforce: true,
  match: { detectors: ['Email', 'CreditCard'], patterns: [], words: [] },
  fields: [],
  replacement: { style: 'Label' },
};
const scanner = compileScanner([rule], { hashKey: new Uint8Array(32) });
const [one, none] = [Uint8Array.of(1), Uint8Array.of(0)];
const view = scanner.view({ replace: one, stop: none, note: none });
/** Of a caller from whom nothing is hidden. */
const bare = scanner.view({ replace: none, stop: none, note: one });

/** What masking a whole text gives. */
export const maskedWhole = (text: string, kind: LaneKind, end: LaneEnd): string => view.mask(text, kind, end).text;

/**
 * What masking a text gives that clients join of parts, by part: where neither white space nor the end of a sentence stands between two, a line's end does.
 *
 * @param parts undefined: something else stands there, and what came before is decided as at a cut.
 */
export function maskedParts(parts: readonly (string | undefined)[], end: LaneEnd): readonly string[] {
  const lane = new AnswerLane('parts', 'text', maskingViews(), { waitForRecord: true, settles: true });
  let made = '';
  const ends: number[] = [];
  for (const part of parts) {
    if (part === undefined) {
      lane.settle();
      continue;
    }
    const goesOn = /^\s/.test(part) || (/^[.,;:!?)\]]+(?:\s|$)/.test(part) && !/\d$/.test(made));
    const text = made === '' || part === '' || /\s$/.test(made) || goesOn ? part : `\n${part}`;
    made += text;
    lane.push(text);
    ends.push(lane.received);
  }
  lane.end(end);
  return ends.map((to) => lane.take(to));
}

export interface MaskedStream {
  /** What has left so far. */
  readonly left: string;
  /** What is recorded so far, by lane. */
  readonly record: Readonly<Record<string, string>>;
  readonly usage: Usage | undefined;
  data(read: Buffer): void;
  /** Its peer is silent. Returns how many characters each step read, of at most `most` where that is given. */
  settle(most?: number): readonly number[];
  end(): void;
}

/** What such a caller's answers are read by. @param hides false: the rule finds, and hides nothing. */
export function maskingViews(hides = true): ResponseViews {
  const act = hides ? view : bare;
  const clean = (): CleanTexts => new CleanTexts();
  return {
    ...{ act, record: act, pair: scanner.pair(act, act), sealed: undefined, hiding: hides ? one : none },
    ...{ clean: clean(), cleanRecord: clean(), cleanReadings: clean(), guarded: hides, same: true },
  };
}

/** @param hides as of {@link maskingViews}. */
export function maskedStream(route: Route, framing: StreamFraming, hides = true): MaskedStream {
  const departure = new Departure();
  const views = maskingViews(hides);
  const options = { route, framing, views, stops: false, dropUsage: false, observes: false };
  const stream = new StreamAnswer({ ...options, onHits: () => undefined }, departure);
  const record: Record<string, string> = {};
  let left = '';
  const take = (): void => {
    left += departure.take((lane, text) => (record[lane] = (record[lane] ?? '') + text));
  };
  return {
    get left() {
      return left;
    },
    record,
    get usage() {
      return stream.usage;
    },
    data(read) {
      stream.data(read);
      take();
    },
    settle(most = Infinity) {
      const steps: number[] = [];
      for (;;) {
        const read = stream.settle(most);
        take();
        if (read === 0) return steps;
        steps.push(read);
      }
    },
    end() {
      stream.end();
      take();
    },
  };
}

/** Pieces of text that make findings only where they meet. */
export const piece = fc.constantFrom(
  ...[' plain', ' words', ' ana', '@exa', 'mple', '.com', ' 4111', ' 1111', '1111', '\n', ' é', '😀', '"', '', '. '],
);

/** Sizes of reads. */
export const cuts = fc.array(fc.integer({ min: 1, max: 700 }), { maxLength: 14 });

/** The same stream in a read for each frame, in one, and cut anywhere. */
export function readsOf(frames: readonly string[], sizes: readonly number[]): readonly (readonly Buffer[])[] {
  const bytes = Buffer.from(frames.join(''));
  let from = 0;
  const cut = sizes.map((size) => bytes.subarray(from, (from += size)));
  return [frames.map((text) => Buffer.from(text)), [bytes], [...cut, bytes.subarray(from)]];
}
