import { saidOfNamed } from '../../core/index.ts';
import type { LaneEnd } from '../scanner.ts';
import type { Replaced, Spell } from './components.ts';
import { longestName } from './field-path.ts';
import type { PathState } from './field-path.ts';
import type { Finding } from './finding.ts';
import type { Output } from './output.ts';
import type { Plan } from './plan.ts';
import { labelText, longestStyledValue, needsValue, replacementText } from './replacement.ts';
import { foldText } from './fold-text.ts';
import type { Before } from './text-reader.ts';
import { TextScan } from './text-scan.ts';

/**
 * Reads a lane as JSON while it grows. Each key, string and number literal is a text of its own, decoded before it is scanned. Detectors see
 * the key of a value before it, as in a text (`"ssn": 123456789`), and through arrays;
 * a value under a field rule is swallowed from its first character until it closes. What goes out stays JSON: replacements
 * inside of strings are escaped, a number with a finding becomes a string.
 *
 * Raw control characters in strings are let through, since every reader takes them alike. Any other fault of syntax, and
 * nesting deeper than 256, ends the lane (`failed`): what two parsers could read differently is not given out.
 */
export type JsonProgress = 'going' | 'done' | 'failed';

const deepest = 256;

/** Longer number literals are a fault of syntax: no parser keeps so many digits, and they are held until they end. */
const longestNumber = 4096;

interface Container {
  readonly object: boolean;
  readonly path: PathState | undefined;
  /** Key of the value that it is, or is an item of. */
  readonly name: string;
  index: number;
}

type Expect = 'value' | 'firstItem' | 'firstKey' | 'key' | 'colon' | 'next';
type Token = 'none' | 'key' | 'string' | 'number' | 'word';

/** A value under a field rule. */
interface Swallow {
  readonly rule: number;
  readonly start: number;
  readonly depth: number;
  /** Decoded, where the style prints from it. */
  value: string | undefined;
  replaced: Replaced | undefined;
}

export class JsonScan {
  readonly #plan: Plan;
  readonly #output: Output;
  readonly #scan: TextScan | undefined;
  readonly #root: PathState | undefined;
  /** More values may follow the first, as in tool arguments that a model repeats. */
  readonly #many: boolean;
  readonly #stack: Container[] = [];
  #expect: Expect = 'value';
  #token: Token = 'none';
  /** The token's first character, or where its word begins. */
  #tokenStart = 0;
  #tokenText = '';
  /** An escape that has begun: what stands after its backslash. */
  #escape: string | undefined = undefined;
  /** End of the key under which the next value stands, through arrays; empty: under none. */
  #name = '';
  /** The same, as it is read before the value: that of the last, since an array has many. */
  #before: { readonly name: string; readonly isString: boolean; readonly before: Before } | undefined = undefined;
  /** Path of the value that comes next. */
  #path: PathState | undefined;
  #swallow: Swallow | undefined = undefined;
  /** Source offset of the next character. */
  #position = 0;
  #failed = false;
  #roots = 0;
  /** A string has begun, a number has ended or a value is swallowed: what was decided since cannot be read as prose again. */
  #committed = false;

  constructor(plan: Plan, output: Output, start: number, root: PathState | undefined, many: boolean) {
    this.#plan = plan;
    this.#output = output;
    this.#scan = plan.active.length > 0 ? new TextScan(plan, [{ plan, sink: output }]) : undefined;
    this.#root = root;
    this.#path = root;
    this.#many = many;
    this.#position = start;
  }

  get failed(): boolean {
    return this.#failed;
  }

