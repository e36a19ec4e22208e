/* eslint-disable @typescript-eslint/no-non-null-assertion, no-restricted-syntax -- a test oracle: plain over safe, and JSON.parse is another reader than ours */
import type { LaneEnd, LaneKind } from '../scanner.ts';
import type { SlowFinding, SlowHit, SlowMasker, SlowUnit } from './slow-mask.ts';

/**
 * mask(T) of a lane that is read as JSON, written from the definition: read the whole text token by token, mask each string,
 * key and number by the slow mask, replace values under field rules. Field paths are compared one by one.
 */
export interface SlowJsonResult {
  readonly text: string;
  readonly hits: readonly SlowHit[];
  readonly stopped: SlowHit | undefined;
  readonly failed: boolean;
}

class Stop extends Error {}
class Fault extends Error {}
class End extends Error {}

type Path = readonly (string | number)[];

export function slowMaskLane(slow: SlowMasker, text: string, kind: LaneKind, end: LaneEnd): SlowJsonResult {
  const fields = slow.setup.rules.some((rule, index) => rule.fields.length > 0 && acts(slow, index));
  const first = text.trimStart().charAt(0);
  const readAsJson =
    kind === 'text'
      ? fields && '{['.includes(first) && first !== ''
      : first !== '' && (fields || '{["'.includes(first));
  if (!readAsJson) return { ...slow.mask(text, end), failed: false };
  return new Reader(slow, text, kind, end).run();
}

function acts(slow: SlowMasker, rule: number): boolean {
  const { replace, stop, note } = slow.spec;
  return replace[rule] === 1 || stop[rule] === 1 || note[rule] === 1;
}

/** Whether a path of a policy names this very value. */
export function slowPathMatches(pattern: string, path: Path): boolean {
  const rest = (pattern.startsWith('$') ? pattern.slice(1) : `.${pattern}`).match(/\.[^.[]+|\[[^\]]*\]/g) ?? [];
  const match = (at: number, from: number): boolean => {
    const segment = rest[at];
    if (segment === undefined) return from === path.length;
    if (segment === '.**') return match(at + 1, from) || (from < path.length && match(at, from + 1));
    if (from === path.length) return false;
    const step = path[from]!;
    const fits =
      segment === '.*' ||
      (segment === '[*]' && typeof step === 'number') ||
      (typeof step === 'number' ? segment === `[${step}]` : segment === `.${step}`);
    return fits && match(at + 1, from + 1);
  };
  return match(0, 0);
}

class Reader {
  readonly #slow: SlowMasker;
  readonly #text: string;
  readonly #kind: LaneKind;
  readonly #end: LaneEnd;
  #at = 0;
  #out = '';
  #hits: SlowHit[] = [];
  #stopped: SlowHit | undefined = undefined;
  #quiet = 0;
  /** A string has begun, a number has ended or a value was hidden: from then on a fault is a fault, before it the lane is prose. */
  #committed = false;

  constructor(slow: SlowMasker, text: string, kind: LaneKind, end: LaneEnd) {
    this.#slow = slow;
    this.#text = text;
    this.#kind = kind;
    this.#end = end;
  }

