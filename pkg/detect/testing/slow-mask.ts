/* eslint-disable @typescript-eslint/no-non-null-assertion, complexity, max-depth -- a test oracle: plain over safe */
import { createHmac } from 'node:crypto';
import { certainties, defaultTerms, expandDetector } from '../../core/index.ts';
import type { AllowSpec, DetectorName, Said, ScanRule } from '../../core/index.ts';
import { formsOf } from '../detector.ts';
import type { Detector } from '../detector.ts';
import type { LaneEnd, ViewSpec } from '../scanner.ts';
import { mayBegin, oneWordOn, verdictOf } from '../detectors/brute-force.ts';
import { SlowRegex } from './slow-regex.ts';
import { tells } from './slow-tells.ts';

/**
 * mask(T) written from its definition and nothing else: every start of every unit is tried, all findings are listed, sorted
 * and merged. Prose only; slow-json.ts has the rest. Shares no code with the scanner but the folding of characters.
 */
export interface SlowUnit {
  readonly by: string;
  readonly rank: number;
  readonly rule: number;
  readonly place: number;
  /** Equal for the same detector, pattern or word whatever the rule. */
  readonly name: string;
  readonly maxLength: number;
  readonly right: number;
  readonly regex: SlowRegex;
  /** Looked for in the text as it is written, too. */
  readonly asWritten: boolean;
  readonly begins: (text: string, start: number) => boolean;
  /** What is said of a candidate; undefined: it is none. Of what stands before `from`, telling words alone count. */
  readonly accept: (text: string, start: number, end: number, from?: number) => Said | undefined;
  /** Whether a value is no finding all the same. */
  readonly allowed: (value: string) => boolean;
  readonly from: (text: string, start: number, end: number) => number;
  readonly to?: Detector['to'];
  readonly significant: (code: number) => boolean;
  readonly least: number;
  readonly open:
    'json' | { readonly until: SlowRegex } | { readonly whileClass: (code: number) => boolean } | undefined;
  readonly wordStart: boolean;
}

export interface SlowFinding {
  readonly unit: SlowUnit;
  readonly start: number;
  readonly end: number;
  readonly openEnded: boolean;
  readonly recognised: number;
  readonly value: string;
  readonly said: Said;
}

export interface SlowHit extends Said {
  readonly rule: number;
  readonly by: string;
  readonly start: number;
  readonly end: number;
}

export interface SlowResult {
  readonly text: string;
  readonly hits: readonly SlowHit[];
  readonly stopped: SlowHit | undefined;
  readonly edits: readonly {
    readonly start: number;
    readonly end: number;
    readonly text: string;
    readonly rest?: string;
  }[];
}

export interface SlowSetup {
  readonly rules: readonly ScanRule[];
  readonly detectors: Readonly<Partial<Record<DetectorName, Detector>>>;
  readonly fold: (code: number) => string;
  readonly hashKey: Uint8Array;
}

/** One character of the folded text. */
interface Seen {
  readonly code: number;
  readonly start: number;
  readonly end: number;
  readonly ordinal: number;
}

const letterOrDigit = /[\p{L}\p{N}]/u;

/** Whether the character beyond an edge of a word is of it. */
function isOfWord(outer: string | undefined, inner: string): boolean {
  if (outer === undefined || !letterOrDigit.test(outer)) return false;
  const [a, b] = [outer, inner].map((char) => scripts.findIndex((script) => script.test(char)));
  if (a === 0 || b === 0) return false;
  return a === -1 || b === -1 || a === b || (a !== 1 && b !== 1);
}

/** Without spaces, Latin, others: those that tests use. */
const scripts = [/[\p{sc=Han}\p{sc=Hangul}]/u, /\p{sc=Latin}/u, /\p{sc=Cyrillic}/u, /\p{sc=Hebrew}/u];

export class SlowMasker {
  readonly setup: SlowSetup;
  readonly spec: ViewSpec;
  readonly units: readonly SlowUnit[];

  constructor(setup: SlowSetup, spec: ViewSpec) {
    this.setup = setup;
    this.spec = spec;
    const wanted = (rule: number): boolean =>
      spec.replace[rule] === 1 || spec.stop[rule] === 1 || spec.note[rule] === 1;
    this.units = setup.rules.flatMap((rule, index) => (wanted(index) ? slowUnits(rule, index, setup) : []));
  }

