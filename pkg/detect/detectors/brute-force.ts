import { RE2JS } from 're2js';
import { certainties } from '../../core/index.ts';
import type { Certainty } from '../../core/index.ts';
import { formsOf } from '../detector.ts';
import type { Detector } from '../detector.ts';
import { likelyByFormat } from '../verdict.ts';
import type { Verdict } from '../verdict.ts';
import { tells } from '../testing/slow-tells.ts';

/**
 * The slow and obvious reading of a declaration, for the tests of detectors alone: every start, longest end first, RE2 itself.
 * Nothing that ships imports it.
 */
export interface Span {
  readonly start: number;
  readonly end: number;
}

interface Compiled {
  readonly pattern: RE2JS;
  readonly until: RE2JS | undefined;
}

const compiled = new Map<Detector, Compiled>();

function compile(detector: Detector): Compiled {
  let entry = compiled.get(detector);
  if (entry === undefined) {
    const open = detector.open;
    entry = {
      pattern: RE2JS.compile(detector.pattern),
      until: open !== undefined && 'until' in open ? RE2JS.compile(open.until) : undefined,
    };
    compiled.set(detector, entry);
  }
  return entry;
}

/** Beside it stands something of the same word: at most three `_` alone are emphasis. */
const inOneWord = /(?:[0-9A-Za-z]_{0,3}|_{4})$/;
export const oneWordOn = /^(?:_{0,3}[0-9A-Za-z]|_{4})/;

/** Whether what stands before lets a finding that is at least so certain begin there. */
export const mayBegin = (
  { atWord, telling }: Detector,
  text: string,
  start: number,
  told: boolean,
  least: Certainty = 'Likely',
): boolean => {
  if (atWord === true && inOneWord.test(text.slice(Math.max(0, start - 4), start))) return false;
  const wanted = telling?.required === true || (telling?.required === 'Likely' && least !== 'Possible');
  return !wanted || told;
};

/** What the detector says of a candidate; undefined where that is less certain than asked. */
export function verdictOf(
  detector: Detector,
  text: string,
  { start, end }: Span,
  told: boolean,
  least: Certainty = 'Likely',
): Verdict | undefined {
  const level = certainties.indexOf(least);
  const said = detector.accept?.(text, start, end, told, level) ?? true;
  if (said === false) return undefined;
  const verdict = said === true ? (detector.verdict ?? likelyByFormat) : said;
  return certainties.indexOf(verdict.certainty) < level ? undefined : verdict;
}

/** The longest accepted end of a match that begins at `start`, and what is said of it; undefined for none. */
export function longestFrom(
  detector: Detector,
  text: string,
  start: number,
  least: Certainty = 'Likely',
): { readonly end: number; readonly verdict: Verdict } | undefined {
  const { pattern } = compile(detector);
  const { telling } = detector;
  const told = telling !== undefined && tells(text, start, telling.words);
  if (!mayBegin(detector, text, start, told, least)) return undefined;
  // One unit more than the declared longest, so that a declaration that is too small shows.
  const rest = text.slice(start, start + detector.maxLength + 1);
  if (!pattern.matcher(rest).lookingAt()) return undefined;
  for (let length = rest.length; length > 0; length -= 1) {
    if (!pattern.matcher(rest.slice(0, length)).matches()) continue;
    if (length > detector.maxLength) throw new Error(`${detector.name}: a match is longer than maxLength`);
    if (detector.atWord === true && oneWordOn.test(text.slice(start + length, start + length + 4))) continue;
    const verdict = verdictOf(detector, text, { start, end: start + length }, told, least);
    if (verdict !== undefined) return { end: start + length, verdict };
  }
  return undefined;
}

function openEnd(detector: Detector, text: string, end: number): number {
  const open = detector.open;
  if (open === undefined) return end;
  if ('until' in open) {
    const matcher = compile(detector).until?.matcher(text);
    return matcher?.find(end) === true ? matcher.end() : text.length;
  }
  let past = end;
  while (past < text.length && open.whileClass(text.charCodeAt(past))) past += 1;
  return past;
}

/** All findings, overlapping ones merged; each from where the detector says that what is covered begins. */
export function findings(detector: Detector, text: string, least: Certainty = 'Likely'): Span[] {
  const all = formsOf(detector).flatMap((form) => findingsOf(form, text, least));
  const found: { start: number; end: number }[] = [];
  for (const { start, end } of all.sort((a, b) => a.start - b.start || b.end - a.end)) {
    const last = found.at(-1);
    if (last !== undefined && start < last.end) last.end = Math.max(last.end, end);
    else found.push({ start, end });
  }
  return found;
}

function findingsOf(detector: Detector, text: string, least: Certainty): Span[] {
  const found: { start: number; end: number }[] = [];
  for (let start = 0; start < text.length; start += 1) {
    const longest = longestFrom(detector, text, start, least);
    if (longest === undefined) continue;
    const { end } = longest;
    const from = detector.from?.(text, start, end) ?? start;
    if (from < start || from >= end) throw new Error(`${detector.name}: from is outside of the finding`);
    const last = found.at(-1);
    const past = openEnd(detector, text, detector.to?.(text, start, end) ?? end);
    if (past < end || past > text.length) throw new Error(`${detector.name}: to is outside of what is read`);
    if (last !== undefined && from < last.end) {
      last.end = Math.max(last.end, past);
      last.start = Math.min(last.start, from);
    } else found.push({ start: from, end: past });
  }
  return found;
}

/** The text of each finding. */
export function found(detector: Detector, text: string, least: Certainty = 'Likely'): string[] {
  return findings(detector, text, least).map(({ start, end }) => text.slice(start, end));
}

/** What is said of the first finding, as `CERTAINTY REASON`; undefined where there is none. */
export function saidOf(detector: Detector, text: string): string | undefined {
  for (let start = 0; start < text.length; start += 1) {
    for (const form of formsOf(detector)) {
      const longest = longestFrom(form, text, start, 'Possible');
      if (longest !== undefined) return `${longest.verdict.certainty} ${longest.verdict.reason}`;
    }
  }
  return undefined;
}