  run(): SlowJsonResult {
    let failed = false;
    try {
      this.#space();
      this.#value([]);
      if (this.#kind === 'text') this.#prose();
      else {
        for (this.#space(); this.#at < this.#text.length; this.#space()) this.#value([]);
      }
    } catch (error) {
      failed = error instanceof Fault;
      if (failed && this.#kind === 'text' && !this.#committed) {
        this.#prose();
        failed = false;
      }
      if (!(error instanceof Fault || error instanceof Stop || error instanceof End)) throw error;
    }
    return { text: this.#out, hits: this.#hits, stopped: this.#stopped, failed };
  }

  #prose(): void {
    const rest = this.#slow.mask(this.#text.slice(this.#at), this.#end);
    this.#out += rest.text;
    const move = (hit: SlowHit): SlowHit => ({ ...hit, start: hit.start + this.#at, end: hit.end + this.#at });
    this.#hits.push(...rest.hits.map(move));
    this.#stopped = rest.stopped === undefined ? undefined : move(rest.stopped);
  }

  #peek(): string {
    if (this.#at >= this.#text.length) throw new End();
    return this.#text.charAt(this.#at);
  }

  #put(text: string): void {
    if (this.#quiet === 0) this.#out += text;
  }

  #literal(char: string): void {
    if (this.#peek() !== char) throw new Fault();
    this.#put(char);
    this.#at++;
  }

  #space(): void {
    while (/[ \t\r\n]/.test(this.#text.charAt(this.#at))) this.#literal(this.#text.charAt(this.#at));
  }

  #value(path: Path): void {
    const first = this.#peek();
    if (!/["{[\-0-9tfn]/.test(first)) throw new Fault();
    const { spec, setup } = this.#slow;
    const rules = setup.rules
      .map((_, index) => index)
      .filter(
        (index) => acts(this.#slow, index) && setup.rules[index]!.fields.some((one) => slowPathMatches(one, path)),
      );
    if (this.#quiet > 0 || rules.length === 0) return this.#plain(first, path);
    const hit = (rule: number): SlowHit => ({
      rule,
      by: 'field',
      start: this.#at,
      end: this.#at + 1,
      certainty: 'Certain',
      reason: 'Policy',
    });
    this.#hits.push(...rules.map(hit));
    const stop = rules.find((rule) => spec.stop[rule] === 1);
    if (stop !== undefined) {
      this.#stopped = hit(stop);
      throw new Stop();
    }
    const index = rules.find((rule) => spec.replace[rule] === 1);
    if (index === undefined) return this.#plain(first, path);
    const rule = setup.rules[index]!;
    const start = this.#at;
    this.#committed = true;
    this.#quiet++;
    try {
      this.#plain(first, path);
    } finally {
      this.#quiet--;
      let value: string | undefined;
      if (first === '"') value = decode(this.#text.slice(start + 1, this.#at)).units.join('');
      else if (/[-0-9]/.test(first)) value = this.#text.slice(start, this.#at);
      const folded = value === undefined ? undefined : fold(value, this.#slow);
      const style = rule.replacement.style;
      const keeps = style === 'Hash' || style === 'Partial';
      const shown = keeps && folded === undefined ? `[${rule.label}]` : this.#slow.replacement(rule, folded ?? '');
      this.#put(JSON.stringify(shown));
    }
  }

  #plain(first: string, path: Path): void {
    if (first === '"') this.#string(nameOf(path));
    else if (first === '{') this.#object(path);
    else if (first === '[') this.#array(path);
    else if (/[-0-9]/.test(first)) this.#number(nameOf(path));
    else this.#word();
  }

  #object(path: Path): void {
    this.#literal('{');
    this.#space();
    if (this.#peek() === '}') return this.#literal('}');
    for (;;) {
      this.#space();
      if (this.#peek() !== '"') throw new Fault();
      const key = this.#string();
      this.#space();
      this.#literal(':');
      this.#space();
      this.#value([...path, key]);
      this.#space();
      if (this.#peek() === '}') return this.#literal('}');
      this.#literal(',');
    }
  }

  #array(path: Path): void {
    this.#literal('[');
    this.#space();
    if (this.#peek() === ']') return this.#literal(']');
    for (let index = 0; ; index++) {
      this.#space();
      this.#value([...path, index]);
      this.#space();
      if (this.#peek() === ']') return this.#literal(']');
      this.#literal(',');
    }
  }

  /** The decoded string; its masked spelling goes out. */
  #string(name = ''): string {
    this.#committed = true;
    this.#literal('"');
    const raw = this.#text.slice(this.#at);
    const { units, widths, length, closed, fault } = decode(raw);
    const source = raw.slice(0, length);
    const begin = this.#at;
    if (this.#quiet === 0) {
      const spell = (text: string, unit: SlowUnit): string =>
        JSON.stringify(unit.rank === 3 ? JSON.stringify(text) : text).slice(1, -1);
      const findings = this.#slow.findings(
        units.join(''),
        closed ? 'complete' : this.#end,
        begin,
        widths,
        name === '' ? '' : `"${name}": "`,
      );
      // What stands before a fault was scanned as far as it came; the rest never goes out.
      if (fault) throw new Fault();
      const masked = this.#slow.merge(source, findings, spell, begin);
      this.#take(masked.text, masked.hits, masked.stopped);
      // An escape that the end cut off stands behind what was decoded.
    } else if (fault) throw new Fault();
    this.#at += length;
    if (!closed) {
      this.#at = this.#text.length;
      throw new End();
    }
    this.#literal('"');
    return units.join('');
  }

  #take(text: string, hits: readonly SlowHit[], stopped: SlowHit | undefined): void {
    this.#put(text);
    this.#hits.push(...hits);
    if (stopped === undefined) return;
    this.#stopped = stopped;
    throw new Stop();
  }

  #number(name: string): void {
    const literal = /^[-+.eE0-9]+/.exec(this.#text.slice(this.#at))![0];
    const ended = this.#at + literal.length < this.#text.length;
    if (ended && !/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$/.test(literal)) throw new Fault();
    if (this.#quiet === 0) {
      const findings: SlowFinding[] = this.#slow.findings(
        literal,
        ended ? 'complete' : this.#end,
        this.#at,
        undefined,
        name === '' ? '' : `"${name}": `,
      );
      const masked = this.#slow.merge(literal, findings, (text) => text, this.#at);
      this.#hits.push(...masked.hits);
      if (masked.stopped !== undefined) {
        this.#stopped = masked.stopped;
        throw new Stop();
      }
      const [edit, ...others] = masked.edits;
      if (edit === undefined) this.#put(literal);
      else if (others.length === 0 && edit.end - edit.start === literal.length) this.#put(JSON.stringify(edit.text));
      else this.#put(JSON.stringify(`[${this.#labelOf(findings)}]`));
    }
    this.#at += literal.length;
    if (!ended) throw new End();
    this.#committed = true;
  }

  /** Label of the rule that replaces the first finding. */
  #labelOf(findings: readonly SlowFinding[]): string {
    const first = findings.find((one) => this.#slow.spec.replace[one.unit.rule] === 1)!;
    return this.#slow.setup.rules[first.unit.rule]!.label;
  }

  #word(): void {
    for (const word of ['true', 'false', 'null']) {
      const rest = this.#text.slice(this.#at, this.#at + word.length);
      if (rest === word) {
        this.#put(word);
        this.#at += word.length;
        return;
      }
      if (word.startsWith(rest)) {
        this.#put(rest);
        this.#at += rest.length;
        throw new End();
      }
    }
    throw new Fault();
  }
}

/** The nearest key above a value; of a long one its end. */
function nameOf(path: Path): string {
  const key = path.findLast((step) => typeof step === 'string') ?? '';
  return (key as string).slice(-64);
}

function fold(value: string, slow: SlowMasker): string {
  return Array.from(value, (char) => {
    const code = char.codePointAt(0)!;
    return code < 128 ? char : slow.setup.fold(code);
  }).join('');
}

/** Units of a JSON string's inside with the width of each spelling; `length` reads up to the quote or the end. */
function decode(raw: string): { units: string[]; widths: number[]; length: number; closed: boolean; fault: boolean } {
  const units: string[] = [];
  const widths: number[] = [];
  let at = 0;
  while (at < raw.length && raw[at] !== '"') {
    const escape = /^\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))/.exec(raw.slice(at));
    if (raw[at] !== '\\') {
      units.push(raw[at]!);
      widths.push(1);
      at++;
    } else if (escape !== null) {
      units.push(JSON.parse(`"${escape[0]}"`) as string);
      widths.push(escape[0].length);
      at += escape[0].length;
    } else {
      const partial = /^\\(?:u[0-9a-fA-F]{0,3})?$/.test(raw.slice(at));
      return { units, widths, length: raw.length, closed: false, fault: !partial };
    }
  }
  return { units, widths, length: at, closed: at < raw.length, fault: false };
}
