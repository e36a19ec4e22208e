/**
 * About how much work it is to read a pattern, before it is read: one unit is an instruction of RE2's program, some 2 µs. Counted repeats
 * are written out by RE2 (`[a-z]{1000}` is a thousand instructions), and a Unicode class has hundreds of ranges in each of its copies.
 *
 * What a pattern means is RE2's to say. This looks at groups, classes, escapes and counted repeats alone, and where it takes something for
 * more than it is, only the sum of one policy is affected.
 */
export function patternUnits(source: string): number {
  const ignoresCase = /\(\?[A-Za-z]*i/.test(source);
  /** Units of each open group so far. */
  const groups = [perPattern];
  /** Of the last atom: what a repeat behind it multiplies. */
  let last = 0;
  const add = (units: number): void => {
    last = units;
    groups.push((groups.pop() ?? 0) + units);
  };
  for (const [token, least, most] of source.matchAll(tokens)) {
    if (least !== undefined) {
      const times = most === undefined ? Number(least) : most === '' ? Number(least) + 1 : Number(most);
      add(last * Math.min(mostRepeats, Math.max(0, times - 1)));
    } else if (token === '(') groups.push(0);
    else if (token === ')' && groups.length > 1) add(groups.pop() ?? 0);
    else if (/^(?:\\[pP]|\[\^|\[.*\\[pP])/s.test(token) || (ignoresCase && /[^\x00-\x7f]/.test(token))) add(wide);
    else add(1);
  }
  return groups.reduce((sum, units) => sum + units, 0);
}

/** Counted repeat; class; escape; anything else. A class that does not end is a character. */
const tokens = /\{(\d{1,9})(?:,(\d{0,9}))?\}|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]|\\[pP](?:\{[^}]*\}|.)|\\.|./gsu;
const perPattern = 5;
const wide = 30;
/** RE2 refuses more. */
const mostRepeats = 1_000;

/** Units that all patterns of one policy may have: half a second of the controller's only thread. A thousand patterns of a hundred characters fit. */
export const mostPatternUnits = 200_000;
