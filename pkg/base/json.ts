import { CodedError } from './errors.ts';

/**
 * Strict, bounded JSON (RFC 8259) that remembers where everything stands in its source.
 *
 * Promise: a text is accepted only when every conforming parser reads the same value from it. Duplicate keys (compared
 * after decoding), byte order marks, comments, trailing commas, bare control characters and, unless asked otherwise,
 * lone surrogates are refused. Nesting and node count are bounded, the parser does not recurse, and a long text is
 * parsed in steps so that other requests go on meanwhile.
 *
 * Because nodes carry their spans, an edit replaces exactly the values it means and all other bytes go out as they came.
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
  /** Most values and keys in one text; default 1,000,000. */
  readonly maxNodes?: number;
  /** Keep `\ud800` without its partner (a stream may cut a pair between two frames) instead of refusing; default false. */
  readonly loneSurrogates?: boolean;
}

const none: readonly JsonNode[] = Object.freeze([]);

/** One value or key. Strings are decoded when first asked for. */
export class JsonNode {
  readonly kind: JsonKind;
  /** Where it starts in the source, in UTF-16 units; for a string that is its opening quote. */
  readonly start: number;
  /** One past its last unit. */
  end: number;
  /** Keys of an object in source order (string nodes), aligned with `items`. */
  keys: JsonNode[] | readonly JsonNode[] = none;
  /** Values of an object or elements of an array. */
  items: JsonNode[] | readonly JsonNode[] = none;
  readonly #source: string;
  readonly #escaped: boolean;
  #text: string | undefined = undefined;

  constructor(kind: JsonKind, source: string, start: number, end: number, escaped: boolean) {
    this.kind = kind;
    this.#source = source;
    this.start = start;
    this.end = end;
    this.#escaped = escaped;
  }

