import { CodedError } from '../../base/index.ts';
import { defaultTerms, expandDetector } from '../../core/index.ts';
import type { DetectorName, DetectorTerms, ScanRule } from '../../core/index.ts';
import { allowedBy } from '../allow/index.ts';
import { formsOf as formsOfDetector } from '../detector.ts';
import type { Detector } from '../detector.ts';
import { levelOf, likelyByFormat, namedByPolicy } from '../verdict.ts';
import type { Verdict } from '../verdict.ts';
import { parsePattern, readPattern } from '../automaton/pattern.ts';
import type { Pattern } from '../automaton/pattern.ts';
import { foldText } from './fold-text.ts';
import { readsAlike, withFoldedLiterals } from './folded-pattern.ts';
import { holdsLetters, wordAccepts, wordPattern } from './word.ts';

/**
 * One thing that is looked for, whichever rules ask for it: a detector from some certainty on, a pattern, a word, or a field's name in prose.
 */
export interface Unit {
  readonly index: number;
  readonly by: string;
  /** Order within a rule: detectors, patterns, words, fields. */
  readonly rank: number;
  /** What its candidates look like; units may share one. */
  readonly form: Form;
  /** Looked for in the text as it is written, too: it may find what it does not in the text as a reader sees it. */
  readonly asWritten: boolean;
  readonly left: number;
  readonly telling: { readonly words: readonly string[]; readonly required: boolean } | undefined;
  readonly accept: Detector['accept'];
  readonly spellings: Detector['spellings'];
  /** What stands for `true` of `accept`, and where there is none. */
  readonly verdict: Verdict;
  /** Level of the certainty (verdict.ts) below which a candidate is none. */
  readonly least: number;
  /** Whether a value, as a reader sees it, is no finding all the same. Of open-ended ones nothing is allowed. */
  readonly allows: ((value: string) => boolean) | undefined;
  /** Where what is covered begins, in [start, end). */
  readonly from: ((text: string, start: number, end: number) => number) | undefined;
  /** Where it ends, in [end, end + right]. */
  readonly to: ((text: string, start: number, end: number) => number) | undefined;
  readonly significant: (code: number) => boolean;
  readonly leastSignificant: number;
  readonly open: OpenEnd | undefined;
  /** Rules that ask for it, rising, each with the unit's place among those of the same rank. */
  readonly rules: readonly { readonly rule: number; readonly place: number }[];
}

/** What candidates look like. Those of equal form are sought once, and then judged by each unit. */
export interface Form {
  readonly index: number;
  readonly pattern: Pattern;
  readonly maxLength: number;
  readonly right: number;
  /** It begins only where a word may begin (automaton/word-edges.ts). */
  readonly wordStart: boolean;
  /** It begins and ends only where no letter (A-Z), digit or `_` stands beside it. */
  readonly atWord: boolean;
}

export type OpenEnd =
  | { readonly kind: 'until'; readonly closer: Pattern; readonly closerMaxLength: number }
  | { readonly kind: 'class'; readonly goesOn: (code: number) => boolean }
  /** A JSON value whose first character is the span's last. */
  | { readonly kind: 'json' };

export interface Environment {
  readonly detectors: Readonly<Partial<Record<DetectorName, Detector>>>;
  /** Context-free; ASCII maps to itself. */
  readonly fold: (code: number) => string;
  /** Look through encodings, too (see decoding-lane.ts); the automata are measured without. */
  readonly decode?: boolean;
}

type Draft = Omit<Unit, 'index' | 'rules' | 'form'> & {
  readonly form: Omit<Form, 'index'>;
  /** The pattern's text, where other units may have the same. */
  readonly source: string | undefined;
};

/** Names of `**.name` rules are looked for in prose with up to this many spaces around the colon. */
const colonSpaces = 8;

/**
 * @throws CodedError `invalid_pattern` (names the pattern and gives the parser's message), `unknown_detector`, `invalid_word`
 */
export function collectUnits(rules: readonly ScanRule[], environment: Environment): Unit[] {
  const drafts = new Map<string, { readonly draft: Draft; readonly rules: { rule: number; place: number }[] }>();
  const add = (key: string, rule: number, place: number, make: () => Draft): void => {
    let entry = drafts.get(key);
    if (entry === undefined) drafts.set(key, (entry = { draft: make(), rules: [] }));
    if (entry.rules.at(-1)?.rule !== rule) entry.rules.push({ rule, place });
  };
  for (const [index, rule] of rules.entries()) {
    rule.match.detectors.flatMap(detectorsNamed).forEach((name, place) => {
      const terms = rule.terms?.[name] ?? defaultTerms;
      formsOfDetector(builtIn(name, environment)).forEach((form, number) => {
        const key = `detector ${number} ${name} ${terms.from} ${JSON.stringify(terms.allow)}`;
        add(key, index, place, () => detectorUnit(form, terms, environment));
      });
    });
    rule.match.patterns.forEach(({ pattern, maxLength }, place) => {
      add(`pattern ${maxLength} ${pattern}`, index, place, () => patternUnit(pattern, maxLength, environment.fold));
    });
    rule.match.words.forEach((word, place) => {
      add(`word ${word}`, index, place, () => wordUnit(word, environment.fold));
    });
    rule.fields.forEach((path, place) => {
      const name = nameAnywhere(path);
      if (name === undefined) return;
      const folded = foldText(name, environment.fold);
      if (folded !== '') add(`field ${folded}`, index, place, () => fieldUnit(folded));
    });
  }
  const forms = new Map<string, Form>();
  const formOf = ({ form, source }: Draft, index: number): Form => {
    const key = source === undefined ? `unit ${index}` : `${form.maxLength} ${form.right} ${form.atWord} ${source}`;
    let known = forms.get(key);
    if (known === undefined) forms.set(key, (known = { ...form, index: forms.size }));
    return known;
  };
  return [...drafts.values()].map(({ draft: { source: _source, ...draft }, rules: asking }, index) => ({
    ...draft,
    form: formOf({ ...draft, source: _source }, index),
    index,
    rules: asking,
  }));
}

