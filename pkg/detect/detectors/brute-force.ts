import { RE2JS } from 're2js';
import type { Detector } from '../detector.ts';
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

/** Whether what stands before lets a finding begin there. */
export const mayBegin = ({ atWord, telling }: Detector, text: string, start: number, told: boolean): boolean =>
  !(atWord === true && /[0-9A-Za-z_]/.test(text.charAt(start - 1))) && (telling?.required !== true || told);

/** The longest accepted end of a match that begins at `start`; undefined for none. */
export function longestFrom(detector: Detector, text: string, start: number): number | undefined {
  const { pattern } = compile(detector);
  const { telling } = detector;
  const told = telling !== undefined && tells(text, start, telling.words);
  if (!mayBegin(detector, text, start, told)) return undefined;
  // One unit more than the declared longest, so that a declaration that is too small shows.
  const rest = text.slice(start, start + detector.maxLength + 1);
  if (!pattern.matcher(rest).lookingAt()) return undefined;
  for (let length = rest.length; length > 0; length -= 1) {
    if (!pattern.matcher(rest.slice(0, length)).matches()) continue;
    if (length > detector.maxLength) throw new Error(`${detector.name}: a match is longer than maxLength`);
    if (detector.atWord === true && /[0-9A-Za-z_]/.test(text.charAt(start + length))) continue;
    if (detector.accept === undefined || detector.accept(text, start, start + length, told)) return start + length;
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
export function findings(detector: Detector, text: string): Span[] {
  const found: { start: number; end: number }[] = [];
  for (let start = 0; start < text.length; start += 1) {
    const end = longestFrom(detector, text, start);
    if (end === undefined) continue;
    const from = detector.from?.(text, start, end) ?? start;
    if (from < start || from >= end) throw new Error(`${detector.name}: from is outside of the finding`);
    const last = found.at(-1);
    const past = openEnd(detector, text, end);
    if (last !== undefined && from < last.end) {
      last.end = Math.max(last.end, past);
      last.start = Math.min(last.start, from);
    } else found.push({ start: from, end: past });
  }
  return found;
}

/** The text of each finding. */
export function found(detector: Detector, text: string): string[] {
  return findings(detector, text).map(({ start, end }) => text.slice(start, end));
}
