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
    else if (/^(?:\\[pPdDsSwW]|\[.)/su.test(token)) {
      const units = classUnits(token, ignoresCase);
      // Copies share what was folded once.
      add(units, Math.min(wide, units));
    } else character(token);
  }
  return groups.reduce((sum, units) => sum + units, 0);
}

/**
 * Of a class, or an escape that stands for one. Where case does not matter, RE2 asks of each character of a range which others it
 * stands for: `(?i)[\x{80}-\x{10ffff}]` takes 16 ms, a Unicode class 0.5 ms.
 */
function classUnits(token: string, ignoresCase: boolean): number {
  const inside = token.startsWith('[') ? token.slice(token.startsWith('[^') ? 2 : 1, -1) : token;
  let units = 0;
  for (const [member, from, to] of inside.matchAll(members)) {
    if (/^\\[pP]/.test(member)) units += ignoresCase ? foldedTable : wide;
    else if (!ignoresCase) continue;
    else if (to === undefined) units += from === undefined ? wide : 0;
    else units += Math.ceil(Math.max(0, Math.min(lastFolded, most(to)) - least(from ?? '')) / foldedPerUnit);
  }
  return Math.max(units, token.startsWith('[^') || (ignoresCase && /[^\x00-\x7f]/.test(token)) ? wide : 1);
}

/** What begins a range, or less; what ends it, or more: octal escapes are not read. */
const least = (end: string): number => hexadecimal(end) ?? (end.startsWith('\\') ? 0 : (end.codePointAt(0) ?? 0));
const most = (end: string): number =>
  hexadecimal(end) ?? (end.startsWith('\\') ? Math.max(0o777, end.codePointAt(1) ?? 0) : (end.codePointAt(0) ?? 0));
const hexadecimal = (end: string): number | undefined => {
  const digits = /^\\x\{?([0-9A-Fa-f]+)/.exec(end)?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits, 16);
};

/** In a class: classes; one character, or a range of them. */
const members =
  /\[:\^?\w+:\]|\\[dDsSwW]|\\[pP](?:\{[^}]*\}|.)|(\\x(?:\{[^}]*\}|..)|\\[0-7]{1,3}|\\?.)(?:-(\\x(?:\{[^}]*\}|..)|\\[0-7]{1,3}|\\?.))?/gsu;

/** Counted repeat; quote; class; escape; anything else. A class that does not end is a character. */
const tokens =
  /\{(\d{1,9})(?:,(\d{0,9}))?\}|\\Q(.*?)(?:\\E|$)|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|\\x[0-9A-Fa-f]{2}|\\[pPx](?:\{[^}]*\}|.)|\\.|./gsu;
const perPattern = 5;
const wide = 30;
/** A Unicode class that is folded. */
const foldedTable = 250;
/** Characters of a range that are folded in one. */
const foldedPerUnit = 16;
/** RE2's last character that has another case. */
const lastFolded = 0x1e943;
/** RE2 refuses more. */
const mostRepeats = 1_000;

/** Units that all patterns of one policy may have: half a second of the controller's only thread. A thousand patterns of a hundred characters fit. */
export const mostPatternUnits = 200_000;