  mask(text: string, end: LaneEnd, spell: (text: string, unit: SlowUnit) => string = plain, before = ''): SlowResult {
    const findings = this.findings(text, end, 0, undefined, before);
    return this.merge(text, findings, spell);
  }

  /**
   * @param widths source units of each UTF-16 unit of the text, where it is decoded from an escaped spelling
   * @param before what detectors see before the text
   */
  findings(text: string, end: LaneEnd, offset = 0, widths?: readonly number[], before = ''): SlowFinding[] {
    const { fold } = this.setup;
    const written = this.units.filter((unit) => unit.asWritten);
    const ofDetectors = this.units.filter((unit) => unit.rank === 0);
    const others = this.units.filter((unit) => unit.rank !== 0);
    const found = [
      ...this.#findingsIn(this.#see(text, offset, widths, fold, before), ofDetectors, end, offset),
      ...this.#findingsIn(this.#see(text, offset, widths, fold), others, end, offset),
      ...this.#findingsIn(this.#see(text, offset, widths, String.fromCodePoint), written, end, offset),
    ];
    return found.sort(
      (a, b) =>
        a.start - b.start ||
        Number(b.openEnded) - Number(a.openEnded) ||
        (a.openEnded ? 0 : b.end - a.end) ||
        order(this.spec, a.unit, b.unit) ||
        certainties.indexOf(b.said.certainty) - certainties.indexOf(a.said.certainty),
    );
  }

