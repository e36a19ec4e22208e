/**
 * Finds where a JSON value ends, without checking it: a string at its closing quote, an object or array at the bracket that
 * closes it, anything else before the first character that no number or name holds.
 */
export class JsonValueEnd {
  #depth = 0;
  #inString = false;
  #escaped = false;
  readonly #bare: boolean;
  /** The character after the value ends it. */
  readonly endsBefore: boolean;

  /** @param first the value's first character, already read */
  constructor(first: number) {
    this.#inString = first === quote;
    if (first === openBrace || first === openBracket) this.#depth = 1;
    this.#bare = !this.#inString && this.#depth === 0;
    this.endsBefore = this.#bare;
  }

  /** The index after the value, or -1 while it goes on. */
  read(text: string, from: number): number {
    for (let at = from; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (this.#bare) {
        if (!goesOn(code)) return at;
      } else if (this.#inString) {
        if (this.#string(code) && this.#depth === 0) return at + 1;
      } else if (code === quote) this.#inString = true;
      else if (code === openBrace || code === openBracket) this.#depth++;
      else if ((code === closeBrace || code === closeBracket) && --this.#depth === 0) return at + 1;
    }
    return -1;
  }

  /** A value that begins inside of another ends no later. */
  same(): boolean {
    return true;
  }

  /** True at the closing quote. */
  #string(code: number): boolean {
    if (this.#escaped) this.#escaped = false;
    else if (code === backslash) this.#escaped = true;
    else if (code === quote) {
      this.#inString = false;
      return true;
    }
    return false;
  }
}

const quote = 0x22;
const backslash = 0x5c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;

/** What numbers, true, false and null are made of. */
function goesOn(code: number): boolean {
  const lower = code | 0x20;
  return (
    (code >= 0x30 && code <= 0x39) ||
    (lower >= 0x61 && lower <= 0x7a) ||
    code === 0x2b ||
    code === 0x2d ||
    code === 0x2e
  );
}