/**
 * Refuses what {@link collectUnits} refuses, for the same reason, and builds nothing: of 32,000 words, which a policy may have, that takes
 * seconds.
 *
 * @throws as collectUnits
 */
export function checkUnits(rules: readonly ScanRule[], environment: Environment): void {
  for (const { match } of rules) {
    for (const name of match.detectors.flatMap(detectorsNamed)) builtIn(name, environment);
    for (const { pattern, maxLength } of match.patterns) compilePattern(pattern, maxLength);
    for (const word of match.words) if (!holdsLetters(word, environment.fold)) throw emptyWord();
  }
}

/** The name of a path of the form `**.name`. */
function nameAnywhere(path: string): string | undefined {
  return /^\*\*\.([^.[\]*"\\]+)$/u.exec(path)?.[1];
}

function detectorsNamed(name: string): readonly DetectorName[] {
  const names = expandDetector(name);
  if (names === undefined) throw new CodedError('unknown_detector', `no detector is named ${name}`);
  return names;
}

function builtIn(name: DetectorName, { detectors }: Environment): Detector {
  const detector = detectors[name];
  if (detector === undefined) throw new CodedError('unknown_detector', `detector ${name} is not built in`);
  return detector;
}

function detectorUnit(detector: Detector, { from, allow }: DetectorTerms, environment: Environment): Draft {
  const { open, telling } = detector;
  const least = levelOf(from);
  const required = telling?.required === 'Likely' ? least >= levelOf('Likely') : telling?.required;
  return {
    by: detector.name,
    rank: 0,
    form: {
      pattern: compilePattern(detector.pattern, detector.maxLength),
      maxLength: detector.maxLength,
      right: detector.right,
      wordStart: false,
      atWord: detector.atWord === true,
    },
    source: detector.pattern,
    asWritten: false,
    left: detector.left,
    telling: telling === undefined ? undefined : { words: telling.words, required: required === true },
    accept: detector.accept,
    spellings: detector.spellings,
    verdict: detector.verdict ?? likelyByFormat,
    least,
    allows: open === undefined ? allowedBy(allow, environment.fold) : undefined,
    from: detector.from,
    to: detector.to,
    significant: detector.significant,
    leastSignificant: detector.leastSignificant,
    open:
      open === undefined
        ? undefined
        : 'until' in open
          ? {
              kind: 'until',
              closer: compilePattern(open.until, open.untilMaxLength),
              closerMaxLength: open.untilMaxLength,
            }
          : { kind: 'class', goesOn: open.whileClass },
  };
}

const ofPolicy = { spellings: undefined, verdict: namedByPolicy, least: 0, allows: undefined } as const;

function patternUnit(source: string, maxLength: number, fold: (code: number) => string): Draft {
  const written = compilePattern(source, maxLength);
  const pattern = withFoldedLiterals(written, fold);
  const context = pattern.asserted ? 1 : 0;
  return {
    by: 'pattern',
    rank: 1,
    form: { pattern, maxLength, right: context, wordStart: false, atWord: false },
    source: undefined,
    asWritten: !readsAlike(written, fold),
    left: context,
    telling: undefined,
    accept: undefined,
    ...ofPolicy,
    from: undefined,
    to: undefined,
    significant: () => true,
    leastSignificant: Math.max(1, pattern.shortest),
    open: undefined,
  };
}

const emptyWord = (): CodedError => new CodedError('invalid_word', 'a word of a list holds no letter, digit or sign');

function wordUnit(word: string, fold: (code: number) => string): Draft {
  const made = wordPattern(word, fold);
  if (made === undefined) throw emptyWord();
  return {
    by: 'word',
    rank: 2,
    form: { pattern: made.pattern, maxLength: made.maxLength, right: 1, wordStart: true, atWord: false },
    source: undefined,
    asWritten: false,
    left: 1,
    telling: undefined,
    accept: wordAccepts,
    ...ofPolicy,
    from: undefined,
    to: undefined,
    significant: (code) => letterDigitOrSign.test(String.fromCodePoint(code)),
    leastSignificant: made.letters,
    open: undefined,
  };
}

const letterDigitOrSign = /[\p{L}\p{N}@$+!|]/u;

/** @param name as a reader sees it */
function fieldUnit(name: string): Draft {
  const literal = Array.from(name, (char) => `\\x{${(char.codePointAt(0) as number).toString(16)}}`).join('');
  const spaces = `[ \\t\\r\\n]{0,${colonSpaces}}`;
  return {
    by: 'field',
    rank: 3,
    form: {
      pattern: parsePattern(`"${literal}"${spaces}:${spaces}["\\-0-9tfn{\\[]`),
      maxLength: Array.from(name).length + 4 + 2 * colonSpaces,
      right: 0,
      wordStart: false,
      atWord: false,
    },
    source: undefined,
    asWritten: false,
    left: 0,
    telling: undefined,
    accept: undefined,
    ...ofPolicy,
    from: (_text, _start, end) => end - 1,
    to: undefined,
    significant: (code) => code > 0x20,
    leastSignificant: Array.from(name).length + 4,
    open: { kind: 'json' },
  };
}

function compilePattern(source: string, maxLength: number): Pattern {
  const read = readPattern(source, maxLength);
  if ('message' in read) throw new CodedError('invalid_pattern', `pattern ${read.pattern}: ${read.message}`);
  return read;
}