  /** The decoded string; for other kinds the source spelling. */
  get text(): string {
    if (this.#text !== undefined) return this.#text;
    const raw =
      this.kind === 'string'
        ? this.#source.slice(this.start + 1, this.end - 1)
        : this.#source.slice(this.start, this.end);
    this.#text = this.#escaped ? unescape(raw) : raw;
    return this.#text;
  }

  /** Whether the source spells this string with at least one escape. */
  get escaped(): boolean {
    return this.#escaped;
  }

  /** The value under `key` of an object; undefined for other kinds and absent keys. */
  get(key: string): JsonNode | undefined {
    for (let at = 0; at < this.keys.length; at++) if (this.keys[at]?.text === key) return this.items[at];
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

const escapes: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

function unescape(raw: string): string {
  return raw.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/gs, (_, hex: string | undefined, char: string | undefined) =>
    hex === undefined ? (escapes[char ?? ''] ?? char ?? '') : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** What the parser expects next. */
type Expect = 'value' | 'firstKey' | 'key' | 'colon' | 'commaOrEnd' | 'firstItem' | 'done';

const quote = 0x22;
const backslash = 0x5c;

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
  #at = 0;
  #nodes = 0;
  #root: JsonNode | undefined = undefined;
  #expect: Expect = 'value';

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

  run(units = Number.POSITIVE_INFINITY): JsonNode | undefined {
    const stop = this.#at + units;
    while (!this.#finished()) {
      this.#space();
      if (this.#at >= this.#text.length) throw new JsonError('syntax', 'unexpected end', this.#at);
      this.#token();
      if (this.#at >= stop && !this.#finished()) return undefined;
    }
    this.#space();
    if (this.#at < this.#text.length) throw new JsonError('syntax', 'text after the value', this.#at);
    return this.#root;
  }

  #finished(): boolean {
    return this.#expect === 'done';
  }

  #space(): void {
    const text = this.#text;
    let at = this.#at;
    for (;;) {
      const code = text.charCodeAt(at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) break;
      at++;
    }
    this.#at = at;
  }

  #token(): void {
    const code = this.#text.charCodeAt(this.#at);
    switch (this.#expect) {
      case 'firstItem':
        if (code === 0x5d) return this.#close('array');
        return this.#value(code);
      case 'value':
        return this.#value(code);
      case 'firstKey':
        if (code === 0x7d) return this.#close('object');
        return this.#key(code);
      case 'key':
        return this.#key(code);
      case 'colon':
        if (code !== 0x3a) throw new JsonError('syntax', 'expected a colon', this.#at);
        this.#at++;
        this.#expect = 'value';
        return;
      case 'commaOrEnd':
        return this.#next(code);
      case 'done':
        return;
      default:
        throw new JsonError('syntax', 'unexpected state', this.#at);
    }
  }

  #next(code: number): void {
    const inside = this.#stack.at(-1);
    if (code === 0x2c) {
      this.#at++;
      this.#expect = inside?.kind === 'object' ? 'key' : 'value';
    } else if (code === 0x7d && inside?.kind === 'object') this.#close('object');
    else if (code === 0x5d && inside?.kind === 'array') this.#close('array');
    else throw new JsonError('syntax', 'expected a comma or the end', this.#at);
  }

  #close(kind: 'object' | 'array'): void {
    const node = this.#stack.pop();
    if (node?.kind !== kind) throw new JsonError('syntax', 'unexpected end', this.#at);
    this.#at++;
    node.end = this.#at;
    this.#expect = this.#stack.length === 0 ? 'done' : 'commaOrEnd';
  }

  #key(code: number): void {
    if (code !== quote) throw new JsonError('syntax', 'expected a key', this.#at);
    const node = this.#string();
    const object = this.#stack.at(-1) as JsonNode;
    this.#refuseDuplicate(object, node);
    (object.keys as JsonNode[]).push(node);
    this.#expect = 'colon';
  }

  /** Large objects keep a set beside them so that a flood of keys stays linear. */
  #refuseDuplicate(object: JsonNode, key: JsonNode): void {
    const keys = object.keys;
    if (keys.length < 16) {
      for (const other of keys) {
        if (other.text === key.text) throw new JsonError('duplicate_key', 'duplicate key', key.start);
      }
      return;
    }
    let set = this.#keySets.get(object);
    if (set === undefined) {
      set = new Set(keys.map((one) => one.text));
      this.#keySets.set(object, set);
    }
    if (set.has(key.text)) throw new JsonError('duplicate_key', 'duplicate key', key.start);
    set.add(key.text);
  }
  readonly #keySets = new Map<JsonNode, Set<string>>();

  #value(code: number): void {
    let node: JsonNode;
    if (code === quote) node = this.#string();
    else if (code === 0x7b || code === 0x5b) return this.#open(code === 0x7b ? 'object' : 'array');
    else if (code === 0x2d || (code >= 0x30 && code <= 0x39)) node = this.#number();
    else node = this.#word(code);
    this.#add(node);
    this.#expect = this.#stack.length === 0 ? 'done' : 'commaOrEnd';
  }

  #open(kind: 'object' | 'array'): void {
    if (this.#stack.length >= this.#maxDepth) throw new JsonError('depth', 'nested too deeply', this.#at);
    const node = new JsonNode(kind, this.#text, this.#at, this.#at, false);
    node.items = [];
    if (kind === 'object') node.keys = [];
    this.#count();
    this.#add(node);
    this.#stack.push(node);
    this.#at++;
    this.#expect = kind === 'object' ? 'firstKey' : 'firstItem';
  }

  #add(node: JsonNode): void {
    const inside = this.#stack.at(-1);
    if (inside === undefined) this.#root = node;
    else (inside.items as JsonNode[]).push(node);
  }

  #count(): void {
    if (++this.#nodes > this.#maxNodes) throw new JsonError('nodes', 'too many values', this.#at);
  }

  #string(): JsonNode {
    this.#count();
    const text = this.#text;
    const start = this.#at;
    let at = start + 1;
    let escaped = false;
    for (;;) {
      const code = text.charCodeAt(at);
      if (code === quote) break;
      if (code === backslash) {
        escaped = true;
        at = this.#escape(at);
      } else if (code >= 0xd800 && code <= 0xdfff) at = this.#surrogate(code, at, 1);
      else if (code >= 0x20) at++;
      else throw new JsonError('syntax', at >= text.length ? 'unterminated string' : 'control character in string', at);
    }
    this.#at = at + 1;
    return new JsonNode('string', text, start, at + 1, escaped);
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
        if (low >= 0xdc00 && low <= 0xdfff) return after + 6;
      }
    }
    if (this.#loneSurrogates) return after;
    throw new JsonError('surrogate', 'lone surrogate', at);
  }

  #number(): JsonNode {
    this.#count();
    const pattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
    pattern.lastIndex = this.#at;
    if (!pattern.test(this.#text)) throw new JsonError('syntax', 'bad number', this.#at);
    const node = new JsonNode('number', this.#text, this.#at, pattern.lastIndex, false);
    this.#at = pattern.lastIndex;
    return node;
  }

  #word(code: number): JsonNode {
    this.#count();
    const word = code === 0x74 ? 'true' : code === 0x66 ? 'false' : code === 0x6e ? 'null' : undefined;
    if (word === undefined || !this.#text.startsWith(word, this.#at)) {
      throw new JsonError('syntax', 'unexpected character', this.#at);
    }
    const node = new JsonNode(word, this.#text, this.#at, this.#at + word.length, false);
    this.#at += word.length;
    return node;
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