  /** In one form of the text. */
  #findingsIn(
    { seen, total, length, before }: { seen: Seen[]; total: number; length: number; before: number },
    units: readonly SlowUnit[],
    end: LaneEnd,
    offset: number,
  ): SlowFinding[] {
    const codes = seen.map((one) => one.code);
    const folded = codes.map((code) => String.fromCodePoint(code)).join('');
    const unitAt: number[] = [0];
    for (const code of codes) unitAt.push(unitAt.at(-1)! + (code > 0xffff ? 2 : 1));
    const found: SlowFinding[] = [];
    const sourceEnd = offset + length;
    for (const unit of units) {
      for (let s = 0; s < codes.length; s++) {
        const one = this.#judge(unit, s, { seen, codes, folded, unitAt, total, sourceEnd, end, before });
        if (one !== undefined) found.push(one);
      }
    }
    return found;
  }

  #see(
    text: string,
    offset: number,
    widths: readonly number[] | undefined,
    fold: (code: number) => string,
    preceding = '',
  ): { seen: Seen[]; total: number; length: number; before: number } {
    const seen: Seen[] = [];
    let unit = 0;
    let source = offset;
    let ordinal = 0;
    const context = Array.from(preceding, (char) => (char < '\x80' ? char : fold(char.codePointAt(0)!))).join('');
    for (const char of context) {
      seen.push({ code: char.codePointAt(0)!, start: offset, end: offset, ordinal });
      ordinal++;
    }
    const before = seen.length;
    for (const char of text) {
      let width = 0;
      for (let i = 0; i < char.length; i++) width += widths?.[unit + i] ?? 1;
      const code = char.codePointAt(0)!;
      const folded = code < 128 ? char : fold(code);
      for (const part of folded) seen.push({ code: part.codePointAt(0)!, start: source, end: source + width, ordinal });
      unit += char.length;
      source += width;
      ordinal++;
    }
    return { seen, total: ordinal, length: source - offset, before };
  }

  #judge(
    unit: SlowUnit,
    s: number,
    lane: {
      seen: readonly Seen[];
      codes: readonly number[];
      folded: string;
      unitAt: readonly number[];
      total: number;
      sourceEnd: number;
      end: LaneEnd;
      /** Characters that stand before the text. */
      before: number;
    },
  ): SlowFinding | undefined {
    const { seen, codes, folded, unitAt, before } = lane;
    const value = (from: number, to: number): string =>
      Array.from(folded.slice(unitAt[from], unitAt[to]), (char) => this.setup.fold(char.codePointAt(0)!)).join('');
    // Of what goes on before it in another script, nothing is.
    const allowed = (from: number, to: number): boolean =>
      unit.allowed(value(from, to)) &&
      !(from > 0 && codes[from - 1]! > 127 && /[\p{L}\p{M}\p{N}]/u.test(String.fromCodePoint(codes[from - 1]!)));
    const misplaced =
      (unit.wordStart && s > 0 && isOfWord(String.fromCodePoint(codes[s - 1]!), String.fromCodePoint(codes[s]!))) ||
      !unit.begins(folded, unitAt[s]!);
    const limit = seen[s]!.ordinal + Math.max(8 * unit.maxLength, unit.maxLength + unit.right);
    let visible = codes.length;
    while (visible > s && seen[visible - 1]!.ordinal >= limit) visible--;
    const within = unit.regex.match(codes, s, visible, true).ends.filter((e) => e - s <= unit.maxLength);
    const undecided = (at: number): boolean =>
      !misplaced &&
      ((unit.regex.match(codes, s, at, false).ranOut && at - s < unit.maxLength) ||
        within.some((e) => at - e < unit.right));
    if (lane.total >= limit && undecided(visible)) {
      return {
        unit,
        start: seen[s]!.start,
        end: visible < codes.length ? seen[visible]!.start : lane.sourceEnd,
        openEnded: true,
        recognised: seen[visible - 1]!.end,
        value: 'x'.repeat(5000),
        said: cut,
      };
    }
    // With what stands before the text, or without where it is more certain so.
    const reading = (e: number): { said: Said; text: string; shift: number } | undefined => {
      const said = unit.accept(folded, unitAt[s]!, unitAt[e]!);
      const shift = unitAt[before]!;
      const text = folded.slice(shift);
      const alone =
        unit.rank === 0 && before > 0 && s >= before ? unit.accept(folded, unitAt[s]!, unitAt[e]!, shift) : undefined;
      const level = (one: Said | undefined): number => (one === undefined ? -1 : certainties.indexOf(one.certainty));
      if (alone !== undefined && level(alone) > level(said)) return { said: alone, text, shift };
      return said === undefined ? undefined : { said, text: folded, shift: 0 };
    };
    const accepted = misplaced ? undefined : within.filter((e) => reading(e) !== undefined).at(-1);
    const fromOf = (e: number): number => {
      const { text, shift } = reading(e)!;
      return unit.from(text, unitAt[s]! - shift, unitAt[e]! - shift) + shift;
    };
    const toOf = (e: number): number => {
      const { text, shift } = reading(e)!;
      return unit.to === undefined ? e : unitAt.indexOf(unit.to(text, unitAt[s]! - shift, unitAt[e]! - shift) + shift);
    };
    if (lane.end === 'cut' && (unit.open === undefined || accepted === undefined) && undecided(codes.length)) {
      // What can grow no more ends where it matched.
      const grows = unit.regex.match(codes, s, codes.length, false).ranOut && codes.length - s < unit.maxLength;
      const last = within.at(-1)!;
      const e = grows ? codes.length : this.#to(unit, folded, unitAt, s, last);
      // What has its end is decided.
      const decided = !grows && unit.to !== undefined && e < codes.length;
      if (e <= before) return undefined;
      const count = codes.slice(s, e).filter((code) => unit.significant(code)).length;
      if (!decided && count > 0 && 2 * count >= unit.least) {
        // What is found as it stands, too, is as certain as that.
        const whole =
          accepted !== undefined &&
          toOf(accepted) === e &&
          fromOf(accepted) === unitAt[Math.max(s, before)] &&
          !allowed(s, e);
        return {
          unit,
          start: seen[s]!.start,
          end: seen[e - 1]!.end,
          openEnded: false,
          recognised: seen[e - 1]!.end,
          value: value(Math.max(s, before), e),
          said: whole ? reading(accepted)!.said : cut,
        };
      }
    }
    if (accepted === undefined) return undefined;
    const from = unitAt.indexOf(fromOf(accepted));
    if (from < before) return undefined;
    const { said } = reading(accepted)!;
    if (unit.open === undefined) {
      const to = toOf(accepted);
      if (allowed(from, to)) return undefined;
      const last = seen[to - 1]!.end;
      return {
        unit,
        start: seen[from]!.start,
        end: last,
        openEnded: false,
        recognised: last,
        value: value(from, to),
        said,
      };
    }
    const to = openEnd(unit, codes, accepted);
    return {
      unit,
      start: seen[from]!.start,
      end: this.#openSourceEnd(unit, to, seen, codes[accepted - 1]!, lane.sourceEnd),
      openEnded: true,
      recognised: seen[accepted - 1]!.end,
      value: value(from, to ?? codes.length),
      said,
    };
  }

  #to(unit: SlowUnit, folded: string, unitAt: readonly number[], s: number, end: number): number {
    if (unit.to === undefined) return end;
    return unitAt.indexOf(unit.to(folded, unitAt[s]!, unitAt[end]!));
  }

  /** A character that ends a finding without being of it leaves what is ignorable before it inside. */
  #openSourceEnd(
    unit: SlowUnit,
    to: number | undefined,
    seen: readonly Seen[],
    opener: number,
    sourceEnd: number,
  ): number {
    if (to === undefined) return sourceEnd;
    const bare = unit.open === 'json' && !'"{['.includes(String.fromCodePoint(opener));
    const before = bare || (typeof unit.open === 'object' && 'whileClass' in unit.open);
    return before ? seen[to]!.start : seen[to - 1]!.end;
  }

  /** Components, replacements, hits. `text` is the source. */
  merge(
    text: string,
    findings: readonly SlowFinding[],
    spell: (text: string, unit: SlowUnit) => string,
    sourceStart = 0,
  ): SlowResult {
    const { rules } = this.setup;
    const { replace, stop } = this.spec;
    const hits: SlowHit[] = [];
    const covers = new Map<string, SlowFinding[]>();
    let stopped: SlowHit | undefined;
    interface Component {
      members: SlowFinding[];
      end: number;
    }
    const components: Component[] = [];
    let cutAt = Number.POSITIVE_INFINITY;
    for (let at = 0; at < findings.length && stopped === undefined;) {
      // Findings of one unit by several rules are one finding with several rules.
      const finding = findings[at]!;
      let next = at;
      const group: SlowFinding[] = [];
      for (const other of findings) {
        const same =
          other.unit.name === finding.unit.name && other.start === finding.start && other.end === finding.end;
        if (same) group.push(other);
      }
      if (group[0] === finding) {
        const asking = group.map((one) => one.unit.rule).sort((a, b) => a - b);
        const hit = (rule: number): SlowHit => ({
          rule,
          by: finding.unit.by,
          start: finding.start,
          end: finding.recognised,
          certainty: finding.said.certainty,
          reason: finding.said.reason,
        });
        for (const rule of asking) {
          const key = `${rule} ${finding.unit.rank} ${finding.unit.by}`;
          const cover = covers.get(key) ?? [];
          if (!cover.some((one) => one.end > finding.start)) hits.push(hit(rule));
          covers.set(key, [...cover, finding]);
        }
        const stopRule = asking.find((rule) => stop[rule] === 1);
        const replaceRule = asking.find((rule) => replace[rule] === 1);
        if (stopRule !== undefined || replaceRule !== undefined) {
          const last = components.at(-1);
          const joins = last !== undefined && finding.start < last.end;
          if (stopRule !== undefined) {
            stopped = hit(stopRule);
            cutAt = joins ? last.members[0]!.start : finding.start;
            if (joins) components.pop();
          } else if (joins) {
            last.members.push(finding);
            last.end = Math.max(last.end, finding.end);
          } else components.push({ members: [finding], end: finding.end });
        }
      }
      next++;
      at = next;
    }
    const edits = components.map(({ members, end }) => {
      const first = members[0]!;
      const askingFirst = findings
        .filter((one) => one.unit.name === first.unit.name && one.start === first.start && replace[one.unit.rule] === 1)
        .map((one) => one.unit.rule);
      const rule = rules[Math.min(...askingFirst)]!;
      const alike =
        end === first.end &&
        members.every(
          (one, index) =>
            (one.start === first.start && one.end === first.end) ||
            // Part of an earlier finding of the same unit.
            members
              .slice(0, index)
              .some(
                (earlier) =>
                  earlier.unit.name === one.unit.name &&
                  one.start < earlier.end &&
                  (one.end <= earlier.end || one.openEnded),
              ),
        );
      const label = `[${rule.label}]`;
      const shown = alike ? this.replacement(rule, first.value) : label;
      const showsSome = rule.replacement.style === 'Partial' && shown !== label;
      return {
        ...{ start: first.start, end, text: spell(shown, first.unit) },
        ...(showsSome && { rest: spell(label, first.unit) }),
      };
    });
    let out = '';
    let from = sourceStart;
    for (const edit of edits) {
      out += text.slice(from - sourceStart, edit.start - sourceStart) + edit.text;
      from = edit.end;
    }
    const to = Math.min(cutAt, sourceStart + text.length);
    if (from < to) out += text.slice(from - sourceStart, to - sourceStart);
    return { text: out, hits, stopped, edits };
  }

  replacement(rule: ScanRule, value: string): string {
    const style = rule.replacement;
    if (style.style === 'Constant') return style.text;
    if (style.style === 'Label' || value.length > 4096) return `[${rule.label}]`;
    if (style.style === 'Hash') {
      return `[${rule.label}:${createHmac('sha256', this.setup.hashKey).update(value).digest('hex').slice(0, 8)}]`;
    }
    const shown = Array.from(value).filter((char) => letterOrDigit.test(char));
    return shown.length > style.keep ? `****${shown.slice(shown.length - style.keep).join('')}` : '****';
  }
}

