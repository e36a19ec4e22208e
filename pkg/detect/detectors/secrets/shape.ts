import { isDigit, isHex, isLower, isUpper, isWordCharacter } from '../characters.ts';

/**
 * What stands behind a token's prefix, as its vendor describes it: segments with a space between. A segment is a class and a length or a
 * range of lengths (`h32`, `w20-40`), a literal in quotes (`'.'`), or `uuid`.
 *
 *   n digits   h hex, small   x hex   u capitals, digits   l small letters, digits   w letters, digits   t w and `_` `-`
 *   d t and `.`   b base64 and base64url: t and `+` `/` `=`   p t and `%`
 */
export interface Shape {
  readonly segments: readonly Segment[];
  readonly shortest: number;
  readonly longest: number;
  /** What its last character is of: where the text goes on in it, the token does. */
  readonly lastClass: CharacterClass;
  /** How long its last segment is, its vendor does not say for sure. */
  readonly ranged: boolean;
}

export type CharacterClass = (code: number) => boolean;

type Segment =
  | { readonly class: CharacterClass; readonly least: number; readonly most: number; readonly source: string }
  | { readonly literal: string };

const inToken: CharacterClass = (code) => isWordCharacter(code) || code === 0x5f || code === 0x2d;

const classes: Readonly<Record<string, readonly [CharacterClass, string]>> = {
  n: [isDigit, '[0-9]'],
  h: [(code) => isHex(code) && !isUpper(code), '[0-9a-f]'],
  x: [isHex, '[0-9A-Fa-f]'],
  u: [(code) => isUpper(code) || isDigit(code), '[0-9A-Z]'],
  l: [(code) => isLower(code) || isDigit(code), '[0-9a-z]'],
  w: [isWordCharacter, '[0-9A-Za-z]'],
  t: [inToken, '[0-9A-Za-z_-]'],
  d: [(code) => inToken(code) || code === 0x2e, '[0-9A-Za-z_.-]'],
  p: [(code) => inToken(code) || code === 0x25, '[0-9A-Za-z%_-]'],
  b: [(code) => inToken(code) || code === 0x2b || code === 0x2f || code === 0x3d, '[0-9A-Za-z+/=_-]'],
};

const uuid = "x8 '-' x4 '-' x4 '-' x4 '-' x12";

/** @throws TypeError when the text is no shape */
export function shape(text: string): Shape {
  const segments = text
    .replaceAll('uuid', uuid)
    .split(' ')
    .map((part): Segment => {
      const literal = /^'(.+)'$/.exec(part)?.[1];
      if (literal !== undefined) return { literal };
      const [, name = '', least = '', most = least] = /^([a-z])(\d+)(?:-(\d+))?$/.exec(part) ?? [];
      const [one, source] = classes[name] ?? [];
      if (one === undefined || source === undefined) throw new TypeError(`no segment of a token: ${part}`);
      return { class: one, least: Number(least), most: Number(most), source };
    });
  const sum = (of: (one: Segment) => number): number => segments.reduce((all, one) => all + of(one), 0);
  const last = segments.at(-1);
  return {
    segments,
    shortest: sum((one) => ('literal' in one ? one.literal.length : one.least)),
    longest: sum((one) => ('literal' in one ? one.literal.length : one.most)),
    lastClass: last !== undefined && 'class' in last ? last.class : isWordCharacter,
    ranged: last !== undefined && 'class' in last && last.most > last.least,
  };
}

/**
 * Where what is of the shape ends that begins at `start`; -1 where nothing does. Each segment takes all that it can: no class may hold the
 * literal behind it. A dot at its end is a sentence's.
 */
export function shapeEnd({ segments }: Shape, text: string, start: number): number {
  let at = start;
  for (const segment of segments) {
    if ('literal' in segment) {
      if (!text.startsWith(segment.literal, at)) return -1;
      at += segment.literal.length;
      continue;
    }
    const from = at;
    while (at < from + segment.most && segment.class(text.charCodeAt(at))) at += 1;
    while (at > from && text.charCodeAt(at - 1) === 0x2e) at -= 1;
    if (at - from < segment.least) return -1;
  }
  return at;
}

/** Whether `[start, end)` is of the shape. */
export const hasShape = (one: Shape, text: string, start: number, end: number): boolean =>
  shapeEnd(one, text, start) === end;

/** The shortest of the shape, as RE2. */
export function shortestPattern({ segments }: Shape): string {
  return segments
    .map((one, index) => {
      if ('literal' in one) return one.literal.replace(/[^0-9A-Za-z]/g, '\\$&');
      const many = one.least === one.most || index === segments.length - 1 ? one.least : `${one.least},${one.most}`;
      return `${one.source}{${many}}`;
    })
    .join('');
}

/** Every character of the shape is one of these. */
export function within({ segments }: Shape, one: CharacterClass): boolean {
  return segments.every((segment) =>
    'literal' in segment
      ? [...segment.literal].every((char) => one(char.charCodeAt(0)))
      : printable.every((code) => !segment.class(code) || one(code)),
  );
}

const printable = Array.from({ length: 95 }, (_, index) => 0x20 + index);

export const wordClass: CharacterClass = isWordCharacter;
export const tokenClass: CharacterClass = inToken;
