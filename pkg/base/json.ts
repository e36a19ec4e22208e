import { CodedError } from './errors.ts';

/**
 * Strict, bounded JSON (RFC 8259) that remembers where everything stands in its source.
 *
 * Promise: a text is accepted only when every conforming parser reads the same value from it. Duplicate keys (compared
 * after decoding), byte order marks, comments, trailing commas, bare control characters and, unless asked otherwise,
 * lone surrogates are refused. Nesting and node count are bounded, the parser does not recurse, and a long text is
 * parsed in steps so that other requests go on meanwhile: a step overruns its units by at most 64 Ki, also inside one
 * long string or array of numbers.
 *
 * Because nodes carry their spans, an edit replaces exactly the values it means and all other bytes go out as they came.
 *
 * Limits of the promise: numbers keep their spelling, so `1e400` or a seventeenth digit may still be rounded differently
 * by two readers; and keys that differ only in case are two keys here, one to some readers: the dialects refuse those.
 */

export type JsonKind = 'object' | 'array' | 'string' | 'number' | 'true' | 'false' | 'null';

export type JsonErrorCode = 'syntax' | 'depth' | 'nodes' | 'duplicate_key' | 'surrogate';

/** `offset` counts UTF-16 units from the start; the message never quotes the source. */
export class JsonError extends CodedError<JsonErrorCode> {
  readonly offset: number;

  constructor(code: JsonErrorCode, message: string, offset: number) {
    super(code, `${message} at offset ${offset}`);
    this.name = 'JsonError';
    this.offset = offset;
  }
}

export interface JsonLimits {
  /** Deepest nesting of objects and arrays; default 64. */
  readonly maxDepth?: number;
  /** Most values and keys in one text; default 1,000,000. An array that holds nothing but numbers counts as one. */
  readonly maxNodes?: number;
  /** Keep `\ud800` without its partner (a stream may cut a pair between two frames) instead of refusing; default false. */
  readonly loneSurrogates?: boolean;
}

const none: readonly JsonNode[] = Object.freeze([]);

/** One value or key. Strings are decoded when first asked for, and arrays of numbers get nodes when first asked for. */
export class JsonNode {
  readonly kind: JsonKind;
  /** Where it starts in the source, in UTF-16 units; for a string that is its opening quote. */
  readonly start: number;
  /** One past its last unit. */
  end: number;
  /** Keys of an object in source order (string nodes), aligned with `items`. */
  keys: JsonNode[] | readonly JsonNode[] = none;
  /**
   * An array of at least one element that are all numbers: `integers` when each is spelled without fraction and exponent.
   * Embeddings and token ids are such arrays: whoever looks at this first spares a node for each number.
   */
  numbers: 'integers' | 'numbers' | undefined = undefined;
  /** How many they are; 0 where {@link numbers} is undefined. */
  numberCount = 0;
  readonly #source: string;
  readonly #escaped: boolean;
  #text: string | undefined = undefined;
  #items: JsonNode[] | readonly JsonNode[] | undefined = none;

  constructor(kind: JsonKind, source: string, start: number, end: number, escaped: boolean) {
    this.kind = kind;
    this.#source = source;
    this.start = start;
    this.end = end;
    this.#escaped = escaped;
  }

  /**
   * A value that stands in no JSON text: of another format that is read as JSON.
   *
   * @param start by which it is told from others, as a place in a text would tell it: what stands within it begins later, and what follows it
   * behind its end.
   * @param text decoded; the spelling of a number
   */
  static made(kind: JsonKind, start: number, end: number, text: string): JsonNode {
    const node = new JsonNode(kind, text, start, end, false);
    node.#text = text;
    return node;
  }