function plain(text: string, unit: SlowUnit): string {
  return unit.rank === 3 ? JSON.stringify(text) : text;
}

/** Policy order, then detectors, patterns, words, fields, then place: of the rule that acts on it. */
function order(spec: ViewSpec, a: SlowUnit, b: SlowUnit): number {
  const acts = (one: SlowUnit): number => (spec.replace[one.rule] === 1 ? 0 : 1);
  if (a.name === b.name) return acts(a) - acts(b) || a.rule - b.rule;
  return a.rule - b.rule || a.rank - b.rank || a.place - b.place;
}

function openEnd(unit: SlowUnit, codes: readonly number[], from: number): number | undefined {
  const open = unit.open;
  if (open === undefined) return from;
  if (open === 'json') return jsonEnd(codes, from);
  if ('whileClass' in open) {
    for (let at = from; at < codes.length; at++) if (!open.whileClass(codes[at]!)) return at;
    return undefined;
  }
  let first: number | undefined;
  for (let start = from; start < codes.length; start++) {
    const [end] = open.until.match(codes, start, codes.length, true).ends;
    if (end !== undefined && (first === undefined || end < first)) first = end;
  }
  return first;
}

function jsonEnd(codes: readonly number[], from: number): number | undefined {
  const text = codes.map((code) => String.fromCodePoint(code));
  const opener = text[from - 1]!;
  if (opener === '"') {
    for (let at = from; at < text.length; at++) {
      if (text[at] === '\\') at++;
      else if (text[at] === '"') return at + 1;
    }
    return undefined;
  }
  if (opener !== '{' && opener !== '[') {
    for (let at = from; at < text.length; at++) if (!/[-+.0-9A-Za-z]/.test(text[at]!)) return at;
    return undefined;
  }
  let depth = 1;
  let inString = false;
  for (let at = from; at < text.length; at++) {
    const char = text[at]!;
    if (inString) {
      if (char === '\\') at++;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if ('{['.includes(char)) depth++;
    else if ('}]'.includes(char) && --depth === 0) return at + 1;
  }
  return undefined;
}

const no = (): boolean => false;
const cut: Said = { certainty: 'Possible', reason: 'CutShort' };
const byPolicy: Said = { certainty: 'Certain', reason: 'Policy' };

/** Literal values alone, as they are written in tests: lower case, without separators. */
function slowlyAllowed({ values }: AllowSpec, value: string): boolean {
  const plain = /^[0-9 -]+$/.test(value) ? value.replace(/[ -]/g, '') : value.toLowerCase();
  return values.includes(plain);
}

function slowUnits(rule: ScanRule, index: number, setup: SlowSetup): SlowUnit[] {
  const yes = (): boolean => true;
  const named = (): Said => byPolicy;
  const names = rule.match.detectors.flatMap((name) => expandDetector(name) ?? []);
  return [
    ...names.flatMap((name, place) =>
      formsOf(setup.detectors[name]!).map((one, form): SlowUnit => {
        const { from: least, allow } = rule.terms?.[name] ?? defaultTerms;
        const words = (one.telling?.words ?? []).map((word) =>
          Array.from(word, (char) => (char < '\x80' ? char : setup.fold(char.codePointAt(0)!))).join(''),
        );
        const told = (text: string, start: number): boolean => one.telling !== undefined && tells(text, start, words);
        return {
          by: name,
          rank: 0,
          rule: index,
          place,
          name: `${name} ${form} ${certainties.indexOf(least)} ${JSON.stringify(allow)}`,
          maxLength: one.maxLength,
          right: one.right,
          regex: new SlowRegex(one.pattern),
          asWritten: false,
          begins: (text, start) => mayBegin(one, text, start, told(text, start), least),
          accept: (text, start, end, from = 0) => {
            if (one.atWord === true && oneWordOn.test(text.slice(end, end + 4))) return undefined;
            const place = { start: start - from, end: end - from };
            return verdictOf(one, text.slice(from), place, told(text, start), least);
          },
          allowed: (value) =>
            one.open === undefined && allow.length > 0 && allow.every((spec) => slowlyAllowed(spec, value)),
          from: one.from ?? ((_, start) => start),
          to: one.to,
          significant: one.significant,
          least: one.leastSignificant,
          open:
            one.open === undefined
              ? undefined
              : 'until' in one.open
                ? { until: new SlowRegex(one.open.until) }
                : one.open,
          wordStart: false,
        };
      }),
    ),
    ...rule.match.patterns.map(({ pattern, maxLength }, place): SlowUnit => {
      const regex = new SlowRegex(pattern, setup.fold);
      return {
        by: 'pattern',
        rank: 1,
        rule: index,
        place,
        name: `${pattern} ${maxLength}`,
        maxLength,
        right: regex.asserted ? 1 : 0,
        regex,
        asWritten: true,
        begins: yes,
        accept: named,
        allowed: no,
        from: (_, start) => start,
        significant: yes,
        least: shortest(new SlowRegex(pattern)),
        open: undefined,
        wordStart: false,
      };
    }),
    ...rule.match.words.map((word, place) => slowWord(word, index, place)),
    ...rule.fields.flatMap((path, place) => (path.startsWith('**.') ? [slowField(path.slice(3), index, place)] : [])),
  ];
}

/** Least length of a match, by trying: only for patterns that match some text of these letters. */
function shortest(regex: SlowRegex): number {
  for (const sample of shortestSamples) {
    const { ends } = regex.match(
      Array.from(sample, (char) => char.codePointAt(0)!),
      0,
      sample.length,
      false,
    );
    if (ends[0] !== undefined) return ends[0];
  }
  throw new Error('give a sample for this pattern');
}

/** Each test pattern matches the beginning of one of these in its shortest form. */
export const shortestSamples: string[] = [];

const leet: Record<string, string> = {
  a: '4@',
  b: '8',
  e: '3',
  g: '9',
  i: '1!|l',
  l: '1|i',
  o: '0',
  s: '5$',
  t: '7+',
  z: '2',
};

/** Words of ASCII letters, digits and spaces. */
function slowWord(word: string, rule: number, place: number): SlowUnit {
  const parts = word.split(/[\s-]+/).filter((part) => part !== '');
  const letters = parts.join('').length;
  const escape = (chars: string): string =>
    `[${Array.from(new Set(chars), (char) => `\\x{${char.codePointAt(0)!.toString(16)}}`).join('')}]`;
  const forms = (char: string): string =>
    escape(char + char.toLowerCase() + char.toUpperCase() + (leet[char.toLowerCase()] ?? ''));
  const gap = (most: number): string => `[^\\p{L}\\p{N}]{0,${most}}`;
  const pattern = parts.map((part) => Array.from(part, forms).join(letters < 4 ? '' : gap(3))).join(gap(8));
  const gaps = parts.length - 1;
  return {
    by: 'word',
    rank: 2,
    rule,
    place,
    name: `word ${word}`,
    maxLength: letters + (letters < 4 ? 0 : (letters - 1 - gaps) * 3) + gaps * 8,
    right: 1,
    regex: new SlowRegex(pattern),
    asWritten: false,
    begins: () => true,
    accept: (text, start, end) => {
      const [before, first] = [Array.from(text.slice(0, start)).at(-1), Array.from(text.slice(start, end))[0]!];
      const [last, after] = [Array.from(text.slice(start, end)).at(-1)!, Array.from(text.slice(end))[0]];
      return isOfWord(before, first) || isOfWord(after, last) ? undefined : byPolicy;
    },
    allowed: no,
    from: (_, start) => start,
    significant: (code) => /[\p{L}\p{N}@$+!|]/u.test(String.fromCodePoint(code)),
    least: letters,
    open: undefined,
    wordStart: true,
  };
}

function slowField(name: string, rule: number, place: number): SlowUnit {
  return {
    by: 'field',
    rank: 3,
    rule,
    place,
    name: `field ${name}`,
    maxLength: name.length + 20,
    right: 0,
    regex: new SlowRegex(`"${name}"[ \\t\\r\\n]{0,8}:[ \\t\\r\\n]{0,8}["\\x2d0-9tfn{\\[]`),
    asWritten: false,
    begins: () => true,
    accept: () => byPolicy,
    allowed: no,
    from: (_text, _start, end) => end - 1,
    significant: (code) => code > 0x20,
    least: name.length + 4,
    open: 'json',
    wordStart: false,
  };
}
