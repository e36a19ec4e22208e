/** @import { Line, RuleAct } from './contract.d.ts' */

/**
 * Texts of one direction and lane that follow each other.
 *
 * @typedef {object} TextStep
 * @property {'asked' | 'answered'} kind
 * @property {string} lane
 * @property {{ at: number, text: string }[]} pieces Milliseconds since the session began, and what was written then.
 * @property {boolean} sealed Beside the masked text stands the whole one, sealed.
 * @property {number | undefined} length Of texts that are sealed and stand nowhere in clear: their characters.
 *
 * @typedef {{ kind: 'approval' | 'change' | 'other', at: number | undefined, line: Line }} EventStep
 * @typedef {TextStep | EventStep} Step
 *
 * @typedef {object} RecordedSession
 * @property {Line | undefined} start
 * @property {Line | undefined} end
 * @property {readonly Step[]} steps
 */

/** @param {unknown} value @returns {string} */
export const textOf = (value) => (typeof value === 'string' || typeof value === 'number' ? String(value) : '');
/** @param {unknown} value @returns {number | undefined} */
export const numberOf = (value) => (typeof value === 'number' ? value : undefined);
/** @param {unknown} value @returns {Readonly<Record<string, unknown>>} */
export const objectOf = (value) =>
  typeof value === 'object' && value !== null ? /** @type {Record<string, unknown>} */ (value) : {};
/** @param {unknown} value @returns {readonly unknown[]} */
export const listOf = (value) => (Array.isArray(value) ? value : []);
/** @param {unknown} value @returns {readonly RuleAct[]} */
export const actsOf = (value) =>
  listOf(value).map((one) => {
    const { rule, act, by, count, found } = objectOf(one);
    const times = numberOf(count);
    return {
      rule: textOf(rule),
      act: textOf(act),
      by: listOf(by).map(textOf),
      found: listOf(found).map((kind) => {
        const { by: name, certainty, reason } = objectOf(kind);
        return { by: textOf(name), certainty: textOf(certainty), reason: textOf(reason) };
      }),
      ...(times === undefined ? {} : { count: times }),
    };
  });

/** @param {string} text @returns {Readonly<Record<string, unknown>>} Of a line or an entry; empty: it is none. */
export function parsed(text) {
  try {
    return objectOf(JSON.parse(text));
  } catch {
    return {};
  }
}

/**
 * Whether these are all lines of a session in one chain: its `end` says how many there are; without one nobody can tell.
 * @param {readonly string[]} lines @returns {{ fault?: string, counted: boolean, ended: boolean }}
 */
export function countLines(lines) {
  const all = lines.map(parsed);
  const ends = all.filter((line) => line['type'] === 'end');
  const [end] = ends;
  // A change is one line, which is its own end.
  if (end === undefined) return { counted: true, ended: all.some((line) => line['type'] === 'change') };
  if (ends.length > 1) return { fault: 'the session has a second end', counted: true, ended: true };
  const said = numberOf(end['lines']);
  if (said === undefined) return { counted: false, ended: true };
  const [have, most] = [lines.length, said + (numberOf(end['unwritten']) ?? 0)];
  if (have < said)
    return {
      fault: `${have} of ${said} lines are there: others were deleted, or are kept back`,
      counted: true,
      ended: true,
    };
  if (have > most)
    return { fault: `${have} of ${said} lines are there: some are not its own`, counted: true, ended: true };
  return { counted: true, ended: true };
}

/** A step holds no more, so that a session of any length is shown part by part. */
const most = { pieces: 200, characters: 65_536 };

/** @param {readonly string[]} lines As they were hashed. @returns {RecordedSession} */
export function readSession(lines) {
  /** @type {Step[]} */
  const steps = [];
  let length = 0;
  /** @param {TextStep['kind']} kind @param {unknown} item @param {number} at */
  const write = (kind, item, at) => {
    const { lane, text, sealed, length: ofSealed } = objectOf(item);
    // Nothing of it is here.
    const hidden = sealed !== undefined && text === undefined ? (numberOf(ofSealed) ?? 0) : undefined;
    const piece = { at, text: textOf(text) };
    const last = steps.at(-1);
    length += piece.text.length;
    const goesOn =
      last?.kind === kind &&
      'pieces' in last &&
      last.lane === lane &&
      (last.length === undefined) === (hidden === undefined);
    if (goesOn && last.pieces.length < most.pieces && length <= most.characters) {
      last.pieces.push(piece);
      last.sealed ||= sealed !== undefined;
      if (last.length !== undefined) last.length += hidden ?? 0;
      return;
    }
    length = piece.text.length;
    steps.push({ kind, lane: textOf(lane), pieces: [piece], sealed: sealed !== undefined, length: hidden });
  };
  /** @type {Pick<RecordedSession, 'start' | 'end'>} */
  const found = { start: undefined, end: undefined };
  for (const text of lines) {
    const line = /** @type {Line} */ (parsed(text));
    const at = numberOf(line['at']);
    if (line.type === 'start') found.start ??= line;
    if (line.type === 'end') found.end = line;
    else if (line.type === 'segment') write(line['direction'] === 'request' ? 'asked' : 'answered', line, at ?? 0);
    else if (line.type === 'start' || line.type === 'texts')
      for (const item of listOf(line['request'])) write('asked', item, at ?? 0);
    else steps.push({ kind: line.type === 'approval' || line.type === 'change' ? line.type : 'other', at, line });
  }
  return { ...found, steps };
}

/** @param {TextStep} step */
export const wholeText = ({ pieces }) => pieces.map(({ text }) => text).join('');

/** @param {Line} start @param {Line | undefined} end @returns {string} The receipt that the caller has, as the record would have it. */
export function receiptOf(start, end) {
  const spelled = (/** @type {string} */ text) => text.replace(/[^\x20-\x7e]|["\\]/g, '_');
  const begin = `id=${textOf(start['session'])}; generation="${spelled(textOf(start['generation']))}"`;
  if (end === undefined) return begin;
  const rules = actsOf(end['rules']).map(({ rule, act }) => `${rule}=${act}`);
  const open = listOf(end['failedOpen']).map(textOf).join() || 'none';
  return `${begin}; rules="${spelled(rules.join())}"; failed-open=${open}`;
}