  /** Values of an object or elements of an array. */
  get items(): JsonNode[] | readonly JsonNode[] {
    return (this.#items ??= numberNodes(this.#source, this.start, this.end));
  }

  set items(items: JsonNode[] | readonly JsonNode[] | undefined) {
    this.#items = items;
  }

  /** The decoded string; for other kinds the source spelling. */
  get text(): string {
    if (this.#text !== undefined) return this.#text;
    const source = this.#source;
    if (this.#escaped) {
      // eslint-disable-next-line no-restricted-syntax -- one string literal that the parser below has accepted: nothing is left to judge, and it decodes ten times as fast
      this.#text = JSON.parse(source.slice(this.start, this.end)) as string;
    } else {
      this.#text =
        this.kind === 'string' ? source.slice(this.start + 1, this.end - 1) : source.slice(this.start, this.end);
    }
    return this.#text;
  }

  /** Whether the source spells this string with at least one escape. */
  get escaped(): boolean {
    return this.#escaped;
  }

  /** Gives a key the one copy of its text that all equal keys share. */
  share(text: string): void {
    this.#text = text;
  }

  /** The value under `key` of an object; undefined for other kinds and absent keys. */
  get(key: string): JsonNode | undefined {
    const keys = this.keys;
    for (let at = 0; at < keys.length; at++) if (keys[at]?.text === key) return this.items[at];
    return undefined;
  }

  /** The number, or undefined for other kinds. */
  get number(): number | undefined {
    return this.kind === 'number' ? Number(this.text) : undefined;
  }

  /** The boolean, or undefined for other kinds. */
  get boolean(): boolean | undefined {
    return this.kind === 'true' ? true : this.kind === 'false' ? false : undefined;
  }

  /** The decoded string, or undefined for other kinds. */
  get string(): string | undefined {
    return this.kind === 'string' ? this.text : undefined;
  }
}

/** The elements of an array that the parser has found to be all numbers: what is not space, comma or bracket is a number. */
function numberNodes(source: string, start: number, end: number): JsonNode[] {
  const nodes: JsonNode[] = [];
  let from = -1;
  for (let at = start + 1; at < end; at++) {
    const code = source.charCodeAt(at);
    const inside = code > 0x20 && code !== 0x2c && at < end - 1;
    if (inside && from < 0) from = at;
    else if (!inside && from >= 0) {
      nodes.push(new JsonNode('number', source, from, at, false));
      from = -1;
    }
  }
  return nodes;
}

const quote = 0x22;
const backslash = 0x5c;

/** What the parser expects next. */
type State = 'value' | 'first' | 'next' | 'colon' | 'string' | 'numbers' | 'done';

/** Longest run that is read without looking at the step's budget. */
const windowUnits = 65_536;
/** Up to here a plain loop beats the regular expression's start-up. */
const shortRun = 32;
/** What ends a plain run inside a string. */
const special = /["\\\u0000-\u001f\ud800-\udfff]/;
const numberAt = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

/**
 * Keys repeat from frame to frame and request to request: one shared copy of each spares its allocation and its hash.
 * Direct-mapped, so bounded: 512 keys of at most 32 units.
 */
const sharedKeys: (string | undefined)[] = new Array<string | undefined>(512).fill(undefined);
let sharedMisses = 0;

/** As `startsWith`, which costs more than this for a few letters. */
function standsAt(source: string, from: number, name: string): boolean {
  for (let at = 0; at < name.length; at++) if (source.charCodeAt(from + at) !== name.charCodeAt(at)) return false;
  return true;
}

function sharedKey(source: string, from: number, to: number): string | undefined {
  const length = to - from;
  if (length === 0 || length > 32) return undefined;
  const first = source.charCodeAt(from);
  const last = source.charCodeAt(to - 1);
  const middle = source.charCodeAt(from + (length >> 1));
  const slot = (length * 31 + first * 7 + middle * 57 + last * 131) & 511;
  const known = sharedKeys[slot];
  if (known !== undefined) {
    if (known.length === length && standsAt(source, from, known)) return known;
    // Few misses replace: a flood of new keys costs next to nothing and drives out little.
    sharedMisses = (sharedMisses + 1) & 31;
    if (sharedMisses !== 0) return undefined;
  }
  // A copy: a slice would keep the whole source alive.
  const name = source.slice(from, to);
  const copy = Buffer.from(name).toString();
  if (copy !== name) return undefined;
  sharedKeys[slot] = copy;
  return copy;
}

/**
 * Parses in steps. `run(units)` returns the root when it is done and undefined when more steps are needed.
 *
 * @throws JsonError when the text is not acceptable.
 */
export class JsonParser {
  readonly #text: string;
  readonly #maxDepth: number;
  readonly #maxNodes: number;
  readonly #loneSurrogates: boolean;
  readonly #stack: JsonNode[] = [];
  /** The innermost open object or array: the top of the stack. */
  #inside: JsonNode | undefined = undefined;
  #at = 0;
  #nodes = 0;
  #root: JsonNode | undefined = undefined;
  #state: State = 'value';
  /** In state `string`: where it began, whether it is a key, whether an escape was seen. */
  #stringStart = 0;
  #stringIsKey = false;
  #stringEscaped = false;
  /** In state `numbers`: whether all so far are integers, and how many they are. */
  #integers = true;
  #numberCount = 0;
  /** Large objects keep a set beside them so that a flood of keys stays linear. */
  #keySets: Map<JsonNode, Set<string>> | undefined = undefined;

  constructor(text: string, limits: JsonLimits = {}) {
    this.#text = text;
    this.#maxDepth = limits.maxDepth ?? 64;
    this.#maxNodes = limits.maxNodes ?? 1_000_000;
    this.#loneSurrogates = limits.loneSurrogates ?? false;
  }

  /** How far it is, in UTF-16 units. */
  get offset(): number {
    return this.#at;
  }

  /** Values and keys read so far, as `maxNodes` counts them. */
  get nodes(): number {
    return this.#nodes;
  }

  /** Reads at least one token and at most `units`, give or take one token or 64 Ki. */
  run(units = Number.POSITIVE_INFINITY): JsonNode | undefined {
    const stop = this.#at + units;
    while (!this.#finished()) {
      this.#step();
      if (this.#at >= stop && !this.#finished()) return undefined;
    }
    this.#space();
    if (this.#at < this.#text.length) throw new JsonError('syntax', 'text after the value', this.#at);
    return this.#root;
  }

  #finished(): boolean {
    return this.#state === 'done';
  }

  #step(): void {
    switch (this.#state) {
      case 'string':
        return this.#stringRest();
      case 'numbers':
        return this.#numbers();
      case 'value':
        return this.#value(this.#space());
      case 'first':
        return this.#first(this.#space());
      case 'next':
        return this.#next(this.#space());
      case 'colon':
        return this.#colon(this.#space());
      default:
        throw new JsonError('syntax', 'unexpected state', this.#at);
    }
  }

  /** Skips white space and returns the unit after it; NaN at the end of the text, which no rule accepts. */
  #space(): number {
    const text = this.#text;
    let at = this.#at;
    let code = text.charCodeAt(at);
    while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) code = text.charCodeAt(++at);
    this.#at = at;
    return code;
  }

  #fail(message: string): never {
    throw new JsonError('syntax', this.#at >= this.#text.length ? 'unexpected end' : message, this.#at);
  }

  #first(code: number): void {
    if (this.#inside?.kind === 'object') {
      if (code === 0x7d) return this.#close('object');
      return this.#key(code);
    }
    if (code === 0x5d) return this.#close('array');
    return this.#value(code);
  }

  #next(code: number): void {
    const kind = this.#inside?.kind;
    if (code === 0x2c) {
      this.#at++;
      if (kind === 'object') return this.#key(this.#space());
      return this.#value(this.#space());
    }
    if (code === 0x7d && kind === 'object') return this.#close('object');
    if (code === 0x5d && kind === 'array') return this.#close('array');
    this.#fail('expected a comma or the end');
  }

