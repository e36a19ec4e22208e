import type { Replacement, ScanRule, TermsByDetector } from '../../core/index.ts';
import type { ViewSpec } from '../scanner.ts';

/** Rules and views in a line each, for tests. */
export interface RuleSketch {
  readonly label?: string;
  readonly detectors?: readonly string[];
  readonly patterns?: readonly (string | { readonly pattern: string; readonly maxLength: number })[];
  readonly words?: readonly string[];
  readonly fields?: readonly string[];
  readonly replacement?: Replacement;
  readonly terms?: TermsByDetector;
}

export function sketchRules(...sketches: readonly RuleSketch[]): ScanRule[] {
  return sketches.map((sketch, index) => ({
    index,
    id: `test/rule-${index}`,
    label: sketch.label ?? `label-${index}`,
    on: 'Response',
    action: 'Mask',
    enforce: true,
    match: {
      detectors: sketch.detectors ?? [],
      patterns: (sketch.patterns ?? []).map((one) =>
        typeof one === 'string' ? { pattern: one, maxLength: 256 } : one,
      ),
      words: sketch.words ?? [],
    },
    ...(sketch.terms !== undefined && { terms: sketch.terms }),
    fields: sketch.fields ?? [],
    replacement: sketch.replacement ?? { style: 'Label' },
  }));
}

/** A view by one letter a rule: r replace, s stop, n note, - none. */
export function sketchView(letters: string): ViewSpec {
  const set = (letter: string): Uint8Array => Uint8Array.from(letters, (one) => (one === letter ? 1 : 0));
  return { replace: set('r'), stop: set('s'), note: set('n') };
}
