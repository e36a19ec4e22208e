/**
 * About how much work it is to read a pattern, before it is read: one unit is an instruction of RE2's program, some 2 µs. Counted repeats
 * are written out by RE2 (`[a-z]{1000}` is a thousand instructions), and a Unicode class has hundreds of ranges in each of its copies.
 *
 * What a pattern means is RE2's to say. This looks at groups, classes, escapes, quotes and counted repeats alone, and where it takes something for
 * more than it is, only the sum of one policy is affected.
 *
 * @param letters of other patterns of the policy, to which those of this one are added: which letters one stands for where case does not
 * matter is asked once
 */
export function patternUnits(source: string, letters = new Set<string>()): number {
  const ignoresCase = /\(\?[A-Za-z]*i/.test(source);
  /** Units of each open group so far. */
  const groups = [perPattern];
  /** Of the last atom: what a repeat behind it multiplies. */
  let last = 0;
  const add = (units: number, repeated = units): void => {
    last = repeated;
    groups.push((groups.pop() ?? 0) + units);
  };
  const character = (text: string): void => {
    const asked = ignoresCase && (/[^\x00-\x7f]/.test(text) || /^\\x\{/.test(text)) && !letters.has(text);
    if (asked) letters.add(text);
    add(asked ? wide : 1, 1);
  };
  for (const [token, least, most, quoted] of source.matchAll(tokens)) {
    if (least !== undefined) {
      const times = most === undefined ? Number(least) : most === '' ? Number(least) + 1 : Number(most);
      add(last * Math.min(mostRepeats, Math.max(0, times - 1)));
    } else if (quoted !== undefined) for (const one of quoted) character(one);
    else if (token === '(') groups.push(0);
    else if (token === ')' && groups.length > 1) add(groups.pop() ?? 0);
    else if (/^(?:\\[pP]|\[\^|\[.*\\[pP])/s.test(token)) add(wide);
    else if (token.length > 1 && token.startsWith('[')) add(ignoresCase && /[^\x00-\x7f]/.test(token) ? wide : 1);
    else character(token);
  }
  return groups.reduce((sum, units) => sum + units, 0);
}

/** Counted repeat; quote; class; escape; anything else. A class that does not end is a character. */
const tokens =
  /\{(\d{1,9})(?:,(\d{0,9}))?\}|\\Q(.*?)(?:\\E|$)|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]|\\x[0-9A-Fa-f]{2}|\\[pPx](?:\{[^}]*\}|.)|\\.|./gsu;
const perPattern = 5;
const wide = 30;
/** RE2 refuses more. */
const mostRepeats = 1_000;

/** Units that all patterns of one policy may have: half a second of the controller's only thread. A thousand patterns of a hundred characters fit. */
export const mostPatternUnits = 200_000;