  #close(kind: 'object' | 'array'): void {
    const stack = this.#stack;
    const node = stack.pop();
    if (node?.kind !== kind) this.#fail('unexpected end');
    this.#at++;
    node.end = this.#at;
    this.#inside = stack[stack.length - 1];
    this.#state = this.#inside === undefined ? 'done' : 'next';
  }

  #key(code: number): void {
    if (code !== quote) this.#fail('expected a key');
    this.#string(true);
  }

  #colon(code: number): void {
    if (code !== 0x3a) this.#fail('expected a colon');
    this.#at++;
    this.#value(this.#space());
  }

  #refuseDuplicate(object: JsonNode, key: JsonNode): void {
    const keys = object.keys;
    const text = key.text;
    if (keys.length < 16) {
      for (let at = 0; at < keys.length; at++) {
        if (keys[at]?.text === text) throw new JsonError('duplicate_key', 'duplicate key', key.start);
      }
      return;
    }
    this.#keySets ??= new Map();
    let set = this.#keySets.get(object);
    if (set === undefined) {
      set = new Set(keys.map((one) => one.text));
      this.#keySets.set(object, set);
    }
    if (set.has(text)) throw new JsonError('duplicate_key', 'duplicate key', key.start);
    set.add(text);
  }

  #value(code: number): void {
    if (code === quote) return this.#string(false);
    if (code === 0x7b) return this.#open('object');
    if (code === 0x5b) return this.#open('array');
    if (code === 0x2d || (code >= 0x30 && code <= 0x39)) return this.#number();
    this.#word(code);
  }

  #open(kind: 'object' | 'array'): void {
    if (this.#stack.length >= this.#maxDepth) throw new JsonError('depth', 'nested too deeply', this.#at);
    const node = new JsonNode(kind, this.#text, this.#at, this.#at, false);
    node.items = [];
    if (kind === 'object') node.keys = [];
    this.#count();
    this.#add(node);
    this.#stack.push(node);
    this.#inside = node;
    this.#at++;
    this.#state = 'first';
    if (kind === 'array') {
      const code = this.#space();
      if (code === 0x2d || (code >= 0x30 && code <= 0x39)) {
        this.#integers = true;
        this.#numberCount = 0;
        this.#state = 'numbers';
      }
    }
  }

  #add(node: JsonNode): void {
    const inside = this.#inside;
    if (inside === undefined) this.#root = node;
    else (inside.items as JsonNode[]).push(node);
  }

  /** Adds a value that cannot hold others. */
  #leaf(node: JsonNode): void {
    this.#at = node.end;
    this.#add(node);
    this.#state = this.#inside === undefined ? 'done' : 'next';
  }

  #count(): void {
    if (++this.#nodes > this.#maxNodes) throw new JsonError('nodes', 'too many values', this.#at);
  }

  #string(isKey: boolean): void {
    this.#count();
    this.#stringStart = this.#at;
    this.#stringIsKey = isKey;
    this.#stringEscaped = false;
    this.#at++;
    this.#stringRest();
  }

  /** Reads on in a string, at most {@link windowUnits}. */
  #stringRest(): void {
    const text = this.#text;
    const stop = this.#at + windowUnits;
    let at = this.#at;
    while (at < stop) {
      const code = text.charCodeAt(at);
      if (code === quote) return this.#stringEnd(at + 1);
      if (code === backslash) {
        this.#stringEscaped = true;
        at = this.#escape(at);
      } else if (code >= 0xd800 && code <= 0xdfff) at = this.#surrogate(code, at, 1);
      else if (code >= 0x20) at = this.#plain(at + 1);
      else throw new JsonError('syntax', at >= text.length ? 'unterminated string' : 'control character in string', at);
    }
    this.#at = at;
    this.#state = 'string';
  }

  /** The offset of the next unit that is not plain text of a string; may stop earlier. */
  #plain(from: number): number {
    const text = this.#text;
    const near = from + shortRun;
    let at = from;
    while (at < near) {
      const code = text.charCodeAt(at);
      // NaN, past the end, is not >= 0x20.
      if (!(code >= 0x20) || code === quote || code === backslash || (code & 0xf800) === 0xd800) return at;
      at++;
    }
    const run = text.slice(at, at + windowUnits).search(special);
    return run < 0 ? Math.min(at + windowUnits, text.length) : at + run;
  }

  #stringEnd(end: number): void {
    const start = this.#stringStart;
    const node = new JsonNode('string', this.#text, start, end, this.#stringEscaped);
    const inside = this.#inside;
    if (!this.#stringIsKey || inside === undefined) return this.#leaf(node);
    this.#at = end;
    if (!this.#stringEscaped) {
      const shared = sharedKey(this.#text, start + 1, end - 1);
      if (shared !== undefined) node.share(shared);
    }
    this.#refuseDuplicate(inside, node);
    (inside.keys as JsonNode[]).push(node);
    this.#state = 'colon';
  }

  /** Returns the offset past the escape (past both halves of an escaped surrogate pair). */
  #escape(at: number): number {
    const char = this.#text.charCodeAt(at + 1);
    if (char !== 0x75) {
      // " \ / b f n r t
      if (char === quote || char === backslash || char === 0x2f) return at + 2;
      if (char === 0x62 || char === 0x66 || char === 0x6e || char === 0x72 || char === 0x74) return at + 2;
      throw new JsonError('syntax', 'unknown escape', at);
    }
    const code = this.#hex4(at + 2);
    if (code >= 0xd800 && code <= 0xdfff) return this.#surrogate(code, at, 6);
    return at + 6;
  }

  #hex4(at: number): number {
    let value = 0;
    for (let digit = 0; digit < 4; digit++) {
      const code = this.#text.charCodeAt(at + digit);
      const lower = code | 0x20;
      if (code >= 0x30 && code <= 0x39) value = value * 16 + code - 0x30;
      else if (lower >= 0x61 && lower <= 0x66) value = value * 16 + lower - 0x57;
      else throw new JsonError('syntax', 'bad unicode escape', at);
    }
    return value;
  }

  /** A surrogate must be a high one followed by a low one, each literal (1 unit) or escaped (6 units). */
  #surrogate(code: number, at: number, width: number): number {
    const after = at + width;
    if (code < 0xdc00) {
      const next = this.#text.charCodeAt(after);
      if (next >= 0xdc00 && next <= 0xdfff) return after + 1;
      if (next === backslash && this.#text.charCodeAt(after + 1) === 0x75) {
        const low = this.#hex4(after + 2);
        if (low >= 0xdc00 && low <= 0xdfff) {
          this.#stringEscaped = true;
          return after + 6;
        }
      }
    }
    if (this.#loneSurrogates) return after;
    throw new JsonError('surrogate', 'lone surrogate', at);
  }

  #number(): void {
    this.#count();
    this.#leaf(new JsonNode('number', this.#text, this.#at, this.#numberEnd(), false));
  }

  #numberEnd(): number {
    numberAt.lastIndex = this.#at;
    if (!numberAt.test(this.#text)) this.#fail('bad number');
    return numberAt.lastIndex;
  }

  /**
   * Reads on in an array that began with a number, making no nodes. Where something else than a number follows, the array
   * is read again from its start in the ordinary way, once.
   */
  #numbers(): void {
    const array = this.#inside;
    if (array === undefined) this.#fail('unexpected state');
    const stop = this.#at + windowUnits;
    while (this.#at < stop) {
      const code = this.#space();
      if (code !== 0x2d && !(code >= 0x30 && code <= 0x39)) {
        this.#at = array.start + 1;
        this.#state = 'first';
        return;
      }
      const start = this.#at;
      this.#at = this.#numberEnd();
      this.#numberCount++;
      if (this.#integers) this.#integers = this.#isInteger(start, this.#at);
      const after = this.#space();
      if (after === 0x5d) {
        array.numbers = this.#integers ? 'integers' : 'numbers';
        array.numberCount = this.#numberCount;
        array.items = undefined;
        return this.#close('array');
      }
      if (after !== 0x2c) this.#fail('expected a comma or the end');
      this.#at++;
    }
  }

  #isInteger(start: number, end: number): boolean {
    for (let at = start; at < end; at++)
      if (this.#text.charCodeAt(at) > 0x39 || this.#text.charCodeAt(at) === 0x2e) return false;
    return true;
  }

  #word(code: number): void {
    this.#count();
    const word = code === 0x74 ? 'true' : code === 0x66 ? 'false' : code === 0x6e ? 'null' : undefined;
    if (word === undefined || !this.#text.startsWith(word, this.#at)) this.#fail('unexpected character');
    this.#leaf(new JsonNode(word, this.#text, this.#at, this.#at + word.length, false));
  }
}