  /**
   * Where a lane that turned out to be no JSON goes on as prose: `[Note]`, `{name}`, `[2024-11-21]`. Undefined where strings or
   * numbers were decided one by one already.
   */
  get prose(): { readonly from: number; readonly begun: string } | undefined {
    if (!this.#failed || this.#committed) return undefined;
    const inToken = this.#token === 'number' || this.#token === 'word';
    return inToken ? { from: this.#tokenStart, begun: this.#tokenText } : { from: this.#position, begun: '' };
  }

  /** Source offset before which the output is final. */
  get decided(): number {
    const swallow = this.#swallow;
    if (swallow !== undefined) return swallow.replaced === undefined ? swallow.start : this.#position;
    if (this.#token === 'number' || this.#token === 'word') return this.#tokenStart;
    if (this.#token === 'none') return this.#position;
    return this.#scan?.decided ?? this.#position;
  }

  /** Reads on. Returns how many characters were read: fewer than all when the root value is done and nothing may follow it as JSON. */
  read(text: string): number {
    let at = 0;
    while (at < text.length && !this.#failed && this.#output.stopped === undefined) {
      if (this.#token === 'none' && !this.#many && this.#roots > 0) break;
      const to = this.#step(text, at);
      this.#position += to - at;
      at = to;
    }
    if (this.#inScannedString) this.#scan?.settle();
    return at;
  }

  /** The lane is over; what is unfinished ends as it is cut. */
  end(end: LaneEnd): void {
    if (this.#failed || this.#output.stopped !== undefined) return;
    if (this.#token === 'number') this.#endNumber(end);
    else if (this.#inScannedString) this.#scan?.finish(end);
    if (this.#swallow !== undefined) this.#closeSwallow(this.#swallow);
    this.#token = 'none';
  }

  get #inScannedString(): boolean {
    return (this.#token === 'key' || this.#token === 'string') && this.#swallow === undefined;
  }

  #step(text: string, at: number): number {
    switch (this.#token) {
      case 'key':
      case 'string':
        return this.#inString(text, at);
      case 'number':
        return this.#inNumber(text, at);
      case 'word':
        return this.#inWord(text, at);
      default:
        return this.#between(text, at);
    }
  }

  // --- structure

  #between(text: string, at: number): number {
    const char = text.charAt(at);
    if (char === ' ' || char === '\n' || char === '\r' || char === '\t') return at + 1;
    switch (this.#expect) {
      case 'firstItem':
        if (char === ']') return this.#close(false, at);
        return this.#value(char, at);
      case 'value':
        return this.#value(char, at);
      case 'firstKey':
        if (char === '}') return this.#close(true, at);
        return this.#key(char, at);
      case 'key':
        return this.#key(char, at);
      case 'colon':
        if (char !== ':') return this.#fail(at);
        this.#expect = 'value';
        return at + 1;
      default:
        return this.#next(char, at);
    }
  }

  #next(char: string, at: number): number {
    const inside = this.#stack.at(-1);
    if (char === ',' && inside !== undefined) {
      this.#expect = inside.object ? 'key' : 'value';
      if (!inside.object) {
        this.#path = inside.path?.item(++inside.index);
        this.#name = inside.name;
      }
      return at + 1;
    }
    if (char === '}') return this.#close(true, at);
    if (char === ']') return this.#close(false, at);
    return this.#fail(at);
  }

  #close(object: boolean, at: number): number {
    if (this.#stack.pop()?.object !== object) return this.#fail(at);
    this.#valueEnded(this.#position + 1);
    return at + 1;
  }

  #key(char: string, at: number): number {
    if (char !== '"') return this.#fail(at);
    this.#beginString('key');
    return at + 1;
  }

  #value(char: string, at: number): number {
    if (char === '"' || char === '{' || char === '[' || /[-0-9tfn]/.test(char)) {
      if (this.#swallow === undefined && !this.#field(char)) return at;
      if (this.#swallow !== undefined) this.#committed = true;
    } else return this.#fail(at);
    if (char === '"') {
      this.#beginString('string');
      return at + 1;
    }
    if (char === '{' || char === '[') return this.#open(char === '{', at);
    this.#token = char === '-' || (char >= '0' && char <= '9') ? 'number' : 'word';
    this.#tokenStart = this.#position;
    this.#tokenText = '';
    return at;
  }

  #open(object: boolean, at: number): number {
    if (this.#stack.length >= deepest) return this.#fail(at);
    const path = this.#path;
    this.#stack.push({ object, path, name: this.#name, index: 0 });
    this.#expect = object ? 'firstKey' : 'firstItem';
    if (!object) this.#path = path?.item(0);
    return at + 1;
  }

  #fail(at: number): number {
    // What was found before the fault comes first, however the lane was cut.
    if (this.#inScannedString) this.#scan?.settle();
    this.#failed = this.#output.stopped === undefined;
    return at;
  }

  /** @param end source offset after the value */
  #valueEnded(end: number): void {
    this.#token = 'none';
    const swallow = this.#swallow;
    if (swallow !== undefined && swallow.depth === this.#stack.length) {
      this.#closeSwallow(swallow);
      if (swallow.replaced !== undefined) swallow.replaced.end = end;
    }
    if (this.#stack.length > 0) this.#expect = 'next';
    else {
      this.#roots++;
      this.#expect = 'value';
      this.#path = this.#root;
      this.#name = '';
    }
  }

  // --- field rules

  /** Applies the field rules to the value that begins here. False: it ends the lane. */
  #field(char: string): boolean {
    const rules = this.#path?.rules;
    if (rules === undefined || rules.length === 0) return true;
    const { spec, compiled } = this.#plan;
    const start = this.#position;
    for (const rule of rules) this.#output.hit({ rule, by: 'field', start, end: start + 1, ...saidOfNamed });
    const stop = rules.find((rule) => spec.stop[rule] === 1);
    if (stop !== undefined) {
      this.#output.stop({ rule: stop, by: 'field', start, end: start + 1, ...saidOfNamed }, start);
      return false;
    }
    const index = rules.find((rule) => spec.replace[rule] === 1);
    const rule = index === undefined ? undefined : compiled.rules[index];
    if (index === undefined || rule === undefined) return true;
    const styled = needsValue(rule) && (char === '"' || char === '-' || (char >= '0' && char <= '9'));
    this.#swallow = {
      rule: index,
      start,
      depth: this.#stack.length,
      value: styled ? '' : undefined,
      replaced: undefined,
    };
    if (!styled) this.#replaceSwallowed(this.#swallow);
    return true;
  }

  /** Text of the swallowed value, decoded. */
  #swallowed(text: string): void {
    const swallow = this.#swallow;
    if (swallow?.value === undefined) return;
    swallow.value += text;
    if (swallow.value.length <= longestStyledValue) return;
    swallow.value = undefined;
    this.#replaceSwallowed(swallow);
  }

  #replaceSwallowed(swallow: Swallow): void {
    const { rules, hashKey, fold } = this.#plan.compiled;
    const rule = rules[swallow.rule];
    if (rule === undefined) return;
    const text = replacementText(
      rule,
      swallow.value === undefined ? undefined : foldText(swallow.value, fold),
      hashKey,
    );
    swallow.replaced = { start: swallow.start, end: Number.POSITIVE_INFINITY, text: JSON.stringify(text) };
    this.#output.replace(swallow.replaced);
  }

  #closeSwallow(swallow: Swallow): void {
    if (swallow.replaced === undefined) this.#replaceSwallowed(swallow);
    if (swallow.replaced !== undefined) swallow.replaced.end = this.#position;
    this.#swallow = undefined;
  }

  // --- strings

  #beginString(token: 'key' | 'string'): void {
    this.#committed = true;
    this.#token = token;
    this.#tokenText = '';
    this.#escape = undefined;
    if (token === 'key') this.#name = '';
    if (this.#swallow !== undefined) return;
    this.#scan?.begin(this.#position + 1, spellInString, token === 'string' ? this.#keyBefore(true) : undefined);
  }

  #inString(text: string, at: number): number {
    if (this.#escape !== undefined) return this.#inEscape(text, at);
    let end = at;
    for (; end < text.length; end++) {
      const code = text.charCodeAt(end);
      if (code === 0x22 || code === 0x5c) break;
    }
    if (end > at) {
      this.#stringText(text.slice(at, end));
      return end;
    }
    if (text.charCodeAt(at) === 0x5c) this.#escape = '';
    else this.#endString();
    return at + 1;
  }

  #inEscape(text: string, at: number): number {
    const escape = (this.#escape ?? '') + text.charAt(at);
    this.#escape = escape;
    if (escape.startsWith('u')) {
      if (!/^u[0-9a-fA-F]{0,4}$/.test(escape)) return this.#fail(at);
      if (escape.length < 5) return at + 1;
    }
    const unit = escape.startsWith('u') ? String.fromCharCode(Number.parseInt(escape.slice(1), 16)) : escapes[escape];
    if (unit === undefined) return this.#fail(at);
    this.#escape = undefined;
    this.#noteText(unit);
    if (this.#swallow === undefined) this.#scan?.spelled(unit, escape.length + 1);
    return at + 1;
  }

  #stringText(text: string): void {
    this.#noteText(text);
    if (this.#swallow === undefined) this.#scan?.raw(text);
  }

  /** The key of the value that begins, as a text has it before its value. */
  #keyBefore(isString: boolean): Before | undefined {
    const name = this.#name;
    if (name === '') return undefined;
    if (this.#before?.name !== name || this.#before.isString !== isString) {
      const text = foldText(`"${name}": ${isString ? '"' : ''}`, this.#plan.compiled.fold);
      this.#before = { name, isString, before: { text } };
    }
    return this.#before.before;
  }

  /** Keeps what a path, a replacement or the value of a key needs of a string. */
  #noteText(text: string): void {
    if (this.#token === 'key') {
      this.#name = (this.#name + text).slice(-longestKey);
      if (this.#tokenText.length <= longestName && this.#root !== undefined) this.#tokenText += text;
    } else this.#swallowed(text);
  }

  #endString(): void {
    if (this.#swallow === undefined) this.#scan?.finish('complete');
    if (this.#output.stopped !== undefined) return;
    if (this.#token === 'key') {
      this.#path = this.#stack.at(-1)?.path?.key(this.#tokenText);
      this.#token = 'none';
      this.#expect = 'colon';
    } else this.#valueEnded(this.#position + 1);
  }

  // --- numbers, true, false, null

  #inNumber(text: string, at: number): number {
    let end = at;
    while (end < text.length && inNumber(text.charCodeAt(end))) end++;
    this.#tokenText += text.slice(at, end);
    if (this.#tokenText.length > longestNumber) return this.#fail(at);
    if (end < text.length) {
      if (!numberLiteral.test(this.#tokenText)) return this.#fail(end);
      this.#position += end - at;
      this.#endNumber('complete');
      this.#position -= end - at;
      this.#committed = true;
      if (this.#output.stopped === undefined) this.#valueEnded(this.#position + end - at);
    }
    return end;
  }

  /** A literal is scanned when it has ended: a finding in it makes a string of all of it. */
  #endNumber(end: LaneEnd): void {
    const scan = this.#scan;
    if (this.#swallow !== undefined) {
      this.#swallowed(this.#tokenText);
      return;
    }
    if (scan === undefined) return;
    const start = this.#tokenStart;
    const after = start + this.#tokenText.length;
    let first: Finding | undefined;
    const spell: Spell = (text, finding) => {
      first ??= finding;
      return text;
    };
    scan.begin(start, spell, this.#keyBefore(false));
    scan.raw(this.#tokenText);
    scan.finish(end);
    if (this.#output.stopped !== undefined) {
      this.#output.stoppedAt = start;
      return;
    }
    const [found, ...others] = this.#output.withdraw(start);
    const rule =
      first === undefined ? undefined : this.#plan.compiled.rules[this.#plan.units[first.unit.index]?.replace ?? -1];
    if (found === undefined || rule === undefined) return;
    const whole = others.length === 0 && found.start === start && found.end === after;
    this.#output.replace({ start, end: after, text: JSON.stringify(whole ? found.text : labelText(rule)) });
  }

  #inWord(text: string, at: number): number {
    this.#tokenText += text.charAt(at);
    const word = this.#tokenText;
    if (words.includes(word)) {
      this.#position++;
      this.#valueEnded(this.#position);
      this.#position--;
    } else if (!words.some((one) => one.startsWith(word))) return this.#fail(at);
    return at + 1;
  }
}

/** So much of a key's end is read before its value, in UTF-16 units: more than words are looked for in (telling.ts). */
export const longestKey = 64;

const words = ['true', 'false', 'null'];

const numberLiteral = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;

const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

function inNumber(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) || code === 0x2b || code === 0x2d || code === 0x2e || code === 0x45 || code === 0x65
  );
}

/** Inside of a string of JSON; a field's value in JSON text within the string is quoted there. */
function spellInString(text: string, finding: Finding): string {
  const spelled = finding.unit.rank === 3 ? JSON.stringify(text) : text;
  return JSON.stringify(spelled).slice(1, -1);
}