/**
 * Parses a whole text at once: for small texts (frames, files). Large bodies use {@link JsonParser} in steps.
 *
 * @throws JsonError
 */
export function parseJson(text: string, limits?: JsonLimits): JsonNode {
  const root = new JsonParser(text, limits).run();
  if (root === undefined) throw new JsonError('syntax', 'unexpected end', text.length);
  return root;
}

export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** Plain values; objects have no prototype, so a key named `__proto__` is only a key. */
export function jsonValue(node: JsonNode): JsonValue {
  switch (node.kind) {
    case 'string':
      return node.text;
    case 'number':
      return Number(node.text);
    case 'true':
      return true;
    case 'false':
      return false;
    case 'null':
      return null;
    case 'array':
      return node.items.map(jsonValue);
    case 'object': {
      const value = Object.create(null) as { [key: string]: JsonValue };
      node.keys.forEach((key, at) => {
        const item = node.items[at];
        if (item !== undefined) value[key.text] = jsonValue(item);
      });
      return value;
    }
    default:
      throw new JsonError('syntax', 'unexpected kind', node.start);
  }
}

/** Replaces `[start, end)` of a source by `text`, which is JSON already. */
export interface JsonEdit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** The source with the edits made; they must not overlap. Everything outside of them is unchanged. */
export function applyEdits(source: string, edits: readonly JsonEdit[]): string {
  if (edits.length === 0) return source;
  const ordered = [...edits].sort((a, b) => a.start - b.start);
  const parts: string[] = [];
  let at = 0;
  for (const edit of ordered) {
    if (edit.start < at) throw new JsonError('syntax', 'overlapping edits', edit.start);
    parts.push(source.slice(at, edit.start), edit.text);
    at = edit.end;
  }
  parts.push(source.slice(at));
  return parts.join('');
}
